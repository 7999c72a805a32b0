/** Stores to make snapshot files from, and files in memory. */

import {createHash} from 'node:crypto';
import {compareBytes} from '../../../src/engine/lib/bytes.ts';
import type {BackendReader, Clock, Digest} from '../../../src/engine/ports.ts';
import {encodeKeyValue, encodeTombstoneKey} from '../../../src/engine/state-machine/mvcc/key-value-record.ts';
import {encodeRevision, encodeTombstoneRevision} from '../../../src/engine/state-machine/mvcc/revision.ts';
import type {RandomAccess} from '../../../src/engine/storage/snapshot-file/page-reader.ts';
import {planSnapshot, writeSnapshot} from '../../../src/engine/storage/snapshot-file/snapshot-writer.ts';
import type {AppliedMark, RecordRange, Table, TableRecord} from '../../../src/engine/types.ts';

export const digest = (algorithm: string) => (): Digest => {
  const hash = createHash(algorithm);
  return {update: (bytes) => void hash.update(bytes), finish: () => hash.digest()};
};
export const sha256 = digest('sha256');
export const sha1 = digest('sha1');

export const idleClock: Clock = {
  monotonicMs: () => 0,
  wallMs: () => 0,
  after: () => () => undefined,
  yield: () => new Promise((resolve) => setImmediate(resolve)),
};

/** A store at rest, in sorted arrays. */
export class SampleStore implements BackendReader {
  readonly #tables = new Map<Table, TableRecord[]>();
  readonly #applied: AppliedMark;
  #isSorted = true;

  constructor(applied: AppliedMark = {index: 7, term: 3, hash: 1}) {
    this.#applied = applied;
  }

  add(table: Table, key: Uint8Array | string, value: Uint8Array | string): void {
    const records = this.#tables.get(table) ?? [];
    this.#tables.set(table, records);
    records.push([Buffer.from(key as string, 'latin1'), Buffer.from(value as string, 'latin1')]);
    this.#isSorted = false;
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    return this.#sorted(table).find(([found]) => compareBytes(found, key) === 0)?.[1];
  }

  *range(table: Table, {from, to}: RecordRange): IterableIterator<TableRecord> {
    for (const record of this.#sorted(table)) {
      if (from !== undefined && compareBytes(record[0], from) < 0) continue;
      if (to !== undefined && compareBytes(record[0], to) >= 0) return;
      yield record;
    }
  }

  count(table: Table): number {
    return this.#sorted(table).length;
  }

  applied(): AppliedMark {
    return this.#applied;
  }

  #sorted(table: Table): TableRecord[] {
    if (!this.#isSorted) {
      for (const records of this.#tables.values()) records.sort((a, b) => compareBytes(a[0], b[0]));
      this.#isSorted = true;
    }
    return this.#tables.get(table) ?? [];
  }
}

/** Writes key-value history as the state machine does: each call is a transaction of its own. */
export class History {
  readonly store: SampleStore;
  revision = 1;
  readonly #keys = new Map<string, {create: number; version: number}>();

  constructor(store: SampleStore) {
    this.store = store;
  }

  put(keyText: string, value: Uint8Array | string, lease = 0n): void {
    this.revision++;
    const before = this.#keys.get(keyText);
    const now = {create: before?.create ?? this.revision, version: (before?.version ?? 0) + 1};
    this.#keys.set(keyText, now);
    const record = encodeKeyValue({
      key: Buffer.from(keyText, 'latin1'),
      createRevision: now.create,
      modRevision: this.revision,
      version: now.version,
      value: Buffer.from(value as string, 'latin1'),
      lease,
    });
    this.store.add('key', encodeRevision(this.revision, 0), record);
  }

  delete(keyText: string): void {
    this.revision++;
    this.#keys.delete(keyText);
    const record = encodeTombstoneKey(Buffer.from(keyText, 'latin1'));
    this.store.add('key', encodeTombstoneRevision(this.revision, 0), record);
  }
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

export async function snapshotOf(store: BackendReader): Promise<Buffer> {
  const plan = await planSnapshot(store, idleClock);
  return collect(writeSnapshot(plan, store, {clock: idleClock, sha256}));
}

export function fileOf(bytes: Uint8Array): RandomAccess & {reads: number; bytesRead: number} {
  const file = {
    reads: 0,
    bytesRead: 0,
    read: async (position: number, length: number) => {
      const part = bytes.subarray(position, position + length);
      file.reads++;
      file.bytesRead += part.length;
      return part;
    },
    size: async () => bytes.length,
  };
  return file;
}
