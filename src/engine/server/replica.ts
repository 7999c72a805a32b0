/**
 * One running member: the parts of the engine, joined. It owns their order of start and stop and the paths between
 * them (an applied entry to watchers, leases and log cutting; a role change to whoever works only on the leader).
 * It decides nothing that a part could decide for itself.
 */

import {EngineError} from '../errors.ts';
import {
  LEADER_TRANSFER_ELECTIONS,
  MEMBERSHIP_RETRY_MS,
  PEER_CALL_TIMEOUT_MS,
  READ_INDEX_RETRY_MS,
  REQUEST_TIMEOUT_BASE_MS,
} from '../limits.ts';
import type {Clock, Logger, PeerNetwork} from '../ports.ts';
import type {Message, SnapshotMeta, SoftState} from '../raft/message.ts';
import type {Alarms} from '../state-machine/alarms.ts';
import type {ApplyResult} from '../state-machine/apply-result.ts';
import type {Lessor} from '../state-machine/lease/lessor.ts';
import type {Members} from '../state-machine/members.ts';
import type {MvccStore} from '../state-machine/mvcc/store.ts';
import type {StateMachine} from '../state-machine/state-machine.ts';
import type {Store} from '../storage/store.ts';
import type {Index, MemberId, Term} from '../types.ts';
import {WatchHub} from '../watch/watch-hub.ts';
import {Applier} from './applier.ts';
import {AutoCompactor} from './auto-compactor.ts';
import type {Identity} from './bootstrap.ts';
import {CorruptionChecker} from './corruption-checker.ts';
import {LeaseExpirer} from './lease-expirer.ts';
import {Leases} from './leases.ts';
import {Membership} from './membership.ts';
import type {OpenedMember} from './open-member.ts';
import type {MemberOperation, PeerAnswer, PeerCall} from './peer-call.ts';
import {PeerService} from './peer-service.ts';
import {Proposals} from './proposals.ts';
import {Publisher} from './publisher.ts';
import {QuotaGuard} from './quota-guard.ts';
import {RaftLoop, type RaftLoopActions} from './raft-loop.ts';
import {Reads} from './reads.ts';
import {runSlices} from './run-slices.ts';
import {requestTimeoutMs, type ServerConfig} from './server-config.ts';
import type {ServerPorts} from './server-ports.ts';
import {SnapshotSource} from './snapshot-source.ts';
import {type SnapshotMessage, Snapshotter} from './snapshotter.ts';
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
  readonly #logger: Logger;
  readonly #network: PeerNetwork<Message, PeerCall, PeerAnswer>;
  readonly #stateMachine: StateMachine;
  readonly #expirer: LeaseExpirer;
  readonly #membership: Membership;
  readonly #snapshotter: Snapshotter;
  readonly #hashes = new StateHashes();
  readonly #peerService: PeerService;
  readonly #publisher: Publisher;
  readonly #autoCompactor: AutoCompactor;
  readonly #corruptionChecker: CorruptionChecker;
  readonly #watchPump: WatchPump;
  readonly #onFailure: (error: unknown) => void;
  readonly #onRemoved: () => void;
  #leaderSinceMs = 0;
  /** Settles when a snapshot that is being taken in has taken the old state's place. */
  #installing: Promise<void> | undefined;
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
    this.proposals = new Proposals({
      memberId,
      clock,
      random,
      timeoutMs,
      requestBytesMax: config.maxRequestBytes,
      timeoutCause,
      wake,
    });
    this.watchHub = new WatchHub({mvcc: stateMachine.mvcc, logger: logger.child('watch'), metrics});
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
        snapshotFinished: (to, ok) => this.loop.snapshotFinished(to, ok),
      },
      opened.firstIndex - 1,
    );
    this.snapshots = new SnapshotSource({store, clock, sha256: ports.sha256});
    this.reclaimer = new SpaceReclaimer({
      clock,
      logger: logger.child('mvcc'),
      isBetweenEntries: () => this.applier.isBetweenEntries,
      seal: () => store.mark(store.applied()),
      onFailure: fail,
    });
    this.#expirer = new LeaseExpirer({
      clock,
      leases: () => stateMachine.lessor.leases(),
      lease: (id) => stateMachine.lessor.lease(id),
      propose,
    });
    this.leases = new Leases({
      lessor: () => stateMachine.lessor,
      expirer: this.#expirer,
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
    this.#membership = new Membership({
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
    this.#peerService = new PeerService({
      identity,
      members: () => stateMachine.members,
      leases: this.leases,
      hashes: this.#hashes,
      term: () => this.loop.term,
      changeMembersHere: (operation) => this.#changeMembersHere(operation),
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
    this.#autoCompactor = new AutoCompactor({
      rule: config.autoCompaction,
      clock,
      logger: logger.child('compactor'),
      isLeader: () => this.loop.isLeader,
      currentRevision: () => stateMachine.mvcc.currentRevision(),
      compactRevision: () => stateMachine.mvcc.compactRevision(),
      compact: (revision) => propose({type: 'compact', revision}),
    });
    this.#corruptionChecker = new CorruptionChecker({
      memberId,
      clock,
      logger: logger.child('corruption'),
      hashes: this.#hashes,
      isLeader: () => this.loop.isLeader,
      others: () => this.#otherMembers(),
      askHash: (member, index) => this.#askHash(member, index),
      alarmed: (alarm) => stateMachine.alarms.list().some((raised) => raised.memberId === alarm.memberId),
      raise: (alarm) =>
        propose({type: 'alarm', action: 'activate', memberId: alarm.memberId, alarm: alarm.alarm}),
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

  /** Resolves when this member serves: it has a leader, and the cluster knows its name and URLs. */
  async start(): Promise<void> {
    this.store.start();
    await this.#network.start({
      receive: (_from, messages) => this.loop.receive(messages),
      lost: (to) => this.loop.lost(to),
      receiveSnapshot: (from, message, chunks) => this.#receiveSnapshot(from, message, chunks),
      answer: (from, call) => this.#peerService.answer(from, call),
    });
    this.#setPeers();
    this.#watchPump.start();
    this.#autoCompactor.start();
    this.#corruptionChecker.start();
    this.loop.start();
    void this.reclaimer.reclaim(this.mvcc);
    await this.#publisher.publish();
  }

  /** In reverse order of start. Hands leadership over first where there is somebody to take it. */
  async stop(): Promise<void> {
    await this.#handOver();
    this.#publisher.stop();
    this.#corruptionChecker.stop();
    this.#autoCompactor.stop();
    this.#expirer.resign();
    this.#watchPump.stop();
    await this.reclaimer.stop();
    await this.loop.stop();
    this.applier.stop();
    this.proposals.stop();
    this.reads.stop();
    await this.#network.stop();
    await this.#installing;
    await this.#snapshotter.discard();
    await this.store.stop();
  }

  /** Resolves when the state is whole: at once, but while a snapshot is being taken in. */
  available = (): Promise<void> => this.#installing ?? Promise.resolve();

  /** On the leader here, otherwise there. */
  async changeMembers(operation: MemberOperation): Promise<PeerAnswer & {type: 'membership'}> {
    const untilMs = this.clock.monotonicMs() + requestTimeoutMs(this.config, REQUEST_TIMEOUT_BASE_MS);
    for (;;) {
      await this.reads.confirm();
      try {
        if (this.loop.isLeader) return await this.#changeMembersHere(operation);
        const answer = await this.#network.call(
          this.loop.leader,
          {type: 'membership', operation},
          requestTimeoutMs(this.config, REQUEST_TIMEOUT_BASE_MS),
        );
        if (answer.type !== 'membership') throw new EngineError({code: 'notCapable'});
        return answer;
      } catch (error) {
        // Only a refusal before anything was proposed may be repeated.
        const moved = error instanceof EngineError && error.code === 'notLeader';
        if (!moved || this.clock.monotonicMs() >= untilMs) throw error;
        await new Promise<void>((resolve) => this.clock.after(MEMBERSHIP_RETRY_MS, resolve));
      }
    }
  }

  async moveLeader(target: MemberId): Promise<void> {
    if (!this.loop.isLeader) throw new EngineError({code: 'notLeader'});
    if (!this.loop.status().confState.voters.includes(target))
      throw new EngineError({code: 'badLeaderTransferee'});
    this.loop.transferLeadership(target);
    const {electionTimeoutMs, heartbeatIntervalMs} = this.config;
    const untilMs = this.clock.monotonicMs() + LEADER_TRANSFER_ELECTIONS * electionTimeoutMs;
    while (this.loop.leader !== target) {
      if (this.clock.monotonicMs() >= untilMs) throw new EngineError({code: 'leaderTransferTimeout'});
      await new Promise<void>((resolve) => this.clock.after(heartbeatIntervalMs / 4, resolve));
    }
  }

  #loopActions(): RaftLoopActions {
    return {
      offer: (raft) => {
        if (this.reads.hasUnasked) this.reads.ask();
        if (!this.proposals.hasUnsent) return;
        const waiting = this.proposals.takeWaiting();
        const refused = waiting.findIndex(({payload}) => !raft.propose(payload));
        if (refused >= 0) this.proposals.putBack(waiting.slice(refused));
      },
      send: (to, messages) => this.#network.send(to, messages),
      sendSnapshot: (message) => void this.#snapshotter.send(message),
      installSnapshot: (meta) => this.#install(meta),
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
    if (result.leaseChanges.length > 0) this.#expirer.changed(result.leaseChanges);
    this.#reactTo(result.response);
    if (!this.#expirer.leading && this.loop.isLeader && entry.term === this.loop.term) {
      // The first entry of the own term is applied: everything older is too.
      this.#expirer.lead(entry.term);
      this.#publisher.publishClusterVersion();
    }
    this.loop.applied(entry.index);
    this.#snapshotter.consider(entry.index);
    this.#watchPump.pump();
  }

  #reactTo(response: ApplyResult['response']): void {
    if (response instanceof EngineError) return;
    if (response.type === 'membership') this.#membersChanged();
    else if (response.type === 'compact') void this.reclaimer.reclaim(this.mvcc);
  }

  #stateChanged(state: SoftState, term: Term): void {
    this.#leaderSinceMs = this.clock.monotonicMs();
    if (state.role !== 'leader') this.#expirer.resign();
    this.reads.leaderChanged();
    this.#logger.info('leadership', {role: state.role, leaderId: state.leader, term});
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
    const peers = this.members.list().filter(({id}) => id !== this.identity.memberId);
    this.#network.setPeers(peers.map(({id, peerURLs}) => ({id, urls: peerURLs})));
  }

  #otherMembers(): MemberId[] {
    return this.members
      .list()
      .map(({id}) => id)
      .filter((id) => id !== this.identity.memberId);
  }

  async #askHash(member: MemberId, index: Index): Promise<number | undefined> {
    const answer = await this.#network.call(member, {type: 'stateHash', index}, PEER_CALL_TIMEOUT_MS);
    return answer.type === 'stateHash' ? answer.hash : undefined;
  }

  async #changeMembersHere(operation: MemberOperation): Promise<PeerAnswer & {type: 'membership'}> {
    if (!this.loop.isLeader) throw new EngineError({code: 'notLeader'});
    let added = 0n;
    switch (operation.type) {
      case 'add':
        added = (await this.#membership.add(operation)).id;
        break;
      case 'remove':
        await this.#membership.remove(operation.id);
        break;
      case 'update':
        await this.#membership.update(operation);
        break;
      default:
        await this.#membership.promote(operation.id);
    }
    return {type: 'membership', added, members: this.members.list()};
  }

  async #receiveSnapshot(from: MemberId, message: Message, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (message.type !== 'snapshot') throw new EngineError({code: 'snapshotInvalid', detail: message.type});
    const announced: SnapshotMessage = {...message, from};
    if (await this.#snapshotter.receive(announced, chunks, this.applier.index))
      this.loop.receive([announced]);
  }

  #install(meta: SnapshotMeta): void {
    this.#installing = this.#installNow(meta)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#installing = undefined;
      });
  }

  async #installNow(meta: SnapshotMeta): Promise<void> {
    await this.applier.pause();
    await this.#snapshotter.install(meta.index);
    await runSlices(this.#stateMachine.load(), this.clock);
    this.#hashes.clear();
    this.watchHub.restored();
    this.#membersChanged();
    this.loop.snapshotInstalled(meta);
    this.applier.resume(meta.index);
    this.#watchPump.pump();
    this.#logger.info('snapshot installed', {index: meta.index, revision: this.mvcc.currentRevision()});
  }

  async #handOver(): Promise<void> {
    if (!this.loop.isLeader) return;
    const {voters} = this.loop.status().confState;
    const candidates = voters
      .filter((id) => id !== this.identity.memberId)
      .map((id) => ({id, sinceMs: this.#network.connectedSinceMs(id)}))
      .filter((peer) => peer.sinceMs !== undefined)
      .sort((a, b) => (a.sinceMs ?? 0) - (b.sinceMs ?? 0));
    if (candidates.length === 0) return;
    // Not worth failing a stop for: without it the others elect.
    await this.moveLeader(candidates[0].id).catch((error: unknown) => {
      this.#logger.warn('leadership not handed over before the stop', {error: String(error)});
    });
  }

  #timeoutCause(startedMs: number): 'timeout' | 'timeoutLeaderFailed' | 'timeoutConnectionLost' {
    const lostLeader =
      this.loop.leader === 0n || this.#leaderSinceMs > startedMs - this.config.electionTimeoutMs;
    if (lostLeader) return 'timeoutLeaderFailed';
    const others = this.#otherMembers();
    const connected = others.filter((id) => this.#network.connectedSinceMs(id) !== undefined).length;
    return connected + 1 < Math.floor((others.length + 1) / 2) + 1 ? 'timeoutConnectionLost' : 'timeout';
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#onFailure(error);
  }
}
