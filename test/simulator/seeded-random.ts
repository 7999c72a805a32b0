/** A Random that a seed decides: the same seed, the same numbers, in every process. */

import type {Random} from '../../src/engine/ports.ts';

/** Mulberry32: 32 bits of state, every seed good enough for schedules (not for secrets). */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From now on the numbers are those of this seed. */
  reseed(seed: number): void {
    this.#state = seed >>> 0;
  }

  below(bound: number): number {
    return Math.floor(((this.#uint32() * 2 ** 21 + (this.#uint32() >>> 11)) / 2 ** 53) * bound);
  }

  uint64(): bigint {
    return (BigInt(this.#uint32()) << 32n) | BigInt(this.#uint32());
  }

  /** Another stream of numbers, decided by this one. */
  fork(): SeededRandom {
    return new SeededRandom(this.below(2 ** 32));
  }

  #uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
}
