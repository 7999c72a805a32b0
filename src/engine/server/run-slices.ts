/** Long walks over the store (ranges, hashes, compactions) in slices, the loop running in between. */

import {SLICE_MS, SLICE_REST_MS} from '../limits.ts';
import type {Clock} from '../ports.ts';

/** Drives a sliced walk to its end; short ones finish without giving up the turn. */
export function runSlices<Result>(slices: Generator<undefined, Result>, clock: Clock): Promise<Result> {
  return run(slices, clock, () => clock.yield());
}

/** The same for a walk that has time: a put needs several turns of the loop, and is not to wait a slice for each. */
export function runSlicesGently<Result>(slices: Generator<undefined, Result>, clock: Clock): Promise<Result> {
  return run(slices, clock, () => new Promise((resolve) => void clock.after(SLICE_REST_MS, () => resolve())));
}

async function run<Result>(
  slices: Generator<undefined, Result>,
  clock: Clock,
  rest: () => Promise<void>,
): Promise<Result> {
  let untilMs = clock.monotonicMs() + SLICE_MS;
  for (;;) {
    const next = slices.next();
    if (next.done) return next.value;
    if (clock.monotonicMs() >= untilMs) {
      await rest();
      untilMs = clock.monotonicMs() + SLICE_MS;
    }
  }
}
