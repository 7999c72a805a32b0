/**
 * Changes that the backend does not hold yet: one generation of them, for all tables. A table's entries stand in
 * byte order in blocks: the usual change (a key larger than all others, as revisions are) is an append, any other
 * moves at most a block. A few maps find a key at once while there are not too many; after that it is searched for
 * in the blocks, since a map of a million keys would take a fifth of a second to double, all in one go.
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

/** Entries of a map: doubling it takes about a millisecond. */
const MAP_ENTRIES_MAX = 16_384;
/** Maps of a table: asking more of them in turn would cost more than a search. */
const MAPS_MAX = 4;
/** Entries of a block: a larger one costs more to insert into, a smaller one more to search. */
const BLOCK_ENTRIES_MAX = 512;
/** What an entry costs beside the bytes of its key and value: five objects, map and block slots. */
const ENTRY_BYTES = 320;
/** What a record takes up in a tree beside the bytes of its key and value, roughly: its node's head and its slot. */
const RECORD_BYTES = 16;

/** What the changes of one generation come to, kept as they are made. */
interface OverlaySums {
  /** In memory, all of them. */
  bytes: number;
  /** In the backend's trees, those that write a record. */
  putBytes: number;
}

/** One table's changes. `blocks` are never empty, but for the only one; their entries ascend throughout. */
export class OverlayTable {
  readonly #table: Table;
  readonly #sums: OverlaySums;
  /** All entries by text, the last map takes new ones; absent once there are too many. */
  #maps: Map<string, OverlayEntry>[] | undefined = [];
  readonly #blocks: OverlayEntry[][] = [[]];
  /** The first key of each block, but for the first block: everything below the second's belongs there. */
  readonly #firsts: string[] = [''];
  #lastText = '';
  #size = 0;
  /** Entries without a value. */
  #deleted = 0;
  /** Grows with every insertion: positions from before are worthless then. Overwriting moves nothing. */
  #insertions = 0;

  constructor(table: Table, sums: OverlaySums) {
    this.#table = table;
    this.#sums = sums;
  }

  get size(): number {
    return this.#size;
  }

  get deleted(): number {
    return this.#deleted;
  }

  get insertions(): number {
    return this.#insertions;
  }

  get(text: string): OverlayEntry | undefined {
    if (text > this.#lastText) return undefined;
    const maps = this.#maps;
    if (maps === undefined) return this.#search(text);
    for (let i = maps.length - 1; i >= 0; i--) {
      const entry = maps[i].get(text);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  set(text: string, key: Uint8Array, value: Uint8Array | undefined): void {
    const sums = this.#sums;
    const present = this.get(text);
    if (value === undefined) this.#deleted++;
    else {
      sums.bytes += value.length;
      sums.putBytes += RECORD_BYTES + key.length + value.length;
    }
    if (present !== undefined) {
      const before = present.value;
      if (before === undefined) this.#deleted--;
      else {
        sums.bytes -= before.length;
        sums.putBytes -= RECORD_BYTES + key.length + before.length;
      }
      present.value = value;
      return;
    }
    sums.bytes += ENTRY_BYTES + key.length;
    const entry: OverlayEntry = {table: this.#table, key, text, value};
    this.#addToMaps(entry);
    this.#insert(entry);
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

  #search(text: string): OverlayEntry | undefined {
    const block = this.#blocks[this.#blockOf(text)];
    const entry = block[firstAtOrAfter(block, text, false)];
    return entry?.text === text ? entry : undefined;
  }

  #addToMaps(entry: OverlayEntry): void {
    const maps = this.#maps;
    if (maps === undefined) return;
    const last = maps[maps.length - 1];
    if (last !== undefined && last.size < MAP_ENTRIES_MAX) last.set(entry.text, entry);
    else if (maps.length < MAPS_MAX) maps.push(new Map([[entry.text, entry]]));
    else this.#maps = undefined;
  }

  #insert(entry: OverlayEntry): void {
    const {text} = entry;
    const blocks = this.#blocks;
    this.#size++;
    this.#insertions++;
    if (text > this.#lastText) {
      this.#lastText = text;
      const last = blocks[blocks.length - 1];
      if (last.length < BLOCK_ENTRIES_MAX) last.push(entry);
      else this.#addBlock(blocks.length, [entry]);
      return;
    }
    const number = this.#blockOf(text);
    const block = blocks[number];
    const position = firstAtOrAfter(block, text, false);
    assert(block[position]?.text !== text, 'an entry stands twice in the overlay');
    block.splice(position, 0, entry);
    if (block.length > BLOCK_ENTRIES_MAX) this.#addBlock(number + 1, block.splice(BLOCK_ENTRIES_MAX / 2));
  }

  #addBlock(number: number, block: OverlayEntry[]): void {
    this.#blocks.splice(number, 0, block);
    this.#firsts.splice(number, 0, block[0].text);
  }

  /** The last block that begins at or before `text`, or the first. */
  #blockOf(text: string): number {
    const firsts = this.#firsts;
    let low = 0;
    let high = firsts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (firsts[middle] <= text) low = middle;
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
  readonly #sums: OverlaySums = {bytes: 0, putBytes: 0};
  #changes = 0;

  constructor() {
    const tables = TABLES.map((table) => [table, new OverlayTable(table, this.#sums)]);
    this.#tables = Object.fromEntries(tables) as Record<Table, OverlayTable>;
  }

  /** Bytes that the changes take up in memory, roughly. */
  get bytes(): number {
    return this.#sums.bytes;
  }

  /** Bytes that the records to be written will take up in the backend, roughly; deletions count nothing. */
  get putBytes(): number {
    return this.#sums.putBytes;
  }

  /** Changes made, overwritten ones included. */
  get changes(): number {
    return this.#changes;
  }

  table(table: Table): OverlayTable {
    return this.#tables[table];
  }

  set(table: Table, text: string, key: Uint8Array, value: Uint8Array | undefined): void {
    const sums = this.#sums;
    this.#tables[table].set(text, key, value);
    this.#changes++;
    assert(sums.bytes >= 0 && sums.putBytes >= 0, 'the overlay holds less than nothing');
  }

  /** The records to be written, per table in byte order. */
  *puts(): Generator<OverlayEntry & {value: Uint8Array}, void> {
    for (const table of TABLES) {
      const {size, deleted} = this.#tables[table];
      if (size === deleted) continue;
      for (const entry of this.#tables[table].entries()) {
        if (entry.value !== undefined) yield entry as OverlayEntry & {value: Uint8Array};
      }
    }
  }

  /** The records to be deleted, per table in byte order. */
  *deletes(): Generator<OverlayEntry, void> {
    for (const table of TABLES) {
      if (this.#tables[table].deleted === 0) continue;
      for (const entry of this.#tables[table].entries()) if (entry.value === undefined) yield entry;
    }
  }
}
