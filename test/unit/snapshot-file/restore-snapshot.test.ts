/** Restoring into a data folder, on a disk and a backend in memory. */

import {describe, expect, it} from 'vitest';
import {NodeClock} from '../../../src/engine/io/clock.ts';
import {silentLogger} from '../../../src/engine/io/logger.ts';
import {MetricRegistry} from '../../../src/engine/io/metrics.ts';
import {storedConfState} from '../../../src/engine/state-machine/member-record.ts';
import {DataDir, WAL_FOLDER} from '../../../src/engine/storage/data-dir.ts';
import {
  type RestoreOptions,
  type RestorePorts,
  restoreSnapshot,
} from '../../../src/engine/storage/snapshot-file/restore-snapshot.ts';
import {SnapshotFile} from '../../../src/engine/storage/snapshot-file/snapshot-file.ts';
import {StoreFolder} from '../../../src/engine/storage/store-folder.ts';
import {Wal} from '../../../src/engine/storage/wal.ts';
import {MemoryBackendDisk} from '../../simulator/memory-backend.ts';
import {MemoryDisk} from '../../simulator/memory-disk.ts';
import {bucketAt, fileWith, item, leaf} from './foreign-file.ts';
import {fileOf, History, SampleStore, sha1, snapshotOf} from './snapshot-samples.ts';

const URLS = {a: ['http://a:2380'], b: ['http://b:2380', 'http://b:2390'], c: ['http://c:2380']};

function makePorts(): RestorePorts {
  return {
    disk: new MemoryDisk(),
    lock: async () => async () => undefined,
    backendOpener: new MemoryBackendDisk({clock: new NodeClock()}),
    clock: new NodeClock(),
    logger: silentLogger,
    metrics: new MetricRegistry(),
    sha1,
  };
}

async function sample(): Promise<Buffer> {
  const store = new SampleStore();
  const history = new History(store);
  for (let i = 0; i < 500; i++) history.put(`k${i % 100}`, `v${i}`);
  return snapshotOf(store);
}

async function optionsFor(bytes: Uint8Array, changes: Partial<RestoreOptions> = {}): Promise<RestoreOptions> {
  return {
    file: await SnapshotFile.open(fileOf(bytes)),
    name: 'a',
    initialCluster: new Map(Object.entries(URLS)),
    initialClusterToken: 'token',
    initialAdvertisePeerURLs: URLS.a,
    madeBy: 'test',
    ...changes,
  };
}

describe('restoring a snapshot', () => {
  it('Ensure that folder, store and log agree on who the member is and where the log begins.', async () => {
    const ports = makePorts();
    const {clusterId, memberId, members, revision} = await restoreSnapshot(
      ports,
      await optionsFor(await sample()),
    );
    expect(revision).toBe(501);
    expect(members).toHaveLength(3);
    const folder = await DataDir.open(ports);
    expect(folder.marker).toEqual({clusterId, memberId, madeBy: 'test', isRestored: true});
    const {wal, contents} = await Wal.open({...ports, folder: WAL_FOLDER, allowDoubtfulTail: false});
    expect(contents).toMatchObject({
      metadata: {clusterId, memberId},
      hardState: {term: 1, vote: 0n, commit: 3},
      snapshot: {index: 3, term: 1},
      entries: [],
    });
    await wal.close();
    const backend = await new StoreFolder(ports.disk).open(ports.backendOpener);
    expect(backend.applied()).toMatchObject({index: 3, term: 1});
    expect(storedConfState(backend).voters).toEqual(members.map(({id}) => id));
    expect(backend.count('members')).toBe(3);
    expect(backend.count('key')).toBe(500);
  });

  it('Ensure that members restored from one file agree on everything but who they are.', async () => {
    const bytes = await sample();
    const results = [];
    const marks = [];
    for (const [name, urls] of Object.entries(URLS)) {
      const ports = makePorts();
      const options = await optionsFor(bytes, {name, initialAdvertisePeerURLs: [...urls].reverse()});
      results.push(await restoreSnapshot(ports, options));
      marks.push((await new StoreFolder(ports.disk).open(ports.backendOpener)).applied());
    }
    expect(new Set(results.map(({clusterId}) => clusterId)).size).toBe(1);
    expect(new Set(results.map(({memberId}) => memberId)).size).toBe(3);
    expect(marks[1]).toEqual(marks[0]);
    expect(marks[2]).toEqual(marks[0]);
  });

  it('Ensure that a damaged file leaves the folder as it was.', async () => {
    const bytes = await sample();
    // A leaf of the bucket "key": its second element is moved out of the page.
    for (let page = 2; page * 4096 < bytes.length - 4096; page++) {
      if (bytes.readUInt16LE(page * 4096 + 10) < 20) continue;
      bytes.writeUInt32LE(1 << 20, page * 4096 + 16 + 16 + 4);
      break;
    }
    const ports = makePorts();
    await expect(restoreSnapshot(ports, await optionsFor(bytes))).rejects.toThrow('outside of its page');
    expect(await ports.disk.list('.')).toEqual([]);
    await restoreSnapshot(ports, await optionsFor(await sample()));
  });

  it('Ensure that a folder that is in use by a member is refused.', async () => {
    const ports = makePorts();
    const options = await optionsFor(await sample());
    await restoreSnapshot(ports, options);
    await expect(restoreSnapshot(ports, options)).rejects.toThrow('already holds a member');
    expect((await DataDir.open(ports)).marker?.isRestored).toBe(true);
  });

  it.each([
    ['does not name this member', {name: 'd'}],
    ['gives a the peer URLs', {initialAdvertisePeerURLs: URLS.c}],
    ['go together', {bumpRevision: 5}],
    ['go together', {markCompacted: true}],
    ['whole number', {bumpRevision: -1, markCompacted: true}],
    ['beyond all counting', {bumpRevision: Number.MAX_SAFE_INTEGER, markCompacted: true}],
    [
      'same peer URLs twice',
      {
        initialCluster: new Map([
          ['a', URLS.a],
          ['b', URLS.a],
        ]),
      },
    ],
  ] as const)('Ensure that settings are refused when … %s.', async (text, changes) => {
    const ports = makePorts();
    const options = await optionsFor(await sample(), changes);
    await expect(restoreSnapshot(ports, options)).rejects.toThrow(text);
    if (await ports.disk.exists('.')) expect(await ports.disk.list('.')).toEqual([]);
  });

  it('Ensure that an alarm that no member could read is refused, not restored.', async () => {
    const ports = makePorts();
    const alarm = {key: 'alarm', value: bucketAt(0, leaf(0, [item('\xff', '')])), isBucket: true};
    await expect(restoreSnapshot(ports, await optionsFor(fileWith(4096, [alarm])))).rejects.toMatchObject({
      code: 'snapshotInvalid',
    });
  });

  it('Ensure that progress is told and ends with all records.', async () => {
    const seen: number[] = [];
    const options = await optionsFor(await sample(), {onProgress: (bytes) => seen.push(bytes)});
    await restoreSnapshot(makePorts(), options);
    expect(seen.at(-1)).toBeGreaterThan(500 * 30);
  });
});
