/** What lies on disks: the log, entries in it, snapshot files, state images between members. */

import fc from 'fast-check';
import {EngineError, type EngineErrorCode} from '../../src/engine/errors.ts';
import {decodeProposal, encodeProposal} from '../../src/engine/state-machine/command-codec.ts';
import {SnapshotFile} from '../../src/engine/storage/snapshot-file/snapshot-file.ts';
import {readSnapshotStatus} from '../../src/engine/storage/snapshot-file/snapshot-status.ts';
import {readStateImage, writeStateImage} from '../../src/engine/storage/state-image.ts';
import {readRecords, recordsBytes, writeRecords} from '../../src/engine/storage/wal-record.ts';
import {MemoryDisk} from '../simulator/memory-disk.ts';
import {
  collect,
  fileOf,
  History,
  idleClock,
  SampleStore,
  sha256,
  snapshotOf,
} from '../unit/snapshot-file/snapshot-samples.ts';
import {command} from '../unit/state-machine/commands.ts';
import {createWal, entries, entry, openWal} from '../unit/storage/wal-fixture.ts';
import {StoreWorld} from '../unit/storage-store/store-world.ts';
import type {FuzzTarget} from './fuzz-target.ts';

const FIRST = 'wal/0000000000000001.wal';
const SECOND = 'wal/0000000000000002.wal';

const isOneOf =
  (...codes: EngineErrorCode[]) =>
  (error: unknown): boolean =>
    error instanceof EngineError && codes.includes(error.code);

export async function storageTargets(): Promise<FuzzTarget[]> {
  const log = await sampleLog();
  return [
    walTarget('wal-first-segment', log, FIRST),
    walTarget('wal-last-segment', log, SECOND),
    {name: 'wal-records', samples: [sampleRecords()], run: readRecords, isRefusal: () => false},
    {
      name: 'log-entries',
      samples: fc
        .sample(command, {numRuns: 60, seed: 1})
        .map((one) => encodeProposal({proposer: 7n, requestId: 9, command: one})),
      run: decodeProposal,
      isRefusal: isOneOf('walCorrupt', 'formatUnsupported'),
    },
    await snapshotTarget(),
    await stateImageTarget(),
  ];
}

async function sampleLog(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const wal = await createWal(disk, 2048);
  const hardState = {term: 1, vote: 1n, commit: 0};
  await wal.append({entries: entries(1, 3, 1), hardState, sync: true});
  await wal.append({entries: [entry(4, 1, Buffer.alloc(1_100, 7))], hardState: undefined, sync: true});
  await wal.append({entries: entries(5, 12, 2), hardState: {...hardState, term: 2}, sync: true});
  await wal.append({entries: entries(17, 2, 2), hardState: undefined, sync: true});
  const settled = disk.copy();
  await settled.remove('wal/next.tmp');
  return settled;
}

function walTarget(name: string, log: MemoryDisk, path: string): FuzzTarget {
  const run = async (bytes: Buffer) => {
    const disk = log.copy();
    await disk.remove(path);
    const file = await disk.open(path, {create: true});
    await file.write(0, [bytes]);
    await openWal(disk, true);
  };
  const isRefusal = isOneOf('walCorrupt', 'formatUnsupported');
  return {name, samples: [Buffer.from(log.bytesOf(path))], run, isRefusal};
}

function sampleRecords(): Buffer {
  const contents = {
    snapshot: {index: 3, term: 1, discards: false},
    entries: entries(4, 5, 2),
    hardState: {term: 2, vote: 1n, commit: 3},
    cleanStop: true,
  };
  const bytes = Buffer.alloc(recordsBytes(contents));
  writeRecords(bytes, 0, contents);
  return bytes;
}

/** Behind the checksum, too: a wrong file with the right one is what a bug or an enemy makes. */
async function snapshotTarget(): Promise<FuzzTarget> {
  const store = new SampleStore();
  const history = new History(store);
  for (let n = 0; n < 60; n++) history.put(`key/${n % 17}`, `value ${n}`);
  history.delete('key/3');
  const file = await snapshotOf(store);
  const run = async (bytes: Buffer) => {
    const digest = sha256();
    digest.update(bytes);
    const read = await SnapshotFile.open(fileOf(Buffer.concat([bytes, digest.finish()])));
    await read.verifyDigest({sha256, clock: idleClock});
    await read.check();
    await readSnapshotStatus(read);
    for (const bucket of read.bucketNames()) for await (const _ of read.records(bucket));
  };
  const samples = [file.subarray(0, file.length - 32)];
  return {name: 'snapshot-file', samples, run, isRefusal: isOneOf('snapshotInvalid')};
}

async function stateImageTarget(): Promise<FuzzTarget> {
  const world = new StoreWorld(1);
  const source = await world.run(world.disk.open('source'));
  const puts = Array.from({length: 40}, (_, n) => ({
    table: 'key' as const,
    key: Buffer.from(`key ${n}`),
    value: Buffer.alloc(n, n),
  }));
  await world.run(source.commit({puts, deletes: [], applied: {index: 7, term: 3, hash: 1}}));
  const image = await world.run(collect(writeStateImage(source, {clock: world.clock})));
  const run = async (bytes: Buffer) => {
    const fresh = new StoreWorld(1);
    const target = await fresh.run(fresh.disk.open('target'));
    const pieces = async function* () {
      for (let at = 0; at < bytes.length; at += 500) yield bytes.subarray(at, at + 500);
    };
    await fresh.run(readStateImage(pieces(), target));
  };
  return {name: 'state-image', samples: [image], run, isRefusal: isOneOf('snapshotInvalid')};
}
