/**
 * What the log on disk holds, without the entries themselves: last index, snapshot marker, and the term of each
 * index, in memory that grows with the number of terms. Writing and reading the log both keep one, so that both
 * take each record for the same thing. Pure.
 */

import {assert} from '../errors.ts';
import type {Entry} from '../raft/message.ts';
import type {Index, Term} from '../types.ts';
import type {SnapshotMarker} from './wal-header.ts';

export class LogOutline {
  /** Moved by entries (up, or down when a tail is overwritten) and by a marker that discards the log. */
  #lastIndex: Index;
  /** Never goes back. */
  #snapshot: SnapshotMarker;
  /** Terms ascend, as do the first indexes of their runs. The last run ends at the last index. */
  readonly #runs: {readonly term: Term; readonly firstIndex: Index}[] = [];

  constructor(start: {readonly lastIndex: Index; readonly snapshot: SnapshotMarker}) {
    this.#lastIndex = start.lastIndex;
    this.#snapshot = start.snapshot;
  }

  get lastIndex(): Index {
    return this.#lastIndex;
  }

  get snapshot(): SnapshotMarker {
    return this.#snapshot;
  }

  /** Undefined for what lies before the log's beginning in the segments there are, and behind its end. */
  termAt(index: Index): Term | undefined {
    if (index === this.#snapshot.index) return this.#snapshot.term;
    if (index > this.#lastIndex) return undefined;
    for (let i = this.#runs.length - 1; i >= 0; i--) {
      if (this.#runs[i].firstIndex <= index) return this.#runs[i].term;
    }
    return undefined;
  }

  /** Whether a new marker lies outside the log, all of which is void then. */
  isOutside(marker: SnapshotMarker): boolean {
    assert(marker.index >= this.#snapshot.index, 'a snapshot marker goes back');
    return this.termAt(marker.index) !== marker.term;
  }

  takeSnapshot(marker: SnapshotMarker, options: {readonly discards: boolean}): void {
    assert(marker.index >= this.#snapshot.index, 'a snapshot marker goes back');
    assert(marker.index > 0 && marker.term > 0, 'a snapshot marker names an entry');
    if (options.discards) {
      this.#runs.length = 0;
      this.#lastIndex = marker.index;
    } else {
      assert(marker.index <= this.#lastIndex, 'a snapshot marker that keeps the log lies in it');
    }
    this.#snapshot = {index: marker.index, term: marker.term};
  }

  /** The first entry may overwrite what is there; then everything behind it is gone. */
  takeEntries(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const first = entries[0].index;
    assert(first > this.#snapshot.index, 'entries overwrite what a snapshot stands for');
    assert(first <= this.#lastIndex + 1, 'entries leave a gap in the log');
    while (this.#runs.length > 0 && this.#runs[this.#runs.length - 1].firstIndex >= first) this.#runs.pop();
    for (let i = 0; i < entries.length; i++) {
      const {index, term} = entries[i];
      assert(index === first + i, 'entries follow each other');
      const last = this.#runs[this.#runs.length - 1];
      if (last?.term === term) continue;
      assert(term > 0 && (last === undefined || term > last.term), 'terms ascend along the log');
      this.#runs.push({term, firstIndex: index});
    }
    this.#lastIndex = entries[entries.length - 1].index;
  }
}
