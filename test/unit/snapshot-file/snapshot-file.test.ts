/** Snapshot files written and read by kvd alone; test/compat holds them against etcd's. */

import {describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import type {Clock} from '../../../src/engine/ports.ts';
import {hashRecords} from '../../../src/engine/storage/snapshot-file/record-hash.ts';
import {BUCKETS} from '../../../src/engine/storage/snapshot-file/snapshot-buckets.ts';
import {SnapshotFile} from '../../../src/engine/storage/snapshot-file/snapshot-file.ts';
import {readSnapshotStatus} from '../../../src/engine/storage/snapshot-file/snapshot-status.ts';
import {planSnapshot, writeSnapshot} from '../../../src/engine/storage/snapshot-file/snapshot-writer.ts';
import type {Table, TableRecord} from '../../../src/engine/types.ts';
import {collect, fileOf, History, idleClock, SampleStore, sha256, snapshotOf} from './snapshot-samples.ts';

async function readAll(file: SnapshotFile, bucket: string): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for await (const records of file.records(bucket)) {
    for (const [key, value] of records) found.push([text(key), text(value)]);
  }
  return found;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const stored = (store: SampleStore, table: Table): [string, string][] =>
  [...store.range(table, {})].map(([key, value]: TableRecord) => [text(key), text(value)]);

/** A little of everything that a store can hold. */
function everything(): SampleStore {
  const store = new SampleStore();
  const history = new History(store);
  for (let i = 0; i < 300; i++) history.put(`key/${i % 97}`, `value ${i}`, i % 5 === 0 ? 7n : 0n);
  history.put('\x00\xff\x01', Buffer.from([0, 255, 10, 13]));
  history.put('empty', '');
  history.put('large', Buffer.alloc(100_000, 'x'));
  for (let i = 0; i < 20; i++) history.delete(`key/${i}`);
  store.add('lease', Buffer.from([0, 0, 0, 0, 0, 0, 0, 7]), Buffer.from([8, 7, 16, 60]));
  store.add('auth', 'authRevision', Buffer.from([0, 0, 0, 0, 0, 0, 0, 4]));
  store.add('authUsers', 'root', 'user');
  store.add('authUsers', 'a'.repeat(1_500), 'user');
  store.add('authRoles', 'root', 'role');
  store.add('alarm', Buffer.from([8, 1, 16, 1]), '');
  store.add('members', '8e9e05c52164694d', '{}');
  store.add('members_removed', '1', 'removed');
  store.add('cluster', 'clusterVersion', '3.7.0');
  store.add('kvd', 'anything', 'of kvd alone');
  store.add('meta', 'confState', '{"voters":[1]}');
  store.add('meta', 'finishedCompactRev', Buffer.from('\0\0\0\0\0\0\0\x01_\0\0\0\0\0\0\0\0', 'latin1'));
  store.add('meta', 'scheduledCompactRev', Buffer.from('\0\0\0\0\0\0\0\x02_\0\0\0\0\0\0\0\0', 'latin1'));
  return store;
}

describe('snapshot file', () => {
  it('Ensure that every record of keys, leases and auth comes back as it was, and nothing of the old cluster.', async () => {
    const store = everything();
    const file = await SnapshotFile.open(fileOf(await snapshotOf(store)));
    await file.verifyDigest({sha256, clock: idleClock});
    await file.check();
    expect(file.bucketNames()).toEqual([...BUCKETS]);
    for (const table of ['key', 'lease', 'auth', 'authUsers', 'authRoles'] as const) {
      expect(await readAll(file, table)).toEqual(stored(store, table));
    }
    for (const table of ['alarm', 'cluster', 'members', 'members_removed', 'kvd']) {
      expect(await readAll(file, table)).toEqual([]);
    }
    expect((await readAll(file, 'meta')).map(([key]) => key)).toEqual([
      'consistent_index',
      'finishedCompactRev',
      'scheduledCompactRev',
    ]);
    expect(await file.get('meta', 'consistent_index')).toEqual(Buffer.from([0, 0, 0, 0, 0, 0, 0, 7]));
  });

  it('Ensure that equal stores give equal files, of the announced length, in chunks as etcd sends them.', async () => {
    const store = everything();
    const plan = await planSnapshot(store, idleClock);
    const chunks: Uint8Array[] = [];
    for await (const chunk of writeSnapshot(plan, store, {clock: idleClock, sha256})) chunks.push(chunk);
    expect(chunks.slice(0, -2).every((chunk) => chunk.length === 32_768)).toBe(true);
    expect(chunks.at(-1)?.length).toBe(32);
    const bytes = Buffer.concat(chunks);
    expect(bytes.length).toBe(plan.totalBytes);
    expect((bytes.length - 32) % 4096).toBe(0);
    expect(bytes.equals(await snapshotOf(everything()))).toBe(true);
  });

  it('Ensure that an empty store makes a file.', async () => {
    const store = new SampleStore({index: 0, term: 0, hash: 0});
    const file = await SnapshotFile.open(fileOf(await snapshotOf(store)));
    await file.check();
    expect(await file.get('meta', 'consistent_index')).toEqual(Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]));
    expect(await readSnapshotStatus(file)).toMatchObject({
      revision: 0,
      totalKeys: 0,
      totalRecords: 1,
      version: '',
    });
  });

  it.each([
    [1, 10],
    [2, 4_200],
    [3, 2_030],
    [5_000, 30],
    [40_000, 0],
  ])('Ensure that %i records of %i bytes are laid out in a sound tree.', async (count, size) => {
    const store = new SampleStore();
    const history = new History(store);
    for (let i = 0; i < count; i++) history.put(`k${i}`, Buffer.alloc(size, i));
    const bytes = await snapshotOf(store);
    const file = await SnapshotFile.open(fileOf(bytes));
    await file.check();
    let found = 0;
    for await (const records of file.records('key')) found += records.length;
    expect(found).toBe(count);
    expect(await readSnapshotStatus(file)).toMatchObject({revision: count + 1, totalKeys: count});
  });

  it('Ensure that branches of very long keys keep two children at least.', async () => {
    for (let count = 1; count < 12; count++) {
      const store = new SampleStore();
      for (let i = 0; i < count; i++)
        store.add('authUsers', `${String(i).padStart(4, '0')}${'x'.repeat(30_000)}`, 'v');
      const file = await SnapshotFile.open(fileOf(await snapshotOf(store)));
      await file.check();
      expect(await readAll(file, 'authUsers')).toEqual(stored(store, 'authUsers'));
    }
  });

  it('Ensure that the writer lets the loop run between slices.', async () => {
    const store = new SampleStore();
    const history = new History(store);
    for (let i = 0; i < 20_000; i++) history.put(`k${i}`, 'v');
    let rests = 0;
    let nowMs = 0;
    const clock: Clock = {
      ...idleClock,
      monotonicMs: () => (nowMs += 0.1),
      yield: async () => {
        rests++;
      },
    };
    const plan = await planSnapshot(store, clock);
    expect(rests).toBeGreaterThanOrEqual(10);
    rests = 0;
    await collect(writeSnapshot(plan, store, {clock, sha256}));
    expect(rests).toBeGreaterThanOrEqual(10);
  });

  it('Ensure that a walk reads a file once, in large steps.', async () => {
    const store = new SampleStore();
    const history = new History(store);
    for (let i = 0; i < 20_000; i++) history.put(`k${i}`, Buffer.alloc(200));
    const bytes = await snapshotOf(store);
    const source = fileOf(bytes);
    const file = await SnapshotFile.open(source);
    await file.check();
    expect(source.bytesRead).toBeLessThan(1.3 * bytes.length);
    expect(source.reads).toBeLessThan(100);
  });

  it('Ensure that the hash of a store leaves out what differs between members, and nothing else.', async () => {
    const store = everything();
    const before = await hashRecords(store, idleClock);
    store.add('meta', 'term', 'x');
    store.add('meta', 'consistent_index', 'x');
    expect(await hashRecords(store, idleClock)).toBe(before);
    store.add('key', 'x', 'x');
    expect(await hashRecords(store, idleClock)).not.toBe(before);
  });
});

async function refusal(bytes: Uint8Array): Promise<string> {
  try {
    const file = await SnapshotFile.open(fileOf(bytes));
    await file.verifyDigest({sha256, clock: idleClock});
    return '';
  } catch (error) {
    if (!(error instanceof EngineError) || error.failure.code !== 'snapshotInvalid') throw error;
    return error.failure.detail;
  }
}

describe('damaged snapshot file', () => {
  it('Ensure that a wrong, missing or cut digest is told.', async () => {
    const bytes = await snapshotOf(everything());
    expect(await refusal(bytes)).toBe('');
    const flipped = Buffer.from(bytes);
    flipped[bytes.length - 1] ^= 1;
    expect(await refusal(flipped)).toContain('SHA-256');
    expect(await refusal(bytes.subarray(0, -32))).toContain('no SHA-256');
    expect(await refusal(bytes.subarray(0, -4096 - 32))).toContain('cut short');
    expect(await refusal(bytes.subarray(0, 100))).toContain('only');
    expect(await refusal(Buffer.alloc(0))).toContain('only 0 bytes');
    expect(await refusal(Buffer.alloc(1 << 20, 'text'))).toContain('first page');
  });

  it('Ensure that one spoilt meta page is borne, as bbolt does.', async () => {
    const bytes = await snapshotOf(everything());
    for (const page of [0, 1]) {
      const spoilt = Buffer.from(bytes);
      spoilt.fill(0xff, page * 4096, page * 4096 + 80);
      await (await SnapshotFile.open(fileOf(spoilt))).check();
    }
  });

  it('Ensure that each flipped byte is a wrong digest, and never a crash or a hang when that is ignored.', async () => {
    const store = new SampleStore();
    const history = new History(store);
    for (let i = 0; i < 150; i++) history.put(`key/${i}`, `value ${i}`);
    const bytes = await snapshotOf(store);
    let refused = 0;
    // Metas, headers and the first elements byte by byte; further behind, where values lie, here and there.
    for (let at = 0; at < bytes.length; at += at % 4096 < 120 ? 1 : 53) {
      const before = bytes[at];
      bytes[at] ^= at % 2 === 0 ? 0xff : 1 << (at % 8);
      if (!(await isReadable(bytes))) refused++;
      bytes[at] = before;
    }
    expect(refused).toBeGreaterThan(300);
    expect(await isReadable(bytes)).toBe(true);
  });

  it('Ensure that no cut of a file is read as a whole one.', async () => {
    const bytes = await snapshotOf(everything());
    for (let length = 0; length < bytes.length; length += 61) {
      expect(await refusal(bytes.subarray(0, length))).not.toBe('');
    }
  });

  it('Ensure that trees that lead back into themselves end.', async () => {
    const store = new SampleStore();
    const history = new History(store);
    for (let i = 0; i < 20_000; i++) history.put(`key/${i}`, 'v');
    const bytes = await snapshotOf(store);
    let branches = 0;
    for (let page = 2; page * 4096 + 4096 <= bytes.length; page++) {
      const at = page * 4096;
      if (bytes.readUInt16LE(at + 8) !== 1) continue;
      branches++;
      const looped = Buffer.from(bytes);
      // The second child is the branch itself; then the first one.
      looped.writeBigUInt64LE(BigInt(page), at + 16 + 16 + 8);
      expect(await isReadable(looped)).toBe(false);
      looped.writeBigUInt64LE(BigInt(page), at + 16 + 8);
      expect(await isReadable(looped)).toBe(false);
    }
    expect(branches).toBeGreaterThan(2);
  });

  it('Ensure that records which etcd could not have written are refused by status.', async () => {
    const store = new SampleStore();
    store.add('key', 'no revision', 'x');
    const file = await SnapshotFile.open(fileOf(await snapshotOf(store)));
    await expect(readSnapshotStatus(file)).rejects.toThrow('snapshotInvalid');
  });
});

/** Everything that can be asked of a file. False: refused as it should be. */
async function isReadable(bytes: Uint8Array): Promise<boolean> {
  try {
    const file = await SnapshotFile.open(fileOf(bytes));
    await file.check();
    await readSnapshotStatus(file);
    return true;
  } catch (error) {
    if (!(error instanceof EngineError) || error.failure.code !== 'snapshotInvalid') throw error;
    return false;
  }
}
