/** A lone member whose log is damaged in its last batch: it refuses to serve, is repaired by hand, and serves again. */

import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {afterAll, describe, expect, it} from 'vitest';
import {NodeDisk} from '../../src/engine/io/disk.ts';
import {BATCH_HEADER_BYTES} from '../../src/engine/storage/wal-format.ts';
import {replayWal} from '../../src/engine/storage/wal-replay.ts';
import {EtcdCalls} from './etcd-calls.ts';
import {eventually} from './eventually.ts';
import {freePorts} from './free-ports.ts';
import {cleanEnvironment, MemberProcess} from './member-process.ts';
import {ProcessCluster} from './process-cluster.ts';

const KVD = resolve(import.meta.dirname, '../../bin/run.js');
const folder = mkdtempSync(join(tmpdir(), 'kvd-repair-'));
const running: MemberProcess[] = [];

afterAll(async () => {
  for (const member of running) await member.kill();
  rmSync(folder, {recursive: true, force: true});
});

function kvd(...args: string[]): {status: number | null; stdout: string; stderr: string} {
  return spawnSync(process.execPath, [KVD, ...args], {env: cleanEnvironment(), encoding: 'utf8'});
}

async function newMember(name: string): Promise<MemberProcess> {
  const [clientPort, peerPort] = await freePorts(2);
  const initialCluster = `${name}=http://127.0.0.1:${peerPort}`;
  const member = new MemberProcess({program: 'kvd', name, folder, clientPort, peerPort, initialCluster});
  running.push(member);
  return member;
}

/** Changes a byte in the midst of the last batch that holds entries. */
async function damageLastBatch(dataDir: string): Promise<void> {
  const {segments, lastBatchOffset, outline} = await replayWal(new NodeDisk(dataDir), 'wal');
  expect(outline.lastIndex).toBeGreaterThan(0);
  const path = join(dataDir, segments[segments.length - 1].path);
  const bytes = readFileSync(path);
  bytes[(lastBatchOffset as number) + BATCH_HEADER_BYTES + 24] ^= 0x40;
  writeFileSync(path, bytes);
}

const oneLine = /^Error: [^\n]+\n$/;

describe('kvd wal repair', () => {
  it('Ensure that a damaged last batch is refused in one line, cut off on request, and served without.', async () => {
    const member = await newMember('alone');
    await member.start();
    {
      using calls = new EtcdCalls(member.endpoint);
      for (let i = 0; i < 20; i++) await calls.put(`k${i}`, 'x'.repeat(2_000));
    }
    await member.kill();
    await damageLastBatch(member.dataDir);

    const [, script, ...args] = member.commandLine();
    const refused = spawnSync(process.execPath, [script, ...args], {
      env: cleanEnvironment(),
      encoding: 'utf8',
    });
    expect(refused.status).toBe(1);
    const refusal = refused.stderr.split('\n').filter((line) => line.startsWith('Error: '));
    expect(refusal.length).toBe(1);
    expect(refusal[0]).toMatch(/is damaged at byte \d+: /);
    expect(refusal[0]).toContain(`kvd wal repair --data-dir=${member.dataDir} `);
    expect(refusal[0]).not.toContain('rejoin');

    const dataDir = `--data-dir=${member.dataDir}`;
    const looked = kvd('wal', 'repair', dataDir);
    expect(looked.status).toBe(1);
    expect(looked.stderr).toMatch(oneLine);
    expect(looked.stderr).toMatch(/is damaged from byte \d+ on; .*--yes/);
    // Looking has changed nothing.
    expect(kvd('wal', 'repair', dataDir).stderr).toBe(looked.stderr);

    const repaired = kvd('wal', 'repair', dataDir, '--yes');
    expect(repaired).toMatchObject({status: 0, stderr: ''});
    expect(repaired.stdout).toMatch(/^cut off: .* is damaged from byte \d+ on; [^\n]+\n$/);
    const again = kvd('wal', 'repair', dataDir, '--yes');
    expect(again).toMatchObject({status: 0, stderr: ''});
    expect(again.stdout).toMatch(/^nothing to repair in .*: the log is in order up to index \d+\n$/);

    await member.start();
    using calls = new EtcdCalls(member.endpoint);
    const found = await calls.prefix('k');
    expect(found.size).toBeGreaterThanOrEqual(19);
    await calls.put('after', '1');
    expect(kvd('wal', 'repair', dataDir).stderr).toMatch(/is in use by another kvd/);
    await member.kill();
    await member.start();
    using later = new EtcdCalls(member.endpoint);
    expect((await later.get('after'))?.value.toString()).toBe('1');
    expect((await later.prefix('k')).size).toBe(found.size);
  });

  it('Ensure that it touches no folder that holds no member, or one of a larger cluster.', async () => {
    const absent = kvd('wal', 'repair', `--data-dir=${join(folder, 'absent')}`, '--yes');
    expect(absent.status).toBe(1);
    expect(absent.stderr).toMatch(/^Error: there is no folder .*absent\n$/);
    const empty = mkdtempSync(join(folder, 'empty-'));
    expect(kvd('wal', 'repair', `--data-dir=${empty}`, '--yes').stderr).toMatch(/holds no member/);
    expect(kvd('wal', 'repair', 'word').status).toBe(128);

    const cluster = await ProcessCluster.start({program: 'kvd', size: 3});
    try {
      using calls = new EtcdCalls(cluster.members[0].endpoint);
      for (let i = 0; i < 5; i++) await calls.put(`k${i}`, 'x'.repeat(2_000));
      const [, follower] = cluster.members;
      using asked = new EtcdCalls(follower.endpoint);
      await eventually(async () => (await asked.get('k4')) !== undefined, {
        what: 'the last put on the follower',
      });
      await follower.kill();
      await damageLastBatch(follower.dataDir);
      const repair = () => kvd('wal', 'repair', `--data-dir=${follower.dataDir}`, '--yes');
      const refusal = {status: 1, stderr: expect.stringMatching(/cluster has 2 other voters: start it/)};
      expect(repair()).toMatchObject(refusal);
      // The log alone knows who the others are, while a new member's store waits for its first commit.
      rmSync(join(follower.dataDir, 'store'), {recursive: true});
      expect(repair()).toMatchObject(refusal);
      await follower.start();
    } finally {
      await cluster.destroy();
    }
  });
});
