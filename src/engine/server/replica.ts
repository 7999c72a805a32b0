/**
 * One running member: the parts of the engine, joined. It owns their order of start and stop and the paths between
 * them (an applied entry to watchers, leases and log cutting; a role change to whoever works only on the leader).
 * It decides nothing that a part could decide for itself.
 */

import {EngineError} from '../errors.ts';
import type {Clock, Logger, PeerNetwork} from '../ports.ts';
import type {Message, SoftState} from '../raft/message.ts';
import type {Alarms} from '../state-machine/alarms.ts';
import type {ApplyResult} from '../state-machine/apply-result.ts';
import type {Command} from '../state-machine/command.ts';
import type {Lessor} from '../state-machine/lease/lessor.ts';
import type {Members} from '../state-machine/members.ts';
import type {MvccStore} from '../state-machine/mvcc/store.ts';
import type {StateMachine} from '../state-machine/state-machine.ts';
import type {Store} from '../storage/store.ts';
import type {Index, Term} from '../types.ts';
import {WatchHub} from '../watch/watch-hub.ts';
import type {Applier} from './applier.ts';
import type {Identity} from './bootstrap.ts';
import {FounderCheck} from './founder-check.ts';
import {LeaderDuties} from './leader-duties.ts';
import type {Leadership} from './leadership.ts';
import type {Leases} from './leases.ts';
import {MemberServices} from './member-services.ts';
import type {MembershipRouter} from './membership-router.ts';
import {Neighbours} from './neighbours.ts';
import type {OpenedMember} from './open-member.ts';
import type {PeerAnswer, PeerCall} from './peer-call.ts';
import type {Proposals} from './proposals.ts';
import {Publisher} from './publisher.ts';
import type {QuotaGuard} from './quota-guard.ts';
import {RaftLoop} from './raft-loop.ts';
import type {Reads} from './reads.ts';
import {RequestPipeline} from './request-pipeline.ts';
import type {ServerConfig} from './server-config.ts';
import type {ServerPorts} from './server-ports.ts';
import type {SnapshotInstaller} from './snapshot-installer.ts';
import type {SnapshotSource} from './snapshot-source.ts';
import type {SpaceReclaimer} from './space-reclaimer.ts';
import {StateHashes} from './state-hashes.ts';
import {StateUpkeep} from './state-upkeep.ts';
import {TimeoutCauses} from './timeout-causes.ts';
import {WatchPump} from './watch-pump.ts';

export interface ReplicaOptions {
  readonly config: ServerConfig;
  readonly ports: ServerPorts;
  readonly opened: OpenedMember;
  /** The member cannot go on: a disk failed, a record is damaged, an invariant broke. Called once. */
  readonly onFailure: (error: unknown) => void;
}

export class Replica {
  readonly config: ServerConfig;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly store: Store;
  readonly watchHub: WatchHub;
  readonly loop: RaftLoop;
  readonly applier: Applier;
  readonly proposals: Proposals;
  readonly reads: Reads;
  readonly leases: Leases;
  readonly quota: QuotaGuard;
  readonly reclaimer: SpaceReclaimer;
  readonly snapshots: SnapshotSource;
  readonly membership: MembershipRouter;
  readonly leadership: Leadership;
  readonly installer: SnapshotInstaller;
  readonly #logger: Logger;
  readonly #network: PeerNetwork<Message, PeerCall, PeerAnswer>;
  readonly #stateMachine: StateMachine;
  readonly #neighbours: Neighbours;
  readonly #timeoutCauses: TimeoutCauses;
  readonly #pipeline: RequestPipeline;
  readonly #upkeep: StateUpkeep;
  readonly #duties: LeaderDuties;
  readonly #services: MemberServices;
  readonly #hashes = new StateHashes();
  readonly #founderCheck: FounderCheck;
  /**
   * Nobody hears this member's name before it has applied this entry. A founder's is the first of a leader: with it
   * is on disk that the member took part, so that after a crash it does not ask whether it is new.
   */
  readonly #namedBehind: Index;
  readonly #publisher: Publisher;
  readonly #watchPump: WatchPump;
  readonly #onFailure: (error: unknown) => void;
  #failed = false;

  constructor(options: ReplicaOptions) {
    const {config, ports, opened} = options;
    const {clock, logger, metrics, network} = ports;
    const {identity, stateMachine, store} = opened;
    const {memberId} = identity;
    const loop = () => this.loop;
    const propose = (command: Command) => this.proposals.submit(command);
    const onFailure = (error: unknown) => this.#fail(error);

    this.config = config;
    this.identity = identity;
    this.clock = clock;
    this.store = store;
    this.#logger = logger;
    this.#network = network;
    this.#stateMachine = stateMachine;
    this.#onFailure = options.onFailure;

    const members = () => stateMachine.members;
    this.#neighbours = new Neighbours({memberId, members, firstPeers: opened.firstPeers, network});
    this.#timeoutCauses = new TimeoutCauses({
      clock,
      electionTimeoutMs: config.electionTimeoutMs,
      neighbours: this.#neighbours,
      leader: () => this.loop.leader,
    });
    this.watchHub = new WatchHub({
      mvcc: stateMachine.mvcc,
      logger: logger.child('watch'),
      metrics,
      wake: () => this.#watchPump.pump(),
    });
    const progressIntervalMs = config.watchProgressNotifyIntervalMs;
    const {watchHub} = this;
    this.#watchPump = new WatchPump({clock, watchHub, progressIntervalMs, onFailure});
    const shared = {config, ports, opened, watchHub, loop, onFailure};
    this.#pipeline = new RequestPipeline({
      ...shared,
      timeoutCauses: this.#timeoutCauses,
      onApplied: (entry, result) => this.#applied(entry, result),
    });
    ({proposals: this.proposals, reads: this.reads, applier: this.applier} = this.#pipeline);
    this.loop = this.#makeLoop(options);
    const onInstalled = () => this.#stateReplaced();
    this.#upkeep = new StateUpkeep({...shared, applier: this.applier, onInstalled});
    ({reclaimer: this.reclaimer, snapshots: this.snapshots, installer: this.installer} = this.#upkeep);
    const isLeader = () => this.loop.isLeader;
    const hashes = this.#hashes;
    this.#duties = new LeaderDuties({memberId, config, ports, stateMachine, hashes, isLeader, propose});
    const {expirer} = this.#duties;
    this.#services = new MemberServices({...shared, pipeline: this.#pipeline, expirer, hashes, propose});
    ({leases: this.leases, quota: this.quota} = this.#services);
    ({membership: this.membership, leadership: this.leadership} = this.#services);
    this.#founderCheck = this.#makeFounderCheck(options);
    this.#namedBehind = opened.strangersMin === 0 ? 0 : opened.raft.status().commit + 1;
    this.#publisher = this.#makePublisher(options, propose);
  }

  get mvcc(): MvccStore {
    return this.#stateMachine.mvcc;
  }

  get lessor(): Lessor {
    return this.#stateMachine.lessor;
  }

  get members(): Members {
    return this.#stateMachine.members;
  }

  get alarms(): Alarms {
    return this.#stateMachine.alarms;
  }

  /** Resolves when all parts run; whether there is a leader yet is another question ({@link published}). */
  async start(): Promise<void> {
    this.store.start();
    await this.#network.start({
      receive: (_from, messages) => this.loop.receive(messages),
      lost: (to) => this.loop.lost(to),
      receiveSnapshot: (from, message, chunks) => this.installer.receive(from, message, chunks),
      answer: (from, call) => this.#services.peerService.answer(from, call),
    });
    this.#neighbours.link();
    this.#watchPump.start();
    this.#duties.start();
    this.loop.start();
    this.#founderCheck.start();
    void this.#leadAlone();
    this.reclaimer.reclaim();
  }

  /** Resolves when this member serves: it has a leader, and the cluster knows its name and URLs. False: it stopped. */
  async published(): Promise<boolean> {
    try {
      await this.applier.waiters.until(this.#namedBehind);
    } catch {
      // It stopped before.
      return false;
    }
    return this.#publisher.publish();
  }

  /**
   * In reverse order of start. Hands leadership over first where there is somebody to take it. Each step is done
   * although one before it failed: a file left open keeps a later start in this process from its store.
   */
  async stop(): Promise<void> {
    const failures: unknown[] = [];
    const steps: readonly (() => Promise<void> | void)[] = [
      () => this.leadership.handOver(),
      () => this.#founderCheck.stop(),
      () => this.#publisher.stop(),
      () => this.#duties.stop(),
      () => this.#watchPump.stop(),
      () => this.reclaimer.stop(),
      () => this.loop.stop(),
      () => this.applier.stop(),
      () => this.proposals.stop(),
      () => this.reads.stop(),
      () => this.#network.stop(),
      () => this.installer.available(),
      () => this.#upkeep.snapshotter.discard(),
      () => this.store.stop(),
    ];
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        this.#logger.error('a step of the stop failed', {error: String(error)});
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** The only voter has nobody to wait for: it need not sit out an election timeout. */
  async #leadAlone(): Promise<void> {
    const {commit} = this.loop.status();
    await this.applier.waiters.until(commit).catch(() => {});
    const {voters} = this.loop.status().confState;
    if (voters.length === 1 && voters[0] === this.identity.memberId) this.loop.campaign();
  }

  #makeLoop({config, ports, opened}: ReplicaOptions): RaftLoop {
    return new RaftLoop({
      raft: opened.raft,
      wal: opened.wal,
      clock: ports.clock,
      logger: ports.logger.child('raft'),
      metrics: ports.metrics,
      tickMs: config.heartbeatIntervalMs,
      diskStallMs: 2 * config.electionTimeoutMs,
      takesPart: opened.strangersMin === 0,
      actions: {
        offer: (raft) => this.#pipeline.offer(raft),
        send: (to, messages) => this.#network.send(to, messages),
        sendSnapshot: (message) => void this.#upkeep.snapshotter.send(message),
        installSnapshot: (meta) => this.installer.install(meta),
        apply: (entries) => this.applier.apply(entries),
        readsAnswered: (states) => this.reads.answered(states),
        stateChanged: (state, term) => this.#stateChanged(state, term),
        ticked: () => this.#pipeline.sweep(),
        failed: (error) => this.#fail(error),
      },
    });
  }

  #makeFounderCheck({config, ports, opened}: ReplicaOptions): FounderCheck {
    return new FounderCheck({
      clusterId: this.identity.clusterId,
      self: {id: this.identity.memberId, name: config.name},
      strangersMin: opened.strangersMin,
      members: () => this.members.list(),
      network: ports.network,
      clock: ports.clock,
      logger: ports.logger.child('server'),
      retryMs: config.heartbeatIntervalMs,
      passed: () => this.loop.takePart(),
      failed: (error) => this.#fail(error),
    });
  }

  #makePublisher(
    {config, ports}: ReplicaOptions,
    propose: (command: Command) => Promise<unknown>,
  ): Publisher {
    const {memberId} = this.identity;
    return new Publisher({
      memberId,
      name: config.name,
      clientURLs: config.advertiseClientURLs,
      clock: ports.clock,
      logger: ports.logger.child('server'),
      self: () => this.members.get(memberId),
      isLeader: () => this.loop.isLeader,
      clusterVersion: () => this.#stateMachine.clusterVersion(),
      propose,
    });
  }

  #applied(entry: {index: Index; term: Term}, result: ApplyResult): void {
    const mark = this.#stateMachine.applied();
    this.#hashes.remember(mark);
    if (result.leaseChanges.length > 0) this.#duties.expirer.changed(result.leaseChanges);
    if (result.deletedRange !== undefined) this.reclaimer.reclaim();
    this.#reactTo(result.response);
    const isFirstOfTerm = entry.term === this.loop.term && this.#duties.expirer.term !== entry.term;
    if (isFirstOfTerm && this.loop.isLeader) {
      // The first entry of the own term is applied: everything older is too.
      this.#duties.takeUp(entry.term);
      this.#publisher.publishClusterVersion();
    }
    this.loop.applied(entry.index);
    this.#upkeep.snapshotter.consider(entry.index);
  }

  #reactTo(response: ApplyResult['response']): void {
    if (response instanceof EngineError) return;
    if (response.type === 'membership') this.#membersChanged();
    else if (response.type === 'compact') this.reclaimer.reclaim();
  }

  #stateChanged(state: SoftState, term: Term): void {
    const isLeader = state.role === 'leader';
    this.#timeoutCauses.leaderChanged();
    if (!isLeader) this.#duties.resign();
    this.#pipeline.leaderChanged(isLeader);
    this.#logger.info('leadership', {role: state.role, leaderId: state.leader, term});
  }

  #stateReplaced(): void {
    this.#hashes.clear();
    this.reclaimer.reclaim();
    this.#membersChanged();
  }

  /**
   * A member that was removed does not end by itself. Those who stay may have its removal in their logs and not know
   * yet that it is committed, and of two members the other one needs its vote to find out. Who knows refuses its
   * links, and that is its end.
   */
  #membersChanged(): void {
    this.#neighbours.link();
    const self = this.identity.memberId;
    if (this.members.isRemoved(self))
      this.#logger.warn('removed from the cluster: ends when another member confirms it', {memberId: self});
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#onFailure(error);
  }
}
