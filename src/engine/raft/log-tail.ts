/**
 * The end of the log that may not be on disk yet.
 *
 *     … on disk │ handed to the disk, not confirmed │ not handed out │
 *            stored                              next-1           last
 *
 * Writes are confirmed in the order in which they were handed out. A confirmation counts only as far as no later
 * write (still under way or still to come) replaces what it wrote: entry (5, term 1) may be written, replaced by
 * (5, term 2) and written again, and the first write's confirmation must not pass for the third's.
 */

import {assert} from '../errors.ts';
import type {Index, Term} from '../types.ts';

interface Write {
  readonly first: Index;
  readonly last: Index;
  readonly lastTerm: Term;
}

export class LogTail {
  /** Everything up to here is on disk, as the log has it now. Only {@link truncated} lowers it. */
  #stored: Index;
  /** The first entry that no Ready has carried. Invariant: stored < next. */
  #next: Index;
  /** Under way to the disk, oldest first. */
  #writes: Write[] = [];

  constructor(stored: Index) {
    this.#stored = stored;
    this.#next = stored + 1;
  }

  get stored(): Index {
    return this.#stored;
  }

  get next(): Index {
    return this.#next;
  }

  /** The log was cut: `last` is its last index now. */
  truncated(last: Index): void {
    this.#stored = Math.min(this.#stored, last);
    this.#next = Math.min(this.#next, last + 1);
  }

  /** The log was replaced by a snapshot up to `index`, which reaches the disk before any later entry. */
  restored(index: Index): void {
    assert(index >= 0, 'a snapshot before the log');
    this.#stored = index;
    this.#next = index + 1;
  }

  /** A Ready carries all entries from `next` to `last`. */
  handedOut(last: Index, lastTerm: Term): void {
    assert(last >= this.#next, `handed out up to ${last}, but ${this.#next} is next`);
    this.#writes.push({first: this.#next, last, lastTerm});
    this.#next = last + 1;
  }

  /**
   * The oldest write that ends so is confirmed, and with it all before.
   * @returns whether more of the log is on disk now
   */
  confirmed(upTo: {readonly index: Index; readonly term: Term}): boolean {
    const found = this.#writes.findIndex(
      (write) => write.last === upTo.index && write.lastTerm === upTo.term,
    );
    if (found < 0) return false;
    this.#writes.splice(0, found + 1);
    let stored = Math.min(upTo.index, this.#next - 1);
    for (const write of this.#writes) stored = Math.min(stored, write.first - 1);
    if (stored <= this.#stored) return false;
    this.#stored = stored;
    assert(this.#stored < this.#next, 'more is on disk than was handed to it');
    return true;
  }
}
