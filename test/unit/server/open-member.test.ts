/** What a start makes of a log and a store that a crash left at different places. */

import {beforeEach, describe, expect, it} from 'vitest';
import {createSha1, createSha256} from '../../../src/engine/io/digest.ts';
import {silentLogger} from '../../../src/engine/io/logger.ts';
import {MetricRegistry} from '../../../src/engine/io/metrics.ts';
import {type OpenedMember, openMember} from '../../../src/engine/server/open-member.ts';
import type {ServerConfig} from '../../../src/engine/server/server-config.ts';
import type {ServerPorts} from '../../../src/engine/server/server-ports.ts';
import {DataDir} from '../../../src/engine/storage/data-dir.ts';
import type {Member} from '../../../src/engine/types.ts';
import {MemoryBackendDisk} from '../../simulator/memory-backend.ts';
import {MemoryDisk} from '../../simulator/memory-disk.ts';
import {SeededRandom} from '../../simulator/seeded-random.ts';
import {USUAL_SETTINGS} from '../../usual-settings.ts';
import {entries, failureOf} from '../storage/wal-fixture.ts';

const URL = 'http://127.0.0.1:2380';
const CONFIG: ServerConfig = {
  name: 'a',
  initialAdvertisePeerURLs: [URL],
  advertiseClientURLs: ['http://127.0.0.1:2379'],
  initialCluster: new Map([['a', [URL]]]),
  initialClusterState: 'new',
  initialClusterToken: 'test',
  snapshotCount: 100,
  snapshotCatchupEntries: 5,
  ...USUAL_SETTINGS,
};

let filesOpen: number;
let disk: MemoryDisk;
let images: MemoryBackendDisk;

beforeEach(() => {
  filesOpen = 0;
  disk = new MemoryDisk({
    turn: ({name}) => {
      if (name === 'open') filesOpen++;
      if (name === 'close') filesOpen--;
    },
  });
  // Time passes by itself here: nothing is measured.
  const clock = {
    monotonicMs: () => 0,
    wallMs: () => 0,
    after: (_delayMs: number, action: () => void) => {
      setImmediate(action);
      return () => undefined;
    },
    yield: () => new Promise<void>((resolve) => setImmediate(resolve)),
  };
  images = new MemoryBackendDisk({clock});
});

async function open(): Promise<OpenedMember> {
  const ports = {
    clock: images.clock,
    random: new SeededRandom(1),
    disk,
    backendOpener: images,
    network: {},
    logger: silentLogger,
    metrics: new MetricRegistry(),
    sha1: createSha1,
    sha256: createSha256,
  } as unknown as ServerPorts;
  const dataDir = await DataDir.open({disk, lock: async () => async () => undefined, logger: silentLogger});
  return openMember({config: CONFIG, ports, dataDir, onFailure: () => undefined, walSegmentBytes: 65_536});
}

/** The entry that founds the cluster is applied, and the store stands at `mark`. */
async function storeAt(opened: OpenedMember, mark: {index: number; term: number}, others = 0): Promise<void> {
  const id = opened.identity.memberId;
  const member: Member = {id, name: '', peerURLs: [URL], clientURLs: [], isLearner: false};
  const voters = [id, ...Array.from({length: others}, (_, i) => BigInt(i + 1))];
  const confState = {voters, votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false};
  opened.stateMachine.applyMembership({index: 1, term: 1, change: {type: 'add', member}, confState});
  opened.store.mark({...opened.store.applied(), ...mark});
  await opened.store.flush();
}

async function close(opened: OpenedMember): Promise<void> {
  await opened.store.stop();
  await opened.close();
}

describe('opening a member', () => {
  it('Ensure that an image within a tail of another term makes the log begin anew behind it.', async () => {
    const first = await open();
    await first.wal.append({
      entries: entries(2, 5, 2),
      hardState: {term: 2, vote: 0n, commit: 1},
      sync: true,
    });
    await storeAt(first, {index: 4, term: 3});
    await close(first);
    for (let start = 0; start < 2; start++) {
      const opened = await open();
      const {firstIndex, lastIndex, commit, term} = opened.raft.status();
      expect({firstIndex, lastIndex, commit, term}).toEqual({
        firstIndex: 5,
        lastIndex: 4,
        commit: 4,
        term: 3,
      });
      expect(opened.markerIndex).toBe(4);
      await close(opened);
    }
  });

  it('Ensure that entries before the marker are kept, and the marker is known.', async () => {
    const first = await open();
    const hardState = {term: 2, vote: 0n, commit: 6};
    await first.wal.append({entries: entries(2, 5, 2), hardState, sync: true});
    await first.wal.append({
      entries: [],
      hardState: undefined,
      snapshot: {index: 4, term: 2},
      sync: true,
    });
    await storeAt(first, {index: 5, term: 2});
    await close(first);
    const opened = await open();
    expect(opened.firstIndex).toBe(2);
    expect(opened.markerIndex).toBe(4);
    await close(opened);
  });

  it('Ensure that a start that fails gives every file back.', async () => {
    const first = await open();
    await first.wal.append({
      entries: [],
      hardState: {term: 2, vote: 0n, commit: 9},
      snapshot: {index: 9, term: 2},
      sync: true,
    });
    await close(first);
    expect(filesOpen).toBe(0);
    expect((await failureOf(open())).code).toBe('storeCorrupt');
    expect(filesOpen).toBe(0);
  });

  it('Ensure that a start meets damage in what it needs only later, too.', async () => {
    const first = await open();
    const version = Buffer.from('clusterVersion');
    first.store.put('cluster', version, Buffer.from('3.6.0'));
    await storeAt(first, {index: 1, term: 1});
    await close(first);
    images.damage(images.paths()[0], 'cluster', version);
    expect(await failureOf(open())).toMatchObject({code: 'storeCorrupt'});
  });

  it('Ensure that damage is told with what this member can do about it, alone and among others.', async () => {
    for (const others of [0, 1]) {
      disk = new MemoryDisk({turn: () => undefined});
      images = new MemoryBackendDisk({clock: images.clock});
      const first = await open();
      await storeAt(first, {index: 1, term: 1}, others);
      for (const at of [2, 3]) {
        const hardState = {term: 2, vote: 0n, commit: 1};
        await first.wal.append({entries: entries(at, 1, 2), hardState, sync: true});
      }
      const image = disk.copy();
      await close(first);
      const [name] = await image.list('wal');
      const segment = `wal/${name}`;
      const openDamaged = async (text: string) => {
        disk = image.copy();
        const bytes = disk.bytesOf(segment);
        const at = bytes.lastIndexOf(text);
        disk.tamper(segment, at, Buffer.of((bytes[at] as number) ^ 0x40));
        return open();
      };
      const damage = {code: 'walCorrupt', path: `/memory/${segment}`, dataDir: '/memory/.'};
      const inTheMidst = await failureOf(openDamaged('entry 2/2'));
      expect(inTheMidst).toMatchObject({...damage, remedy: others === 0 ? 'restore' : 'rejoin'});
      if (others === 0) {
        expect(await failureOf(openDamaged('entry 3/2'))).toMatchObject({...damage, remedy: 'repair'});
      } else await close(await openDamaged('entry 3/2'));
    }
  });
});
