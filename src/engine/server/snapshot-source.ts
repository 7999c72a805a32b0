/**
 * A backup of this member's store as clients get it: etcd's file format, streamed from one consistent image. The
 * format knows no deletions that are still being written: the image is one without.
 */

import {EngineError} from '../errors.ts';
import type {Logger, SnapshotStream} from '../ports.ts';
import type {MvccStore} from '../state-machine/mvcc/store.ts';
import type {Store} from '../storage/store.ts';
import type {SpaceReclaimer} from './space-reclaimer.ts';

export class SnapshotSource {
  readonly #store: Store;
  readonly #mvcc: () => MvccStore;
  readonly #reclaimer: SpaceReclaimer;
  readonly #logger: Logger;

  constructor(options: {store: Store; mvcc: () => MvccStore; reclaimer: SpaceReclaimer; logger: Logger}) {
    this.#store = options.store;
    this.#mvcc = options.mvcc;
    this.#reclaimer = options.reclaimer;
    this.#logger = options.logger;
  }

  /** Everything that was applied when it was called is in it. @param signal ends it, before or in the midst */
  async open(signal: AbortSignal): Promise<SnapshotStream> {
    try {
      const {totalBytes, chunks} = await this.#readSettled(() => this.#store.backend.exportSnapshot(signal));
      return {totalBytes, chunks: this.#watched(chunks)};
    } catch (error) {
      throw this.#reported(error);
    }
  }

  /** CRC-32C over every bucket's name, keys and values but for the log position: Maintenance.Hash. */
  async hash(signal: AbortSignal): Promise<number> {
    try {
      return await this.#readSettled(() => this.#store.backend.hashRecords(signal));
    } catch (error) {
      throw this.#reported(error);
    }
  }

  /** Runs `read` when the backend holds everything that is applied now, and no deletion without its tombstones. */
  async #readSettled<Result>(read: () => Promise<Result>): Promise<Result> {
    const mvcc = this.#mvcc();
    const release = mvcc.wantSettled();
    try {
      do {
        await this.#reclaimer.settled(mvcc.currentRevision());
        await this.#store.flush();
        // A state from another member may have taken the backend's place: no await between asking and reading.
      } while (!mvcc.isSettled(mvcc.currentRevision()));
      return await read();
    } finally {
      release();
    }
  }

  async *#watched(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    try {
      yield* chunks;
    } catch (error) {
      throw this.#reported(error);
    }
  }

  /** Clients get a text of etcd's; what is wrong, and where, stands in the log. */
  #reported(error: unknown): unknown {
    const isExpected =
      error instanceof EngineError && (error.code === 'canceled' || error.code === 'stopped');
    if (!isExpected) this.#logger.error('reading the store for a snapshot failed', {error: String(error)});
    return error;
  }
}
