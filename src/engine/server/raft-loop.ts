/**
 * THE loop. Everything that happens to raft (messages, proposals, reads, ticks, finished syncs, applied entries)
 * goes into an inbox; a turn takes the whole inbox as one batch, steps raft through it, and carries out what raft
 * wants done. Nothing in a turn waits: the WAL syncs beside the loop (log-writer.ts), long commands are applied in
 * slices (applier.ts), so ticks and heartbeats are never held up by either.
 */

import {RAFT_POSTPONE_MS} from '../limits.ts';
import type {Clock, Logger, Metrics} from '../ports.ts';
import type {ConfChange, Entry, Message, ReadState, Ready, SnapshotMeta, SoftState} from '../raft/message.ts';
import {NOTHING_POSTPONED, type Raft} from '../raft/raft.ts';
import type {RaftStatus} from '../raft/status.ts';
import type {Wal} from '../storage/wal.ts';
import type {Index, MemberId, Term} from '../types.ts';
import {CommitGate} from './commit-gate.ts';
import {LogWriter} from './log-writer.ts';

/** What the loop drives; all are called from within a turn and must not wait. */
export interface RaftLoopActions {
  /** Proposals and reads that wait are offered to raft. */
  offer(raft: Raft): void;
  send(to: MemberId, messages: readonly Message[]): void;
  sendSnapshot(message: Message & {type: 'snapshot'}): void;
  installSnapshot(meta: SnapshotMeta): void;
  apply(entries: readonly Entry[]): void;
  readsAnswered(states: readonly ReadState[]): void;
  stateChanged(state: SoftState, term: Term): void;
  /** After every tick: time limits. */
  ticked(): void;
  failed(error: unknown): void;
}

export interface RaftLoopOptions {
  readonly raft: Raft;
  readonly wal: Wal;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tickMs: number;
  /** A leader whose disk takes longer than this for one batch hands leadership over, milliseconds. */
  readonly diskStallMs: number;
  /** False: raft hears and says nothing until {@link RaftLoop.takePart}; all else goes on as without a leader. */
  readonly takesPart: boolean;
  readonly actions: RaftLoopActions;
}

type Input = (raft: Raft) => void;

export class RaftLoop {
  readonly #raft: Raft;
  readonly #options: RaftLoopOptions;
  readonly #log: LogWriter;
  readonly #gate: CommitGate;
  readonly #tickGap: {set(value: number): void};
  #inbox: Input[] = [];
  #takesPart: boolean;
  #turnDue = false;
  #inTurn = false;
  /** Who waits for what raft decides in this turn. */
  #decided: (() => void)[] = [];
  #stopped = false;
  #stopTicking: () => void = () => {};
  /** Calls off {@link RaftLoop.#planCatchUp}; undefined: nothing is planned. */
  #stopCatchUp: (() => void) | undefined;
  #lastTickMs = 0;
  #tickGapMaxMs = 0;
  #softState: SoftState;
  #term: Term;

  constructor(options: RaftLoopOptions) {
    this.#options = options;
    this.#raft = options.raft;
    this.#takesPart = options.takesPart;
    const status = options.raft.status();
    this.#softState = {leader: status.leader, role: status.role};
    this.#term = status.term;
    this.#log = new LogWriter({
      wal: options.wal,
      clock: options.clock,
      logger: options.logger,
      commit: status.commit,
      onStored: (lastEntries, messages) => this.#stored(lastEntries, messages),
      onFailure: (error) => this.#fail(error),
    });
    this.#gate = new CommitGate({
      notedCommit: () => this.#log.notedCommit,
      noteCommit: () => this.#log.noteCommit(),
      apply: (entries) => options.actions.apply(entries),
    });
    this.#tickGap = options.metrics.gauge(
      'kvd_raft_tick_gap_max_seconds',
      'The longest time between two ticks (so between two heartbeats of a leader) since the start.',
    );
  }

  start(): void {
    this.#lastTickMs = this.#options.clock.monotonicMs();
    this.#scheduleTick();
    this.wake();
  }

  async stop(): Promise<void> {
    this.#stopTicking();
    this.#stopCatchUp?.();
    this.#stopped = true;
    this.#tellDecided();
    await this.#log.drained();
  }

  takePart(): void {
    this.#takesPart = true;
  }

  get takesPart(): boolean {
    return this.#takesPart;
  }

  /** Changes with each election. */
  get term(): Term {
    return this.#term;
  }

  get leader(): MemberId {
    return this.#softState.leader;
  }

  get isLeader(): boolean {
    return this.#softState.role === 'leader';
  }

  status(): RaftStatus {
    return this.#raft.status();
  }

  logBytes(): number {
    return this.#raft.logBytes();
  }

  /** Has a turn run soon: the callers of `actions.offer` have something new. */
  wake(): void {
    if (this.#turnDue || this.#stopped) return;
    this.#turnDue = true;
    void this.#options.clock.yield().then(() => {
      this.#turnDue = false;
      this.#turn();
    });
  }

  receive(messages: readonly Message[]): void {
    if (!this.#takesPart) return;
    this.#put((raft) => {
      for (const message of messages) raft.step(message);
    });
  }

  /** Resolves when raft has decided: `actions.installSnapshot` was called, or it does not want this image. */
  announce(snapshot: Message & {type: 'snapshot'}): Promise<void> {
    if (this.#stopped || !this.#takesPart) return Promise.resolve();
    return new Promise((resolve) => {
      this.#decided.push(resolve);
      this.receive([snapshot]);
    });
  }

  lost(to: MemberId): void {
    this.#put((raft) => raft.unreachable(to));
  }

  snapshotFinished(to: MemberId, ok: boolean): void {
    this.#put((raft) => raft.snapshotFinished(to, ok));
  }

  snapshotInstalled(meta: SnapshotMeta): void {
    this.#put((raft) => raft.snapshotInstalled(meta));
  }

  campaign(): void {
    this.#put((raft) => raft.campaign());
  }

  transferLeadership(to: MemberId): void {
    this.#put((raft) => raft.transferLeadership(to));
  }

  /** Resolves with whether raft took the change; false, too, when the loop stops before it is asked. */
  proposeConfChange(change: ConfChange): Promise<boolean> {
    if (this.#stopped) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#put((raft) => resolve(raft.proposeConfChange(change)));
      this.#decided.push(() => resolve(false));
    });
  }

  applied(index: Index): void {
    this.#raft.applied(index);
    if (!this.#inTurn) this.wake();
  }

  /** Part of applying the entry: must not be put off. */
  get raft(): Pick<Raft, 'applyConfChange'> {
    return this.#raft;
  }

  /** Cuts the log in memory and on disk up to and including this entry. */
  compact(point: {index: Index; term: Term}): void {
    // The store may end a flush after the loop has stopped: the log is being closed then.
    if (this.#stopped) return;
    try {
      this.#raft.compact(point.index);
      this.#log.compact(point);
    } catch (error) {
      this.#fail(error);
    }
  }

  #stored(lastEntries: readonly {index: Index; term: Term}[], messages: readonly Message[]): void {
    if (this.#stopped) return;
    try {
      this.#sendAll(messages);
      for (const last of lastEntries) this.#raft.stored(last);
      this.#gate.release();
    } catch (error) {
      // A turn reports it itself, and does not go on.
      if (this.#inTurn) throw error;
      this.#fail(error);
      return;
    }
    if (!this.#inTurn) this.#turn();
  }

  #put(input: Input): void {
    this.#inbox.push(input);
    this.wake();
  }

  #turn(): void {
    if (this.#stopped || this.#inTurn) return;
    this.#inTurn = true;
    try {
      const raft = this.#raft;
      const inbox = this.#inbox;
      if (inbox.length > 0) {
        this.#inbox = [];
        for (const input of inbox) input(raft);
      }
      this.#options.actions.offer(raft);
      while (raft.hasReady()) this.#carryOut(raft.ready());
      if (this.#stopCatchUp === undefined) this.#planCatchUp();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#inTurn = false;
    }
    this.#tellDecided();
  }

  #tellDecided(): void {
    if (this.#decided.length === 0) return;
    for (const resolve of this.#decided.splice(0)) resolve();
  }

  #carryOut(ready: Ready): void {
    const {actions} = this.#options;
    if (ready.hardState !== undefined) this.#term = ready.hardState.term;
    if (ready.softState !== undefined) {
      this.#softState = ready.softState;
      actions.stateChanged(ready.softState, this.#raft.status().term);
    }
    this.#sendAll(ready.messagesNow);
    this.#log.add(ready);
    if (ready.snapshot !== undefined) actions.installSnapshot(ready.snapshot);
    if (ready.committed.length > 0) this.#gate.take(ready.committed);
    if (ready.readStates.length > 0) actions.readsAnswered(ready.readStates);
  }

  #sendAll(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    const {actions} = this.#options;
    const byReceiver = new Map<MemberId, Message[]>();
    for (const message of messages) {
      if (message.type === 'snapshot') {
        actions.sendSnapshot(message);
        continue;
      }
      const list = byReceiver.get(message.to);
      if (list === undefined) byReceiver.set(message.to, [message]);
      else list.push(message);
    }
    for (const [to, list] of byReceiver) actions.send(to, list);
  }

  /**
   * A message that the next one makes superfluous, and its answer, would be half of all messages of a client that
   * writes alone: raft puts such ones off.
   */
  #planCatchUp(): void {
    const postponed = this.#raft.postponed();
    if (postponed === NOTHING_POSTPONED) return;
    this.#stopCatchUp = this.#options.clock.after(RAFT_POSTPONE_MS, () => {
      this.#stopCatchUp = undefined;
      this.#inbox.push((raft) => raft.catchUpOn(postponed));
      this.#turn();
    });
  }

  #scheduleTick(): void {
    const {clock, tickMs} = this.#options;
    this.#stopTicking = clock.after(tickMs, () => {
      this.#scheduleTick();
      this.#measureGap();
      this.#stepDownWhenStalled();
      if (this.#takesPart) this.#inbox.push((raft) => raft.tick());
      this.#turn();
      this.#options.actions.ticked();
    });
  }

  #measureGap(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const gapMs = nowMs - this.#lastTickMs;
    this.#lastTickMs = nowMs;
    if (gapMs <= this.#tickGapMaxMs) return;
    this.#tickGapMaxMs = gapMs;
    this.#tickGap.set(gapMs / 1000);
  }

  #stepDownWhenStalled(): void {
    if (!this.isLeader || this.#log.busyMs() < this.#options.diskStallMs) return;
    // Nobody could take over from the only voter.
    if (this.#raft.status().confState.voters.length <= 1) return;
    const fields = {busyMs: Math.round(this.#log.busyMs()), limitMs: this.#options.diskStallMs};
    this.#options.logger.warn('leader steps down: its disk does not finish a write', fields);
    this.#inbox.push((raft) => raft.stepDown());
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.#stopTicking();
    this.#stopCatchUp?.();
    this.#stopped = true;
    this.#tellDecided();
    this.#options.actions.failed(error);
  }
}
