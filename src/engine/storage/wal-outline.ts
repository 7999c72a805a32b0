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

  /** @returns why no log goes on like that; then nothing was taken */
  takeSnapshot(marker: SnapshotMarker, options: {readonly discards: boolean}): string | undefined {
    if (marker.index < this.#snapshot.index) return 'a snapshot marker goes back';
    if (marker.index === 0 || marker.term === 0) return 'a snapshot marker names no entry';
    if (options.discards) {
      this.#runs.length = 0;
      this.#lastIndex = marker.index;
    } else {
      if (marker.index > this.#lastIndex) return 'a snapshot marker that keeps the log lies behind it';
      if ((this.termAt(marker.index) ?? marker.term) !== marker.term)
        return 'a snapshot marker contradicts the log';
    }
    this.#snapshot = {index: marker.index, term: marker.term};
    return undefined;
  }

  /**
   * The first entry may overwrite what is there; then everything behind it is gone.
   * @returns why no log goes on like that; then this outline is of no use any more
   */
  takeEntries(entries: readonly Entry[]): string | undefined {
    if (entries.length === 0) return undefined;
    const first = entries[0].index;
    if (first <= this.#snapshot.index) return 'entries overwrite what a snapshot stands for';
    if (first > this.#lastIndex + 1) return 'entries leave a gap in the log';
    while (this.#runs.length > 0 && this.#runs[this.#runs.length - 1].firstIndex >= first) this.#runs.pop();
    for (let i = 0; i < entries.length; i++) {
      const {index, term} = entries[i];
      if (index !== first + i) return 'entries do not follow each other';
      const last = this.#runs[this.#runs.length - 1];
      if (last?.term === term) continue;
      if (term === 0 || (last !== undefined && term < last.term)) return 'terms fall along the log';
      this.#runs.push({term, firstIndex: index});
    }
    this.#lastIndex = entries[entries.length - 1].index;
    return undefined;
  }
}
