/**
 * The way in and out, at size and by the commands that users run: Debian's etcd → etcdctl save → kvd restore → kvd
 * serve, and kvd save → etcdctl restore → etcd. Skipped where etcd is missing. What a file holds in detail, and small
 * odd ones, are in snapshot-file.test.ts.
 */

import {execFile, execFileSync, spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {promisify} from 'node:util';
import {afterAll, describe, expect, it} from 'vitest';
import {bulkKey, putMany} from '../process/bulk.ts';
import {EtcdCalls} from '../process/etcd-calls.ts';
import {freePorts} from '../process/free-ports.ts';
import {cleanEnvironment, MemberProcess, type Program} from '../process/member-process.ts';
import {ProcessCluster} from '../process/process-cluster.ts';

const KEYS = Number(process.env.KVD_IN_OUT_KEYS ?? 200_000);
const BOTH_WAYS_MS_MAX = 60_000;
const KVD = resolve(import.meta.dirname, '../../bin/run.js');
const LEASES = ['4660', '7587862969211712345', '99'];

const hasEtcd = ['etcd', 'etcdctl'].every((program) => {
  try {
    execFileSync(program, [program === 'etcd' ? '--version' : 'version'], {stdio: 'ignore'});
    return true;
  } catch {
    console.log(`skipped: there is no ${program} on this machine`);
    return false;
  }
});

const folder = mkdtempSync(join(tmpdir(), 'kvd-in-out-'));
const running: MemberProcess[] = [];
const env = cleanEnvironment();
const run = promisify(execFile);

afterAll(async () => {
  for (const member of running) await member.kill();
  rmSync(folder, {recursive: true, force: true});
});

const etcdctl = (...args: string[]) => run('etcdctl', args, {env, encoding: 'utf8'});
const kvd = (...args: string[]) => run(process.execPath, [KVD, ...args], {env, encoding: 'utf8'});
const text = (value: string) => Buffer.from(value, 'latin1');

async function newMember(program: Program, name: string): Promise<MemberProcess> {
  const [clientPort, peerPort] = await freePorts(2);
  const initialCluster = `${name}=http://127.0.0.1:${peerPort}`;
  const extraArguments = program === 'kvd' ? ['--quota-backend-bytes=0'] : [];
  const place = {program, name, folder, clientPort, peerPort, initialCluster, extraArguments};
  const member = new MemberProcess(place);
  running.push(member);
  return member;
}

/** What `snapshot restore` has to be told of the member that will start from it. */
function restoreFlags(member: MemberProcess): string[] {
  return [
    `--name=${member.options.name}`,
    `--data-dir=${member.dataDir}`,
    `--initial-cluster=${member.options.initialCluster}`,
    `--initial-advertise-peer-urls=${member.peerUrl}`,
  ];
}

/** Keys, history, deletions and new generations, a compaction, leases, users and roles. @returns the compact revision */
async function load(etcd: MemberProcess, keys: number): Promise<number> {
  const {endpoint} = etcd;
  await putMany({endpoint, keys, valueBytes: 64, prefix: 'bulk/'});
  using calls = new EtcdCalls(endpoint);
  const {raw} = calls;
  // History: a tenth is written again, a part of it deleted, and a part of that made anew.
  await putMany({endpoint, keys: keys / 10, valueBytes: 100, prefix: 'bulk/'});
  const compactRevision = await calls.revision();
  const deletions = {key: text(bulkKey('bulk/', keys / 20)), range_end: text(bulkKey('bulk/', keys / 10))};
  await raw.unary('etcdserverpb.KV/DeleteRange', deletions);
  await putMany({endpoint, keys: Math.round((keys * 3) / 40), valueBytes: 30, prefix: 'bulk/'});
  for (const ID of LEASES) await raw.unary('etcdserverpb.Lease/LeaseGrant', {ID, TTL: '3000'});
  for (let i = 0; i < 300; i++) {
    const request = {key: text(`leased/${i}\xff\0`), value: text(`${i}\0\xfe`), lease: LEASES[i % 2]};
    await raw.unary('etcdserverpb.KV/Put', request);
  }
  await raw.unary('etcdserverpb.KV/Compact', {revision: String(compactRevision), physical: true});
  await calls.put('last', 'after the compaction');
  const at = `--endpoints=${endpoint}`;
  await etcdctl(at, 'user', 'add', 'root:secret');
  await etcdctl(at, 'user', 'add', 'reader:word');
  await etcdctl(at, 'role', 'add', 'read-all');
  await etcdctl(at, 'role', 'grant-permission', 'read-all', 'read', '', '--prefix=true');
  await etcdctl(at, 'user', 'grant-role', 'reader', 'read-all');
  await etcdctl(at, 'user', 'grant-role', 'root', 'root');
  return compactRevision;
}

/** What clients see of a server: counts, keys and hashes at revisions all over its history, and its leases. */
async function seenOf(calls: EtcdCalls, from: number, to: number, keys: number): Promise<unknown> {
  const {raw} = calls;
  const all = {key: Buffer.from([0]), range_end: Buffer.from([0])};
  const step = Math.max(1, Math.floor((to - from) / 12));
  const revisions = Array.from({length: 12}, (_, i) => from + i * step).concat(to - 1, to);
  const seen: unknown[] = [];
  for (const revision of revisions) {
    const counted = await raw.unary('etcdserverpb.KV/Range', {
      ...all,
      revision: String(revision),
      count_only: true,
    });
    // Where deletions, new generations and untouched keys meet.
    const places = [0, keys / 20 - 10, (keys * 3) / 40 - 10, keys / 10 - 10, keys - 20].map(async (n) => {
      const key = text(bulkKey('bulk/', Math.round(n)));
      const request = {key, range_end: text('bulk0'), revision: String(revision), limit: '20'};
      return (await raw.unary('etcdserverpb.KV/Range', request)).kvs;
    });
    const hash = await calls.hashKv(revision);
    seen.push({revision, count: counted.count, places: await Promise.all(places), hash: hash.hash});
  }
  const {kvs} = await raw.unary('etcdserverpb.KV/Range', {key: text('leased/'), range_end: text('leased0')});
  const {leases} = await raw.unary('etcdserverpb.Lease/LeaseLeases', {});
  const ids = leases.map(({ID}: {ID: string}) => ID).sort();
  for (const ID of ids) {
    const {
      grantedTTL,
      TTL,
      keys: attached,
    } = await raw.unary('etcdserverpb.Lease/LeaseTimeToLive', {
      ID,
      keys: true,
    });
    const names = attached.map((key: Buffer) => key.toString('hex')).sort();
    seen.push({ID, grantedTTL, isNew: Number(TTL) > 2_900, names});
  }
  seen.push(kvs, {ids});
  return JSON.parse(JSON.stringify(seen));
}

describe.skipIf(!hasEtcd)('in and out of etcd', () => {
  it(`Ensure that ${KEYS} keys, history, leases, users and roles travel both ways in under a minute.`, async () => {
    const etcd = await newMember('etcd', 'origin');
    await etcd.start();
    const compactRevision = await load(etcd, KEYS);
    using calls = new EtcdCalls(etcd.endpoint);
    const revision = await calls.revision();
    const expected = await seenOf(calls, compactRevision + 1, revision, KEYS);
    const marks: [string, number][] = [];
    const timed = async <Result>(name: string, work: Promise<Result>): Promise<Result> => {
      const startedMs = performance.now();
      const result = await work;
      marks.push([name, Math.round(performance.now() - startedMs)]);
      return result;
    };

    const wayIn = join(folder, 'in.db');
    await timed('etcdctl save', etcdctl(`--endpoints=${etcd.endpoint}`, 'snapshot', 'save', wayIn));
    const member = await newMember('kvd', 'kvd');
    await timed('kvd restore', kvd('snapshot', 'restore', wayIn, ...restoreFlags(member)));
    await timed('kvd start', member.start());
    await etcd.stop();
    using own = new EtcdCalls(member.endpoint);
    expect(await own.revision()).toBe(revision);
    expect(await seenOf(own, compactRevision + 1, revision, KEYS)).toEqual(expected);
    await own.put('written to kvd', '1');

    const wayOut = join(folder, 'out.db');
    await timed('kvd save', kvd(`--endpoints=${member.endpoint}`, 'snapshot', 'save', wayOut));
    const again = await newMember('etcd', 'again');
    await timed('etcdctl restore', etcdctl('snapshot', 'restore', wayOut, ...restoreFlags(again)));
    await timed('etcd start', again.start());
    const sizes = [wayIn, wayOut].map((path) => `${(statSync(path).size / 1e6).toFixed(1)} MB`);
    const tookMs = marks.reduce((sum, [, ms]) => sum + ms, 0);
    console.log(`${marks.map(([name, ms]) => `${name} ${ms} ms`).join(', ')}; ${sizes.join(' in, ')} out`);
    expect(tookMs).toBeLessThan(BOTH_WAYS_MS_MAX);
    using back = new EtcdCalls(again.endpoint);
    expect(await back.revision()).toBe(revision + 1);
    expect(await back.hashKv()).toEqual(await own.hashKv());
    expect(await seenOf(back, compactRevision + 1, revision, KEYS)).toEqual(expected);
    expect((await back.get('written to kvd'))?.value.toString()).toBe('1');
    await expectUsersAndRoles(again);
    await expectRefusedWithAuth(again);
  }, 300_000);

  it('Ensure that one file makes all members of a cluster, with its revision bumped.', async () => {
    const etcd = await newMember('etcd', 'small');
    await etcd.start();
    await load(etcd, 2_000);
    using calls = new EtcdCalls(etcd.endpoint);
    const revision = await calls.revision();
    const now = await calls.prefix('bulk/');
    const path = join(folder, 'small.db');
    await etcdctl(`--endpoints=${etcd.endpoint}`, 'snapshot', 'save', path);
    await etcd.stop();

    const cluster = await ProcessCluster.create({program: 'kvd', size: 3});
    try {
      const bump = ['--bump-revision=1000000', '--mark-compacted', '--initial-cluster-token=restored'];
      for (const member of cluster.members) {
        const {stderr} = await kvd('snapshot', 'restore', path, ...restoreFlags(member), ...bump);
        expect(stderr).toContain('with 3 members');
      }
      for (const member of cluster.members) member.spawn();
      await Promise.all(cluster.members.map((member) => member.ready()));
      const hashes: unknown[] = [];
      for (const member of cluster.members) {
        using own = new EtcdCalls(member.endpoint);
        expect(await own.revision()).toBe(revision + 1_000_000);
        expect(await own.prefix('bulk/')).toEqual(now);
        const old = {key: text('last'), revision: String(revision)};
        await expect(own.raw.unary('etcdserverpb.KV/Range', old)).rejects.toThrow('has been compacted');
        hashes.push((await own.hashKv()).hash);
      }
      expect(new Set(hashes).size).toBe(1);
      using own = new EtcdCalls(cluster.members[0].endpoint);
      expect(await own.put('a', '1')).toBe(revision + 1_000_001);
    } finally {
      await cluster.destroy();
    }
  });
});

async function expectUsersAndRoles(etcd: MemberProcess): Promise<void> {
  const at = `--endpoints=${etcd.endpoint}`;
  expect((await etcdctl(at, 'user', 'get', 'reader', '--detail')).stdout).toContain('Role read-all');
  await etcdctl(at, 'auth', 'enable');
  const {stdout} = await etcdctl(at, '--user=reader:word', 'get', 'last', '--print-value-only');
  expect(stdout).toBe('after the compaction\n');
  await expect(etcdctl(at, '--user=reader:word', 'put', 'last', '2')).rejects.toThrow('permission denied');
}

async function expectRefusedWithAuth(etcd: MemberProcess): Promise<void> {
  const path = join(folder, 'auth.db');
  await etcdctl(`--endpoints=${etcd.endpoint}`, '--user=root:secret', 'snapshot', 'save', path);
  const member = await newMember('kvd', 'with-auth');
  await kvd('snapshot', 'restore', path, ...restoreFlags(member));
  const [command, ...args] = member.commandLine();
  const {status, stderr} = spawnSync(command, args, {env, encoding: 'utf8', timeout: 30_000});
  expect(status).toBe(1);
  const lines = stderr.split('\n').filter((line) => line.startsWith('Error: '));
  expect(lines.length).toBe(1);
  expect(lines[0]).toContain('authentication enabled');
}
