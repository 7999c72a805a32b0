/** Chance from the operating system, drawn in blocks: one system call serves hundreds of numbers. */

import {randomFillSync} from 'node:crypto';
import {assert} from '../errors.ts';
import type {Random} from '../ports.ts';

const BLOCK_BYTES = 4096;
const UINT32_COUNT = 2 ** 32;

export class SystemRandom implements Random {
  readonly #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #used = BLOCK_BYTES;

  /** `bound` up to 2^32. Every number is equally likely: draws from the uneven end of the range are repeated. */
  below(bound: number): number {
    assert(Number.isInteger(bound) && bound >= 1 && bound <= UINT32_COUNT, 'random bound is out of range');
    const evenEnd = UINT32_COUNT - (UINT32_COUNT % bound);
    for (;;) {
      const drawn = this.#take(4).readUInt32LE(0);
      if (drawn < evenEnd) return drawn % bound;
    }
  }

  uint64(): bigint {
    return this.#take(8).readBigUInt64LE(0);
  }

  #take(bytes: number): Buffer {
    if (this.#used + bytes > BLOCK_BYTES) {
      randomFillSync(this.#block);
      this.#used = 0;
    }
    this.#used += bytes;
    return this.#block.subarray(this.#used - bytes, this.#used);
  }
}
