/**
 * Compacts by itself, on whoever leads. `revision`: every five minutes, all but the newest N revisions.
 * `periodic`: what was current one retention ago, looked at every tenth of the retention (an hour at most, a second
 * at least); a revision is compacted only when it has really been kept that long.
 */

import {AUTO_COMPACTION_INTERVAL_MAX_MS, AUTO_COMPACTION_REVISION_INTERVAL_MS} from '../limits.ts';
import type {Clock, Logger} from '../ports.ts';
import type {ServerConfig} from './server-config.ts';

export interface AutoCompactorOptions {
  readonly rule: ServerConfig['autoCompaction'];
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
    if (this.#options.rule.mode !== 'off') this.#schedule();
  }

  stop(): void {
    this.#stopTimer();
  }

  get #intervalMs(): number {
    const {rule} = this.#options;
    if (rule.mode !== 'periodic') return AUTO_COMPACTION_REVISION_INTERVAL_MS;
    return Math.max(1_000, Math.min(rule.retentionMs, AUTO_COMPACTION_INTERVAL_MAX_MS) / 10);
  }

  #schedule(): void {
    this.#stopTimer = this.#options.clock.after(this.#intervalMs, () => {
      this.#schedule();
      this.#look();
    });
  }

  #look(): void {
    const {rule, isLeader, compactRevision, compact, logger} = this.#options;
    const revision = this.#target();
    if (!isLeader() || revision <= Math.max(0, compactRevision())) return;
    compact(revision).then(
      () => logger.info('auto compaction', {mode: rule.mode, revision}),
      (error: unknown) => logger.warn('auto compaction failed', {revision, error: String(error)}),
    );
  }

  /** The revision up to which history may go; 0: none. */
  #target(): number {
    const {rule, currentRevision} = this.#options;
    if (rule.mode === 'periodic') return this.#periodicTarget(rule.retentionMs);
    return rule.mode === 'revision' ? currentRevision() - rule.retentionRevisions : 0;
  }

  /** The newest revision that is at least one retention old; 0: none yet. */
  #periodicTarget(retentionMs: number): number {
    const {clock, currentRevision} = this.#options;
    const nowMs = clock.monotonicMs();
    this.#samples.push({takenMs: nowMs, revision: currentRevision()});
    let target = 0;
    while (this.#samples.length > 0 && this.#samples[0].takenMs <= nowMs - retentionMs) {
      target = this.#samples[0].revision;
      this.#samples.shift();
    }
    return target;
  }
}
