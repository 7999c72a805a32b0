/**
 * Compacts by itself, on whoever leads. `revision`: every five minutes, all but the newest N revisions.
 * `periodic`: what was current one retention ago, looked at every tenth of the retention (an hour at most, a second
 * at least); a revision is compacted only when it has really been kept that long.
 */

import {AUTO_COMPACTION_INTERVAL_MAX_MS, AUTO_COMPACTION_REVISION_INTERVAL_MS} from '../limits.ts';
import type {Clock, Logger} from '../ports.ts';

export interface AutoCompactorOptions {
  readonly mode: 'periodic' | 'revision';
  /** Milliseconds or revisions, see above; 0 turns it off. */
  readonly retention: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly isLeader: () => boolean;
  readonly currentRevision: () => number;
  readonly compactRevision: () => number;
  readonly compact: (revision: number) => Promise<unknown>;
}

interface Sample {
  readonly takenMs: number;
  readonly revision: number;
}

export class AutoCompactor {
  readonly #options: AutoCompactorOptions;
  #samples: Sample[] = [];
  #stopTimer: () => void = () => {};

  constructor(options: AutoCompactorOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.retention > 0) this.#schedule();
  }

  stop(): void {
    this.#stopTimer();
  }

  get #intervalMs(): number {
    const {mode, retention} = this.#options;
    if (mode === 'revision') return AUTO_COMPACTION_REVISION_INTERVAL_MS;
    return Math.max(1_000, Math.min(retention, AUTO_COMPACTION_INTERVAL_MAX_MS) / 10);
  }

  #schedule(): void {
    this.#stopTimer = this.#options.clock.after(this.#intervalMs, () => {
      this.#schedule();
      this.#look();
    });
  }

  #look(): void {
    const {mode, isLeader, compactRevision, compact, logger} = this.#options;
    const target = mode === 'revision' ? this.#revisionTarget() : this.#periodicTarget();
    if (!isLeader() || target <= Math.max(0, compactRevision())) return;
    compact(target).then(
      () => logger.info('auto compaction', {mode, revision: target}),
      (error: unknown) => logger.warn('auto compaction failed', {mode, revision: target, error: String(error)}),
    );
  }

  #revisionTarget(): number {
    return this.#options.currentRevision() - this.#options.retention;
  }

  /** The newest revision that is at least one retention old; 0: none yet. */
  #periodicTarget(): number {
    const {clock, retention, currentRevision} = this.#options;
    const nowMs = clock.monotonicMs();
    this.#samples.push({takenMs: nowMs, revision: currentRevision()});
    let target = 0;
    while (this.#samples.length > 0 && this.#samples[0].takenMs <= nowMs - retention) {
      target = this.#samples[0].revision;
      this.#samples.shift();
    }
    return target;
  }
}
