/**
 * Refuses writes that would grow the store beyond its quota, before they are proposed, and raises the NOSPACE
 * alarm, which then makes every member refuse them at apply. Measured is what the trees use, not the file, and what
 * the records take there that are yet to be committed: space that a compaction deletes counts as free with the next
 * commit, and deletions count nothing meanwhile, however many wait in memory.
 */

import {EngineError} from '../errors.ts';
import {OVERLAY_BYTES_MAX} from '../limits.ts';
import type {Command} from '../state-machine/command.ts';
import {requestCost} from '../state-machine/quota.ts';
import {type Alarm, AlarmType, type MemberId} from '../types.ts';

export interface QuotaGuardOptions {
  readonly memberId: MemberId;
  /** Bytes; 0 or less: no quota. */
  readonly quotaBytes: number;
  readonly inUseBytes: () => number;
  /** Of changes that are not committed yet, in memory. */
  readonly overlayBytes: () => number;
  /** Of those that write records, in the trees. */
  readonly overlayPutBytes: () => number;
  readonly alarmed: (type: number) => boolean;
  readonly raise: (alarm: Alarm) => Promise<unknown>;
}

export class QuotaGuard {
  readonly #options: QuotaGuardOptions;
  #raising = false;

  constructor(options: QuotaGuardOptions) {
    this.#options = options;
  }

  /** @throws EngineError noSpace, or tooManyRequests while the disk is too far behind */
  check(command: Command): void {
    const {quotaBytes, inUseBytes, overlayBytes, overlayPutBytes, alarmed} = this.#options;
    if (overlayBytes() > OVERLAY_BYTES_MAX) throw new EngineError({code: 'tooManyRequests'});
    const cost = requestCost(command);
    if (cost === 0) return;
    if (alarmed(AlarmType.noSpace)) throw new EngineError({code: 'noSpace'});
    if (quotaBytes <= 0 || inUseBytes() + overlayPutBytes() + cost <= quotaBytes) return;
    this.#raise();
    throw new EngineError({code: 'noSpace'});
  }

  #raise(): void {
    if (this.#raising) return;
    this.#raising = true;
    const done = () => {
      this.#raising = false;
    };
    this.#options.raise({memberId: this.#options.memberId, alarm: AlarmType.noSpace}).then(done, done);
  }
}
