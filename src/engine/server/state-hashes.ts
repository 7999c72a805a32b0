/**
 * The running state hash at round log indexes that were passed lately, so that two members can compare at the same
 * index although neither stands still.
 */

import {STATE_HASH_STRIDE, STATE_HASHES_REMEMBERED} from '../limits.ts';
import type {AppliedMark, Index} from '../types.ts';

export class StateHashes {
  readonly #hashes = new Map<Index, number>();

  /** Called with the mark after every applied entry. */
  remember(mark: AppliedMark): void {
    if (mark.index % STATE_HASH_STRIDE !== 0) return;
    this.#hashes.set(mark.index, mark.hash);
    if (this.#hashes.size <= STATE_HASHES_REMEMBERED) return;
    const [oldest] = this.#hashes.keys();
    this.#hashes.delete(oldest);
  }

  at(index: Index): number | undefined {
    return this.#hashes.get(index);
  }

  /** The newest remembered index; 0: none. */
  newest(): Index {
    let newest = 0;
    for (const index of this.#hashes.keys()) newest = index;
    return newest;
  }

  /** Another state was installed. */
  clear(): void {
    this.#hashes.clear();
  }
}
