/**
 * One running member: the parts of the engine, joined. It owns their order of start and stop and the paths between
 * them (an applied entry to watchers, leases and log cutting; a role change to whoever works only on the leader).
 * It decides nothing that a part could decide for itself.
 */

import {EngineError} from '../errors.ts';
import {READ_INDEX_RETRY_MS, REQUEST_TIMEOUT_BASE_MS} from '../limits.ts';
import type {Clock, Logger, PeerNetwork} from '../ports.ts';
import type {Message, SoftState} from '../raft/message.ts';
import type {Alarms} from '../state-machine/alarms.ts';
import type {ApplyResult} from '../state-machine/apply-result.ts';
import type {Lessor} from '../state-machine/lease/lessor.ts';
import type {Members} from '../state-machine/members.ts';
import type {MvccStore} from '../state-machine/mvcc/store.ts';
import type {StateMachine} from '../state-machine/state-machine.ts';
import type {Store} from '../storage/store.ts';
import type {Index, Member, Term} from '../types.ts';
import {WatchHub} from '../watch/watch-hub.ts';
import {Applier} from './applier.ts';
import type {Identity} from './bootstrap.ts';
import {LeaderDuties} from './leader-duties.ts';
import {Leadership} from './leadership.ts';
import {Leases} from './leases.ts';
import {Membership} from './membership.ts';
import {MembershipRouter} from './membership-router.ts';
import type {OpenedMember} from './open-member.ts';
import type {PeerAnswer, PeerCall} from './peer-call.ts';
import {PeerService} from './peer-service.ts';
import {Proposals} from './proposals.ts';
import {Publisher} from './publisher.ts';
import {QuotaGuard} from './quota-guard.ts';
import {RaftLoop, type RaftLoopActions} from './raft-loop.ts';
import {Reads} from './reads.ts';
import {requestTimeoutMs, type ServerConfig} from './server-config.ts';
import type {ServerPorts} from './server-ports.ts';
import {SnapshotInstaller} from './snapshot-installer.ts';
import {SnapshotSource} from './snapshot-source.ts';
import {Snapshotter} from './snapshotter.ts';
import {SpaceReclaimer} from './space-reclaimer.ts';
import {StateHashes} from './state-hashes.ts';
import {WatchPump} from './watch-pump.ts';

export interface ReplicaOptions {
  readonly config: ServerConfig;
  readonly ports: ServerPorts;
  readonly opened: OpenedMember;
  /** The member cannot go on: a disk failed, a record is damaged, an invariant broke. Called once. */
  readonly onFailure: (error: unknown) => void;
  /** This member was removed from the cluster. */
  readonly onRemoved: () => void;
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
  readonly #duties: LeaderDuties;
  readonly #snapshotter: Snapshotter;
  readonly #hashes = new StateHashes();
  readonly #peerService: PeerService;
  readonly #publisher: Publisher;
  readonly #watchPump: WatchPump;
  readonly #onFailure: (error: unknown) => void;
  readonly #onRemoved: () => void;
  readonly #firstPeers: readonly Member[];
  #leaderSinceMs = 0;
  #failed = false;

  constructor(options: ReplicaOptions) {
    const {config, ports, opened} = options;
    const {clock, logger, metrics, random, network} = ports;
    const {identity, stateMachine, store} = opened;
    const memberId = identity.memberId;
    const timeoutMs = requestTimeoutMs(config, REQUEST_TIMEOUT_BASE_MS);
    const timeoutCause = (startedMs: number) => this.#timeoutCause(startedMs);
    const wake = () => this.loop.wake();
    const propose = (command: Parameters<Proposals['submit']>[0]) => this.proposals.submit(command);
    const fail = (error: unknown) => this.#fail(error);

    this.config = config;
    this.identity = identity;
    this.clock = clock;
    this.store = store;
    this.#logger = logger;
    this.#network = network;
    this.#stateMachine = stateMachine;
    this.#onFailure = options.onFailure;
    this.#onRemoved = options.onRemoved;
    this.#firstPeers = opened.firstPeers;
    this.proposals = new Proposals({
      memberId,
      clock,
      random,
      timeoutMs,
      requestBytesMax: config.maxRequestBytes,
      timeoutCause,
      wake,
    });
    this.watchHub = new WatchHub({
      mvcc: stateMachine.mvcc,
      logger: logger.child('watch'),
      metrics,
      wake: () => this.#watchPump.pump(),
    });
    this.#watchPump = new WatchPump({
      clock,
      watchHub: this.watchHub,
      progressIntervalMs: config.watchProgressNotifyIntervalMs,
    });
    this.applier = new Applier({
      memberId,
      stateMachine,
      watchHub: this.watchHub,
      proposals: this.proposals,
      clock,
      metrics,
      applyConfChange: (change) => this.loop.raft.applyConfChange(change),
      onApplied: (entry, result) => this.#applied(entry, result),
      onFailure: fail,
    });
    this.reads = new Reads({
      clock,
      random,
      appliedWaiters: this.applier.waiters,
      timeoutMs,
      retryMs: READ_INDEX_RETRY_MS,
      timeoutCause,
      ask: (context) => opened.raft.readIndex(context),
      wake,
    });
    this.loop = new RaftLoop({
      raft: opened.raft,
      wal: opened.wal,
      clock,
      logger: logger.child('raft'),
      metrics,
      tickMs: config.heartbeatIntervalMs,
      diskStallMs: 2 * config.electionTimeoutMs,
      actions: this.#loopActions(),
    });
    this.#snapshotter = new Snapshotter(
      {
        store,
        disk: ports.disk,
        backendOpener: ports.backendOpener,
        network,
        clock,
        logger: logger.child('snapshot'),
        snapshotCount: config.snapshotCount,
        catchupEntries: config.snapshotCatchupEntries,
        compact: (point) => this.loop.compact(point),
        termAt: (index) => opened.raft.term(index),
        logBytes: () => opened.raft.logBytes(),
        appliedLogBytes: () => opened.raft.appliedLogBytes(),
        cutLeaving: (bytes) => opened.raft.cutLeaving(bytes),
        snapshotFinished: (to, ok) => this.loop.snapshotFinished(to, ok),
      },
      {lastCut: opened.firstIndex - 1, marker: opened.markerIndex},
    );
    this.reclaimer = new SpaceReclaimer({
      mvcc: () => stateMachine.mvcc,
      clock,
      logger: logger.child('mvcc'),
      isBetweenEntries: () => this.applier.isBetweenEntries,
      overlayBytes: () => store.overlayBytes(),
      seal: () => store.mark(store.applied()),
      onSettled: () => this.watchHub.settled(),
      areWatchersUnderWay: () => this.watchHub.watchersUnderWay > 0,
      onFailure: fail,
    });
    this.snapshots = new SnapshotSource({
      store,
      mvcc: () => stateMachine.mvcc,
      reclaimer: this.reclaimer,
      logger: logger.child('snapshot'),
    });
    this.#duties = new LeaderDuties({
      memberId,
      config,
      ports,
      stateMachine,
      hashes: this.#hashes,
      isLeader: () => this.loop.isLeader,
      propose,
    });
    this.leases = new Leases({
      lessor: () => stateMachine.lessor,
      expirer: this.#duties.expirer,
      proposals: this.proposals,
      reads: this.reads,
      random,
      network,
      memberId,
      leader: () => this.loop.leader,
      ttlMinSeconds: Math.ceil((1.5 * config.electionTimeoutMs) / 1000),
    });
    this.quota = new QuotaGuard({
      memberId,
      quotaBytes: config.quotaBackendBytes,
      inUseBytes: () => store.size().inUseBytes,
      overlayBytes: () => store.overlayBytes(),
      alarmed: (type) => stateMachine.alarms.isActive(type),
      raise: (alarm) =>
        propose({type: 'alarm', action: 'activate', memberId: alarm.memberId, alarm: alarm.alarm}),
    });
    const membership = new Membership({
      memberId,
      members: () => stateMachine.members,
      proposals: this.proposals,
      clock,
      random,
      strict: config.strictReconfigCheck,
      timeoutMs,
      raftStatus: () => this.loop.status(),
      proposeConfChange: (change) => this.loop.proposeConfChange(change),
      connectedSinceMs: (id) => network.connectedSinceMs(id),
    });
    this.membership = new MembershipRouter({
      membership,
      members: () => stateMachine.members,
      loop: () => this.loop,
      reads: this.reads,
      network,
      clock,
      timeoutMs,
    });
    this.#peerService = new PeerService({
      identity,
      members: () => stateMachine.members,
      leases: this.leases,
      hashes: this.#hashes,
      term: () => this.loop.term,
      changeMembersHere: (operation) => this.membership.changeHere(operation),
    });
    this.#publisher = new Publisher({
      memberId,
      name: config.name,
      clientURLs: config.advertiseClientURLs,
      clock,
      logger: logger.child('server'),
      self: () => stateMachine.members.get(memberId),
      isLeader: () => this.loop.isLeader,
      clusterVersion: () => stateMachine.clusterVersion(),
      propose,
    });
    this.leadership = new Leadership({
      memberId,
      loop: () => this.loop,
      config,
      clock,
      logger,
      connectedSinceMs: (id) => network.connectedSinceMs(id),
    });
    this.installer = new SnapshotInstaller({
      snapshotter: this.#snapshotter,
      applier: this.applier,
      stateMachine,
      watchHub: this.watchHub,
      loop: () => this.loop,
      clock,
      logger,
      onInstalled: () => this.#stateReplaced(),
      onFailure: fail,
    });
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
      answer: (from, call) => this.#peerService.answer(from, call),
    });
    this.#setPeers();
    this.#watchPump.start();
    this.#duties.start();
    this.loop.start();
    void this.#leadAlone();
    this.reclaimer.reclaim();
  }

  /** Resolves when this member serves: it has a leader, and the cluster knows its name and URLs. False: it stopped. */
  published(): Promise<boolean> {
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
      () => this.#snapshotter.discard(),
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

  #loopActions(): RaftLoopActions {
    return {
      offer: (raft) => {
        if (this.reads.hasUnasked) this.reads.ask();
        if (!this.proposals.hasUnsent || this.loop.leader === 0n) return;
        // Raft may have stepped down in this very turn.
        if (this.proposals.hasLeadersOwn && raft.status().role !== 'leader')
          this.proposals.withdrawLeadersOwn();
        const waiting = this.proposals.takeWaiting();
        const refused = waiting.findIndex(({payload}) => !raft.propose(payload));
        if (refused >= 0) this.proposals.putBack(waiting.slice(refused));
      },
      send: (to, messages) => this.#network.send(to, messages),
      sendSnapshot: (message) => void this.#snapshotter.send(message),
      installSnapshot: (meta) => this.installer.install(meta),
      apply: (entries) => this.applier.apply(entries),
      readsAnswered: (states) => this.reads.answered(states),
      stateChanged: (state, term) => this.#stateChanged(state, term),
      ticked: () => {
        this.proposals.sweep();
        this.reads.sweep();
      },
      failed: (error) => this.#fail(error),
    };
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
    this.#snapshotter.consider(entry.index);
  }

  #reactTo(response: ApplyResult['response']): void {
    if (response instanceof EngineError) return;
    if (response.type === 'membership') this.#membersChanged();
    else if (response.type === 'compact') this.reclaimer.reclaim();
  }

  #stateChanged(state: SoftState, term: Term): void {
    this.#leaderSinceMs = this.clock.monotonicMs();
    if (state.role !== 'leader') {
      this.#duties.resign();
      this.proposals.withdrawLeadersOwn();
    }
    this.reads.leaderChanged();
    this.#logger.info('leadership', {role: state.role, leaderId: state.leader, term});
  }

  #stateReplaced(): void {
    this.#hashes.clear();
    this.reclaimer.reclaim();
    this.#membersChanged();
  }

  #membersChanged(): void {
    this.#setPeers();
    const self = this.identity.memberId;
    if (this.members.isRemoved(self)) {
      this.#logger.warn('this member has been removed from the cluster', {memberId: self});
      this.#onRemoved();
    }
  }

  #setPeers(): void {
    this.#network.setPeers(this.#others().map(({id, peerURLs}) => ({id, urls: peerURLs})));
  }

  /** A list without this member is one of the past, which is being replayed: its members may long be replaced. */
  #others(): Member[] {
    const self = this.identity.memberId;
    const known = new Map(this.members.list().map((member) => [member.id, member]));
    if (!known.has(self)) for (const member of this.#firstPeers) known.set(member.id, member);
    return [...known.values()].filter(({id}) => id !== self && !this.members.isRemoved(id));
  }

  #timeoutCause(startedMs: number): 'timeout' | 'timeoutLeaderFailed' | 'timeoutConnectionLost' {
    const lostLeader =
      this.loop.leader === 0n || this.#leaderSinceMs > startedMs - this.config.electionTimeoutMs;
    if (lostLeader) return 'timeoutLeaderFailed';
    const others = this.#others();
    const connected = others.filter(({id}) => this.#network.connectedSinceMs(id) !== undefined).length;
    return connected + 1 < Math.floor((others.length + 1) / 2) + 1 ? 'timeoutConnectionLost' : 'timeout';
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#onFailure(error);
  }
}
