/**
 * The only writer of the state machine. It takes committed entries in log order, one after the other; a long
 * command runs in slices between which the loop ticks. For each entry: apply, publish the events to the watchers,
 * then answer whoever proposed it: a client that got its answer can already see the change in every watch. While the
 * store is too far behind the log, applying waits for it.
 */

import {assert, EngineError} from '../errors.ts';
import {SLICE_MS} from '../limits.ts';
import type {Clock, Logger, Metrics} from '../ports.ts';
import {decodeConfChange} from '../raft/conf-change.ts';
import {
  type ConfChange,
  type ConfChangeStep,
  type ConfState,
  type Entry,
  EntryType,
} from '../raft/message.ts';
import type {ApplyResult} from '../state-machine/apply-result.ts';
import {decodeProposal} from '../state-machine/command-codec.ts';
import type {StateMachine} from '../state-machine/state-machine.ts';
import type {Store} from '../storage/store.ts';
import type {Index, MemberId, Term} from '../types.ts';
import type {WatchHub} from '../watch/watch-hub.ts';
import {AppliedWaiters} from './applied-waiters.ts';
import {decodeMembershipRequest} from './membership-entry.ts';
import type {Proposals} from './proposals.ts';

export interface ApplierOptions {
  readonly memberId: MemberId;
  readonly stateMachine: StateMachine;
  readonly store: Pick<Store, 'hasRoom' | 'room' | 'overlayBytes'>;
  readonly logger: Logger;
  readonly watchHub: WatchHub;
  readonly proposals: Proposals;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Makes raft use the new configuration; it is the caller's to tell the peers' links. */
  readonly applyConfChange: (change: ConfChange) => ConfState;
  /** After each entry, when everything above is done. */
  readonly onApplied: (entry: {index: Index; term: Term}, result: ApplyResult) => void;
  readonly onFailure: (error: unknown) => void;
}

export class Applier {
  readonly #options: ApplierOptions;
  readonly #appliedTotal: {set(value: number): void};
  readonly waiters: AppliedWaiters;
  #queue: Entry[] = [];
  #position = 0;
  #slices: Generator<undefined, ApplyResult> | undefined;
  #scheduled = false;
  #paused = false;
  /** The store is too far behind: nothing is begun until it has room. */
  #waitsForRoom = false;
  #idle: (() => void)[] = [];
  #index: Index;

  constructor(options: ApplierOptions) {
    this.#options = options;
    this.#index = options.stateMachine.applied().index;
    this.waiters = new AppliedWaiters(this.#index);
    this.#appliedTotal = options.metrics.gauge(
      'etcd_server_proposals_applied_total',
      'The total number of consensus proposals applied.',
    );
  }

  /** The last entry whose effect everybody here can see. */
  get index(): Index {
    return this.#index;
  }

  /** Entries that are committed and wait to be applied. */
  get backlog(): number {
    return this.#queue.length - this.#position;
  }

  /** Whether no command is half applied. */
  get isBetweenEntries(): boolean {
    return this.#slices === undefined;
  }

  apply(entries: readonly Entry[]): void {
    if (this.#position === this.#queue.length) {
      this.#queue = [];
      this.#position = 0;
    }
    for (const entry of entries) this.#queue.push(entry);
    if (!this.#scheduled && !this.#paused && !this.#waitsForRoom) this.#run();
  }

  /** Resolves between two entries, with nothing running; entries that come in wait for {@link resume}. */
  pause(): Promise<void> {
    this.#paused = true;
    if (this.#slices === undefined) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Goes on, without the queued entries up to `index`, which an installed snapshot already holds. */
  resume(index: Index): void {
    this.#queue = this.#queue.slice(this.#position).filter((entry) => entry.index > index);
    this.#position = 0;
    this.#paused = false;
    this.#index = index;
    this.waiters.advance(index);
    this.#run();
  }

  stop(): void {
    this.#paused = true;
    this.waiters.stop();
  }

  /** Applies until the queue is empty or the slice of time is used up; then lets the loop run. */
  #run(): void {
    const {clock} = this.#options;
    const untilMs = clock.monotonicMs() + SLICE_MS;
    try {
      while (!(this.#paused && this.#slices === undefined) && this.#step()) {
        if (clock.monotonicMs() >= untilMs) {
          this.#continueLater();
          break;
        }
      }
    } catch (error) {
      this.#paused = true;
      this.#options.onFailure(error);
      return;
    }
    this.#appliedTotal.set(this.#index);
    if (this.#paused && this.#slices === undefined) {
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  #continueLater(): void {
    this.#scheduled = true;
    void this.#options.clock.yield().then(() => {
      this.#scheduled = false;
      this.#run();
    });
  }

  /** One entry, or one slice of it. @returns whether there was anything to do */
  #step(): boolean {
    if (this.#slices !== undefined) {
      const next = this.#slices.next();
      if (!next.done) return true;
      this.#slices = undefined;
      this.#finishNormal(this.#queue[this.#position], next.value);
      return true;
    }
    if (this.#position === this.#queue.length) return false;
    if (!this.#options.store.hasRoom()) {
      this.#waitForRoom();
      return false;
    }
    const entry = this.#queue[this.#position];
    if (entry.index <= this.#index) this.#position++;
    else if (entry.type === EntryType.confChange) this.#applyConfChange(entry);
    else this.#applyNormal(entry);
    return true;
  }

  #waitForRoom(): void {
    if (this.#waitsForRoom) return;
    this.#waitsForRoom = true;
    const {store, logger} = this.#options;
    logger.warn('applying waits: the store is behind the log', {overlayBytes: store.overlayBytes()});
    void store.room().then(() => {
      this.#waitsForRoom = false;
      logger.info('applying goes on', {overlayBytes: store.overlayBytes()});
      if (!this.#scheduled && !this.#paused) this.#run();
    });
  }

  #applyNormal(entry: Entry): void {
    const {index, term, payload} = entry;
    const proposal = payload.length === 0 ? undefined : decodeProposal(payload);
    const applied = this.#options.stateMachine.apply({index, term, proposal});
    if ('next' in applied) this.#slices = applied;
    else this.#finish(entry, applied, proposal);
  }

  #finishNormal(entry: Entry, result: ApplyResult): void {
    this.#finish(entry, result, entry.payload.length === 0 ? undefined : decodeProposal(entry.payload));
  }

  #applyConfChange(entry: Entry): void {
    const {index, term} = entry;
    const change = decodeConfChange(entry.payload);
    assert(change !== undefined, `entry ${index} holds no configuration change`);
    // Leaving a joint configuration carries no request.
    const request = change.context.length === 0 ? undefined : decodeMembershipRequest(change.context);
    const {stateMachine} = this.#options;
    // A change that was fine when proposed may be wrong by now (the same member added twice): it must not reach
    // raft either, or list and configuration would part.
    const refused = request && stateMachine.members.check(request.change);
    const confState =
      refused instanceof EngineError ? stateMachine.confState() : this.#options.applyConfChange(change);
    assert(
      refused instanceof EngineError || change.steps.every((step) => isInForce(step, confState)),
      `raft refused the change of entry ${index}, which the member list accepts`,
    );
    const result = stateMachine.applyMembership({
      index,
      term,
      change: refused instanceof EngineError ? undefined : request?.change,
      confState,
    });
    const answer = refused instanceof EngineError ? {...result, response: refused} : result;
    this.#finish(entry, answer, request);
  }

  #finish(
    entry: Entry,
    result: ApplyResult,
    request: {proposer: MemberId; requestId: number} | undefined,
  ): void {
    this.#position++;
    this.#index = entry.index;
    this.#options.watchHub.publish(result.revision, result.events, result.deletedRange);
    if (request !== undefined && request.proposer === this.#options.memberId) {
      this.#options.proposals.finish(request.requestId, result);
    }
    this.waiters.advance(entry.index);
    this.#options.onApplied(entry, result);
  }
}

function isInForce({type, memberId}: ConfChangeStep, conf: ConfState): boolean {
  const isVoter = conf.voters.includes(memberId);
  const isLearner = conf.learners.includes(memberId) || conf.learnersNext.includes(memberId);
  switch (type) {
    case 'addVoter':
      return isVoter;
    case 'addLearner':
      return isLearner;
    case 'remove':
      return !isVoter && !isLearner;
    case 'update':
      return true;
  }
}
