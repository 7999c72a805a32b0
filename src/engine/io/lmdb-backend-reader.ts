/** Reads of an LMDB file: the Backend's, and those of a view, with the checks that find what checksums do not. */

import {compareBytes} from '../lib/bytes.ts';
import {RANGE_READ_AHEAD_MAX, RANGE_READ_AHEAD_MIN} from '../limits.ts';
import type {BackendReader} from '../ports.ts';
import {type AppliedMark, type RecordRange, TABLES, type Table, type TableRecord} from '../types.ts';
import type {LmdbImage, TableReader, Transaction} from './lmdb-backend-image.ts';

/**
 * Reads a range in pieces, the first ones small; between two pieces it holds nothing of the file.
 *
 * A record's checksum says nothing about records that are not found. So a range that begins within the table looks
 * at the record before its first one, and one over the whole table counts.
 */
class LmdbRange implements IterableIterator<TableRecord> {
  /** Asked again for each piece: the file may be another by then. */
  readonly #image: () => LmdbImage;
  readonly #table: Table;
  readonly #transaction: Transaction | undefined;
  /** What is counted on: the same image throughout. Undefined: the range is a part of the table. */
  readonly #whole: {readonly image: LmdbImage; readonly version: number} | undefined;
  #range: RecordRange;
  #isContinued = false;
  #lastKey: Uint8Array | undefined;
  #limit = RANGE_READ_AHEAD_MIN;
  #records: TableRecord[] = [];
  #position = 0;
  #found = 0;
  #isDone = false;

  constructor(
    image: () => LmdbImage,
    table: Table,
    range: RecordRange,
    transaction: Transaction | undefined,
  ) {
    this.#image = image;
    this.#table = table;
    this.#range = range;
    this.#transaction = transaction;
    this.#isDone = range.to !== undefined && range.to.length === 0;
    const {from, to} = range;
    const isWhole = (from === undefined || from.length === 0) && to === undefined;
    this.#whole = isWhole ? {image: image(), version: image().version} : undefined;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<TableRecord, undefined> {
    if (this.#position === this.#records.length) {
      if (!this.#isDone) this.#readAhead();
      if (this.#position === this.#records.length) return {done: true, value: undefined};
    }
    return {done: false, value: this.#records[this.#position++]};
  }

  return(): IteratorResult<TableRecord, undefined> {
    this.#isDone = true;
    this.#records = [];
    this.#position = 0;
    return {done: true, value: undefined};
  }

  #readAhead(): void {
    const limit = this.#limit;
    const table = this.#image().table(this.#table);
    this.#records = [];
    this.#position = 0;
    const options = {limit, isContinued: this.#isContinued, transaction: this.#transaction};
    const mayGoOn = table.read(this.#range, options, this.#records);
    if (!this.#isContinued) this.#checkBeginning(table);
    this.#checkOrder(table);
    this.#found += this.#records.length;
    this.#limit = Math.min(limit * 4, RANGE_READ_AHEAD_MAX);
    if (!mayGoOn) {
      this.#isDone = true;
      this.#checkCount(table);
      return;
    }
    const last = this.#records[this.#records.length - 1][0];
    this.#isContinued = true;
    this.#range = this.#range.reverse ? {...this.#range, to: last} : {...this.#range, from: last};
  }

  /** Damage in a branch leads to another leaf than the bound's: records would be left out, or come that lie before. */
  #checkBeginning(table: TableReader): void {
    const {from, reverse} = this.#range;
    if (reverse || from === undefined || from.length === 0) return;
    const first = this.#records.at(0)?.[0];
    if (first !== undefined && compareBytes(first, from) < 0) table.reportDisorder(first);
    const next = first ?? table.keyFrom(from, this.#transaction);
    const before = table.keyBefore(next, this.#transaction);
    if (before !== undefined && compareBytes(before, from) >= 0) table.reportDisorder(before);
  }

  /** Damage in a page's table of contents repeats one record in another's place: each is whole, the order is not. */
  #checkOrder(table: TableReader): void {
    const sign = this.#range.reverse ? -1 : 1;
    let previous = this.#lastKey;
    for (const [key] of this.#records) {
      if (previous !== undefined && compareBytes(previous, key) * sign >= 0) table.reportDisorder(key);
      previous = key;
    }
    this.#lastKey = previous;
  }

  #checkCount(table: TableReader): void {
    const whole = this.#whole;
    if (whole === undefined) return;
    const image = this.#image();
    const isSame =
      this.#transaction !== undefined || (image === whole.image && image.version === whole.version);
    if (!isSame) return;
    const count = image.state(this.#transaction).counts[TABLES.indexOf(this.#table)];
    if (count !== this.#found) table.reportCount(this.#found, count);
  }
}

/** Reads of the newest image in the newest file, or of the one that a transaction holds. */
export class LmdbReader implements BackendReader {
  readonly #image: () => LmdbImage;
  readonly #transaction: Transaction | undefined;

  constructor(image: () => LmdbImage, transaction: Transaction | undefined) {
    this.#image = image;
    this.#transaction = transaction;
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    return this.#image().table(table).get(key, this.#transaction);
  }

  range(table: Table, range: RecordRange): IterableIterator<TableRecord> {
    return new LmdbRange(this.#image, table, range, this.#transaction);
  }

  count(table: Table): number {
    return this.#image().state(this.#transaction).counts[TABLES.indexOf(table)];
  }

  applied(): AppliedMark | undefined {
    const {applied} = this.#image().state(this.#transaction);
    return applied.index === 0 ? undefined : applied;
  }
}

/** Reads of one image as it was when the view was taken. */
export class LmdbView extends LmdbReader {
  readonly #close: () => void;

  constructor(image: LmdbImage) {
    const transaction = image.enter();
    super(() => image, transaction);
    let isOpen = true;
    this.#close = () => {
      if (isOpen) void image.leave(transaction);
      isOpen = false;
    };
  }

  close(): void {
    this.#close();
  }
}

/** A start reads these as a whole, and they may be large. */
const READ_AT_START: ReadonlySet<Table> = new Set<Table>(['key', 'lease']);

/**
 * Reads all of the tables of which a start looks up single records only: damage within a page makes LMDB miss a
 * record that is there, and nothing else would tell.
 * @throws EngineError storeCorrupt
 */
export function verifySmallTables(image: LmdbImage): void {
  verifyTables(
    image,
    TABLES.filter((table) => !READ_AT_START.has(table)),
  );
}

/** Reads all records of these tables. @throws EngineError storeCorrupt */
export function verifyTables(image: LmdbImage, tables: readonly Table[] = TABLES): void {
  const reader = new LmdbReader(() => image, undefined);
  for (const table of tables) for (const _ of reader.range(table, {}));
}
