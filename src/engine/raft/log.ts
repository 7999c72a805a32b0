/**
 * The log in memory: all entries from the compacted point to the last, and the marks in it.
 *
 *     compacted ≤ applied ≤ applying ≤ commit ≤ last
 *
 * `applied` and `applying` may lie below `compacted` only while a snapshot is being installed.
 */

import {assert} from '../errors.ts';
import type {Index, Term} from '../types.ts';
import {LogTail} from './log-tail.ts';
import {type Entry, EntryType, type SnapshotMeta} from './message.ts';

/** What an entry costs in memory besides its payload, bytes: the object, its slot and the payload's view. */
const ENTRY_OVERHEAD_BYTES = 160;

export class Log {
  readonly tail: LogTail;
  #compacted: {readonly index: Index; readonly term: Term};
  /** The entry with index i is at i - compacted.index - 1. */
  #entries: Entry[];
  #bytes = 0;
  /** Of these, the entries' that are applied. */
  #appliedBytes = 0;
  /** Known to be on a quorum's disks. Only grows. */
  #commit: Index;
  /** Handed to the applier. Only grows. */
  #applying: Index;
  /** The state machine has come to here. Only grows. */
  #applied: Index;

  constructor(restored: {
    compacted: {readonly index: Index; readonly term: Term};
    entries: readonly Entry[];
    commit: Index;
    applied: Index;
  }) {
    this.#compacted = restored.compacted;
    this.#entries = [...restored.entries];
    this.#entries.forEach((entry, i) => {
      assert(
        entry.index === restored.compacted.index + 1 + i,
        `the restored log has a gap at ${entry.index}`,
      );
      this.#bytes += bytesOf(entry);
      if (entry.index <= restored.applied) this.#appliedBytes += bytesOf(entry);
    });
    this.tail = new LogTail(this.lastIndex);
    this.#commit = restored.commit;
    this.#applying = restored.applied;
    this.#applied = restored.applied;
    assert(restored.applied >= restored.compacted.index, 'the log begins after what was applied');
    this.#check();
  }

  get firstIndex(): Index {
    return this.#compacted.index + 1;
  }

  get lastIndex(): Index {
    return this.#compacted.index + this.#entries.length;
  }

  get lastTerm(): Term {
    return this.#entries.length === 0 ? this.#compacted.term : this.#entries[this.#entries.length - 1].term;
  }

  get commit(): Index {
    return this.#commit;
  }

  get applied(): Index {
    return this.#applied;
  }

  get applying(): Index {
    return this.#applying;
  }

  /** Memory held by the entries, bytes, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of {@link bytes}, what compacting could free by now. */
  get appliedBytes(): number {
    return this.#appliedBytes;
  }

  /** The lowest index behind which the entries take fewer than `bytes`. Walks over all of those. */
  cutLeaving(bytes: number): Index {
    let at = this.#entries.length;
    for (let rest = bytes; at > 0; at--) {
      rest -= bytesOf(this.#entries[at - 1]);
      if (rest <= 0) break;
    }
    return this.#compacted.index + at;
  }

  /** The term of the entry, of the compacted point too; undefined outside the log. */
  term(index: Index): Term | undefined {
    if (index === this.#compacted.index) return this.#compacted.term;
    return this.#entries[index - this.#compacted.index - 1]?.term;
  }

  /** Whether a log that ends so has everything that this one has committed (paper, section 5.4.1). */
  isUpToDate(lastIndex: Index, lastTerm: Term): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /**
   * The largest index, at most `index`, whose term is at most `term`: below it lies whatever two logs may share.
   * @returns the index, or the compacted point when all above it is newer
   */
  lastWithTermAtMost(index: Index, term: Term): Index {
    let at = Math.min(index, this.lastIndex);
    while (at > this.#compacted.index && (this.term(at) as Term) > term) at--;
    return at;
  }

  /** Entries `from` to `to`, both included, up to `bytesMax` payload bytes but at least one. */
  slice(from: Index, to: Index, bytesMax: number): Entry[] {
    assert(from >= this.firstIndex && to <= this.lastIndex, `entries ${from} to ${to} are not in the log`);
    const start = from - this.#compacted.index - 1;
    const endMax = to - this.#compacted.index;
    let end = start;
    let bytes = 0;
    while (end < endMax) {
      bytes += this.#entries[end].payload.length;
      if (bytes > bytesMax && end > start) break;
      end++;
    }
    return this.#entries.slice(start, end);
  }

  /** Payload bytes of the entries `from` to `to`, both included. */
  payloadBytes(from: Index, to: Index): number {
    let bytes = 0;
    for (let index = from; index <= to; index++) {
      bytes += this.#entries[index - this.#compacted.index - 1].payload.length;
    }
    return bytes;
  }

  /** The leader's own entries, behind the last. */
  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, `entry ${entry.index} does not follow ${this.lastIndex}`);
      assert(entry.term >= this.lastTerm, `term ${entry.term} after ${this.lastTerm} in the log`);
      this.#entries.push(entry);
      this.#bytes += bytesOf(entry);
    }
  }

  /**
   * A leader's entries behind `previousIndex` (≥ commit). Entries that are here already stay; from the first that
   * differs on, the old ones go. @returns `conflict`, with nothing changed, if a committed entry would have to go
   */
  merge(previousIndex: Index, previousTerm: Term, entries: readonly Entry[]): 'ok' | 'mismatch' | 'conflict' {
    if (this.term(previousIndex) !== previousTerm) return 'mismatch';
    let known = 0;
    while (known < entries.length && this.term(entries[known].index) === entries[known].term) known++;
    if (known === entries.length) return 'ok';
    const first = entries[known].index;
    if (first <= this.#commit) return 'conflict';
    if (first <= this.lastIndex) this.#truncateFrom(first);
    this.append(known === 0 ? entries : entries.slice(known));
    return 'ok';
  }

  commitTo(index: Index): void {
    assert(index <= this.lastIndex, `commit ${index} is beyond the last entry ${this.lastIndex}`);
    this.#commit = Math.max(this.#commit, index);
  }

  /** The log becomes the snapshot and nothing behind it. */
  restore(meta: SnapshotMeta): void {
    assert(meta.index > this.#commit, `snapshot ${meta.index} is below commit ${this.#commit}`);
    this.#compacted = {index: meta.index, term: meta.term};
    this.#entries = [];
    this.#bytes = 0;
    this.#appliedBytes = 0;
    this.#commit = meta.index;
    this.#applying = meta.index;
    this.tail.restored(meta.index);
  }

  /** Entries that no Ready has carried yet; from now on they are on their way to the disk. */
  takeUnwritten(): readonly Entry[] {
    const last = this.lastIndex;
    if (this.tail.next > last) return NO_ENTRIES;
    const entries = this.slice(this.tail.next, last, Number.POSITIVE_INFINITY);
    this.tail.handedOut(last, this.lastTerm);
    return entries;
  }

  /** Whether {@link takeCommitted} has something. */
  hasCommitted(): boolean {
    return this.#applying < Math.min(this.#commit, this.tail.stored);
  }

  /** Entries to apply next: committed and on this disk. */
  takeCommitted(bytesMax: number): readonly Entry[] {
    if (!this.hasCommitted()) return NO_ENTRIES;
    const entries = this.slice(this.#applying + 1, Math.min(this.#commit, this.tail.stored), bytesMax);
    this.#applying = entries[entries.length - 1].index;
    this.#check();
    return entries;
  }

  /** Ignores what is behind a snapshot that was installed meanwhile. */
  appliedTo(index: Index): void {
    assert(index <= this.#applying, `applied ${index}, but only ${this.#applying} was handed out`);
    for (let at = Math.max(this.#applied, this.#compacted.index) + 1; at <= index; at++) {
      this.#appliedBytes += bytesOf(this.#entries[at - this.#compacted.index - 1]);
    }
    this.#applied = Math.max(this.#applied, index);
  }

  compact(index: Index): void {
    if (index <= this.#compacted.index) return;
    assert(index <= this.#applied, `compacting ${index}, but only ${this.#applied} is applied`);
    const term = this.term(index) as Term;
    const dropped = this.#entries.slice(0, index - this.#compacted.index);
    for (const entry of dropped) {
      this.#bytes -= bytesOf(entry);
      this.#appliedBytes -= bytesOf(entry);
    }
    this.#entries = this.#entries.slice(dropped.length);
    this.#compacted = {index, term};
    this.#check();
  }

  /** Whether a conf change is committed but not applied: its member must not campaign (etcd raft issue 456). */
  hasUnappliedConfChange(): boolean {
    for (let index = Math.max(this.#applied, this.#compacted.index) + 1; index <= this.#commit; index++) {
      if (this.#entries[index - this.#compacted.index - 1].type === EntryType.confChange) return true;
    }
    return false;
  }

  #truncateFrom(first: Index): void {
    assert(first > this.#commit, `cutting the log at ${first}, below commit ${this.#commit}`);
    for (let i = first - this.#compacted.index - 1; i < this.#entries.length; i++) {
      this.#bytes -= bytesOf(this.#entries[i]);
    }
    this.#entries.length = first - this.#compacted.index - 1;
    this.tail.truncated(first - 1);
  }

  #check(): void {
    assert(this.#applied <= this.#applying, `applied ${this.#applied} > applying ${this.#applying}`);
    assert(this.#applying <= this.#commit, `applying ${this.#applying} > commit ${this.#commit}`);
    assert(this.#commit <= this.lastIndex, `commit ${this.#commit} > last ${this.lastIndex}`);
    assert(this.#compacted.index <= this.#commit, 'the log begins after its commit index');
    assert(this.#appliedBytes >= 0 && this.#appliedBytes <= this.#bytes, 'log bytes do not add up');
  }
}

const NO_ENTRIES: readonly Entry[] = [];

function bytesOf(entry: Entry): number {
  return entry.payload.length + ENTRY_OVERHEAD_BYTES;
}
