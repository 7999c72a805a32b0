/**
 * The way every logical change takes into the records: written, and taken into the running hash that members
 * compare. What only one member does for itself (deleting compacted revisions) goes past the hash.
 */

import {assert} from '../errors.ts';
import {crc32c} from '../lib/crc32c.ts';
import {type AppliedMark, type Index, TABLES, type Table, type Term} from '../types.ts';
import type {Records} from './records.ts';

const TABLE_TAGS = {
  put: tagsOf('+'),
  delete: tagsOf('-'),
};

function tagsOf(sign: string): Readonly<Record<Table, Uint8Array>> {
  const tags = TABLES.map((table) => [table, Buffer.from(`${sign}${table}`, 'latin1')] as const);
  return Object.fromEntries(tags) as unknown as Record<Table, Uint8Array>;
}

export class Effects {
  readonly records: Records;
  /** Over all changes since the first entry; continues from the last mark. */
  #hash = 0;
  /** The entry whose effect memory shows; -1 while it is being read anew. Set by `load` and `mark`. */
  #index = -1;

  constructor(records: Records) {
    this.records = records;
  }

  /**
   * Whether what is in memory belongs to what is in the records. They part when a snapshot replaces the records,
   * until everything is loaded anew; nothing may be read across that gap.
   */
  get isInStep(): boolean {
    return this.records.applied().index === this.#index;
  }

  /** Over everything up to now, unfinished entries included. */
  get hash(): number {
    return this.#hash;
  }

  /** Loading begins. */
  suspend(): void {
    this.#index = -1;
  }

  /** Everything is loaded: continues from the records' last mark. */
  resume(): void {
    const {index, hash} = this.records.applied();
    assert(hash >= 0 && hash <= 0xffffffff, 'the running hash is an unsigned 32-bit number');
    assert(index >= 0, 'a mark is at an entry');
    this.#index = index;
    this.#hash = hash;
  }

  /** Gives `key` and `value` away. */
  put(table: Table, key: Uint8Array, value: Uint8Array): void {
    assert(key.length > 0, 'a record has a key');
    this.#hash = crc32c(value, crc32c(key, crc32c(TABLE_TAGS.put[table], this.#hash)));
    this.records.put(table, key, value);
  }

  delete(table: Table, key: Uint8Array): void {
    assert(key.length > 0, 'a record has a key');
    this.#hash = crc32c(key, crc32c(TABLE_TAGS.delete[table], this.#hash));
    this.records.delete(table, key);
  }

  /** Ends a log entry. */
  mark(entry: {readonly index: Index; readonly term: Term}): void {
    const applied: AppliedMark = {index: entry.index, term: entry.term, hash: this.#hash};
    assert(entry.index === this.#index + 1, 'entries are marked one after the other');
    assert(entry.term >= this.records.applied().term, 'terms never go back');
    this.#index = entry.index;
    this.records.mark(applied);
  }
}
