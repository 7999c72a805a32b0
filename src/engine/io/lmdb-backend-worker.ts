/**
 * The thread that writes: it owns every write transaction of one backend, so that packing of pages, page writes and
 * fdatasync happen off the loop. It answers each message with one message, in order.
 *
 * A transaction is durable when it returns: no overlapping sync, no deferred sync, no writable map (a writable map
 * turns a full disk into a SIGBUS).
 */

import {statSync, truncateSync} from 'node:fs';
import {parentPort} from 'node:worker_threads';
import {type Database, open as openLmdb, type RootDatabase} from 'lmdb';
import {assert} from '../errors.ts';
import {type AppliedMark, TABLES} from '../types.ts';
import {type FailureKind, kindOfFailure, requireRoom} from './lmdb-backend-files.ts';
import {encodeImageState, IMAGE_DATABASE, IMAGE_KEY, unpackChanges} from './lmdb-backend-format.ts';
import {lmdbOptions, RECORD_ENCODING} from './lmdb-backend-options.ts';

/**
 * `create` makes a fresh, empty file and closes it again, not synced. `open` leaves the file that was open before;
 * `compact` copies the open file.
 */
export type WriterRequest =
  | {readonly type: 'create'; readonly path: string}
  | {readonly type: 'open'; readonly path: string}
  | {readonly type: 'commit'; readonly packs: readonly Uint8Array[]; readonly applied: AppliedMark}
  | {readonly type: 'compact'; readonly path: string}
  | {readonly type: 'close'};

export interface SizeReport {
  readonly fileBytes: number;
  readonly inUseBytes: number;
}

/** `packs` come back for their next use. */
export type WriterResponse =
  | {readonly ok: true; readonly size: SizeReport; readonly packs: readonly Uint8Array[]}
  | {
      readonly ok: false;
      readonly kind: FailureKind;
      readonly detail: string;
      readonly packs: readonly Uint8Array[];
    };

interface StatsOfTree {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
  readonly entryCount: number;
}

type StatsOfDatabase = StatsOfTree & {
  readonly root: StatsOfTree;
  readonly free: StatsOfTree;
  readonly lastPageNumber: number;
};

const statsOf = (database: Database) => database.getStats() as StatsOfDatabase;
const pagesOf = (tree: StatsOfTree) => tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages;
/** LMDB's two first pages, which say where the trees begin. */
const META_PAGES = 2;

class WriterImage {
  readonly path: string;
  readonly #root: RootDatabase;
  readonly #image: Database;
  readonly #tables: readonly Database[];

  constructor(path: string, options: {readonly isDurable: boolean}) {
    this.path = path;
    this.#root = openLmdb({...lmdbOptions(path), noSync: !options.isDurable});
    extendToLastPage(path, this.#root);
    this.#image = this.#root.openDB(IMAGE_DATABASE, RECORD_ENCODING);
    this.#tables = TABLES.map((table) => this.#root.openDB(table, RECORD_ENCODING));
  }

  commit(packs: readonly Uint8Array[], applied: AppliedMark): void {
    requireRoom(
      this.path,
      packs.reduce((sum, pack) => sum + pack.length, 0),
    );
    this.#root.transactionSync(() => {
      for (const pack of packs) {
        for (const {tableNumber, key, sealed} of unpackChanges(pack)) {
          const table = this.#tables[tableNumber];
          if (sealed === undefined) void table.remove(key);
          else void table.put(key, sealed);
        }
      }
      // Inside the transaction the statistics are those of the trees as they will be.
      const counts = this.#tables.map((table) => statsOf(table).entryCount);
      void this.#image.put(IMAGE_KEY, encodeImageState({applied, counts}));
    });
  }

  size(): SizeReport {
    const ofImage = statsOf(this.#image);
    const trees = [ofImage, ofImage.root, ofImage.free, ...this.#tables.map(statsOf)];
    const pages = trees.reduce((sum, tree) => sum + pagesOf(tree), META_PAGES);
    return {fileBytes: statSync(this.path).size, inUseBytes: pages * ofImage.pageSize};
  }

  async compact(path: string): Promise<void> {
    await this.#root.backup(path, true);
  }

  async close(): Promise<void> {
    await this.#root.close();
  }
}

/**
 * A file that ends before its last page was cut by something else than LMDB, or ended in pages that were free at
 * once. Zeros instead of nothing turn a bus error into damage that checks find.
 */
function extendToLastPage(path: string, root: RootDatabase): void {
  const {lastPageNumber, pageSize} = statsOf(root);
  const bytes = (lastPageNumber + 1) * pageSize;
  if (statSync(path).size < bytes) truncateSync(path, bytes);
}

const NOTHING: SizeReport = {fileBytes: 0, inUseBytes: 0};
let image: WriterImage | undefined;

async function handle(request: WriterRequest): Promise<SizeReport> {
  switch (request.type) {
    case 'create': {
      requireRoom(request.path, 0);
      // Nobody knows the file before it is complete: its maker syncs it once, before it gets its name.
      const fresh = new WriterImage(request.path, {isDurable: false});
      fresh.commit([], {index: 0, term: 0, hash: 0});
      await fresh.close();
      return NOTHING;
    }
    case 'open': {
      const previous = image;
      image = new WriterImage(request.path, {isDurable: true});
      await previous?.close();
      return image.size();
    }
    case 'commit':
      assert(image !== undefined, 'commit before open');
      image.commit(request.packs, request.applied);
      return image.size();
    case 'compact':
      assert(image !== undefined, 'compact before open');
      await image.compact(request.path);
      return NOTHING;
    case 'close':
      await image?.close();
      image = undefined;
      return NOTHING;
  }
}

async function answer(request: WriterRequest): Promise<WriterResponse> {
  const packs = request.type === 'commit' ? request.packs : [];
  try {
    return {ok: true, size: await handle(request), packs};
  } catch (error) {
    const path = 'path' in request ? request.path : (image?.path ?? '');
    const detail = error instanceof Error ? error.message : String(error);
    return {ok: false, kind: path === '' ? 'other' : kindOfFailure(error, path), detail, packs};
  }
}

assert(parentPort !== null, 'not a worker thread');
const port = parentPort;
let last: Promise<void> = Promise.resolve();
port.on('message', (request: WriterRequest) => {
  last = last.then(async () => {
    const response = await answer(request);
    port.postMessage(
      response,
      response.packs.map((pack) => pack.buffer as ArrayBuffer),
    );
    if (request.type === 'close') port.close();
  });
});
