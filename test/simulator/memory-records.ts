/** Records in plain memory: what the state machine writes, in order, and nothing else. */

import {toLatin1} from '../../src/engine/lib/bytes.ts';
import {SortedMap} from '../../src/engine/lib/sorted-map.ts';
import type {Records} from '../../src/engine/state-machine/records.ts';
import {
  type AppliedMark,
  type RecordRange,
  TABLES,
  type Table,
  type TableRecord,
} from '../../src/engine/types.ts';

export class MemoryRecords implements Records {
  #tables = new Map<Table, SortedMap<TableRecord>>(
    TABLES.map((table) => [table, new SortedMap<TableRecord>()]),
  );
  #applied: AppliedMark = {index: 0, term: 0, hash: 0};

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    return this.#table(table).get(toLatin1(key))?.[1];
  }

  *range(table: Table, {from, to, reverse}: RecordRange): IterableIterator<TableRecord> {
    const found: TableRecord[] = [];
    const bounds = {from: from === undefined ? '' : toLatin1(from), to: to && toLatin1(to)};
    if (reverse) {
      this.#table(table).walk({...bounds, countMax: Number.POSITIVE_INFINITY}, (_key, record) => {
        found.push(record);
        return undefined;
      });
      yield* found.reverse();
      return;
    }
    // Batches by key, so that changes between two steps of the iterator do no harm.
    let next: string | undefined = bounds.from;
    while (next !== undefined) {
      found.length = 0;
      next = this.#table(table).walk({from: next, to: bounds.to, countMax: 64}, (_key, record) => {
        found.push(record);
        return undefined;
      });
      yield* [...found];
    }
  }

  put(table: Table, key: Uint8Array, value: Uint8Array): void {
    this.#table(table).set(toLatin1(key), [key, value]);
  }

  delete(table: Table, key: Uint8Array): void {
    this.#table(table).delete(toLatin1(key));
  }

  mark(applied: AppliedMark): void {
    this.#applied = applied;
  }

  applied(): AppliedMark {
    return this.#applied;
  }

  /** Takes over everything another one holds, as an installed snapshot does. */
  replaceBy(other: MemoryRecords): void {
    for (const table of TABLES) {
      const copy = new SortedMap<TableRecord>();
      for (const record of other.range(table, {})) copy.set(toLatin1(record[0]), record);
      this.#tables.set(table, copy);
    }
    this.#applied = other.applied();
  }

  /** Every record as text, in order: two members in the same state have equal dumps. */
  dump(): string[] {
    return TABLES.flatMap((table) =>
      [...this.range(table, {})].map(([key, value]) => `${table} ${hex(key)} ${hex(value)}`),
    );
  }

  #table(table: Table): SortedMap<TableRecord> {
    const found = this.#tables.get(table);
    if (found === undefined) throw new Error(`no table ${table}`);
    return found;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
