/**
 * The records that the state machine keeps its lasting state in, as it sees them: one ordered map per table that
 * shows every change at once. Behind it (engine/storage) lie an overlay of recent changes and a lazily written
 * backend; the state machine does not know where one ends.
 */

import type {AppliedMark, RecordRange, Table, TableRecord} from '../types.ts';

export interface Records {
  get(table: Table, key: Uint8Array): Uint8Array | undefined;
  /** In byte order. A change made while the iterator stands may or may not be seen; no record is seen twice. */
  range(table: Table, range: RecordRange): IterableIterator<TableRecord>;
  /** Keeps `key` and `value` as they are: the caller gives them away and never changes them again. */
  put(table: Table, key: Uint8Array, value: Uint8Array): void;
  delete(table: Table, key: Uint8Array): void;
  /**
   * Ends a log entry: the changes so far are that entry's whole effect. Only states at a mark reach the backend,
   * so a command that is applied in slices is written as a whole or not at all.
   */
  mark(applied: AppliedMark): void;
  /** The last mark; index 0, term 0, hash 0 before the first. */
  applied(): AppliedMark;
}
