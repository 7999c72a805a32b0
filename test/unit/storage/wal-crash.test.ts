/**
 * The log under power failures: at every operation of a workload, with every kind of loss, and again while the log
 * recovers. What was acknowledged is there, what is there was asked for, and a crash alone never looks like rot.
 */

import {describe, expect, it} from 'vitest';
import type {Wal} from '../../../src/engine/storage/wal.ts';
import type {WalBatch} from '../../../src/engine/storage/wal-contents.ts';
import {
  anyCrash,
  type CrashChoices,
  keepUnsynced,
  loseUnsynced,
  MemoryDisk,
  tearLastWrite,
} from '../../simulator/memory-disk.ts';
import {SeededRandom} from '../../simulator/seeded-random.ts';
import {createWal, difference, entries, entry, openWal, WalModel} from './wal-fixture.ts';

/** Thrown by the disk when the machine dies: no EngineError, so nobody handles it. */
class PowerLost extends Error {}

/** A disk that dies before its `lives`-th operation. */
function mortalDisk(from: MemoryDisk | undefined, lives: number) {
  let used = 0;
  const turn = () => {
    used += 1;
    if (used > lives) throw new PowerLost();
  };
  const disk = from === undefined ? new MemoryDisk({turn}) : from.copy({turn});
  return {disk, operations: () => used};
}

type Step = WalBatch | {readonly purge: number};

const hard = (term: number, commit: number) => ({term, vote: BigInt(term), commit});

/** Every kind of record, two rotations, a purge, and batches of one and of many sectors. */
const WORKLOAD: readonly Step[] = [
  {entries: [], hardState: hard(1, 0), sync: true},
  {entries: entries(1, 3, 1), hardState: undefined, sync: true},
  {entries: [], hardState: hard(1, 2), sync: false},
  {entries: [entry(4, 1, Buffer.alloc(1800, 0x11)), entry(5, 1)], hardState: hard(1, 3), sync: true},
  {entries: entries(4, 2, 2), hardState: hard(2, 3), sync: true},
  {entries: [entry(6, 2, Buffer.alloc(2500))], hardState: undefined, sync: true},
  {entries: [], hardState: hard(2, 6), snapshot: {index: 5, term: 2}, sync: true},
  {purge: 6},
  {entries: entries(7, 4, 2), hardState: undefined, sync: true},
  {entries: [], hardState: hard(3, 20), snapshot: {index: 20, term: 3}, sync: true},
  {entries: [entry(21, 3, Buffer.alloc(6000, 0xab))], hardState: undefined, sync: true},
  {purge: 21},
  {entries: entries(22, 2, 3), hardState: hard(3, 21), sync: true},
];

interface Run {
  /** After what was acknowledged. */
  readonly acknowledged: WalModel;
  /** With the step that was under way, too. */
  readonly attempted: WalModel;
  readonly isCreated: boolean;
}

async function runWorkload(disk: MemoryDisk): Promise<Run> {
  let acknowledged = new WalModel();
  let attempted = acknowledged;
  let isCreated = false;
  try {
    const wal = await createWal(disk, 2048);
    isCreated = true;
    for (const step of WORKLOAD) {
      attempted = acknowledged.copy();
      if (!('purge' in step)) attempted.apply(step);
      await run(wal, step);
      acknowledged = attempted;
    }
    await wal.close();
  } catch (error) {
    if (!(error instanceof PowerLost)) throw error;
  }
  return {acknowledged, attempted, isCreated};
}

async function run(wal: Wal, step: Step): Promise<void> {
  if ('purge' in step) await wal.purge(step.purge);
  else await wal.append(step);
}

function kindsOfLoss(seed: number): [name: string, choices: CrashChoices][] {
  const torn = [1, 7, 48, 60, 100, 511, 512, 700].map((bytes): [string, CrashChoices] => [
    `torn after ${bytes}`,
    tearLastWrite(bytes),
  ]);
  const any = Array.from({length: 6}, (_, i): [string, CrashChoices] => {
    return [`any ${i}`, anyCrash(new SeededRandom(seed * 100 + i))];
  });
  return [['nothing unsynced', loseUnsynced], ['everything', keepUnsynced], ...torn, ...any];
}

async function recovered(disk: MemoryDisk, runSoFar: Run, situation: string): Promise<WalModel> {
  const {wal, contents} = await openWal(disk);
  expect(contents.doubtfulIndex, situation).toBe(0);
  const whole = difference(contents, runSoFar.attempted);
  const model = whole === undefined ? runSoFar.attempted : runSoFar.acknowledged;
  if (whole !== undefined) expect(difference(contents, runSoFar.acknowledged), situation).toBeUndefined();
  const after = model.copy();
  const next = {
    entries: [entry(model.lastIndex + 1, 9)],
    hardState: hard(9, contents.hardState.commit),
    sync: true,
  };
  await wal.append(next);
  after.apply(next);
  return after;
}

describe('the log under power failures', () => {
  it('Ensure that a crash between any two operations loses nothing acknowledged, whatever it keeps of the rest.', async () => {
    const whole = mortalDisk(undefined, Number.POSITIVE_INFINITY);
    await runWorkload(whole.disk);
    const operations = whole.operations();
    expect(operations).toBeGreaterThan(60);
    let images = 0;
    for (let lives = 0; lives < operations; lives++) {
      for (const [loss, choices] of kindsOfLoss(lives)) {
        const {disk} = mortalDisk(undefined, lives);
        const runSoFar = await runWorkload(disk);
        if (!runSoFar.isCreated) continue;
        const situation = `after ${lives} operations, kept: ${loss}`;
        const survivor = disk.crash(choices);
        const model = await recovered(survivor, runSoFar, situation);
        const {contents} = await openWal(survivor.crash(loseUnsynced));
        expect(difference(contents, model), situation).toBeUndefined();
        images += 1;
      }
    }
    expect(images).toBeGreaterThan(800);
  });

  it('Ensure that what a start finds after a kill is durable before the start is done.', async () => {
    const whole = mortalDisk(undefined, Number.POSITIVE_INFINITY);
    await runWorkload(whole.disk);
    for (let lives = 0; lives < whole.operations(); lives++) {
      let left = lives;
      const disk = new MemoryDisk({
        turn: () => {
          left -= 1;
          if (left < 0) throw new PowerLost();
        },
      });
      const runSoFar = await runWorkload(disk);
      if (!runSoFar.isCreated) continue;
      left = Number.POSITIVE_INFINITY;
      const {contents} = await openWal(disk);
      const model =
        difference(contents, runSoFar.attempted) === undefined ? runSoFar.attempted : runSoFar.acknowledged;
      expect(difference(contents, model), `killed after ${lives}`).toBeUndefined();
      const afterwards = await openWal(disk.crash(loseUnsynced));
      expect(
        difference(afterwards.contents, model),
        `killed after ${lives}, then without power`,
      ).toBeUndefined();
    }
  });

  it('Ensure that a crash while the log recovers is recovered from, too.', async () => {
    const whole = mortalDisk(undefined, Number.POSITIVE_INFINITY);
    await runWorkload(whole.disk);
    for (let lives = 9; lives < whole.operations(); lives += 3) {
      const first = mortalDisk(undefined, lives);
      const runSoFar = await runWorkload(first.disk);
      if (!runSoFar.isCreated) continue;
      const image = first.disk.crash(anyCrash(new SeededRandom(lives)));
      for (let again = 0; again < 100; again++) {
        const second = mortalDisk(image, again);
        const isDone = await openWal(second.disk).then(
          () => true,
          (error: unknown) => {
            if (error instanceof PowerLost) return false;
            throw error;
          },
        );
        if (isDone) break;
        const survivor = second.disk.crash(anyCrash(new SeededRandom(lives * 1000 + again)));
        await recovered(survivor, runSoFar, `after ${lives} operations and ${again} of the recovery`);
      }
    }
  });

  it('Ensure that whichever sectors of an unsynced batch are lost, wherever it lies, it is told from rot.', async () => {
    const situations = {whole: 0, torn: 0};
    for (let seed = 1; seed <= 250; seed++) {
      const random = new SeededRandom(seed);
      let isDoomed = false;
      const turn = ({name}: {name: string}) => {
        if (isDoomed && name === 'sync') throw new PowerLost();
      };
      const disk = new MemoryDisk({turn});
      const wal = await createWal(disk, 1 << 17);
      const model = new WalModel();
      const makeBatch = () => {
        const count = random.below(4);
        const list = Array.from({length: count}, (_, i) => {
          const size = random.below(3) === 0 ? random.below(3000) : random.below(90);
          return entry(model.lastIndex + 1 + i, 1, Buffer.alloc(size, random.below(3)));
        });
        return {entries: list, hardState: hard(1, model.lastIndex), sync: true};
      };
      for (let i = random.below(10); i >= 0; i--) {
        const batch = makeBatch();
        await wal.append(batch);
        model.apply(batch);
      }
      const attempted = model.copy();
      const last = makeBatch();
      attempted.apply(last);
      isDoomed = true;
      await expect(wal.append(last)).rejects.toThrow(PowerLost);
      const {contents} = await openWal(disk.crash(anyCrash(random)));
      const isWhole = difference(contents, attempted) === undefined;
      expect(isWhole ? undefined : difference(contents, model), `seed ${seed}`).toBeUndefined();
      expect(contents.doubtfulIndex, `seed ${seed}`).toBe(0);
      situations[isWhole ? 'whole' : 'torn'] += 1;
    }
    expect(Math.min(situations.whole, situations.torn)).toBeGreaterThan(30);
  });

  it('Ensure that a last batch torn at any byte is cut off, or taken whole.', async () => {
    for (const size of [5, 450, 3000]) {
      const model = new WalModel();
      const batch = {
        entries: [entry(3, 1, Buffer.alloc(size, 0xee)), entry(4, 1)],
        hardState: hard(1, 2),
        sync: true,
      };
      const prepare = async () => {
        const disk = new MemoryDisk();
        const wal = await createWal(disk, 8192);
        await wal.append({entries: entries(1, 2, 1), hardState: hard(1, 0), sync: true});
        return {disk, wal};
      };
      model.apply({entries: entries(1, 2, 1), hardState: hard(1, 0), sync: true});
      const after = model.copy();
      after.apply(batch);
      for (let kept = 0; kept <= size + 250; kept += kept < 140 || kept > size ? 1 : 37) {
        const {disk, wal} = await prepare();
        const before = Buffer.from(disk.bytesOf('wal/0000000000000001.wal'));
        await wal.append(batch);
        const written = disk.bytesOf('wal/0000000000000001.wal');
        const start = firstDifference(before, written);
        const torn = disk.copy();
        torn.tamper('wal/0000000000000001.wal', start + kept, before.subarray(start + kept));
        const {contents} = await openWal(torn);
        const isWhole = contents.entries.length === 4;
        expect(difference(contents, isWhole ? after : model)).toBeUndefined();
        if (!isWhole && kept > 0) expect(contents.tornBytes).toBeGreaterThan(0);
        // What was cut off is gone: zeros, as before the batch.
        if (!isWhole) expect(torn.bytesOf('wal/0000000000000001.wal').equals(before)).toBe(true);
      }
    }
  });

  it('Ensure that a recovery that is cut short at any byte of what it clears is recovered from.', async () => {
    const path = 'wal/0000000000000001.wal';
    const whole = new MemoryDisk();
    const wal = await createWal(whole, 8192);
    const first = {entries: entries(1, 2, 1), hardState: hard(1, 0), sync: true};
    await wal.append(first);
    const model = new WalModel();
    model.apply(first);
    const before = Buffer.from(whole.bytesOf(path));
    await wal.append({entries: [entry(3, 1, Buffer.alloc(1500, 0xee))], hardState: hard(1, 2), sync: true});
    const start = firstDifference(before, whole.bytesOf(path));
    // The last sector of the batch, with its trailer, never came.
    whole.tamper(path, start + 1024, before.subarray(start + 1024));
    let images = 0;
    for (let lives = 0; ; lives++) {
      for (let kept = 0; kept <= 1100; kept += 13) {
        const {disk} = mortalDisk(whole, lives);
        const isDone = await openWal(disk).then(
          () => true,
          (error: unknown) => {
            if (error instanceof PowerLost) return false;
            throw error;
          },
        );
        if (isDone) {
          expect(images).toBeGreaterThan(200);
          return;
        }
        const {contents} = await openWal(disk.crash(tearLastWrite(kept)));
        expect(difference(contents, model), `after ${lives} operations, ${kept} bytes kept`).toBeUndefined();
        images++;
      }
    }
  });

  it('Ensure that a segment begun but not named, and one named but not durable, are no part of the log.', async () => {
    const {disk} = mortalDisk(undefined, Number.POSITIVE_INFINITY);
    const model = new WalModel();
    const wal = await createWal(disk, 2048);
    const first = {entries: [entry(1, 1, Buffer.alloc(1000, 1))], hardState: hard(1, 0), sync: true};
    await wal.append(first);
    model.apply(first);
    const image = disk.copy();
    const file = await image
      .open('wal/next.tmp', {create: false})
      .catch(() => image.open('wal/next.tmp', {create: true}));
    await file.write(0, [disk.bytesOf('wal/0000000000000001.wal')]);
    const {contents} = await openWal(image);
    expect(difference(contents, model)).toBeUndefined();
    expect(await image.list('wal')).toEqual(['0000000000000001.wal']);
  });
});

function firstDifference(a: Buffer, b: Buffer): number {
  let at = 0;
  while (a[at] === b[at]) at += 1;
  return at;
}
