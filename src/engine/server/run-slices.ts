/** Long walks over the store (ranges, hashes, compactions) in slices, the loop running in between. */

import {SLICE_MS} from '../limits.ts';
import type {Clock} from '../ports.ts';

/** Drives a sliced walk to its end; short ones finish without giving up the turn. */
export async function runSlices<Result>(slices: Generator<undefined, Result>, clock: Clock): Promise<Result> {
  let untilMs = clock.monotonicMs() + SLICE_MS;
  for (;;) {
    const next = slices.next();
    if (next.done) return next.value;
    if (clock.monotonicMs() >= untilMs) {
      await clock.yield();
      untilMs = clock.monotonicMs() + SLICE_MS;
    }
  }
}
