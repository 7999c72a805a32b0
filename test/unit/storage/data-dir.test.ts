/** The data folder: whose it is, its making through crashes, and what is never touched. */

import {mkdtempSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, describe, expect, it} from 'vitest';
import type {EngineError} from '../../../src/engine/errors.ts';
import {NodeDisk} from '../../../src/engine/io/disk.ts';
import {lockFolder} from '../../../src/engine/io/folder-lock.ts';
import {silentLogger} from '../../../src/engine/io/logger.ts';
import {crc32c} from '../../../src/engine/lib/crc32c.ts';
import type {Disk} from '../../../src/engine/ports.ts';
import {DataDir} from '../../../src/engine/storage/data-dir.ts';
import {anyCrash, loseUnsynced, MemoryDisk} from '../../simulator/memory-disk.ts';
import {SeededRandom} from '../../simulator/seeded-random.ts';
import {failureOf} from './wal-fixture.ts';

const MARKER = {
  clusterId: 0xcafe_0000_0000_0001n,
  memberId: 0x8e9e_05c5_2164_694dn,
  madeBy: 'kvd 0.1.0',
  isRestored: false,
};

const open = (disk: Disk) => DataDir.open({disk, lock: async () => async () => {}, logger: silentLogger});

async function writeFile(disk: Disk, path: string, text = 'x'): Promise<void> {
  const file = await disk.open(path, {create: true});
  await file.write(0, [Buffer.from(text)]);
  await file.sync();
  await file.close();
}

/** As the server does it: both folders, with something in each. */
async function build(disk: Disk): Promise<void> {
  for (const folder of ['wal', 'store']) {
    await disk.makeFolder(folder);
    await writeFile(disk, `${folder}/data`);
    await disk.syncFolder(folder);
  }
}

async function made(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const dir = await open(disk);
  await dir.create(MARKER, () => build(disk));
  await dir.close();
  return disk;
}

/** A folder whose making was killed after so many operations of the disk, or came to its end before. */
async function madeUntil(steps: number): Promise<{disk: MemoryDisk; isComplete: boolean}> {
  let left = steps;
  const disk = new MemoryDisk({
    turn: () => {
      left -= 1;
      if (left < 0) throw new Error('killed');
    },
  });
  const isComplete = await open(disk)
    .then((dir) => dir.create(MARKER, () => build(disk)))
    .then(
      () => true,
      () => false,
    );
  // The next process finds what the system has.
  left = Number.POSITIVE_INFINITY;
  return {disk, isComplete};
}

describe('the data folder', () => {
  it('Ensure that a fresh folder has no marker, and a made one says whose it is.', async () => {
    const disk = new MemoryDisk();
    const dir = await open(disk);
    expect(dir.marker).toBeUndefined();
    await dir.create(MARKER, () => build(disk));
    expect(dir.marker).toEqual(MARKER);
    await dir.close();
    expect((await open(disk.crash(loseUnsynced))).marker).toEqual(MARKER);
  });

  it('Ensure that what a member does after a kill in the midst of the making is there when power fails.', async () => {
    let isComplete = false;
    for (let steps = 0; !isComplete; steps++) {
      const {disk, ...making} = await madeUntil(steps);
      isComplete = making.isComplete;
      const dir = await open(disk);
      if (dir.marker === undefined) await dir.create(MARKER, () => build(disk));
      await writeFile(disk, 'wal/acknowledged');
      await disk.syncFolder('wal');
      const survivor = disk.crash(loseUnsynced);
      expect((await open(survivor)).marker).toEqual(MARKER);
      expect(await survivor.exists('wal/acknowledged')).toBe(true);
    }
  });

  it('Ensure that a crash anywhere in the making leaves nothing or everything, and the next start goes on.', async () => {
    let isComplete = false;
    for (let lives = 0; !isComplete; lives++) {
      for (let seed = 0; seed < 8; seed++) {
        const {disk, ...making} = await madeUntil(lives);
        isComplete = making.isComplete;
        const survivor = disk.crash(seed === 0 ? loseUnsynced : anyCrash(new SeededRandom(lives * 8 + seed)));
        const dir = await open(survivor);
        if (dir.marker === undefined) {
          expect(isComplete).toBe(false);
          expect((await survivor.list('.')).filter((name) => name !== 'lock')).toEqual([]);
          await dir.create(MARKER, () => build(survivor));
        }
        expect(dir.marker).toEqual(MARKER);
        expect(await survivor.list('.')).toEqual(['KVD', 'store', 'wal']);
        expect(await survivor.exists('wal/data')).toBe(true);
      }
    }
  });

  it('Ensure that an empty folder may hold what volumes and crashes leave in it.', async () => {
    const disk = new MemoryDisk();
    await disk.makeFolder('lost+found');
    for (const name of ['lock', 'lock.17.tmp', '.nfs0001']) await writeFile(disk, name);
    expect((await open(disk)).marker).toBeUndefined();
  });

  it('Ensure that the data of a real etcd is recognised and left alone.', async () => {
    for (const folder of ['member/wal', 'member/snap']) {
      const disk = new MemoryDisk();
      await disk.makeFolder(folder);
      expect(await failureOf(open(disk))).toEqual({code: 'dataDirOfEtcd', path: '/memory/.'});
      expect(await disk.exists(folder)).toBe(true);
    }
  });

  it('Ensure that a folder with anything else is refused and left alone, even if it looks like half of ours.', async () => {
    for (const name of ['photo.jpg', 'wal', 'store']) {
      const disk = new MemoryDisk();
      await writeFile(disk, name);
      const failure = await failureOf(open(disk));
      expect(failure).toMatchObject({code: 'dataDirUnusable', detail: expect.stringContaining(name)});
      expect(await disk.list('.')).toEqual([name]);
    }
  });

  it('Ensure that no damaged byte of the marker changes whose the folder is.', async () => {
    const disk = await made();
    const bytes = disk.bytesOf('KVD');
    for (let at = 0; at < bytes.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = disk.copy();
        damaged.tamper('KVD', at, Buffer.from([bytes[at] ^ (1 << bit)]));
        const outcome = await open(damaged).then(
          (dir) =>
            JSON.stringify(dir.marker, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
          (error: EngineError) => error.code,
        );
        expect(outcome).toBe('markerCorrupt');
      }
    }
  });

  it('Ensure that a format from the future is refused as such.', async () => {
    const disk = await made();
    disk.tamper('KVD', 0, Buffer.from('{"format":2,"whatever":true}\n'));
    expect(await failureOf(open(disk))).toMatchObject({code: 'formatUnsupported', supported: '1'});
  });

  it.each([
    '{"format":1}',
    '{"format":1,"clusterId":"x","memberId":"1"}',
    '{"clusterId":"1","memberId":"1"}',
    '[]',
  ])('Ensure that the marker %s is refused though its checksum is right.', async (line) => {
    const disk = new MemoryDisk();
    const checksum = crc32c(Buffer.from(line)).toString(16).padStart(8, '0');
    await writeFile(disk, 'KVD', `${line}\ncrc32c ${checksum}\n`);
    expect(await failureOf(open(disk))).toMatchObject({code: 'markerCorrupt', offset: 0});
  });

  it('Ensure that a failed opening gives the lock back.', async () => {
    const disk = await made();
    disk.tamper('KVD', 3, Buffer.from('?'));
    let held = 0;
    const lock = async () => {
      held += 1;
      return async () => {
        held -= 1;
      };
    };
    await failureOf(DataDir.open({disk, lock, logger: silentLogger}));
    expect(held).toBe(0);
  });
});

describe('the data folder on the machine', () => {
  const root = mkdtempSync(join(tmpdir(), 'kvd-data-'));
  afterAll(() => rmSync(root, {recursive: true, force: true}));

  const openReal = (path: string) =>
    DataDir.open({disk: new NodeDisk(path), lock: lockFolder, logger: silentLogger});

  it('Ensure that it is made with its parents, for its owner only, and held by one.', async () => {
    const path = join(root, 'a/b/member');
    const dir = await openReal(path);
    expect(dir.path).toBe(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(await failureOf(openReal(path))).toEqual({code: 'dataDirLocked', path});
    const disk = new NodeDisk(path);
    await dir.create(MARKER, () => build(disk));
    expect(statSync(join(path, 'KVD')).mode & 0o777).toBe(0o600);
    await dir.close();
    const again = await openReal(path);
    expect(again.marker).toEqual(MARKER);
    await again.close();
  });

  it('Ensure that a path that is no folder gives one clear error.', async () => {
    const path = join(root, 'file');
    writeFileSync(path, 'x');
    expect(await failureOf(openReal(path))).toMatchObject({code: 'dataDirUnusable', path});
    const below = join(path, 'below');
    expect(await failureOf(openReal(below))).toMatchObject({code: 'dataDirUnusable', path: below});
  });

  it.skipIf(process.getuid?.() === 0)(
    'Ensure that a folder that is not ours to read gives one clear error.',
    async () => {
      expect(await failureOf(openReal('/root/kvd'))).toMatchObject({
        code: 'dataDirUnusable',
        path: '/root/kvd',
      });
      expect(await failureOf(openReal('/proc/kvd'))).toMatchObject({
        code: 'dataDirUnusable',
        path: '/proc/kvd',
      });
    },
  );
});
