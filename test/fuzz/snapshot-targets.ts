/** Snapshot files, of kvd and of others, and the state images that members send each other. */

import {EngineError} from '../../src/engine/errors.ts';
import {NodeClock} from '../../src/engine/io/clock.ts';
import {silentLogger} from '../../src/engine/io/logger.ts';
import {MetricRegistry} from '../../src/engine/io/metrics.ts';
import {crc32c} from '../../src/engine/lib/crc32c.ts';
import {encodeLease, encodeLeaseKey} from '../../src/engine/state-machine/lease/lease-record.ts';
import {restoreSnapshot} from '../../src/engine/storage/snapshot-file/restore-snapshot.ts';
import {SnapshotFile} from '../../src/engine/storage/snapshot-file/snapshot-file.ts';
import {readSnapshotStatus} from '../../src/engine/storage/snapshot-file/snapshot-status.ts';
import {readStateImage, writeStateImage} from '../../src/engine/storage/state-image.ts';
import {StoreFolder} from '../../src/engine/storage/store-folder.ts';
import {TABLES} from '../../src/engine/types.ts';
import {MemoryBackendDisk} from '../simulator/memory-backend.ts';
import {MemoryDisk} from '../simulator/memory-disk.ts';
import {MemoryRecords} from '../simulator/memory-records.ts';
import type {SeededRandom} from '../simulator/seeded-random.ts';
import {bucketAt, fileWith, item, leaf} from '../unit/snapshot-file/foreign-file.ts';
import {
  collect,
  fileOf,
  History,
  idleClock,
  SampleStore,
  sha1,
  sha256,
  snapshotOf,
} from '../unit/snapshot-file/snapshot-samples.ts';
import {Machine} from '../unit/state-machine/machine.ts';
import {StoreWorld} from '../unit/storage-store/store-world.ts';
import {type FuzzTarget, promise, promiseSame, refusesWith} from './fuzz-target.ts';
import {changedInPlace, mutated, oneOf} from './mutate.ts';
import {jsonText, mutatedValue} from './mutate-value.ts';
import {malformedPages} from './page-malform.ts';

const isSnapshotInvalid = refusesWith('snapshotInvalid');

export async function snapshotTargets(): Promise<FuzzTarget[]> {
  const samples = await sampleFiles();
  const malform = (random: SeededRandom) => malformedPages(random, oneOf(random, samples));
  const ownFiles = samples.slice(0, 2);
  return [
    {name: 'snapshot-file', samples, malform, run: readFile, isRefusal: isSnapshotInvalid},
    {
      name: 'snapshot-restore',
      samples: ownFiles,
      malform: (random) => malformedPages(random, oneOf(random, ownFiles)),
      run: restoreAndLoad,
      isRefusal: isSnapshotInvalid,
    },
    await stateImageTarget(),
  ];
}

/** Without their digests: a small file, one with branches, and two as other programs write them. */
async function sampleFiles(): Promise<Buffer[]> {
  const small = new SampleStore();
  const history = new History(small);
  for (let n = 0; n < 20; n++) history.put(`key/${n % 7}`, `value ${n}`, n === 3 ? 7n : 0n);
  history.delete('key/3');
  small.add('lease', encodeLeaseKey(7n), encodeLease({id: 7n, ttlSeconds: 60, remainingTtlSeconds: 0}));
  small.add('auth', 'authEnabled', '\0');
  const large = new SampleStore();
  const longHistory = new History(large);
  for (let n = 0; n < 400; n++) longHistory.put(`key/${n % 40}`, `value ${n}`.padEnd(60));
  const inner = bucketAt(0, leaf(0, [item('deep', 'x')]));
  const inline = leaf(0, [item('a', '1'), {key: 'b', value: inner, isBucket: true}, item('c', '2')]);
  const root = [
    item('beside', 'y'),
    {key: 'lease', value: bucketAt(0, inline), isBucket: true},
    {key: 'meta', value: bucketAt(3), isBucket: true},
  ];
  const own = await Promise.all([small, large].map(snapshotOf));
  const foreign = [512, 4096].map((pageBytes) =>
    fileWith(pageBytes, root, [leaf(3, [item('large', 'x'.repeat(700))], pageBytes)]),
  );
  return [...own.map((file) => file.subarray(0, file.length - 32)), ...foreign];
}

/** Behind the digest: a wrong file with the right one is what a bug or an enemy makes. */
async function opened(bytes: Buffer): Promise<SnapshotFile> {
  const digest = sha256();
  digest.update(bytes);
  return SnapshotFile.open(fileOf(Buffer.concat([bytes, digest.finish()])));
}

async function readFile(bytes: Buffer): Promise<void> {
  const file = await opened(bytes);
  await file.verifyDigest({sha256, clock: idleClock});
  await file.check();
  let records = 0;
  for (const bucket of file.bucketNames()) {
    for await (const some of file.records(bucket)) records += some.length;
  }
  const {totalRecords, totalKeys, totalSize} = await readSnapshotStatus(file);
  promise(
    totalRecords === records && totalKeys <= records,
    'all records are counted, and keys are among them',
  );
  promise(totalSize <= bytes.length, 'pages in use lie in the file');
}

/**
 * What is restored is a member that starts, at the revision that was told; or the start finds that the history of a
 * key contradicts itself, for which it has to know all keys.
 */
async function restoreAndLoad(bytes: Buffer): Promise<void> {
  const clock = new NodeClock();
  const disk = new MemoryDisk();
  const backendOpener = new MemoryBackendDisk({clock, commitMs: () => 0});
  const {revision} = await restoreSnapshot(
    {
      disk,
      lock: async () => async () => undefined,
      backendOpener,
      clock,
      logger: silentLogger,
      metrics: new MetricRegistry(),
      sha1,
    },
    {
      file: await opened(bytes),
      name: 'a',
      initialCluster: new Map([['a', ['http://a:1']]]),
      initialClusterToken: 't',
      initialAdvertisePeerURLs: ['http://a:1'],
      madeBy: 'test',
    },
  );
  const backend = await new StoreFolder(disk).open(backendOpener);
  const records = new MemoryRecords();
  for (const table of TABLES)
    for (const [key, value] of backend.range(table, {})) records.put(table, key, value);
  try {
    promise(new Machine(records).mvcc.currentRevision() === revision, 'the revision that was told');
  } catch (error) {
    const isHistory = error instanceof EngineError && error.message.includes('path=key');
    if (isHistory && /does not follow|deletes what was deleted|too many at once/.test(error.message)) return;
    throw new Error(`what was restored does not start: ${error instanceof Error ? error.stack : error}`);
  }
}

async function stateImageTarget(): Promise<FuzzTarget> {
  const world = new StoreWorld(1);
  const source = await world.run(world.disk.open('source'));
  const puts = Array.from({length: 40}, (_, n) => ({
    table: TABLES[n % 3],
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
    const mark = await fresh.run(readStateImage(pieces(), target));
    promiseSame(target.applied(), mark, 'the mark');
    const again = await fresh.run(collect(writeStateImage(target, {clock: fresh.clock})));
    const other = await fresh.run(fresh.disk.open('again'));
    const list = async function* () {
      yield again;
    };
    promiseSame(await fresh.run(readStateImage(list(), other)), mark, 'the mark of the image of an image');
  };
  const malform = (random: SeededRandom) => malformedImage(random, image);
  return {name: 'state-image', samples: [image], malform, run, isRefusal: isSnapshotInvalid};
}

const HEAD_BYTES = 8;

function malformedImage(random: SeededRandom, image: Buffer): Buffer {
  let payloads: Buffer[] = [];
  for (let at = 0; at < image.length; ) {
    const length = image.readUInt32LE(at);
    payloads.push(Buffer.from(image.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length)));
    at += HEAD_BYTES + length;
  }
  const at = random.below(payloads.length);
  const payload = payloads[at];
  const isText = payload[0] !== 2;
  const change = random.below(6);
  if (change === 0) payloads = payloads.toSpliced(at, 1);
  else if (change === 1) payloads = payloads.toSpliced(random.below(payloads.length + 1), 0, payload);
  else if (change === 2) payloads[at] = Buffer.from([random.below(5), ...payload.subarray(1)]);
  else if (isText) {
    const value = mutatedValue(random, JSON.parse(payload.toString('utf8', 1)));
    payloads[at] = Buffer.concat([payload.subarray(0, 1), Buffer.from(jsonText(value))]);
  } else payloads[at] = change === 3 ? mutated(random, payloads) : changedInPlace(random, payload, 1);
  let checksum = 0;
  return Buffer.concat(
    payloads.flatMap((part) => {
      const head = Buffer.alloc(HEAD_BYTES);
      checksum = crc32c(part, checksum);
      head.writeUInt32LE(part.length, 0);
      head.writeUInt32LE(checksum, 4);
      return [head, part];
    }),
  );
}
