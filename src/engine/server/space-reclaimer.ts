/**
 * Carries out what was decided and need not be done at once: the tombstones of deletions of very many keys, and
 * compactions. Applying them only sets a mark; the records are written or deleted here, in slices beside the loop, on
 * every member for itself. A restart goes on with whatever was marked and not finished.
 */

import {EngineError} from '../errors.ts';
import {RECLAIM_OVERLAY_BYTES_MAX, RECLAIM_SLICE_MS, SLICE_REST_MS} from '../limits.ts';
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
    this.#running ??= this.#run()
      .catch((error: unknown) => {
        this.#options.onFailure(error);
        this.#rejectWaiters(error);
      })
      .finally(() => {
        this.#running = undefined;
      });
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
    const {mvcc, onSettled, logger} = this.#options;
    // Each run of either takes what is marked when it begins: neither keeps the other waiting for good.
    while (!this.#stopped) {
      const settling = mvcc().settleSlices();
      if (settling !== undefined) {
        const tookMs = await this.#carryOut(settling);
        if (tookMs === undefined) return;
        logger.info('deletions written', {tookMs});
        onSettled();
        this.#answerWaiters();
      }
      const revision = mvcc().compactRevision();
      const compacting = mvcc().compactionSlices();
      if (compacting !== undefined) {
        const tookMs = await this.#carryOut(compacting);
        if (tookMs === undefined) return;
        logger.info('compaction finished', {revision, tookMs});
        onSettled();
        this.#answerWaiters();
      }
      if (settling === undefined && compacting === undefined) return;
    }
  }

  /** @returns the time it took, milliseconds; undefined when it was stopped */
  async #carryOut(slices: Generator<undefined, void>): Promise<number | undefined> {
    const {clock} = this.#options;
    const startedMs = clock.monotonicMs();
    while (!this.#stopped && this.#runFor(slices)) await this.#rest();
    return this.#stopped ? undefined : Math.round(clock.monotonicMs() - startedMs);
  }

  /** @returns whether more is left */
  #runFor(slices: Generator<undefined, void>): boolean {
    const {clock, isBetweenEntries, overlayBytes, seal} = this.#options;
    if (!isBetweenEntries() || overlayBytes() > RECLAIM_OVERLAY_BYTES_MAX) return true;
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
