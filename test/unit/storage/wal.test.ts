/** The log on disk: what goes in comes out, through rotation, overwriting, snapshots, purging and restarts. */

import {describe, expect, it} from 'vitest';
import {AssertionError, EngineError} from '../../../src/engine/errors.ts';
import {Wal} from '../../../src/engine/storage/wal.ts';
import {type DiskOperation, keepUnsynced, loseUnsynced, MemoryDisk} from '../../simulator/memory-disk.ts';
import {
  append,
  appendEntries,
  createWal,
  entries,
  entry,
  expectContents,
  failureOf,
  METADATA,
  openWal,
  portsOn,
  WalModel,
} from './wal-fixture.ts';

describe('the log on disk', () => {
  it('Ensure that a new log is empty and knows whose it is.', async () => {
    const disk = new MemoryDisk();
    await (await createWal(disk)).close();
    const {wal, contents} = await openWal(disk);
    expect(contents).toEqual({
      metadata: METADATA,
      hardState: {term: 0, vote: 0n, commit: 0},
      entries: [],
      snapshot: {index: 0, term: 0},
      doubtfulIndex: 0,
      tornBytes: 0,
      cleanStop: true,
    });
    await wal.close();
  });

  it('Ensure that entries, votes and commit indexes survive a clean stop.', async () => {
    const disk = new MemoryDisk();
    const model = new WalModel();
    const wal = await createWal(disk);
    await append(wal, model, {
      entries: [],
      hardState: {term: 3, vote: METADATA.memberId, commit: 0},
      sync: true,
    });
    await appendEntries(wal, model, [entry(1, 3), entry(2, 3, ''), entry(3, 3, Buffer.alloc(1000, 0xff))]);
    await append(wal, model, {entries: [], hardState: {...model.hardState, commit: 3}, sync: false});
    await wal.close();
    const reopened = await openWal(disk);
    expectContents(reopened.contents, model);
    expect(reopened.contents.hardState.commit).toBe(3);
    expect(reopened.contents.cleanStop).toBe(true);
    await reopened.wal.close();
  });

  it('Ensure that a killed process loses nothing but commit indexes, and is told from a clean stop.', async () => {
    const disk = new MemoryDisk();
    const model = new WalModel();
    const wal = await createWal(disk);
    await appendEntries(wal, model, entries(1, 5, 1));
    await append(wal, model, {entries: [], hardState: {...model.hardState, commit: 5}, sync: false});
    const {contents} = await openWal(disk);
    expectContents(contents, model);
    expect(contents.hardState.commit).toBe(0);
    expect(contents.cleanStop).toBe(false);
  });

  it('Ensure that a waiting commit index goes along with the next batch.', async () => {
    const disk = new MemoryDisk();
    const wal = await createWal(disk);
    const hardState = {term: 1, vote: 1n, commit: 0};
    await wal.append({entries: entries(1, 5, 1), hardState, sync: true});
    await wal.append({entries: [], hardState: {...hardState, commit: 4}, sync: false});
    await wal.append({entries: entries(6, 1, 1), hardState: undefined, sync: true});
    const {contents} = await openWal(disk.crash(loseUnsynced));
    expect(contents.hardState.commit).toBe(4);
    expect(contents.entries.length).toBe(6);
  });

  it('Ensure that a member that lost its tail takes the entries below its commit index again.', async () => {
    const disk = new MemoryDisk();
    const wal = await createWal(disk);
    const hardState = {term: 1, vote: 1n, commit: 9};
    await wal.append({entries: entries(1, 5, 1), hardState, sync: true});
    await wal.append({entries: entries(6, 2, 1), hardState: undefined, sync: true});
    await expect(
      wal.append({entries: entries(7, 1, 1), hardState: undefined, sync: true}),
    ).rejects.toBeInstanceOf(AssertionError);
    const {wal: reopened, contents} = await openWal(disk);
    expect(contents.hardState.commit).toBe(9);
    await reopened.append({entries: entries(8, 4, 1), hardState: undefined, sync: true});
    await reopened.close();
    expect((await openWal(disk)).contents.entries.at(-1)?.index).toBe(11);
  });

  it('Ensure that what append resolved for survives a power failure, and the sync is the last thing it does.', async () => {
    const operations: DiskOperation[] = [];
    const disk = new MemoryDisk({turn: (operation) => void operations.push(operation)});
    const model = new WalModel();
    const wal = await createWal(disk, 100_000);
    operations.length = 0;
    await appendEntries(wal, model, entries(1, 3, 1));
    expect(operations.map(({name}) => name)).toEqual(['write', 'sync']);
    expectContents((await openWal(disk.crash(loseUnsynced))).contents, model);
  });

  it('Ensure that the log goes on over many segments, and entries of any size find room.', async () => {
    const disk = new MemoryDisk();
    const model = new WalModel();
    const wal = await createWal(disk);
    for (let i = 1; i <= 60; i++) {
      const size = [10, 3000, 500, 9000, 0, 40_000][i % 6];
      await appendEntries(wal, model, [entry(i, 1, Buffer.alloc(size, i))]);
    }
    await appendEntries(wal, model, [entry(61, 1, Buffer.alloc(5_000_000, 9))]);
    await appendEntries(wal, model, entries(62, 3, 1));
    expect(wal.segmentCount).toBeGreaterThan(5);
    await wal.close();
    const reopened = await openWal(disk);
    expectContents(reopened.contents, model);
    expect(reopened.wal.segmentCount).toBeGreaterThan(5);
    expect(reopened.wal.sizeBytes).toBeGreaterThan(5_000_000);
    await reopened.wal.close();
    expect((await disk.list('wal')).every((name) => name.endsWith('.wal'))).toBe(true);
  });

  it('Ensure that values full of any one byte come back as they were.', async () => {
    const disk = new MemoryDisk();
    const model = new WalModel();
    const wal = await createWal(disk);
    for (let byte = 0; byte < 256; byte++) {
      await appendEntries(wal, model, [entry(byte + 1, 1, Buffer.alloc(1200, byte))]);
    }
    // Sectors like every mask in one batch: none is left to choose.
    const masks = [0x00, 0x5a, 0xa5, 0x33, 0xcc, 0x0f, 0xf0, 0x96].map((byte) => Buffer.alloc(1100, byte));
    await appendEntries(wal, model, [entry(257, 1, Buffer.concat(masks))]);
    const {contents} = await openWal(disk.crash(loseUnsynced));
    expectContents(contents, model);
    expect(contents.entries.every(({payload}, i) => i === 256 || payload[5] === i)).toBe(true);
  });

  it('Ensure that a later record wins over the tail that it overwrites.', async () => {
    const disk = new MemoryDisk();
    const model = new WalModel();
    const wal = await createWal(disk);
    await appendEntries(wal, model, entries(1, 10, 1));
    await appendEntries(wal, model, entries(6, 2, 2));
    expectContents((await openWal(disk.copy())).contents, model);
    await appendEntries(wal, model, entries(8, 1, 2));
    await appendEntries(wal, model, entries(1, 4, 3));
    expectContents((await openWal(disk)).contents, model);
    expect(model.lastIndex).toBe(4);
    const both = [...entries(3, 4, 4), ...entries(5, 1, 5), entry(6, 6)];
    await append(wal, model, {entries: both, hardState: undefined, sync: true});
    model.entries = model.entries.slice(0, 2).concat(entries(3, 2, 4), entries(5, 1, 5), entry(6, 6));
    expectContents((await openWal(disk)).contents, model);
  });

  it('Ensure that a snapshot marker inside the log keeps it, and one outside voids it.', async () => {
    const disk = new MemoryDisk();
    const model = new WalModel();
    const wal = await createWal(disk);
    await appendEntries(wal, model, entries(1, 10, 1));
    await append(wal, model, {entries: [], hardState: undefined, snapshot: {index: 6, term: 1}, sync: true});
    const kept = (await openWal(disk.copy())).contents;
    expectContents(kept, model);
    expect(kept.entries.map(({index}) => index)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const hardState = {term: 2, vote: 0n, commit: 8};
    await append(wal, model, {entries: [], hardState, snapshot: {index: 8, term: 2}, sync: true});
    expectContents((await openWal(disk.copy())).contents, model);
    expect(model.lastIndex).toBe(8);
    await append(wal, model, {
      entries: [entry(101, 2)],
      hardState,
      snapshot: {index: 100, term: 2},
      sync: true,
    });
    const far = (await openWal(disk)).contents;
    expectContents(far, model);
    expect(far.entries.map(({index}) => index)).toEqual([101]);
  });

  it('Ensure that purging removes whole segments that nobody needs, and the rest stands alone.', async () => {
    const disk = new MemoryDisk();
    const model = new WalModel();
    const wal = await createWal(disk);
    await append(wal, model, {entries: [], hardState: {term: 4, vote: 7n, commit: 0}, sync: true});
    for (let i = 1; i <= 100; i++) await appendEntries(wal, model, [entry(i, 4, Buffer.alloc(800, i))]);
    const before = wal.segmentCount;
    await wal.purge(90);
    expect(wal.segmentCount).toBe(before);
    const hardState = {...model.hardState, commit: 80};
    await append(wal, model, {entries: [], hardState, snapshot: {index: 80, term: 4}, sync: true});
    await wal.purge(20);
    const middle = wal.segmentCount;
    expect(middle).toBeLessThan(before);
    const partly = (await openWal(disk.copy())).contents;
    expectContents(partly, model);
    expect(partly.entries[0].index).toBeLessThanOrEqual(20);
    await wal.purge(1000);
    expect(wal.segmentCount).toBeLessThan(middle);
    await append(wal, model, {
      entries: [entry(101, 4)],
      hardState: undefined,
      snapshot: {index: 100, term: 4},
      sync: true,
    });
    await wal.close();
    const reopened = await openWal(disk);
    expectContents(reopened.contents, model);
    expect(reopened.contents.hardState).toEqual(hardState);
    await appendEntries(reopened.wal, model, entries(90 + 11, 1, 5));
    expectContents((await openWal(disk)).contents, model);
  });

  it('Ensure that a marker in purged segments is remembered when the log is voided or overwritten later.', async () => {
    const disk = new MemoryDisk();
    const model = new WalModel();
    const wal = await createWal(disk);
    for (let i = 1; i <= 40; i++) await appendEntries(wal, model, [entry(i, 1, Buffer.alloc(800, i))]);
    await append(wal, model, {
      entries: [],
      hardState: {term: 1, vote: 1n, commit: 30},
      snapshot: {index: 30, term: 1},
      sync: true,
    });
    await wal.purge(31);
    await appendEntries(wal, model, entries(35, 2, 2));
    for (let i = 37; i <= 80; i++) await appendEntries(wal, model, [entry(i, 2, Buffer.alloc(800, i))]);
    await append(wal, model, {entries: [], hardState: undefined, snapshot: {index: 36, term: 2}, sync: true});
    await wal.purge(37);
    expectContents((await openWal(disk.copy())).contents, model);
    await append(wal, model, {
      entries: [],
      hardState: undefined,
      snapshot: {index: 200, term: 2},
      sync: true,
    });
    await wal.purge(201);
    expectContents((await openWal(disk)).contents, model);
  });

  it('Ensure that a failed write or sync ends the log: nothing is tried again.', async () => {
    for (const operation of ['write', 'sync'] as const) {
      let fails = false;
      let operations = 0;
      const turn = ({name, path}: DiskOperation) => {
        operations += 1;
        if (fails && name === operation) {
          fails = false;
          throw new EngineError({code: 'diskError', path, operation: name, detail: 'EIO'});
        }
      };
      const disk = new MemoryDisk({turn});
      const model = new WalModel();
      const wal = await createWal(disk, 100_000);
      await appendEntries(wal, model, entries(1, 2, 1));
      fails = true;
      const batch = {entries: entries(3, 1, 1), hardState: undefined, sync: true};
      expect((await failureOf(wal.append(batch))).code).toBe('diskError');
      operations = 0;
      expect((await failureOf(wal.append(batch))).code).toBe('diskError');
      expect((await failureOf(wal.append({entries: [], hardState: undefined, sync: false}))).code).toBe(
        'diskError',
      );
      expect((await failureOf(wal.purge(1))).code).toBe('diskError');
      expect(operations).toBe(0);
      await wal.close();
      const {contents} = await openWal(disk);
      if (contents.entries.length === 3) model.apply(batch);
      expectContents(contents, model);
      // Whatever the next start reads is durable before it is answered for, though the failed sync left it "clean".
      expectContents((await openWal(disk.crash(loseUnsynced))).contents, model);
    }
  });

  it('Ensure that a full disk is told as such, costs nothing acknowledged, and the log opens again without space.', async () => {
    const disk = new MemoryDisk({capacityBytes: 20_000});
    const model = new WalModel();
    const wal = await createWal(disk);
    let failure: EngineError['failure'] | undefined;
    for (let i = 1; failure === undefined && i < 100; i++) {
      await appendEntries(wal, model, [entry(i, 1, Buffer.alloc(700, i))]).catch((error: EngineError) => {
        failure = error.failure;
      });
    }
    expect(failure?.code).toBe('diskFull');
    expect(model.lastIndex).toBeGreaterThan(10);
    await wal.close();
    const reopened = await openWal(disk);
    expectContents(reopened.contents, model);
    expect(
      (
        await failureOf(
          appendEntries(reopened.wal, model, [entry(model.lastIndex + 1, 1, Buffer.alloc(20_000))]),
        )
      ).code,
    ).toBe('diskFull');
    expectContents((await openWal(disk.crash(keepUnsynced))).contents, model);
  });

  it('Ensure that files of others and leftovers in the folder disturb nothing.', async () => {
    const disk = new MemoryDisk();
    const model = new WalModel();
    const wal = await createWal(disk);
    await appendEntries(wal, model, entries(1, 4, 1));
    for (const name of ['next.tmp', 'notes.txt', '0000000000000001.wal.bak', 'zzzz.wal']) {
      await disk.remove(`wal/${name}`);
      const file = await disk.open(`wal/${name}`, {create: true});
      await file.write(0, [Buffer.from('junk')]);
    }
    const {contents} = await openWal(disk);
    expectContents(contents, model);
    expect(await disk.list('wal')).toEqual([
      '0000000000000001.wal',
      '0000000000000001.wal.bak',
      'notes.txt',
      'zzzz.wal',
    ]);
  });

  it('Ensure that wrong use is an assertion, not a broken log.', async () => {
    const hardState = {term: 2, vote: 5n, commit: 0};
    const make = async () => {
      const wal = await createWal(new MemoryDisk());
      await wal.append({entries: entries(1, 3, 2), hardState, sync: true});
      return wal;
    };
    const wrong = [
      {entries: entries(5, 1, 2), hardState: undefined, sync: true},
      {entries: [entry(4, 2), entry(6, 2)], hardState: undefined, sync: true},
      {entries: [entry(4, 1)], hardState: undefined, sync: true},
      {entries: [], hardState: {...hardState, term: 1}, sync: true},
      {entries: [], hardState: {...hardState, vote: 6n}, sync: true},
      {entries: [], hardState: {...hardState, term: 3}, sync: false},
      {entries: entries(4, 1, 2), hardState: undefined, sync: false},
    ];
    for (const batch of wrong) await expect((await make()).append(batch)).rejects.toThrow(AssertionError);
    const wal = await make();
    const both = [
      wal.append({entries: entries(4, 1, 2), hardState, sync: true}),
      wal.append({entries: entries(5, 1, 2), hardState, sync: true}),
    ];
    expect((await Promise.allSettled(both)).map(({status}) => status)).toEqual(['fulfilled', 'rejected']);
    const disk = new MemoryDisk();
    await createWal(disk);
    await expect(createWal(disk)).rejects.toThrow('a new log is not made over another');
  });

  it('Ensure that the log is measured under the names of etcd.', async () => {
    const disk = new MemoryDisk();
    const ports = portsOn(disk);
    const wal = await Wal.create({...ports, metadata: METADATA});
    await wal.append({entries: entries(1, 1, 1), hardState: undefined, sync: true});
    const text = (ports.metrics as unknown as {exposition(): string}).exposition();
    expect(text).toContain('etcd_disk_wal_fsync_duration_seconds_count 2\n');
    expect(text).toContain('etcd_disk_wal_fsync_duration_seconds_bucket{le="8.192"} 2\n');
    expect(text).toMatch(/^etcd_disk_wal_write_bytes_total 7\d\d$/m);
  });
});
