/**
 * Carries out what was decided and need not be done at once: the tombstones of deletions of very many keys, and
 * compactions. Applying them only sets a mark; the records are written or deleted here, in slices beside the loop, on
 * every member for itself. A restart goes on with whatever was marked and not finished.
 */

import {EngineError} from '../errors.ts';
import {
  RECLAIM_OVERLAY_BYTES_MAX,
  RECLAIM_SLICE_MS,
  RECLAIM_WATCHERS_WAIT_MS,
  SLICE_REST_MS,
} from '../limits.ts';
import type {Clock, Logger} from '../ports.ts';
import type {MvccStore} from '../state-machine/mvcc/store.ts';

export interface SpaceReclaimerOptions {
  readonly mvcc: () => MvccStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** False within a command that is applied in slices: sealing then would write half of it. */
  readonly isBetweenEntries: () => boolean;
  /** Changes that wait to be written to disk, bytes. */
  readonly overlayBytes: () => number;
  /** Makes the changes so far part of the state that the backend writes. */
  readonly seal: () => void;
  /** History tells more than before. */
  readonly onSettled: () => void;
  /** Whether watchers are on their way through the history. */
  readonly areWatchersUnderWay: () => boolean;
  readonly onFailure: (error: unknown) => void;
}

interface Waiter {
  readonly isMet: () => boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class SpaceReclaimer {
  readonly #options: SpaceReclaimerOptions;
  #running: Promise<void> | undefined;
  #waiters: Waiter[] = [];
  #stopped = false;

  constructor(options: SpaceReclaimerOptions) {
    this.#options = options;
  }

  /** Called whenever there may be something to do, or others may have done it. */
  reclaim(): void {
    this.#answerWaiters();
    if (this.#stopped) return;
    this.#running ??= this.#run().then(
      () => {
        this.#running = undefined;
        // Marked while the run was coming to its end.
        if (!this.#stopped && this.#hasWork()) this.reclaim();
      },
      (error: unknown) => {
        this.#stopped = true;
        this.#options.onFailure(error);
        this.#rejectWaiters(error);
      },
    );
  }

  /** Resolves when all tombstones up to a revision are written. @throws EngineError stopped */
  settled(revision: number): Promise<void> {
    return this.#until(() => this.#options.mvcc().isSettled(revision));
  }

  /** Resolves when what a compaction at this revision leaves to delete is deleted. @throws EngineError stopped */
  compacted(revision: number): Promise<void> {
    return this.#until(() => this.#options.mvcc().finishedCompactRevision() >= revision);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#rejectWaiters(new EngineError({code: 'stopped'}));
    await this.#running;
  }

  #until(isMet: () => boolean): Promise<void> {
    if (isMet()) return Promise.resolve();
    if (this.#stopped) return Promise.reject(new EngineError({code: 'stopped'}));
    const met = new Promise<void>((resolve, reject) => this.#waiters.push({isMet, resolve, reject}));
    this.reclaim();
    return met;
  }

  async #run(): Promise<void> {
    const {mvcc} = this.#options;
    // Each takes what is marked when it begins: neither keeps the other waiting for good.
    while (!this.#stopped && this.#hasWork()) {
      const isSettled = await this.#carryOut('deletions written', () => mvcc().settleSlices());
      const isCompactionDue = mvcc().finishedCompactRevision() < mvcc().compactRevision();
      if (isSettled && isCompactionDue) await this.#letWatchersPass();
      await this.#carryOut('compaction finished', () => mvcc().compactionSlices());
    }
  }

  #hasWork(): boolean {
    const mvcc = this.#options.mvcc();
    return (
      !mvcc.isSettled(Number.POSITIVE_INFINITY) || mvcc.finishedCompactRevision() < mvcc.compactRevision()
    );
  }

  /** Those that waited for tombstones read them, and what they replaced, before a compaction takes them away. */
  async #letWatchersPass(): Promise<void> {
    const {clock, areWatchersUnderWay} = this.#options;
    const untilMs = clock.monotonicMs() + RECLAIM_WATCHERS_WAIT_MS;
    while (!this.#stopped && areWatchersUnderWay() && clock.monotonicMs() < untilMs) await this.#rest();
  }

  /** @returns whether there was anything to do, and it is done */
  async #carryOut(message: string, begin: () => Generator<undefined, void> | undefined): Promise<boolean> {
    const {clock, logger, mvcc, onSettled} = this.#options;
    while (!this.#stopped && !this.#mayRun()) await this.#rest();
    const slices = this.#stopped ? undefined : begin();
    if (slices === undefined) return false;
    const startedMs = clock.monotonicMs();
    const revision = mvcc().compactRevision();
    while (this.#runFor(slices)) {
      do await this.#rest();
      while (!this.#stopped && !this.#mayRun());
      if (this.#stopped) return false;
    }
    logger.info(message, {revision, tookMs: Math.round(clock.monotonicMs() - startedMs)});
    onSettled();
    this.#answerWaiters();
    return true;
  }

  /** Not while a state from another member takes the place of this one's: the walk belongs to what is gone. */
  #mayRun(): boolean {
    const {mvcc, isBetweenEntries, overlayBytes} = this.#options;
    return isBetweenEntries() && mvcc().isReadable && overlayBytes() <= RECLAIM_OVERLAY_BYTES_MAX;
  }

  /** @returns whether more is left */
  #runFor(slices: Generator<undefined, void>): boolean {
    const {clock, seal} = this.#options;
    const untilMs = clock.monotonicMs() + RECLAIM_SLICE_MS;
    let done = false;
    while (!done && clock.monotonicMs() < untilMs) done = slices.next().done === true;
    seal();
    return !done;
  }

  #rest(): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.after(SLICE_REST_MS, () => resolve()));
  }

  #answerWaiters(): void {
    const waiters = this.#waiters;
    this.#waiters = waiters.filter(({isMet}) => !isMet());
    for (const waiter of waiters) if (!this.#waiters.includes(waiter)) waiter.resolve();
  }

  #rejectWaiters(error: unknown): void {
    for (const {reject} of this.#waiters.splice(0)) reject(error);
  }
}
