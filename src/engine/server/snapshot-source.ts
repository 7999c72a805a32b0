/** A backup of this member's store as clients get it: etcd's file format, streamed from one consistent view. */

import type {BackendReader, Clock, Digest} from '../ports.ts';
import {hashRecords} from '../storage/snapshot-file/record-hash.ts';
import {planSnapshot, writeSnapshot} from '../storage/snapshot-file/snapshot-writer.ts';
import type {Store} from '../storage/store.ts';

export interface SnapshotStream {
  /** All bytes to come: the database and its 32-byte digest. */
  readonly totalBytes: number;
  /** Must be read to the end or returned early: the view behind it is closed then. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

export class SnapshotSource {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #sha256: () => Digest;

  constructor(options: {store: Store; clock: Clock; sha256: () => Digest}) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#sha256 = options.sha256;
  }

  async open(): Promise<SnapshotStream> {
    const {reader} = await this.#store.view();
    try {
      const plan = await planSnapshot(reader, this.#clock);
      return {totalBytes: plan.totalBytes, chunks: this.#chunks(plan, reader)};
    } catch (error) {
      reader.close();
      throw error;
    }
  }

  /** CRC-32C over every bucket's name, keys and values but for the log position: Maintenance.Hash. */
  async hash(): Promise<number> {
    const {reader} = await this.#store.view();
    try {
      return await hashRecords(reader, this.#clock);
    } finally {
      reader.close();
    }
  }

  async *#chunks(
    plan: Awaited<ReturnType<typeof planSnapshot>>,
    reader: BackendReader & {close(): void},
  ): AsyncIterable<Uint8Array> {
    try {
      yield* writeSnapshot(plan, reader, {clock: this.#clock, sha256: this.#sha256});
    } finally {
      reader.close();
    }
  }
}
