/**
 * Big stores. `npm run size` runs it at full size (a million keys, a gigabyte to save); the normal run is smaller,
 * with the same limits.
 */

import {execFileSync} from 'node:child_process';
import {readFileSync, statSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {residentBytes} from '../../bench/process-usage.ts';
import {bulkKey, countPrefix, prefixRange, putMany} from './bulk.ts';
import {EtcdCalls} from './etcd-calls.ts';
import {cleanEnvironment, type MemberProcess} from './member-process.ts';
import {ProcessCluster} from './process-cluster.ts';

const KEYS = Number(process.env.KVD_SIZE_KEYS ?? 100_000);
const SAVE_BYTES = Number(process.env.KVD_SIZE_SAVE_BYTES ?? 100e6);
const KVD = resolve(import.meta.dirname, '../../bin/run.js');
const PREFIX = 'bulk/';
const GIB = 2 ** 30;
const ELECTION_TIMEOUT_SECONDS = 1;

let cluster: ProcessCluster;
let member: MemberProcess;

beforeAll(async () => {
  cluster = await ProcessCluster.start({
    program: 'kvd',
    size: 1,
    extraArguments: ['--quota-backend-bytes=8589934592'],
  });
  [member] = cluster.members;
});

afterAll(async () => {
  await cluster?.destroy();
});

/** The largest resident memory the process ever had, bytes. */
function peakBytes(pid: number): number {
  const line = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(line?.[1] ?? 0) * 1024;
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${member.clientUrl}/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1] ?? Number.NaN);
}

/** Puts one key after the other while `work` runs. @returns the slowest, milliseconds */
async function slowestPutDuring(work: () => Promise<unknown>): Promise<number> {
  using calls = new EtcdCalls(member.endpoint);
  await calls.put('probe', 'warm');
  let done = false;
  let slowestMs = 0;
  const probing = (async () => {
    while (!done) {
      const startedMs = performance.now();
      await calls.put('probe', 'x', 30_000);
      slowestMs = Math.max(slowestMs, performance.now() - startedMs);
    }
  })();
  await work();
  done = true;
  await probing;
  return slowestMs;
}

describe(`a store of ${KEYS} keys`, () => {
  it('Ensure that loading it stays below 1.5 GiB of memory.', async () => {
    const startedMs = performance.now();
    await putMany({endpoint: member.endpoint, keys: KEYS, valueBytes: 256, prefix: PREFIX});
    const seconds = (performance.now() - startedMs) / 1000;
    const peak = peakBytes(member.pid);
    console.log(`loaded in ${seconds.toFixed(1)} s, peak ${Math.round(peak / 2 ** 20)} MiB`);
    expect(peak).toBeLessThan(1.5 * GIB);
  }, 600_000);

  it('Ensure that counting all of it takes less than a second.', async () => {
    await countPrefix(member.endpoint, PREFIX);
    const startedMs = performance.now();
    expect(await countPrefix(member.endpoint, PREFIX)).toBe(KEYS);
    const tookMs = performance.now() - startedMs;
    console.log(`counted in ${Math.round(tookMs)} ms`);
    expect(tookMs).toBeLessThan(1_000);
  });

  it('Ensure that it serves within ten seconds of a restart, also after kill -9.', async () => {
    for (const end of ['stop', 'kill'] as const) {
      await member[end]();
      const startedMs = performance.now();
      await member.start();
      const tookMs = performance.now() - startedMs;
      console.log(
        `serves ${Math.round(tookMs)} ms after ${end}, ${Math.round(residentBytes(member.pid) / 2 ** 20)} MiB`,
      );
      expect(tookMs).toBeLessThan(10_000);
      expect(await countPrefix(member.endpoint, PREFIX)).toBe(KEYS);
    }
  }, 60_000);

  it('Ensure that deleting 90 % and compacting delays no put by 200 ms and no heartbeat by half an election.', async () => {
    using calls = new EtcdCalls(member.endpoint);
    const from = prefixRange(PREFIX).key;
    const to = Buffer.from(bulkKey(PREFIX, Math.floor(KEYS * 0.9)));
    const deleting = await slowestPutDuring(async () => {
      const request = {key: from, range_end: to};
      await calls.raw.unary('etcdserverpb.KV/DeleteRange', request, {timeoutMs: 120_000});
    });
    const revision = await calls.revision();
    const compacting = await slowestPutDuring(async () => {
      await calls.raw.unary('etcdserverpb.KV/Compact', {revision, physical: true}, {timeoutMs: 120_000});
    });
    const gap = await metric('kvd_raft_tick_gap_max_seconds');
    console.log(
      `slowest put: ${Math.round(deleting)} ms deleting, ${Math.round(compacting)} ms compacting; tick gap ${gap} s`,
    );
    expect(Math.max(deleting, compacting)).toBeLessThan(200);
    expect(gap).toBeLessThan(ELECTION_TIMEOUT_SECONDS / 2);
  }, 300_000);

  it('Ensure that defrag brings the file to 1.3 times what is in use, with writes going on.', async () => {
    using calls = new EtcdCalls(member.endpoint);
    const slowest = await slowestPutDuring(async () => {
      await calls.raw.unary('etcdserverpb.Maintenance/Defragment', {}, {timeoutMs: 120_000});
    });
    const status = await calls.raw.unary('etcdserverpb.Maintenance/Status');
    const ratio = Number(status.dbSize) / Number(status.dbSizeInUse);
    console.log(`file ${status.dbSize}, in use ${status.dbSizeInUse}; slowest put ${Math.round(slowest)} ms`);
    expect(ratio).toBeLessThanOrEqual(1.3);
  }, 120_000);

  it('Ensure that deleting the rest leaves nothing.', async () => {
    using calls = new EtcdCalls(member.endpoint);
    await calls.raw.unary('etcdserverpb.KV/DeleteRange', prefixRange(PREFIX), {timeoutMs: 120_000});
    expect(await countPrefix(member.endpoint, PREFIX)).toBe(0);
  }, 120_000);
});

describe(`saving a store of ${Math.round(SAVE_BYTES / 1e6)} MB`, () => {
  it('Ensure that it costs the server less than 150 MB of memory, with writes going on.', async () => {
    const valueBytes = 10_000;
    await putMany({
      endpoint: member.endpoint,
      keys: Math.round(SAVE_BYTES / valueBytes),
      valueBytes,
      prefix: 'big/',
    });
    const file = join(cluster.folder, 'backup.db');
    const before = residentBytes(member.pid);
    let peak = before;
    const timer = setInterval(() => {
      peak = Math.max(peak, residentBytes(member.pid));
    }, 50);
    const slowest = await slowestPutDuring(async () => {
      const {promisify} = await import('node:util');
      const {execFile} = await import('node:child_process');
      const args = [KVD, 'snapshot', 'save', file, `--endpoints=${member.endpoint}`];
      await promisify(execFile)(process.execPath, args, {env: cleanEnvironment()});
    });
    clearInterval(timer);
    console.log(
      `saved ${statSync(file).size} bytes; grew by ${Math.round((peak - before) / 1e6)} MB; slowest put ${Math.round(slowest)} ms`,
    );
    expect(statSync(file).size).toBeGreaterThan(SAVE_BYTES);
    expect(peak - before).toBeLessThan(150e6);
    const status = execFileSync('etcdctl', ['snapshot', 'status', file], {
      env: cleanEnvironment(),
      encoding: 'utf8',
    });
    expect(status).toMatch(/^[0-9a-f]+, \d+, \d+, /);
  }, 600_000);

  it('Ensure that hashing all of it delays no put by half a second.', async () => {
    using calls = new EtcdCalls(member.endpoint);
    const ofKeys = await slowestPutDuring(() => calls.hashKv());
    const ofAll = await slowestPutDuring(async () => {
      await calls.raw.unary('etcdserverpb.Maintenance/Hash', {}, {timeoutMs: 60_000});
    });
    console.log(`slowest put: ${Math.round(ofKeys)} ms during HashKV, ${Math.round(ofAll)} ms during Hash`);
    expect(Math.max(ofKeys, ofAll)).toBeLessThan(500);
  }, 120_000);
});
