/**
 * The log under damage: any flipped bit, lost, stale or swapped sector, cut or missing file. Never a wrong answer:
 * an error that names the place, or a doubt that covers all that may be missing, or nothing is missing.
 */

import {describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {crc32c} from '../../../src/engine/lib/crc32c.ts';
import {Wal} from '../../../src/engine/storage/wal.ts';
import type {WalBatch, WalContents} from '../../../src/engine/storage/wal-contents.ts';
import {SEGMENT_HEADER_BYTES} from '../../../src/engine/storage/wal-format.ts';
import {loseUnsynced, MemoryDisk} from '../../simulator/memory-disk.ts';
import {
  createWal,
  difference,
  entries,
  entry,
  expectContents,
  failureOf,
  METADATA,
  openWal,
  portsOn,
  WalModel,
} from './wal-fixture.ts';

const FIRST = 'wal/0000000000000001.wal';
const SECOND = 'wal/0000000000000002.wal';

interface Image {
  readonly disk: MemoryDisk;
  /** What was acknowledged, and what before the last batch. */
  readonly model: WalModel;
  readonly beforeLast: WalModel;
  readonly last: WalBatch;
}

/** A log of two segments, ended by `last`. */
async function makeImage(last: WalBatch, options: {cleanStop: boolean}): Promise<Image> {
  const disk = new MemoryDisk();
  const wal = await createWal(disk, 2048);
  const model = new WalModel();
  const batches: WalBatch[] = [
    {entries: entries(1, 3, 1), hardState: {term: 1, vote: 1n, commit: 0}, sync: true},
    {entries: [entry(4, 1, Buffer.alloc(1100, 0x77))], hardState: {term: 1, vote: 1n, commit: 3}, sync: true},
    {entries: entries(5, 12, 2), hardState: {term: 2, vote: 0n, commit: 4}, sync: true},
    {entries: entries(17, 2, 2), hardState: undefined, sync: true},
  ];
  for (const batch of batches) {
    await wal.append(batch);
    model.apply(batch);
  }
  const beforeLast = model.copy();
  await wal.append(last);
  model.apply(last);
  if (options.cleanStop) await wal.close();
  const settled = disk.copy();
  await settled.remove('wal/next.tmp');
  expect(await settled.list('wal')).toEqual(['0000000000000001.wal', '0000000000000002.wal']);
  return {disk: settled, model, beforeLast, last};
}

const LASTS: readonly [name: string, last: WalBatch][] = [
  ['one entry', {entries: [entry(19, 2)], hardState: undefined, sync: true}],
  [
    'entries with zeros',
    {entries: [entry(19, 2, Buffer.alloc(1100)), entry(20, 2)], hardState: undefined, sync: true},
  ],
  ['a vote', {entries: [], hardState: {term: 7, vote: 3n, commit: 4}, sync: true}],
  ['a vote in a known term', {entries: [], hardState: {term: 2, vote: 3n, commit: 4}, sync: true}],
  [
    'an overwritten tail',
    {entries: entries(10, 2, 3), hardState: {term: 3, vote: 0n, commit: 9}, sync: true},
  ],
  [
    'a snapshot',
    {entries: [], hardState: {term: 3, vote: 0n, commit: 90}, snapshot: {index: 90, term: 3}, sync: true},
  ],
];

/** What is wrong with the answer to a damaged log; undefined when nothing is. */
async function judge(
  image: Image,
  damaged: MemoryDisk,
): Promise<{wrong: string | undefined; outcome: string}> {
  let contents: WalContents;
  try {
    ({contents} = await openWal(damaged.copy(), true));
  } catch (error) {
    if (!(error instanceof EngineError)) return {wrong: String(error), outcome: 'a crash'};
    const isKnown = error.code === 'walCorrupt' || error.code === 'formatUnsupported';
    return {wrong: isKnown ? undefined : error.message, outcome: 'error'};
  }
  if (difference(contents, image.model) === undefined) return {wrong: undefined, outcome: 'whole'};
  const {hardState} = image.model;
  const hasVotes =
    contents.hardState.term === hardState.term &&
    (contents.hardState.vote === hardState.vote || contents.hardState.vote === METADATA.memberId);
  if (!hasVotes)
    return {wrong: `term ${contents.hardState.term}, vote ${contents.hardState.vote}`, outcome: 'votes'};
  const whole = image.model.copy();
  whole.hardState = contents.hardState;
  if (difference(contents, whole) === undefined) return {wrong: undefined, outcome: 'vote'};
  const withVotes = image.beforeLast.copy();
  withVotes.hardState = contents.hardState;
  const rest = difference(contents, withVotes);
  if (rest !== undefined) return {wrong: rest, outcome: 'other contents'};
  const carriesLog = image.last.entries.length > 0 || image.last.snapshot !== undefined;
  if (carriesLog && contents.doubtfulIndex !== image.model.lastIndex) {
    return {wrong: `doubt up to ${contents.doubtfulIndex}, not ${image.model.lastIndex}`, outcome: 'doubt'};
  }
  const alone = await openWal(damaged.copy(), false).then(
    () => 'opened',
    (error: EngineError) => error.code,
  );
  if (carriesLog && alone !== 'walCorrupt')
    return {wrong: `a member without others: ${alone}`, outcome: 'alone'};
  return {wrong: undefined, outcome: 'doubt'};
}

function flipped(disk: MemoryDisk, path: string, at: number): MemoryDisk {
  const damaged = disk.copy();
  damaged.tamper(path, at, Buffer.from([damaged.bytesOf(path)[at] ^ (1 << (at % 8))]));
  return damaged;
}

function writtenBytes(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}

describe('the log under damage', () => {
  for (const [name, last] of LASTS) {
    for (const cleanStop of [false, true]) {
      const ending = cleanStop ? 'and a clean stop' : 'and no clean stop';
      it(`Ensure that no flipped bit gives a wrong answer: a log that ends with ${name} ${ending}.`, async () => {
        const image = await makeImage(last, {cleanStop});
        const outcomes = new Set<string>();
        // What lies before the last batches is the same in all these logs: looked at closely in one of them.
        const isFirstCase = last === LASTS[0][1];
        for (const path of isFirstCase ? [FIRST, SECOND] : [SECOND]) {
          const bytes = image.disk.bytesOf(path);
          const end = writtenBytes(bytes);
          const isClose = (at: number) => at < end + 100 && (isFirstCase || at > end - 1500);
          for (let at = 0; at < bytes.length; at += isClose(at) ? 1 : 61) {
            const {wrong, outcome} = await judge(image, flipped(image.disk, path, at));
            if (wrong !== undefined) expect.fail(`bit ${at % 8} of byte ${at} of ${path}: ${wrong}`);
            outcomes.add(outcome);
          }
        }
        const carriesLog = last.entries.length > 0 || last.snapshot !== undefined;
        const expected = cleanStop ? ['error', 'whole'] : ['error', 'whole', carriesLog ? 'doubt' : 'vote'];
        for (const outcome of expected) expect([...outcomes]).toContain(outcome);
      });
    }
  }

  it('Ensure that a lost or stale sector below the last batch is corruption, named by file and offset.', async () => {
    const {disk} = await makeImage(LASTS[0][1], {cleanStop: true});
    for (const path of [FIRST, SECOND]) {
      const bytes = disk.bytesOf(path);
      const end = writtenBytes(bytes) - 400;
      for (let at = 0; at < end; at += 512) {
        const isAllZero = bytes.subarray(at, at + 512).every((byte) => byte === 0);
        for (const content of [Buffer.alloc(512), bytes.subarray(512, 1024)]) {
          if (isAllZero || bytes.subarray(at, at + 512).equals(content)) continue;
          const damaged = disk.copy();
          damaged.tamper(path, at, content);
          const failure = await failureOf(openWal(damaged, true));
          expect(failure.code).toBe('walCorrupt');
          if (failure.code === 'walCorrupt') {
            expect(failure.path).toMatch(/^\/memory\/wal\/000000000000000[12]\.wal$/);
            expect(failure.offset).toBeLessThanOrEqual(at);
          }
        }
      }
    }
  });

  it('Ensure that a cut, an empty and a missing file are corruption.', async () => {
    const {disk} = await makeImage(LASTS[0][1], {cleanStop: false});
    for (const path of [FIRST, SECOND]) {
      for (const length of [0, 100, 511, 512, 600, disk.bytesOf(path).length - 1]) {
        const damaged = disk.copy();
        const file = await damaged.open(path, {create: false});
        await file.truncate(length);
        expect((await failureOf(openWal(damaged, true))).code).toBe('walCorrupt');
      }
    }
    const empty = disk.copy();
    await empty.remove(FIRST);
    await empty.remove(SECOND);
    expect((await failureOf(openWal(empty, true))).code).toBe('walCorrupt');
  });

  it('Ensure that a segment missing between others, under another name, or of another log is corruption.', async () => {
    const disk = new MemoryDisk();
    const wal = await createWal(disk, 2048);
    for (let i = 1; i <= 30; i++) {
      await wal.append({entries: [entry(i, 1, Buffer.alloc(900, i))], hardState: undefined, sync: true});
    }
    const missing = disk.copy();
    await missing.remove(SECOND);
    expect(await failureOf(openWal(missing, true))).toMatchObject({
      code: 'walCorrupt',
      detail: 'the segment is missing',
    });
    const swapped = disk.copy();
    await swapped.remove(SECOND);
    await swapped.rename('wal/0000000000000003.wal', SECOND);
    expect((await failureOf(openWal(swapped, true))).code).toBe('walCorrupt');
    const mixed = disk.copy();
    const other = await makeImage(LASTS[0][1], {cleanStop: false});
    const file = await mixed.open(SECOND, {create: false});
    await file.write(0, [other.disk.bytesOf(SECOND)]);
    expect((await failureOf(openWal(mixed, true))).code).toBe('walCorrupt');
  });

  it('Ensure that a missing beginning is corruption, unless a snapshot stands for it; so is a missing folder.', async () => {
    const disk = new MemoryDisk();
    const wal = await createWal(disk, 2048);
    for (let i = 1; i <= 6; i++) {
      await wal.append({entries: [entry(i, 1, Buffer.alloc(900, i))], hardState: undefined, sync: true});
    }
    const missing = disk.copy();
    await missing.remove(FIRST);
    expect(await failureOf(openWal(missing, true))).toMatchObject({
      code: 'walCorrupt',
      path: `/memory/${FIRST}`,
      detail: 'the segment is missing',
    });
    await wal.append({entries: [], hardState: undefined, snapshot: {index: 6, term: 1}, sync: true});
    const spared = disk.copy();
    await spared.remove(FIRST);
    expect((await openWal(spared, true)).contents.snapshot).toEqual({index: 6, term: 1});
    const gone = disk.copy();
    await gone.remove('wal');
    expect(await failureOf(openWal(gone, true))).toMatchObject({
      code: 'walCorrupt',
      path: '/memory/wal',
      detail: 'the log has no segment',
    });
  });

  it('Ensure that a format from the future is refused as such.', async () => {
    const {disk} = await makeImage(LASTS[0][1], {cleanStop: true});
    const header = Buffer.from(disk.bytesOf(SECOND).subarray(0, SEGMENT_HEADER_BYTES));
    header.writeUInt32LE(2, 8);
    // A flipped bit of the number alone is damage.
    disk.tamper(SECOND, 8, header.subarray(8, 9));
    expect(await failureOf(openWal(disk, true))).toMatchObject({code: 'walCorrupt', offset: 0});
    header.writeUInt32LE(crc32c(header.subarray(0, SEGMENT_HEADER_BYTES - 4)), SEGMENT_HEADER_BYTES - 4);
    disk.tamper(SECOND, 0, header);
    const failure = await failureOf(openWal(disk, true));
    expect(failure).toMatchObject({code: 'formatUnsupported', path: `/memory/${SECOND}`, supported: '1'});
  });

  it('Ensure that length fields of any value neither crash nor allocate beyond the file.', async () => {
    const {disk} = await makeImage(LASTS[0][1], {cleanStop: false});
    const bytes = disk.bytesOf(SECOND);
    for (let at = 512; at < writtenBytes(bytes); at += 4) {
      for (const value of [0xffff_ffff, 0x7fff_fff8, 0x0400_0000, 0]) {
        const damaged = disk.copy();
        const field = Buffer.alloc(4);
        field.writeUInt32LE(value);
        damaged.tamper(SECOND, at, field);
        await openWal(damaged, true).catch((error: unknown) => {
          expect(error).toBeInstanceOf(EngineError);
        });
      }
    }
  });

  it('Ensure that the first batch of a segment is never taken for torn: it was synced before the segment had a name.', async () => {
    const disk = new MemoryDisk();
    const wal = await createWal(disk, 2048);
    await wal.append({entries: entries(1, 3, 1), hardState: undefined, sync: true});
    await wal.append({entries: [entry(4, 1, Buffer.alloc(2500, 0x42))], hardState: undefined, sync: true});
    expect(wal.segmentCount).toBe(2);
    const end = writtenBytes(disk.bytesOf(SECOND));
    for (const [at, length] of [
      [1024, 512],
      [end - 40, 40],
      [end - 8, 8],
    ] as const) {
      const damaged = disk.copy();
      damaged.tamper(SECOND, at, Buffer.alloc(length));
      const intact = at === 1024 ? 'walCorrupt' : 'none';
      const alone = await openWal(damaged.copy(), false).then(
        () => 'none',
        (error: EngineError) => error.code,
      );
      expect(alone).toBe(intact);
      const {contents} = await openWal(damaged, true);
      expect([contents.doubtfulIndex, contents.entries.length]).toEqual(at === 1024 ? [4, 3] : [0, 4]);
    }
    disk.tamper(SECOND, 512, Buffer.alloc(end - 512));
    expect((await failureOf(openWal(disk, true))).code).toBe('walCorrupt');
  });

  it('Ensure that a batch damaged at both ends is corruption: nobody knows what it held.', async () => {
    const {disk} = await makeImage(LASTS[0][1], {cleanStop: false});
    const end = writtenBytes(disk.bytesOf(SECOND));
    disk.tamper(SECOND, end - 10, Buffer.from([0x13]));
    const start = disk.bytesOf(SECOND).lastIndexOf(Buffer.from([0x01, 0x4e, 0x7c, 0xb4]));
    disk.tamper(SECOND, start + 12, Buffer.from([0x77]));
    expect((await failureOf(openWal(disk, true))).code).toBe('walCorrupt');
  });
});

describe('a doubtful end of the log', () => {
  /** The last entry is 19 of term 2, with a flipped bit. */
  async function makeDoubtful(): Promise<MemoryDisk> {
    const {disk} = await makeImage(LASTS[0][1], {cleanStop: false});
    const at = disk.bytesOf(SECOND).lastIndexOf('entry 19/2');
    return flipped(disk, SECOND, at);
  }

  it('Ensure that a member without others is refused, and may be repaired.', async () => {
    const failure = await failureOf(openWal(await makeDoubtful(), false));
    expect(failure).toMatchObject({code: 'walCorrupt', path: `/memory/${SECOND}`, remedy: 'repair'});
    expect(JSON.stringify(failure)).toContain('the last batch is damaged');
    expect(JSON.stringify(failure)).toContain('up to index 19');
  });

  it('Ensure that the doubt outlives restarts, crashes and rotation until the commit index reaches it.', async () => {
    let disk = await makeDoubtful();
    const first = await openWal(disk, true);
    expect(first.contents.doubtfulIndex).toBe(19);
    expect(first.contents.entries.at(-1)?.index).toBe(18);
    disk = disk.crash(loseUnsynced);
    const second = await openWal(disk, true);
    expect(second.contents.doubtfulIndex).toBe(19);
    expect((await failureOf(openWal(disk.copy(), false))).code).toBe('walCorrupt');
    const hardState = {term: 5, vote: 0n, commit: 18};
    for (let i = 19; i < 40; i++) {
      await second.wal.append({entries: [entry(i, 5, Buffer.alloc(1500, i))], hardState, sync: true});
    }
    const third = await openWal(disk.crash(loseUnsynced), true);
    expect(third.contents.doubtfulIndex).toBe(19);
    expect(third.contents.entries.at(-1)?.index).toBe(39);
    await third.wal.append({entries: [], hardState: {...hardState, commit: 19}, sync: false});
    await third.wal.close();
  });

  it('Ensure that a commit index that reaches the doubt ends it.', async () => {
    const disk = await makeDoubtful();
    const {wal} = await openWal(disk, true);
    await wal.append({entries: entries(19, 1, 4), hardState: {term: 4, vote: 0n, commit: 19}, sync: true});
    const {contents} = await openWal(disk.crash(loseUnsynced), false);
    expect(contents.doubtfulIndex).toBe(0);
    expect(contents.entries.at(-1)?.term).toBe(4);
  });

  it('Ensure that no vote is given twice: the term of a lost vote is known, and spoken for.', async () => {
    const {disk} = await makeImage(LASTS[2][1], {cleanStop: false});
    const at = writtenBytes(disk.bytesOf(SECOND)) - 60;
    const {contents, wal} = await openWal(flipped(disk, SECOND, at), true);
    expect(contents.hardState).toEqual({term: 7, vote: METADATA.memberId, commit: 4});
    expect(contents.doubtfulIndex).toBe(0);
    await wal.close();
  });

  it('Ensure that the repair cuts the damaged batch off for good and says what is given up.', async () => {
    const disk = await makeDoubtful();
    expect(await Wal.repair(portsOn(disk))).toEqual({doubtfulIndex: 19, lastIndex: 18});
    expect(await Wal.repair(portsOn(disk))).toEqual({doubtfulIndex: 0, lastIndex: 18});
    const {wal, contents} = await openWal(disk, false);
    expect(contents.doubtfulIndex).toBe(0);
    await wal.append({entries: entries(19, 1, 3), hardState: undefined, sync: true});
    expect((await openWal(disk, false)).contents.entries.at(-1)?.index).toBe(19);
  });

  it('Ensure that the repair ends a doubt that an earlier start found, too, and leaves a sound log alone.', async () => {
    const disk = await makeDoubtful();
    await openWal(disk, true);
    expect(await Wal.repair(portsOn(disk))).toEqual({doubtfulIndex: 19, lastIndex: 18});
    expect((await openWal(disk, false)).contents.doubtfulIndex).toBe(0);
    const sound = await makeImage(LASTS[0][1], {cleanStop: true});
    expect(await Wal.repair(portsOn(sound.disk))).toEqual({doubtfulIndex: 0, lastIndex: 19});
    expectContents((await openWal(sound.disk)).contents, sound.model);
  });
});
