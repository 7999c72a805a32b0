/** The log on disk: segments, batches, records. */

import type {WalContents} from '../../src/engine/storage/wal-contents.ts';
import {
  type BatchContents,
  readRecords,
  recordsBytes,
  writeRecords,
} from '../../src/engine/storage/wal-record.ts';
import {MemoryDisk} from '../simulator/memory-disk.ts';
import type {SeededRandom} from '../simulator/seeded-random.ts';
import {createWal, entries, entry, openWal} from '../unit/storage/wal-fixture.ts';
import {type FuzzTarget, neverRefuses, promise, promiseSame, refusesWith} from './fuzz-target.ts';
import {mutated} from './mutate.ts';
import {malformedSegment, unrelatedBatches} from './wal-malform.ts';

const FIRST = 'wal/0000000000000001.wal';
const SECOND = 'wal/0000000000000002.wal';

export async function walTargets(): Promise<FuzzTarget[]> {
  const log = await sampleLog();
  const alone = log.copy();
  await alone.remove(SECOND);
  const sample = (path: string) => Buffer.from(log.bytesOf(path));
  return [
    walTarget('wal-first-segment', log, FIRST, (random) => malformedSegment(random, sample(FIRST))),
    walTarget('wal-last-segment', log, SECOND, (random) => malformedSegment(random, sample(SECOND))),
    walTarget('wal-batches', alone, FIRST, unrelatedBatches),
    recordsTarget(),
  ];
}

async function sampleLog(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const wal = await createWal(disk, 2048);
  const hardState = {term: 1, vote: 1n, commit: 0};
  await wal.append({entries: entries(1, 3, 1), hardState, sync: true});
  await wal.append({entries: [entry(4, 1, Buffer.alloc(1_100, 7))], hardState: undefined, sync: true});
  await wal.append({entries: entries(5, 12, 2), hardState: {...hardState, term: 2}, sync: true});
  await wal.append({
    entries: entries(17, 2, 2),
    hardState: undefined,
    snapshot: {index: 9, term: 2},
    sync: true,
  });
  const settled = disk.copy();
  await settled.remove('wal/next.tmp');
  return settled;
}

function walTarget(
  name: string,
  log: MemoryDisk,
  path: string,
  malform: (random: SeededRandom) => Buffer,
): FuzzTarget {
  const run = async (bytes: Buffer) => {
    const disk = log.copy();
    await disk.remove(path);
    const file = await disk.open(path, {create: true});
    await file.write(0, [bytes]);
    await file.close();
    await openTwice(disk);
  };
  const isRefusal = refusesWith('walCorrupt', 'formatUnsupported');
  return {name, samples: [Buffer.from(log.bytesOf(path))], malform, run, isRefusal};
}

/** A log that is taken is whole, can be written on, and is the same log with what was written at its end. */
async function openTwice(disk: MemoryDisk): Promise<void> {
  const {wal, contents} = await openWal(disk, true);
  checkContents(contents);
  const last = contents.entries.at(-1) ?? contents.snapshot;
  const term = Math.max(last.term, contents.hardState.term, 1);
  const added = entry(last.index + 1, term);
  const hardState = {
    ...contents.hardState,
    term,
    vote: term === contents.hardState.term ? contents.hardState.vote : 0n,
  };
  await wal.append({entries: [added], hardState, sync: true});
  await wal.close();
  const again = await openWal(disk, true);
  await again.wal.close();
  promiseSame(again.contents.entries, [...contents.entries, added], 'the entries of the next start');
  promiseSame(again.contents.snapshot, contents.snapshot, 'the marker of the next start');
  promiseSame(again.contents.metadata, contents.metadata, 'the log’s owner at the next start');
}

function checkContents({entries: found, snapshot, hardState}: WalContents): void {
  promise(found.length === 0 || found[0].index <= snapshot.index + 1, 'no gap behind the marker');
  promise(
    Number.isSafeInteger(snapshot.index) && Number.isSafeInteger(hardState.commit),
    'numbers that count',
  );
  found.forEach(({index, term}, i) => {
    promise(
      i === 0 || (index === found[i - 1].index + 1 && term >= found[i - 1].term),
      'entries follow each other',
    );
  });
}

function recordsTarget(): FuzzTarget {
  const samples = [
    recordsOf({
      snapshot: {index: 3, term: 1, discards: false},
      entries: entries(4, 5, 2),
      hardState: {term: 2, vote: 1n, commit: 3},
      cleanStop: true,
    }),
  ];
  const run = (bytes: Buffer) => {
    const contents = readRecords(bytes);
    if (contents === undefined) return;
    promiseSame(readRecords(recordsOf(contents)), contents);
  };
  // Records come in steps of eight bytes.
  const malform = (random: SeededRandom) => {
    const bytes = mutated(random, samples);
    return bytes.subarray(0, bytes.length - (bytes.length % 8));
  };
  // What is no record is undefined, not an error.
  return {name: 'wal-records', samples, malform, run, isRefusal: neverRefuses};
}

function recordsOf(contents: BatchContents): Buffer {
  const bytes = Buffer.alloc(recordsBytes(contents));
  writeRecords(bytes, 0, contents);
  return bytes;
}
