/**
 * Carries compactions out. Applying one only sets the mark; the revisions are deleted here, in slices beside the
 * loop, on every member for itself. A restart goes on with whatever was marked and not finished.
 */

import {SLICE_MS} from '../limits.ts';
import type {Clock, Logger} from '../ports.ts';
import type {MvccStore} from '../state-machine/mvcc/store.ts';

export interface SpaceReclaimerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** False within a command that is applied in slices: sealing then would write half of it. */
  readonly isBetweenEntries: () => boolean;
  /** Makes the deletions so far part of the state that the backend writes. */
  readonly seal: () => void;
  readonly onFailure: (error: unknown) => void;
}

export class SpaceReclaimer {
  readonly #options: SpaceReclaimerOptions;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: SpaceReclaimerOptions) {
    this.#options = options;
  }

  /** Deletes what is marked; resolves when nothing marked is left. */
  reclaim(mvcc: MvccStore): Promise<void> {
    this.#running ??= this.#run(mvcc)
      .catch((error: unknown) => this.#options.onFailure(error))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(mvcc: MvccStore): Promise<void> {
    const {clock, logger} = this.#options;
    // A newer mark may be set while an older one is carried out.
    for (let slices = mvcc.compactionSlices(); slices !== undefined; slices = mvcc.compactionSlices()) {
      const startedMs = clock.monotonicMs();
      const revision = mvcc.compactRevision();
      while (!this.#stopped && this.#runFor(slices)) await clock.yield();
      if (this.#stopped) return;
      logger.info('compaction finished', {revision, tookMs: Math.round(clock.monotonicMs() - startedMs)});
    }
  }

  /** @returns whether more is left */
  #runFor(slices: Generator<undefined, void>): boolean {
    const {clock, isBetweenEntries, seal} = this.#options;
    if (!isBetweenEntries()) return true;
    const untilMs = clock.monotonicMs() + SLICE_MS;
    let done = false;
    while (!done && clock.monotonicMs() < untilMs) done = slices.next().done === true;
    seal();
    return !done;
  }
}
