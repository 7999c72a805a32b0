/** A snapshot is read by a process beside the server: it costs the server nothing when it ends early. */

import {readdirSync, readFileSync} from 'node:fs';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {putMany} from './bulk.ts';
import {EtcdCalls} from './etcd-calls.ts';
import {eventually} from './eventually.ts';
import type {MemberProcess} from './member-process.ts';
import {ProcessCluster} from './process-cluster.ts';

let cluster: ProcessCluster;
let member: MemberProcess;

beforeAll(async () => {
  cluster = await ProcessCluster.start({program: 'kvd', size: 1});
  [member] = cluster.members;
  // Much more than all buffers on the way hold.
  await putMany({endpoint: member.endpoint, keys: 3_000, valueBytes: 10_000, prefix: 'big/'});
});

afterAll(async () => {
  await cluster?.destroy();
});

/** Processes that read this member's store. */
function readers(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        return words.includes('lmdb-export-child') && words.includes(member.dataDir);
      } catch {
        return false;
      }
    });
}

/** A snapshot of which the client has read a first part, and reads no more until `rest` is called. */
async function openSnapshot(calls: EtcdCalls) {
  const stream = calls.raw.serverStream('etcdserverpb.Maintenance/Snapshot');
  let error: unknown;
  let bytes = 0;
  const ended = new Promise<void>((resolve) => {
    stream.on('error', (reason) => {
      error = reason;
      resolve();
    });
    stream.on('end', resolve);
  });
  await new Promise<void>((resolve, reject) => {
    stream.once('error', reject);
    stream.once('data', ({blob}) => {
      bytes += blob.length;
      stream.pause();
      resolve();
    });
  });
  return {
    cancel: () => stream.cancel(),
    rest: async () => {
      stream.on('data', ({blob}) => {
        bytes += blob.length;
      });
      stream.resume();
      await ended;
      return {error, bytes};
    },
  };
}

describe('a snapshot on its way', () => {
  it('Ensure that a killed reader is an error to its client alone.', async () => {
    using calls = new EtcdCalls(member.endpoint);
    const snapshot = await openSnapshot(calls);
    const other = await openSnapshot(calls);
    process.kill(readers()[0], 'SIGKILL');
    const results = await Promise.all([snapshot.rest(), other.rest()]);
    const failed = results.filter(({error}) => error !== undefined);
    expect(failed.length).toBe(1);
    expect(String(failed[0].error)).toContain('the process that reads the store for a snapshot ended early');
    expect(Math.max(...results.map(({bytes}) => bytes))).toBeGreaterThan(3_000 * 10_000);
    await calls.put('after', '1');
    expect(readers()).toEqual([]);
  });

  it('Ensure that the reader of a client that leaves is ended.', async () => {
    using calls = new EtcdCalls(member.endpoint);
    const snapshot = await openSnapshot(calls);
    expect(readers().length).toBe(1);
    snapshot.cancel();
    await snapshot.rest();
    await eventually(() => readers().length === 0, {what: 'the reader ended'});
  });

  it('Ensure that a server that stops, or is killed, leaves no reader behind.', async () => {
    for (const end of ['stop', 'kill'] as const) {
      using calls = new EtcdCalls(member.endpoint);
      const snapshot = await openSnapshot(calls);
      expect(readers().length).toBe(1);
      await member[end]();
      await eventually(() => readers().length === 0, {what: `the reader gone after ${end}`});
      expect((await snapshot.rest()).error).toBeDefined();
      await member.start();
    }
  });
});
