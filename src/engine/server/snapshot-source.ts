/** A backup of this member's store as clients get it: etcd's file format, streamed from one consistent image. */

import {EngineError} from '../errors.ts';
import type {Logger, SnapshotStream} from '../ports.ts';
import type {Store} from '../storage/store.ts';

export class SnapshotSource {
  readonly #store: Store;
  readonly #logger: Logger;

  constructor(options: {store: Store; logger: Logger}) {
    this.#store = options.store;
    this.#logger = options.logger;
  }

  /** Everything that was applied when it was called is in it. @param signal ends it, before or in the midst */
  async open(signal: AbortSignal): Promise<SnapshotStream> {
    try {
      await this.#store.flush();
      // No await between the two: a state from another member may take the backend's place.
      const {totalBytes, chunks} = await this.#store.backend.exportSnapshot(signal);
      return {totalBytes, chunks: this.#watched(chunks)};
    } catch (error) {
      throw this.#reported(error);
    }
  }

  /** CRC-32C over every bucket's name, keys and values but for the log position: Maintenance.Hash. */
  async hash(signal: AbortSignal): Promise<number> {
    try {
      await this.#store.flush();
      return await this.#store.backend.hashRecords(signal);
    } catch (error) {
      throw this.#reported(error);
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
