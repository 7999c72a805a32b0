/**
 * The Backend port in memory: what the simulator's members keep their images in. It has the manners of the real one
 * (a commit takes time and is durable when it resolves, views are stable, a full disk rejects) and can do what
 * a real disk does not do on demand: lose a commit that was under way, or go back to an earlier durable image.
 */

import {assert, EngineError} from '../../src/engine/errors.ts';
import {createSha256} from '../../src/engine/io/digest.ts';
import {fromLatin1, toLatin1} from '../../src/engine/lib/bytes.ts';
import {BACKEND_KEY_BYTES_MAX} from '../../src/engine/limits.ts';
import type {
  Backend,
  BackendBatch,
  BackendOpener,
  BackendReader,
  Clock,
  Random,
  SnapshotStream,
} from '../../src/engine/ports.ts';
import {exportHash, exportSnapshot} from '../../src/engine/storage/snapshot-file/image-export.ts';
import {
  type AppliedMark,
  type RecordRange,
  TABLES,
  type Table,
  type TableRecord,
} from '../../src/engine/types.ts';

const NO_MARK: AppliedMark = {index: 0, term: 0, hash: 0};
/** What a record costs on a real disk beside its bytes, roughly. */
const RECORD_BYTES = 24;
/** Durable images that a crash can go back to. */
const HISTORY_COMMITS_MAX = 64;

export interface MemoryBackendOptions {
  readonly clock: Clock;
  /** How long the next commit takes, milliseconds. */
  readonly commitMs?: (() => number) | undefined;
}

/** One table as it is durably; replaced as a whole when it changes while a view holds it. */
class MemoryTable {
  readonly records: Map<string, Uint8Array>;
  bytes: number;
  isShared = false;
  #sorted: string[] | undefined;

  constructor(records = new Map<string, Uint8Array>(), bytes = 0) {
    this.records = records;
    this.bytes = bytes;
  }

  /** @returns the value that was there */
  set(text: string, value: Uint8Array | undefined): Uint8Array | undefined {
    const before = this.records.get(text);
    if ((before === undefined) !== (value === undefined)) this.#sorted = undefined;
    if (before !== undefined) this.bytes -= RECORD_BYTES + text.length + before.length;
    if (value === undefined) this.records.delete(text);
    else {
      this.records.set(text, value);
      this.bytes += RECORD_BYTES + text.length + value.length;
    }
    return before;
  }

  sorted(): readonly string[] {
    // UTF-16 code units: for latin1 the bytes' order.
    this.#sorted ??= [...this.records.keys()].sort();
    return this.#sorted;
  }
}

type Tables = Record<Table, MemoryTable>;

interface Undo {
  readonly applied: AppliedMark;
  readonly changes: {readonly table: Table; readonly text: string; readonly before: Uint8Array | undefined}[];
}

/** What lies on the simulated disk under one path. */
class MemoryImage {
  readonly tables = Object.fromEntries(TABLES.map((table) => [table, new MemoryTable()])) as Tables;
  readonly history: Undo[] = [];
  /** Records whose bytes were damaged on disk: `table/latin1 key`. */
  readonly damaged = new Set<string>();
  applied: AppliedMark = NO_MARK;
  /** The largest it has been since it was last defragmented. */
  fileBytes = 0;

  apply(batch: BackendBatch): void {
    const undo: Undo = {applied: this.applied, changes: []};
    const puts = [...batch.puts];
    for (const {key} of puts) {
      assert(key.length > 0 && key.length <= BACKEND_KEY_BYTES_MAX, `record key of ${key.length} bytes`);
    }
    for (const {table, key, value} of puts) this.#set(undo, table, key, value);
    for (const {table, key} of batch.deletes) this.#set(undo, table, key, undefined);
    this.applied = batch.applied;
    this.fileBytes = Math.max(this.fileBytes, this.inUseBytes());
    this.history.push(undo);
    if (this.history.length > HISTORY_COMMITS_MAX) this.history.shift();
  }

  /** Goes back by one commit. */
  undo(): void {
    const undo = this.history.pop();
    assert(undo !== undefined, 'no older image is kept');
    for (const {table, text, before} of undo.changes.reverse()) this.writable(table).set(text, before);
    this.applied = undo.applied;
  }

  inUseBytes(): number {
    return TABLES.reduce((sum, table) => sum + this.tables[table].bytes, 0);
  }

  /** The table, made this image's own if a view holds it. */
  writable(table: Table): MemoryTable {
    const present = this.tables[table];
    if (!present.isShared) return present;
    const copy = new MemoryTable(new Map(present.records), present.bytes);
    this.tables[table] = copy;
    return copy;
  }

  #set(undo: Undo, table: Table, key: Uint8Array, value: Uint8Array | undefined): void {
    const text = toLatin1(key);
    const previous = this.writable(table).set(text, value);
    this.damaged.delete(`${table}/${text}`);
    undo.changes.push({table, text, before: previous});
  }
}

class MemoryReader implements BackendReader {
  readonly #tables: (table: Table) => MemoryTable;
  readonly #applied: () => AppliedMark;
  readonly #damaged: ReadonlySet<string>;

  constructor(image: MemoryImage, tables: (table: Table) => MemoryTable, applied: () => AppliedMark) {
    this.#tables = tables;
    this.#applied = applied;
    this.#damaged = image.damaged;
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    const text = toLatin1(key);
    this.#check(table, text);
    return this.#tables(table).records.get(text);
  }

  *range(table: Table, range: RecordRange): Generator<TableRecord, void> {
    const from = range.from === undefined ? '' : toLatin1(range.from);
    const to = range.to === undefined ? undefined : toLatin1(range.to);
    let sorted = this.#tables(table).sorted();
    let at = range.reverse ? before(sorted, to) : firstAtOrAfter(sorted, from);
    for (;;) {
      const text = sorted[at];
      if (text === undefined || text < from || (to !== undefined && text >= to)) return;
      this.#check(table, text);
      yield [fromLatin1(text), this.#tables(table).records.get(text)!];
      const now = this.#tables(table).sorted();
      if (range.reverse) at = now === sorted ? at - 1 : before(now, text);
      else at = now === sorted ? at + 1 : firstAtOrAfter(now, `${text}\0`);
      sorted = now;
    }
  }

  count(table: Table): number {
    return this.#tables(table).records.size;
  }

  applied(): AppliedMark | undefined {
    const applied = this.#applied();
    return applied.index === 0 ? undefined : applied;
  }

  #check(table: Table, text: string): void {
    if (!this.#damaged.has(`${table}/${text}`)) return;
    throw new EngineError({
      code: 'storeCorrupt',
      path: 'memory',
      detail: `a record of table ${table} is damaged`,
    });
  }
}

/** The place of the last text before `to`; -1 when there is none. */
const before = (sorted: readonly string[], to: string | undefined) =>
  (to === undefined ? sorted.length : firstAtOrAfter(sorted, to)) - 1;

function firstAtOrAfter(sorted: readonly string[], text: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] < text) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** An open handle of an image. After a crash it is dead: what it promised never comes. */
export class MemoryBackend implements Backend {
  readonly #path: string;
  readonly #disk: MemoryBackendDisk;
  readonly #image: MemoryImage;
  readonly #reader: MemoryReader;
  #isClosed = false;
  #isDead = false;
  /** The batch that a commit under way writes. */
  #inFlight: BackendBatch | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(path: string, disk: MemoryBackendDisk, image: MemoryImage) {
    this.#path = path;
    this.#disk = disk;
    this.#image = image;
    this.#reader = new MemoryReader(
      image,
      (table) => image.tables[table],
      () => image.applied,
    );
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    this.#checkOpen();
    return this.#reader.get(table, key);
  }

  range(table: Table, range: RecordRange): IterableIterator<TableRecord> {
    this.#checkOpen();
    return this.#reader.range(table, range);
  }

  count(table: Table): number {
    return this.#reader.count(table);
  }

  applied(): AppliedMark | undefined {
    return this.#reader.applied();
  }

  async commit(batch: BackendBatch): Promise<void> {
    assert(this.#inFlight === undefined, 'one commit at a time');
    this.#inFlight = batch;
    try {
      await this.#enqueue(async () => {
        this.#checkOpen();
        await this.#disk.pause();
        if (this.#isClosed) return new Promise(() => undefined);
        this.#disk.checkSpace(this.#path);
        this.#image.apply(batch);
        return undefined;
      });
    } finally {
      this.#inFlight = undefined;
    }
  }

  view(): BackendReader & {close(): void} {
    this.#checkOpen();
    const tables = {...this.#image.tables};
    const {applied} = this.#image;
    for (const table of TABLES) tables[table].isShared = true;
    const reader = new MemoryReader(
      this.#image,
      (table) => tables[table],
      () => applied,
    );
    return Object.assign(reader, {close: () => undefined});
  }

  exportSnapshot(_signal: AbortSignal): Promise<SnapshotStream> {
    return exportSnapshot(this.view(), {clock: this.#disk.clock, sha256: createSha256});
  }

  hashRecords(_signal: AbortSignal): Promise<number> {
    return exportHash(this.view(), this.#disk.clock);
  }

  defragment(): Promise<void> {
    return this.#enqueue(async () => {
      this.#checkOpen();
      await this.#disk.pause();
      this.#disk.checkSpace(this.#path);
      this.#image.fileBytes = this.#image.inUseBytes();
    });
  }

  size(): {readonly fileBytes: number; readonly inUseBytes: number} {
    return {fileBytes: this.#image.fileBytes, inUseBytes: this.#image.inUseBytes()};
  }

  async close(): Promise<void> {
    await this.#last;
    this.#isClosed = true;
  }

  /** The process dies. @param options landed: the commit under way had become durable, though nobody heard of it */
  die(options: {readonly landed: boolean}): void {
    if (options.landed && this.#inFlight !== undefined && !this.#isClosed) this.#image.apply(this.#inFlight);
    this.#isClosed = true;
    this.#isDead = true;
  }

  #enqueue<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => (this.#isDead ? new Promise<never>(() => undefined) : action()));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  #checkOpen(): void {
    assert(!this.#isClosed, 'the backend is closed');
  }
}

/** One member's images by path, and what can happen to them. */
export class MemoryBackendDisk implements BackendOpener {
  readonly #options: MemoryBackendOptions;
  readonly #images = new Map<string, MemoryImage>();
  #open: MemoryBackend[] = [];
  /** While set, commits and defragmentation reject with diskFull. */
  isFull = false;

  constructor(options: MemoryBackendOptions) {
    this.#options = options;
  }

  async open(path: string): Promise<Backend> {
    await this.#options.clock.yield();
    const image = this.#images.get(path) ?? new MemoryImage();
    this.#images.set(path, image);
    const backend = new MemoryBackend(path, this, image);
    this.#open.push(backend);
    return backend;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  /** Paths with an image, sorted: what a listing of the disk shows. */
  paths(): string[] {
    return [...this.#images.keys()].sort();
  }

  /** The image at `path`, or all below it, is gone. */
  remove(path: string): void {
    for (const name of this.paths())
      if (name === path || name.startsWith(`${path}/`)) this.#images.delete(name);
  }

  /**
   * All open handles die. `landed`: commits under way had become durable. `commitsLost`: that many of the newest
   * durable commits are gone as well (a disk that lied), as far back as the history goes.
   */
  crash(options: {readonly landed: boolean; readonly commitsLost?: number | undefined}): void {
    for (const backend of this.#open) backend.die({landed: options.landed});
    this.#open = [];
    for (const image of this.#images.values()) {
      const lost = Math.min(options.commitsLost ?? 0, image.history.length);
      for (let i = 0; i < lost; i++) image.undo();
    }
  }

  /** Damages a record's bytes on disk: reading it throws storeCorrupt until it is overwritten. */
  damage(path: string, table: Table, key: Uint8Array): void {
    const image = this.#images.get(path);
    assert(image?.tables[table].records.has(toLatin1(key)) === true, 'no such record to damage');
    image.damaged.add(`${table}/${toLatin1(key)}`);
  }

  /** Damages any record of the newest image. @returns which; undefined: there is none */
  damageAny(random: Random): string | undefined {
    const path = this.paths().at(-1);
    const tables = this.#images.get(path ?? '')?.tables;
    if (path === undefined || tables === undefined) return undefined;
    const filled = TABLES.filter((table) => tables[table].records.size > 0);
    if (filled.length === 0) return undefined;
    const table = filled[random.below(filled.length)];
    const keys = tables[table].sorted();
    const key = keys[random.below(keys.length)];
    this.damage(path, table, fromLatin1(key));
    return `${path}, table ${table}`;
  }

  /** The newest image is one of an earlier time. No handle is open. @returns how many commits are undone */
  goBack(commits: number): number {
    assert(this.#open.length === 0, 'a process uses the image');
    const image = this.#images.get(this.paths().at(-1) ?? '');
    const undone = Math.min(commits, image?.history.length ?? 0);
    for (let i = 0; i < undone; i++) image?.undo();
    return undone;
  }

  /** The time that a write takes. */
  pause(): Promise<void> {
    const {clock, commitMs = () => 1} = this.#options;
    return new Promise((resolve) => {
      clock.after(commitMs(), () => resolve());
    });
  }

  checkSpace(path: string): void {
    if (this.isFull) throw new EngineError({code: 'diskFull', path});
  }
}
