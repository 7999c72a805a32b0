/** Snapshot files between kvd and Debian's etcd and etcdctl, in both directions. Skipped where these are missing. */

import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, afterEach, describe, expect, it} from 'vitest';
import {NodeClock} from '../../src/engine/io/clock.ts';
import {NodeDisk} from '../../src/engine/io/disk.ts';
import {lockFolder} from '../../src/engine/io/folder-lock.ts';
import {LmdbBackendOpener} from '../../src/engine/io/lmdb-backend.ts';
import {silentLogger} from '../../src/engine/io/logger.ts';
import {MetricRegistry} from '../../src/engine/io/metrics.ts';
import type {DiskFile} from '../../src/engine/ports.ts';
import {StateMachine} from '../../src/engine/state-machine/state-machine.ts';
import {clusterIdOf, memberIdOf} from '../../src/engine/storage/member-id.ts';
import {
  type RestoreResult,
  restoreSnapshot,
} from '../../src/engine/storage/snapshot-file/restore-snapshot.ts';
import {SnapshotFile} from '../../src/engine/storage/snapshot-file/snapshot-file.ts';
import {readSnapshotStatus} from '../../src/engine/storage/snapshot-file/snapshot-status.ts';
import {planSnapshot, writeSnapshot} from '../../src/engine/storage/snapshot-file/snapshot-writer.ts';
import {Store} from '../../src/engine/storage/store.ts';
import {StoreFolder} from '../../src/engine/storage/store-folder.ts';
import {EtcdCalls} from '../process/etcd-calls.ts';
import {freePorts} from '../process/free-ports.ts';
import {cleanEnvironment, MemberProcess} from '../process/member-process.ts';
import {
  collect,
  History,
  SampleStore,
  sha1,
  sha256,
  snapshotOf,
} from '../unit/snapshot-file/snapshot-samples.ts';

const hasEtcd = ['etcd', 'etcdctl'].every((program) => {
  try {
    execFileSync(program, [program === 'etcd' ? '--version' : 'version'], {stdio: 'ignore'});
    return true;
  } catch {
    console.log(`skipped: there is no ${program} on this machine`);
    return false;
  }
});

const folder = mkdtempSync(join(tmpdir(), 'kvd-snapshot-'));
const clock = new NodeClock();
const running: MemberProcess[] = [];
let names = 0;

afterEach(async () => {
  for (const member of running.splice(0)) await member.kill();
});
afterAll(() => rmSync(folder, {recursive: true, force: true}));

function etcdctl(...args: string[]): string {
  return execFileSync('etcdctl', args, {
    encoding: 'utf8',
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** An etcd, on a fresh data dir or on one restored from `snapshot` by etcdctl. */
async function startEtcd(snapshot?: string): Promise<MemberProcess> {
  const [clientPort, peerPort] = await freePorts(2);
  const name = `m${names++}`;
  const initialCluster = `${name}=http://127.0.0.1:${peerPort}`;
  const etcd = new MemberProcess({program: 'etcd', name, folder, clientPort, peerPort, initialCluster});
  if (snapshot !== undefined) {
    const flags = [
      `--name=${name}`,
      `--data-dir=${etcd.dataDir}`,
      `--initial-cluster=${initialCluster}`,
      `--initial-advertise-peer-urls=${etcd.peerUrl}`,
    ];
    etcdctl('snapshot', 'restore', snapshot, ...flags);
  }
  await etcd.start();
  running.push(etcd);
  return etcd;
}

function save(bytes: Uint8Array): string {
  const path = join(folder, `${names++}.snap`);
  writeFileSync(path, bytes);
  return path;
}

async function withFile<Result>(path: string, use: (file: SnapshotFile) => Promise<Result>): Promise<Result> {
  const disk = new NodeDisk(folder);
  const file: DiskFile = await disk.open(path.slice(folder.length + 1), {create: false});
  try {
    return await use(await SnapshotFile.open(file));
  } finally {
    await file.close();
  }
}

/** kvd's own reading of a file must agree with etcdctl's. */
async function expectStatusAsEtcdctl(path: string): Promise<void> {
  const theirs = JSON.parse(etcdctl('snapshot', 'status', path, '-w', 'json'));
  const ours = await withFile(path, async (file) => {
    await file.verifyDigest({sha256, clock});
    await file.check();
    return readSnapshotStatus(file);
  });
  const {hash, revision, totalRecords, totalSize} = ours;
  expect({hash, revision, totalKey: totalRecords, totalSize}).toEqual(theirs);
}

interface RestoredStore {
  readonly result: RestoreResult;
  readonly store: Store;
  readonly stateMachine: StateMachine;
  close(): Promise<void>;
}

/** Restores the file into a kvd data dir and loads it, as a member does at its start. */
async function restoreIntoKvd(path: string, bumpRevision?: number): Promise<RestoredStore> {
  const root = join(folder, `kvd${names++}`);
  const ports = {
    disk: new NodeDisk(root),
    lock: lockFolder,
    backendOpener: new LmdbBackendOpener(root),
    clock,
    logger: silentLogger,
    metrics: new MetricRegistry(),
  };
  const urls = ['http://127.0.0.1:2380'];
  const result = await withFile(path, (file) =>
    restoreSnapshot(
      {...ports, sha1},
      {
        file,
        name: 'a',
        initialCluster: new Map([
          ['a', urls],
          ['b', ['http://127.0.0.1:2381']],
        ]),
        initialClusterToken: 'etcd-cluster',
        initialAdvertisePeerURLs: urls,
        bumpRevision,
        markCompacted: bumpRevision !== undefined,
        madeBy: 'test',
      },
    ),
  );
  const backend = await new StoreFolder(ports.disk).open(ports.backendOpener);
  const failed = (error: unknown): void => {
    throw error;
  };
  const store = new Store({...ports, backend, onFailure: failed});
  const stateMachine = new StateMachine({records: store, logger: silentLogger});
  for (const _ of stateMachine.load());
  return {
    result,
    store,
    stateMachine,
    close: async () => {
      await store.stop();
      await backend.close();
    },
  };
}

function hashKv(stateMachine: StateMachine, revision: number): number {
  const slices = stateMachine.mvcc.hashKv(revision);
  for (;;) {
    const {done, value} = slices.next();
    if (done) return value.hash;
  }
}

async function exportFrom(store: Store): Promise<Buffer> {
  const {reader} = await store.view();
  try {
    return await collect(writeSnapshot(await planSnapshot(reader, clock), reader, {clock, sha256}));
  } finally {
    reader.close();
  }
}

/** Keys with history, deletions, leases, a compaction, users and roles. @returns the revision */
async function load(etcd: MemberProcess, calls: EtcdCalls): Promise<void> {
  const {raw} = calls;
  const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
  for (let i = 0; i < 200; i++) await calls.put(bytes(`key/${i % 60}\xff\0`), bytes(`value ${i}\0\xfe`));
  await calls.put('large', Buffer.alloc(100_000, 'x'));
  await calls.put('empty', '');
  await raw.unary('etcdserverpb.Lease/LeaseGrant', {ID: '4660', TTL: '3000'});
  await raw.unary('etcdserverpb.Lease/LeaseGrant', {ID: '7587862969211712345', TTL: '500'});
  await raw.unary('etcdserverpb.KV/Put', {key: bytes('leased'), value: bytes('v'), lease: '4660'});
  await raw.unary('etcdserverpb.KV/Txn', {
    success: [
      {request_put: {key: bytes('x'), value: bytes('1')}},
      {request_put: {key: bytes('y'), value: bytes('2')}},
      {request_delete_range: {key: bytes('key/1'), range_end: bytes('key/2')}},
    ],
  });
  await raw.unary('etcdserverpb.KV/Compact', {revision: '150', physical: true});
  for (let i = 0; i < 30; i++) await calls.put(`later/${i}`, String(i));
  const at = ['--endpoints', etcd.endpoint];
  etcdctl(...at, 'user', 'add', 'root:secret');
  etcdctl(...at, 'user', 'add', 'reader:word');
  etcdctl(...at, 'role', 'add', 'read-all');
  etcdctl(...at, 'role', 'grant-permission', 'read-all', 'read', '', '--prefix=true');
  etcdctl(...at, 'user', 'grant-role', 'reader', 'read-all');
  etcdctl(...at, 'user', 'grant-role', 'root', 'root');
}

/** What a client can see of a server at each revision that is left, as text. */
async function everything(calls: EtcdCalls, from: number, to: number): Promise<string> {
  const all = {key: Buffer.from([0]), range_end: Buffer.from([0])};
  const seen: unknown[] = [];
  for (let revision = from; revision <= to; revision += 7) {
    const {kvs} = await calls.raw.unary('etcdserverpb.KV/Range', {...all, revision: String(revision)});
    seen.push([revision, kvs]);
  }
  const {leases} = await calls.raw.unary('etcdserverpb.Lease/LeaseLeases', {});
  seen.push(leases.map(({ID}: {ID: string}) => ID).sort());
  return JSON.stringify(seen);
}

describe.skipIf(!hasEtcd)('snapshot files and etcd', () => {
  it('Ensure that an etcd travels into kvd and back with every revision, lease, user and role.', async () => {
    const etcd = await startEtcd();
    using calls = new EtcdCalls(etcd.endpoint);
    await load(etcd, calls);
    const path = join(folder, 'etcd.snap');
    etcdctl('--endpoints', etcd.endpoint, 'snapshot', 'save', path);
    await expectStatusAsEtcdctl(path);

    const kvd = await restoreIntoKvd(path);
    const revision = await calls.revision();
    expect(kvd.result.revision).toBe(revision);
    expect(kvd.stateMachine.mvcc.currentRevision()).toBe(revision);
    expect(kvd.stateMachine.mvcc.compactRevision()).toBe(150);
    for (let at = 151; at <= revision; at += 11) {
      expect(hashKv(kvd.stateMachine, at)).toBe((await calls.hashKv(at)).hash);
    }
    expect(kvd.stateMachine.lessor.has(4660n)).toBe(true);
    expect(kvd.stateMachine.lessor.has(7587862969211712345n)).toBe(true);
    expect(kvd.stateMachine.members.list().map(({id}) => id)).toEqual(kvd.result.members.map(({id}) => id));
    expect(kvd.stateMachine.confState().voters.length).toBe(2);

    const back = save(await exportFrom(kvd.store));
    await kvd.close();
    await expectStatusAsEtcdctl(back);
    const again = await startEtcd(back);
    using callsAgain = new EtcdCalls(again.endpoint);
    expect(await everything(callsAgain, 151, revision)).toBe(await everything(calls, 151, revision));
    expect(await callsAgain.hashKv(revision)).toEqual(await calls.hashKv(revision));
    const at = ['--endpoints', again.endpoint];
    expect(etcdctl(...at, 'user', 'get', 'reader', '--detail')).toContain('Role read-all');
    expect(etcdctl(...at, 'lease', 'timetolive', '1234', '--keys')).toContain('granted with TTL(3000s)');
    etcdctl(...at, 'auth', 'enable');
    expect(etcdctl(...at, '--user=reader:word', 'get', 'x', '--print-value-only')).toBe('1\n');
    expect(() => etcdctl(...at, '--user=reader:word', 'put', 'x', '2')).toThrow('permission denied');
    const members = JSON.parse(etcdctl(...at, '--user=root:secret', 'member', 'list', '-w', 'json')).members;
    expect(members).toHaveLength(1);
  });

  it('Ensure that etcd starts from large values, binary keys and 20,000 keys of kvd.', async () => {
    const store = new SampleStore();
    const history = new History(store);
    for (let i = 0; i < 20_000; i++) history.put(`many/${i}`, `value ${i}`);
    const binary = Array.from({length: 256}, (_, byte) => String.fromCharCode(byte)).join('');
    history.put(binary, Buffer.from(binary, 'latin1'));
    history.put('large', Buffer.alloc(1_000_000, 7));
    for (let i = 0; i < 100; i++) history.delete(`many/${i}`);
    const path = save(await snapshotOf(store));
    await expectStatusAsEtcdctl(path);
    const etcd = await startEtcd(path);
    using calls = new EtcdCalls(etcd.endpoint);
    expect(await calls.revision()).toBe(history.revision);
    const found = await calls.prefix('many/');
    expect(found.size).toBe(19_900);
    expect(found.get('many/19999')).toBe('value 19999');
    expect((await calls.get(Buffer.from(binary, 'latin1')))?.value.toString('latin1')).toBe(binary);
    expect((await calls.get('large'))?.value.length).toBe(1_000_000);

    const kvd = await restoreIntoKvd(path);
    expect(hashKv(kvd.stateMachine, 0)).toBe((await calls.hashKv()).hash);
    await kvd.close();
  });

  it('Ensure that an empty store of kvd makes an empty etcd, which takes writes.', async () => {
    const path = save(await snapshotOf(new SampleStore({index: 0, term: 0, hash: 0})));
    await expectStatusAsEtcdctl(path);
    const etcd = await startEtcd(path);
    using calls = new EtcdCalls(etcd.endpoint);
    expect(await calls.revision()).toBe(1);
    expect(await calls.put('a', '1')).toBe(2);
  });

  it('Ensure that an empty etcd is restored into kvd.', async () => {
    const etcd = await startEtcd();
    const path = join(folder, 'empty.snap');
    etcdctl('--endpoints', etcd.endpoint, 'snapshot', 'save', path);
    await expectStatusAsEtcdctl(path);
    const kvd = await restoreIntoKvd(path);
    expect(kvd.stateMachine.mvcc.currentRevision()).toBe(1);
    await kvd.close();
  });

  it('Ensure that a bumped revision is counted on from, and all before it is compacted, in kvd and in etcd.', async () => {
    const store = new SampleStore();
    const history = new History(store);
    for (let i = 0; i < 50; i++) history.put(`k${i % 10}`, String(i));
    const path = save(await snapshotOf(store));
    const kvd = await restoreIntoKvd(path, 1_000_000);
    const {mvcc} = kvd.stateMachine;
    expect(kvd.result.revision).toBe(history.revision + 1_000_000);
    expect(mvcc.currentRevision()).toBe(kvd.result.revision);
    expect(mvcc.compactRevision()).toBe(kvd.result.revision);
    for (const _ of mvcc.compactionSlices() ?? []);
    await kvd.store.mark(kvd.store.applied());
    const etcd = await startEtcd(save(await exportFrom(kvd.store)));
    await kvd.close();
    using calls = new EtcdCalls(etcd.endpoint);
    expect(await calls.revision()).toBe(kvd.result.revision);
    expect((await calls.get('k9'))?.value.toString()).toBe('49');
  });

  it('Ensure that a cluster and its members get the ids that etcd gives them.', async () => {
    const [clientPort, ...peerPorts] = await freePorts(3);
    // Not in order: etcd sorts them.
    const peerURLs = peerPorts
      .sort((a, b) => b - a)
      .map((port) => `http://127.0.0.1:${port}`)
      .concat('http://127.0.0.1:1');
    const name = `m${names++}`;
    const initialCluster = peerURLs.map((url) => `${name}=${url}`).join(',');
    const extraArguments = [
      `--initial-advertise-peer-urls=${peerURLs.join(',')}`,
      '--initial-cluster-token=some token',
    ];
    const place = {name, folder, clientPort, peerPort: peerPorts[0]};
    const etcd = new MemberProcess({program: 'etcd', ...place, initialCluster, extraArguments});
    running.push(etcd);
    await etcd.start();
    using calls = new EtcdCalls(etcd.endpoint);
    const {header} = await calls.raw.unary('etcdserverpb.Cluster/MemberList', {});
    const id = memberIdOf({peerURLs, token: 'some token', sha1});
    expect(BigInt(header.member_id)).toBe(id);
    expect(BigInt(header.cluster_id)).toBe(clusterIdOf([id], sha1));
  });
});
