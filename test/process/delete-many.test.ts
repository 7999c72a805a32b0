/** A deletion of very many keys, whose tombstones are written after it was answered, and what may come in between. */

import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {leaderOf, membersAgree} from './agreement.ts';
import {bulkKey, countPrefix, prefixRange, putMany} from './bulk.ts';
import {EtcdCalls} from './etcd-calls.ts';
import {eventually} from './eventually.ts';
import {cleanEnvironment, type MemberProcess} from './member-process.ts';
import {ProcessCluster} from './process-cluster.ts';

const KEYS = 60_000;
const PREFIX = 'bulk/';

let cluster: ProcessCluster;
const watches: ChildProcess[] = [];

beforeAll(async () => {
  cluster = await ProcessCluster.start({program: 'kvd', size: 3});
});

afterAll(async () => {
  for (const watch of watches) watch.kill();
  await cluster?.destroy();
});

/** Debian's etcdctl watches the prefix from a revision on. */
function watchDeletions(member: MemberProcess, revision: number): {readonly deleted: () => number} {
  const args = ['watch', PREFIX, '--prefix', `--rev=${revision}`, `--endpoints=${member.endpoint}`];
  const watch = spawn('etcdctl', args, {env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'ignore']});
  watches.push(watch);
  let deleted = 0;
  let rest = '';
  watch.stdout.setEncoding('latin1').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line === 'DELETE') deleted++;
  });
  return {deleted: () => deleted};
}

/** @returns the revision of the deletion */
async function deleteAll(endpoint: string): Promise<number> {
  using calls = new EtcdCalls(endpoint);
  const {deleted, header} = await calls.raw.unary('etcdserverpb.KV/DeleteRange', prefixRange(PREFIX));
  expect(Number(deleted)).toBe(KEYS);
  return Number(header.revision);
}

/** What the member answers as soon as it has a leader that stays. */
async function firstCount(endpoint: string): Promise<number> {
  const look = async () => ({count: await countPrefix(endpoint, PREFIX)});
  return (await eventually(look, {timeoutMs: 60_000, what: 'a linearizable count'})).count;
}

describe('a deletion of many keys', () => {
  it('Ensure that it holds through a kill of all members right after its answer, and every watcher hears of it.', async () => {
    const [first, second, third] = cluster.members;
    await putMany({endpoint: first.endpoint, keys: KEYS, valueBytes: 64, prefix: PREFIX});
    const revision = await deleteAll(second.endpoint);
    await cluster.killAll();
    for (const member of cluster.members) member.spawn();
    await Promise.all(cluster.members.map((member) => member.ready()));
    for (const {endpoint} of cluster.members) expect(await firstCount(endpoint)).toBe(0);
    using calls = new EtcdCalls(third.endpoint);
    expect(await calls.put(bulkKey(PREFIX, KEYS - 1), 'again')).toBe(revision + 1);
    await membersAgree(cluster.members);
    const told = cluster.members.map((member) => watchDeletions(member, revision));
    for (const {deleted} of told) {
      await eventually(async () => deleted() === KEYS, {timeoutMs: 90_000, what: 'all deletions told'});
    }
    expect((await calls.get(bulkKey(PREFIX, KEYS - 1)))?.value.toString()).toBe('again');
  }, 180_000);

  it('Ensure that a member that was away in the midst has the same, by log or by snapshot, and backups are whole.', async () => {
    // A follower: the deletion is not to wait for an election.
    const first = await leaderOf(cluster.members);
    const [second, third] = cluster.members.filter((member) => member !== first);
    await putMany({endpoint: first.endpoint, keys: KEYS, valueBytes: 64, prefix: PREFIX});
    await third.kill();
    const revision = await deleteAll(first.endpoint);
    // A backup is of what its member has applied: here, of no less than the deletion.
    expect(await countPrefix(second.endpoint, PREFIX)).toBe(0);
    const file = join(cluster.folder, 'backup.db');
    const env = cleanEnvironment();
    execFileSync('etcdctl', ['snapshot', 'save', file, `--endpoints=${second.endpoint}`], {
      env,
      stdio: 'ignore',
    });
    const status = execFileSync('etcdctl', ['snapshot', 'status', file, '-w', 'json'], {
      env,
      encoding: 'utf8',
    });
    const {revision: saved, totalKey} = JSON.parse(status);
    expect(saved).toBe(revision);
    // Twice put, twice deleted, and the one that lived in between.
    expect(totalKey).toBeGreaterThanOrEqual(4 * KEYS);
    await third.start();
    expect(await countPrefix(third.endpoint, PREFIX)).toBe(0);
    await membersAgree(cluster.members);
    using calls = new EtcdCalls(first.endpoint);
    await calls.raw.unary('etcdserverpb.KV/Compact', {revision, physical: true}, {timeoutMs: 60_000});
    await membersAgree(cluster.members);
  }, 180_000);
});
