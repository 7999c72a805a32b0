/**
 * The loop's handle of one LMDB file, and what reading from it is made of (lmdb-backend-reader.ts). The writing thread has opened the file before: both share
 * one environment and one memory map.
 *
 * Reads outside a view go through a read transaction that lasts until the next turn of the loop, or until
 * `refresh()`. A range holds a cursor only while it reads ahead, so one that is dropped half-way holds nothing.
 */

import {type Database, type DatabaseOptions, open as openLmdb, type RootDatabase} from 'lmdb';
import {EngineError} from '../errors.ts';
import {EMPTY_BYTES} from '../lib/bytes.ts';
import {crc32c} from '../lib/crc32c.ts';
import {BACKEND_KEY_BYTES_MAX, RANGE_READ_AHEAD_BYTES_MAX} from '../limits.ts';
import {type RecordRange, TABLES, type Table, type TableRecord} from '../types.ts';
import {makeStoreError, removeFiles} from './lmdb-backend-files.ts';
import {
  CHECKSUM_BYTES,
  decodeImageState,
  IMAGE_DATABASE,
  IMAGE_FORMAT,
  IMAGE_KEY,
  type ImageState,
  TABLE_SEEDS,
} from './lmdb-backend-format.ts';
import {lmdbOptions, RECORD_ENCODING} from './lmdb-backend-options.ts';

export type Transaction = ReturnType<RootDatabase['useReadTransaction']>;

/** What the library has and its types leave out. */
type TableDatabase = Pick<Database<Uint8Array, Uint8Array>, 'getRange' | 'getStats'> & {
  readonly lastSize: number;
  getBinaryFast(key: Uint8Array, options: {transaction: Transaction} | undefined): Uint8Array | undefined;
};

const SMALLEST_KEY: Uint8Array = Buffer.from([0]);
/** Below this many bytes a loop copies faster than a typed array's set(). */
const COPY_BY_LOOP_BYTES_MAX = 24;

/** One open file; closed and, when it was replaced, removed after its last reader. */
export class LmdbImage {
  readonly path: string;
  readonly #root: RootDatabase;
  readonly #image: Database;
  readonly #tables: ReadonlyMap<Table, TableReader>;
  #users = 1;
  #isReplaced = false;
  /** Of what reads outside a view see: another one after each commit. */
  #version = 0;

  /** @param options readOnly: another process has it open for writing */
  constructor(path: string, options: {readonly readOnly: boolean} = {readOnly: false}) {
    this.path = path;
    try {
      this.#root = openLmdb({...lmdbOptions(path), readOnly: options.readOnly});
      this.#image = this.#root.openDB(IMAGE_DATABASE, RECORD_ENCODING);
      this.#tables = new Map(
        TABLES.map((table, number) => [table, new TableReader(this.#root, path, table, number)]),
      );
    } catch (error) {
      throw asCorrupt(path, error);
    }
  }

  table(table: Table): TableReader {
    return this.#tables.get(table)!;
  }

  get version(): number {
    return this.#version;
  }

  /** From now on reads see what has been committed by now. */
  refresh(): void {
    this.#version++;
    (this.#root as RootDatabase & {resetReadTxn(): void}).resetReadTxn();
  }

  state(transaction: Transaction | undefined): ImageState {
    let sealed: Uint8Array | undefined;
    try {
      sealed = this.#image.get(IMAGE_KEY, transaction === undefined ? undefined : {transaction});
    } catch (error) {
      throw asCorrupt(this.path, error);
    }
    if (sealed === undefined) throw corrupt(this.path, 'the image record is missing');
    const state = decodeImageState(sealed);
    if ('damage' in state) throw corrupt(this.path, state.damage);
    if ('format' in state) {
      const supported = String(IMAGE_FORMAT);
      throw new EngineError({
        code: 'formatUnsupported',
        path: this.path,
        found: String(state.format),
        supported,
      });
    }
    return state;
  }

  /** The trees' own counts against the counts that the last commit stored: a lost or stale root shows here. */
  verifyCounts(): void {
    const {counts} = this.state(undefined);
    TABLES.forEach((table, number) => {
      const found = this.table(table).entryCount();
      if (found !== counts[number]) {
        throw corrupt(this.path, `table ${table} has ${found} records, its commit stored ${counts[number]}`);
      }
    });
  }

  /** A stable transaction; give it back with `leave`. */
  enter(): Transaction {
    this.#users++;
    return this.#root.useReadTransaction();
  }

  /** Keeps the file, for another process that reads it; give it back with `letGo`. */
  hold(): void {
    this.#users++;
  }

  async letGo(): Promise<void> {
    await this.#release();
  }

  /** Another process that read the file has died: the pages it kept are free again. */
  clearDeadReaders(): void {
    this.#root.readerCheck();
  }

  async leave(transaction: Transaction): Promise<void> {
    transaction.done();
    await this.#release();
  }

  /** Gives up the owner's use. @param options isReplaced: the file goes with its last reader */
  async retire(options: {readonly isReplaced: boolean}): Promise<void> {
    this.#isReplaced = options.isReplaced;
    await this.#release();
  }

  async #release(): Promise<void> {
    this.#users--;
    if (this.#users > 0) return;
    await this.#root.close();
    if (this.#isReplaced) await removeFiles(this.path);
  }
}

/** One table of one file: point reads and the pieces that ranges are made of. */
export class TableReader {
  readonly #path: string;
  readonly #table: Table;
  readonly #seed: number;
  readonly #database: TableDatabase;
  /** The key that LMDB handed out last: its value follows at once. */
  #key: Uint8Array = EMPTY_BYTES;
  #isDamaged = false;
  /** The library's transfer buffer, and plain bytes over the same memory (its own length changes all the time). */
  #transfer: Uint8Array | undefined;
  #transferBytes: Uint8Array = EMPTY_BYTES;

  constructor(root: RootDatabase, path: string, table: Table, number: number) {
    this.#path = path;
    this.#table = table;
    this.#seed = TABLE_SEEDS[number];
    // Custom codecs see the transfer buffer itself: one copy per record instead of two.
    const codec = {
      keyEncoder: {
        writeKey: (key: Uint8Array, target: Uint8Array, position: number): number => {
          target.set(key, position);
          return position + key.length;
        },
        readKey: (source: Uint8Array, from: number, to: number): Uint8Array =>
          this.#takeKey(source, from, to),
      },
      encoder: {
        encode: (): never => {
          throw new Error('the loop never writes');
        },
        decode: (transfer: Uint8Array, size: number): Uint8Array => this.#takeValue(transfer, size),
      },
    };
    this.#database = root.openDB(table, codec as DatabaseOptions) as unknown as TableDatabase;
  }

  entryCount(): number {
    return (this.#database.getStats() as {entryCount: number}).entryCount;
  }

  get(key: Uint8Array, transaction: Transaction | undefined): Uint8Array | undefined {
    if (key.length === 0 || key.length > BACKEND_KEY_BYTES_MAX) return undefined;
    try {
      const options = transaction === undefined ? undefined : {transaction};
      const transfer = this.#database.getBinaryFast(key, options);
      if (transfer === undefined) return undefined;
      this.#key = key;
      const value = this.#takeValue(transfer, this.#database.lastSize);
      this.#checkDamage();
      return value;
    } catch (error) {
      throw asCorrupt(this.#path, error);
    }
  }

  /**
   * Appends up to `limit` records of the range to `into`, fewer when they are large.
   * @returns whether there may be more
   */
  read(range: RecordRange, options: ReadOptions, into: TableRecord[]): boolean {
    try {
      let bytes = 0;
      for (const {key, value} of this.#database.getRange(lmdbRange(range, options))) {
        this.#checkDamage();
        into.push([key, value]);
        bytes += key.length + value.length;
        if (bytes >= RANGE_READ_AHEAD_BYTES_MAX) return true;
      }
      return into.length === options.limit;
    } catch (error) {
      throw asCorrupt(this.#path, error);
    }
  }

  reportDisorder(key: Uint8Array): never {
    const text = Buffer.from(key).toString('hex');
    throw corrupt(this.#path, `the records of table ${this.#table} are out of order at key ${text}`);
  }

  reportCount(found: number, count: number): never {
    throw corrupt(this.#path, `of ${count} records of table ${this.#table} only ${found} are found`);
  }

  /** The first key from there on. */
  keyFrom(from: Uint8Array, transaction: Transaction | undefined): Uint8Array | undefined {
    const into: TableRecord[] = [];
    this.read({from}, {limit: 1, isContinued: false, transaction}, into);
    return into.at(0)?.[0];
  }

  /** The key before this one (undefined: the last key), found by stepping back from it. */
  keyBefore(key: Uint8Array | undefined, transaction: Transaction | undefined): Uint8Array | undefined {
    const into: TableRecord[] = [];
    const range = {to: key, reverse: true};
    this.read(range, {limit: 1, isContinued: false, transaction}, into);
    return into.at(0)?.[0];
  }

  #takeKey(source: Uint8Array, from: number, to: number): Uint8Array {
    const bytes = to - from;
    const key = Buffer.allocUnsafe(bytes);
    if (bytes <= COPY_BY_LOOP_BYTES_MAX) for (let i = 0; i < bytes; i++) key[i] = source[from + i];
    else key.set(source.subarray(from, to));
    this.#key = key;
    return key;
  }

  /** Throwing from here would leave the cursor open: damage is remembered, and reported by the caller. */
  #takeValue(transfer: Uint8Array, size: number): Uint8Array {
    if (transfer !== this.#transfer) {
      this.#transfer = transfer;
      // The buffer's own length says the size of the last value.
      const whole = transfer.buffer.byteLength - transfer.byteOffset;
      this.#transferBytes = new Uint8Array(transfer.buffer, transfer.byteOffset, whole);
    }
    const source = this.#transferBytes;
    const bytes = size - CHECKSUM_BYTES;
    if (bytes < 0) {
      this.#isDamaged = true;
      return EMPTY_BYTES;
    }
    const value = Buffer.allocUnsafe(bytes);
    if (bytes <= COPY_BY_LOOP_BYTES_MAX) for (let i = 0; i < bytes; i++) value[i] = source[i];
    else value.set(source.subarray(0, bytes));
    const stored =
      source[bytes] | (source[bytes + 1] << 8) | (source[bytes + 2] << 16) | (source[bytes + 3] << 24);
    if (crc32c(value, crc32c(this.#key, this.#seed)) !== stored >>> 0) this.#isDamaged = true;
    return value;
  }

  #checkDamage(): void {
    if (!this.#isDamaged) return;
    this.#isDamaged = false;
    const key = Buffer.from(this.#key).toString('hex');
    throw corrupt(this.#path, `a record of table ${this.#table} has a wrong checksum, its key is ${key}`);
  }
}

interface ReadOptions {
  readonly limit: number;
  /** The range begins behind its first bound (its last, in reverse), not at it. */
  readonly isContinued: boolean;
  readonly transaction: Transaction | undefined;
}

/** Bounds longer than any stored key are cut: what is stored compares with the cut as with the whole. */
function lmdbRange(range: RecordRange, options: ReadOptions) {
  const {limit, isContinued, transaction} = options;
  const {from = SMALLEST_KEY, to, reverse = false} = range;
  const isFromCut = from.length > BACKEND_KEY_BYTES_MAX;
  const isToCut = to !== undefined && to.length > BACKEND_KEY_BYTES_MAX;
  const lower = from.length === 0 ? SMALLEST_KEY : isFromCut ? from.subarray(0, BACKEND_KEY_BYTES_MAX) : from;
  const upper = isToCut ? to.subarray(0, BACKEND_KEY_BYTES_MAX) : to;
  return reverse
    ? {
        start: upper,
        exclusiveStart: !isToCut,
        end: lower,
        inclusiveEnd: !isFromCut,
        reverse,
        limit,
        transaction,
      }
    : {
        start: lower,
        exclusiveStart: isContinued || isFromCut,
        end: upper,
        inclusiveEnd: isToCut,
        limit,
        transaction,
      };
}

function corrupt(path: string, detail: string): EngineError {
  return new EngineError({code: 'storeCorrupt', path, detail});
}

/**
 * What LMDB itself (its codes are negative) or its wrapper (it has none) cannot read is damage; the rest is the
 * system's or the caller's doing.
 */
function asCorrupt(path: string, error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  const code = (error as {code?: unknown} | undefined)?.code;
  const isWrappers = error instanceof Error && error.name === 'Error' && code === undefined;
  const kind = isWrappers || (typeof code === 'number' && code < 0) ? 'damage' : 'other';
  return makeStoreError({path, operation: 'read', kind, detail: String(error), cause: error});
}
