/**
 * The store's image on LMDB. The loop reads from the memory map; a thread of its own commits (lmdb-backend-worker).
 *
 * Two decisions. Commits, defragmenting and closing go one behind the other: a commit that comes while the file is
 * copied waits, which costs nothing because the caller's overlay goes on taking changes. And defragmenting never
 * changes the file that readers stand on: it makes the next generation, and the old one lives until its last view
 * is closed.
 */

import {join, resolve} from 'node:path';
import {assert, EngineError} from '../errors.ts';
import type {Backend, BackendBatch, BackendOpener, BackendReader, SnapshotStream} from '../ports.ts';
import {type AppliedMark, type RecordRange, TABLES, type Table, type TableRecord} from '../types.ts';
import {
  asStoreError,
  checkHead,
  findGeneration,
  finishFile,
  generationFile,
  removeFiles,
} from './lmdb-backend-files.ts';
import {LmdbImage} from './lmdb-backend-image.ts';
import {LmdbReader, LmdbView, verifySmallTables} from './lmdb-backend-reader.ts';
import type {SizeReport} from './lmdb-backend-worker.ts';
import {LmdbWriter, Packer} from './lmdb-backend-writer.ts';
import {LmdbExports} from './lmdb-export.ts';
import {OpeningNote} from './lmdb-opening.ts';

const TABLE_NUMBERS: ReadonlyMap<Table, number> = new Map(TABLES.map((table, number) => [table, number]));

/** Opens backends in folders below `root`. */
export class LmdbBackendOpener implements BackendOpener {
  readonly #root: string;

  constructor(root: string) {
    this.#root = resolve(root);
  }

  /**
   * Makes the folder and an empty image if there is none.
   * @throws EngineError storeCorrupt, formatUnsupported, diskFull or diskError
   */
  async open(path: string): Promise<Backend> {
    const folder = join(this.#root, path);
    const writer = new LmdbWriter(folder);
    try {
      let generation = await findGeneration(folder);
      if (generation === 0) {
        generation = 1;
        await createGeneration(writer, folder, generation);
      }
      const file = join(folder, generationFile(generation));
      await checkHead(file);
      const note = new OpeningNote(folder);
      await note.put(file);
      const size = await writer.open(file);
      const image = new LmdbImage(file);
      image.verifyCounts();
      verifySmallTables(image);
      return new LmdbBackend({folder, writer, image, generation, size, note});
    } catch (error) {
      await writer.close().catch(() => undefined);
      throw asStoreError(folder, 'open', error);
    }
  }
}

async function createGeneration(writer: LmdbWriter, folder: string, generation: number): Promise<void> {
  const file = join(folder, generationFile(generation));
  await writer.create(`${file}.tmp`);
  await finishFile(`${file}.tmp`, file);
  await removeFiles(`${file}.tmp`);
}

interface LmdbBackendParts {
  readonly folder: string;
  readonly writer: LmdbWriter;
  readonly image: LmdbImage;
  readonly generation: number;
  readonly size: SizeReport;
  readonly note: OpeningNote;
}

class LmdbBackend implements Backend {
  readonly #folder: string;
  readonly #writer: LmdbWriter;
  /** The newest generation; changed by defragment() alone. */
  #image: LmdbImage;
  readonly #reader: LmdbReader;
  readonly #exports: LmdbExports;
  readonly #note: OpeningNote;
  #generation: number;
  /** As of the last commit. */
  #size: SizeReport;
  /** The end of the queue of commits, defragmentations and close. */
  #last: Promise<unknown> = Promise.resolve();
  #isCommitting = false;
  #isClosed = false;
  /** A commit failed in a way that leaves LMDB in doubt: no other is tried. */
  #failure: unknown;

  constructor(parts: LmdbBackendParts) {
    this.#folder = parts.folder;
    this.#writer = parts.writer;
    this.#image = parts.image;
    this.#reader = new LmdbReader(() => this.#image, undefined);
    this.#exports = new LmdbExports(() => this.#image);
    this.#generation = parts.generation;
    this.#size = parts.size;
    this.#note = parts.note;
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    return this.#reader.get(table, key);
  }

  range(table: Table, range: RecordRange): IterableIterator<TableRecord> {
    return this.#reader.range(table, range);
  }

  count(table: Table): number {
    return this.#reader.count(table);
  }

  applied(): AppliedMark | undefined {
    return this.#reader.applied();
  }

  size(): SizeReport {
    return this.#size;
  }

  async commit(batch: BackendBatch): Promise<void> {
    assert(!this.#isCommitting, 'one commit at a time');
    this.#isCommitting = true;
    try {
      await this.#enqueue(() => this.#commit(batch));
    } finally {
      this.#isCommitting = false;
    }
  }

  view(): BackendReader & {close(): void} {
    assert(!this.#isClosed, 'view of a closed backend');
    return new LmdbView(this.#image);
  }

  exportSnapshot(signal: AbortSignal): Promise<SnapshotStream> {
    return this.#exports.snapshot(signal);
  }

  hashRecords(signal: AbortSignal): Promise<number> {
    return this.#exports.hash(signal);
  }

  defragment(): Promise<void> {
    return this.#enqueue(async () => {
      this.#checkUsable();
      const generation = this.#generation + 1;
      const file = join(this.#folder, generationFile(generation));
      const copy = `${file}.tmp`;
      try {
        await this.#writer.compact(copy);
        await finishFile(copy, file);
      } catch (error) {
        await removeFiles(copy);
        throw asStoreError(this.#folder, 'defragment', error);
      }
      // The new file is the store from here on, after a crash too: a failure to take it over is not recoverable.
      try {
        this.#size = await this.#writer.open(file);
        const old = this.#image;
        this.#image = new LmdbImage(file);
        this.#generation = generation;
        this.#image.verifyCounts();
        await old.retire({isReplaced: true});
      } catch (error) {
        this.#failure = error;
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    await this.#exports.close();
    await this.#enqueue(async () => {
      if (this.#isClosed) return;
      this.#isClosed = true;
      await this.#image.retire({isReplaced: false});
      await this.#writer.close();
      await this.#note.remove();
    });
  }

  async #commit(batch: BackendBatch): Promise<void> {
    this.#checkUsable();
    await this.#note.remove();
    const packer = new Packer(this.#writer);
    for (const {table, key, value} of batch.puts) {
      if (packer.add(TABLE_NUMBERS.get(table)!, key, value)) await nextTurn();
    }
    for (const {table, key} of batch.deletes) {
      if (packer.add(TABLE_NUMBERS.get(table)!, key, undefined)) await nextTurn();
    }
    try {
      this.#size = await this.#writer.commit(packer.finish(), batch.applied);
    } catch (error) {
      if (!(error instanceof EngineError && error.code === 'diskFull')) this.#failure = error;
      throw error;
    }
    // The read transaction of this turn may be older than the commit.
    this.#image.refresh();
  }

  #checkUsable(): void {
    assert(!this.#isClosed, 'the backend is closed');
    if (this.#failure !== undefined) throw this.#failure;
  }

  #enqueue<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(action);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

/** A later turn of the loop, after I/O that is due. */
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
