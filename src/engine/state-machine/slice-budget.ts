/** How much work is left before the loop must run again. Long walks count it down and yield when it is spent. */

import {assert} from '../errors.ts';
import {SLICE_BYTES, SLICE_KEYS} from '../limits.ts';

export class SliceBudget {
  #keys = SLICE_KEYS;
  #bytes = SLICE_BYTES;

  get isSpent(): boolean {
    return this.#keys <= 0 || this.#bytes <= 0;
  }

  /** Keys that may still be handled in this slice; at least 1, so that every slice gets on. */
  get keys(): number {
    return Math.max(1, this.#keys);
  }

  spend(keys: number, bytes: number): void {
    assert(keys >= 0 && bytes >= 0, 'work is not given back');
    this.#keys -= keys;
    this.#bytes -= bytes;
  }

  /** After a yield. */
  renew(): void {
    assert(this.isSpent, 'a budget is renewed after it was spent');
    this.#keys = SLICE_KEYS;
    this.#bytes = SLICE_BYTES;
  }
}

/** Runs slices to their end at once. */
export function runSlices<Result>(slices: Generator<undefined, Result>): Result {
  for (;;) {
    const step = slices.next();
    if (step.done) return step.value;
  }
}
