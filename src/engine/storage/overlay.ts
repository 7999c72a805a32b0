/**
 * Changes that the backend does not hold yet: one generation of them, for all tables. A record is found by key in
 * a map; the same entries stand in byte order in blocks, so that the usual change (a key larger than all others,
 * as revisions are) is an append, and any other moves at most a block.
 *
 * A deleted record stays as an entry without a value: it hides what lies below. Keys are latin1 strings here, whose
 * order is the bytes' order.
 */

import {assert} from '../errors.ts';
import {TABLES, type Table} from '../types.ts';

export interface OverlayEntry {
  readonly table: Table;
  readonly key: Uint8Array;
  /** The key once more, as a latin1 string. */
  readonly text: string;
  /** Absent: deleted. */
  value: Uint8Array | undefined;
}

/** Entries of a block: a larger one costs more to insert into, a smaller one more to search. */
const BLOCK_ENTRIES_MAX = 512;
/** What an entry costs beside the bytes of its key and value: objects, the key's string, map and block slots. */
const ENTRY_BYTES = 160;

/** One table's changes. `blocks` are never empty, but for the only one; their entries ascend throughout. */
export class OverlayTable {
  readonly #table: Table;
  readonly #entries = new Map<string, OverlayEntry>();
  readonly #blocks: OverlayEntry[][] = [[]];
  #lastText = '';
  /** Grows with every insertion: positions from before are worthless then. Overwriting moves nothing. */
  #insertions = 0;

  constructor(table: Table) {
    this.#table = table;
  }

  get size(): number {
    return this.#entries.size;
  }

  get insertions(): number {
    return this.#insertions;
  }

  get(text: string): OverlayEntry | undefined {
    return this.#entries.get(text);
  }

  /** @returns by how many bytes the table has grown (or, negative, shrunk) */
  set(text: string, key: Uint8Array, value: Uint8Array | undefined): number {
    const valueBytes = value === undefined ? 0 : value.length;
    const present = this.#entries.get(text);
    if (present !== undefined) {
      const before = present.value === undefined ? 0 : present.value.length;
      present.value = value;
      return valueBytes - before;
    }
    const entry: OverlayEntry = {table: this.#table, key, text, value};
    this.#entries.set(text, entry);
    this.#insert(entry);
    this.#insertions++;
    return ENTRY_BYTES + key.length + valueBytes;
  }

  /** All entries in byte order. */
  *entries(): Generator<OverlayEntry, void> {
    for (const block of this.#blocks) yield* block;
  }

  get blockCount(): number {
    return this.#blocks.length;
  }

  block(number: number): readonly OverlayEntry[] | undefined {
    return this.#blocks[number];
  }

  /** The place of the first entry with text >= `text` (or > `text`): it may be one behind a block's last. */
  find(text: string, isAfter: boolean): {readonly block: number; readonly position: number} {
    const block = this.#blockOf(text);
    return {block, position: firstAtOrAfter(this.#blocks[block], text, isAfter)};
  }

  #insert(entry: OverlayEntry): void {
    const {text} = entry;
    const blocks = this.#blocks;
    if (this.#entries.size === 1 || text > this.#lastText) {
      this.#lastText = text;
      const last = blocks[blocks.length - 1];
      if (last.length < BLOCK_ENTRIES_MAX) last.push(entry);
      else blocks.push([entry]);
      return;
    }
    const number = this.#blockOf(text);
    const block = blocks[number];
    const position = firstAtOrAfter(block, text, false);
    assert(block[position]?.text !== text, 'an entry stands twice in the overlay');
    block.splice(position, 0, entry);
    if (block.length > BLOCK_ENTRIES_MAX) blocks.splice(number + 1, 0, block.splice(BLOCK_ENTRIES_MAX / 2));
  }

  /** The last block that begins at or before `text`, or the first. */
  #blockOf(text: string): number {
    const blocks = this.#blocks;
    let low = 0;
    let high = blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (blocks[middle][0].text <= text) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function firstAtOrAfter(block: readonly OverlayEntry[], text: string, isAfter: boolean): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const other = block[middle].text;
    if (other < text || (isAfter && other === text)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One generation of changes. */
export class Overlay {
  readonly #tables: Readonly<Record<Table, OverlayTable>>;
  #bytes = 0;
  #changes = 0;

  constructor() {
    this.#tables = Object.fromEntries(TABLES.map((table) => [table, new OverlayTable(table)])) as Record<
      Table,
      OverlayTable
    >;
  }

  /** Bytes that the changes take up in memory, roughly. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Changes made, overwritten ones included. */
  get changes(): number {
    return this.#changes;
  }

  table(table: Table): OverlayTable {
    return this.#tables[table];
  }

  set(table: Table, text: string, key: Uint8Array, value: Uint8Array | undefined): void {
    this.#bytes += this.#tables[table].set(text, key, value);
    this.#changes++;
    assert(this.#bytes >= 0, 'the overlay holds less than nothing');
  }

  /** The records to be written, per table in byte order. */
  *puts(): Generator<OverlayEntry & {value: Uint8Array}, void> {
    for (const entry of this.#entries()) {
      if (entry.value !== undefined) yield entry as OverlayEntry & {value: Uint8Array};
    }
  }

  /** The records to be deleted, per table in byte order. */
  *deletes(): Generator<OverlayEntry, void> {
    for (const entry of this.#entries()) {
      if (entry.value === undefined) yield entry;
    }
  }

  *#entries(): Generator<OverlayEntry, void> {
    for (const table of TABLES) {
      if (this.#tables[table].size > 0) yield* this.#tables[table].entries();
    }
  }
}
