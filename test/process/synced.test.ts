/**
 * What "acknowledged" rests on, seen from the kernel: strace shows, for every put, a completed fdatasync of the log
 * on the leader and on a quorum before the leader's answer leaves for the client.
 */

import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {leaderOf} from './agreement.ts';
import {EtcdCalls} from './etcd-calls.ts';
import {eventually} from './eventually.ts';
import {ProcessCluster} from './process-cluster.ts';

const PUTS = 30;
const SYSCALLS = 'read,readv,recvmsg,write,writev,sendmsg,pwrite64,pwritev,fdatasync,fsync';

/** One system call that has returned. Times are seconds since 1970. */
interface Syscall {
  readonly name: string;
  readonly fd: number;
  readonly text: string;
  readonly startedAt: number;
  readonly finishedAt: number;
}

/** Lines of `strace -f -ttt -T`, with the calls that other threads interrupted put together. */
function parseTrace(path: string): Syscall[] {
  const unfinished = new Map<string, {name: string; text: string; startedAt: number}>();
  const calls: Syscall[] = [];
  const finish = (name: string, text: string, startedAt: number, finishedAt: number) => {
    const fd = Number(/^\((\d+)/.exec(text)?.[1] ?? -1);
    calls.push({name, fd, text, startedAt, finishedAt});
  };
  for (const line of readFileSync(path, 'latin1').split('\n')) {
    const [, pid, time, rest] = /^(\d+)\s+([\d.]+) (.*)$/.exec(line) ?? [];
    if (rest === undefined) continue;
    const startedAt = Number(time);
    const took = Number(/<([\d.]+)>$/.exec(rest)?.[1] ?? 0);
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(rest);
    const begun = /^(\w+)(\(.*) <unfinished \.\.\.>$/.exec(rest);
    if (resumed !== null) {
      const first = unfinished.get(pid);
      // The time of this line is that of the return.
      if (first !== undefined) finish(first.name, first.text + resumed[2], first.startedAt, startedAt);
      unfinished.delete(pid);
    } else if (begun !== null) {
      unfinished.set(pid, {name: begun[1], text: begun[2], startedAt});
    } else {
      const whole = /^(\w+)(\(.*)$/.exec(rest);
      if (whole !== null) finish(whole[1], whole[2], startedAt, startedAt + took);
    }
  }
  return calls;
}

/** When the write of this text to the log was synced; undefined: it never was. */
function syncedAt(trace: readonly Syscall[], marker: string): number | undefined {
  const write = trace.find(({name, text}) => name.startsWith('pwrite') && text.includes(marker));
  if (write === undefined) return undefined;
  const isSync = ({name, text}: Syscall) => /^f(data)?sync$/.test(name) && /= 0\b/.test(text);
  return trace.find((call) => isSync(call) && call.fd === write.fd && call.startedAt >= write.finishedAt)
    ?.finishedAt;
}

/** When the answer to the request with this text left: the first write to its socket after it was read. */
function answeredAt(trace: readonly Syscall[], marker: string): number | undefined {
  const isRead = ({name}: Syscall) => name.startsWith('read') || name === 'recvmsg';
  const read = trace.find((call) => isRead(call) && call.text.includes(marker));
  if (read === undefined) return undefined;
  const isWrite = ({name}: Syscall) => ['write', 'writev', 'sendmsg'].includes(name);
  return trace.find((call) => isWrite(call) && call.fd === read.fd && call.startedAt >= read.finishedAt)
    ?.startedAt;
}

let cluster: ProcessCluster;

beforeAll(async () => {
  execFileSync('strace', ['-V']);
  cluster = await ProcessCluster.start({
    program: 'kvd',
    size: 3,
    wrapper: (name, folder) => {
      const trace = join(folder, `${name}.trace`);
      return ['strace', '-D', '-f', '-ttt', '-T', '-s', '4096', '-e', `trace=${SYSCALLS}`, '-o', trace];
    },
  });
});

afterAll(async () => {
  await cluster?.destroy();
});

describe('acknowledged means synced', () => {
  it('Ensure that the log is synced on the leader and on a quorum before each answer.', async () => {
    const leader = await leaderOf(cluster.members);
    using calls = new EtcdCalls(leader.endpoint);
    const markers = Array.from({length: PUTS}, (_, n) => `MARKER-${n}-`);
    for (const marker of markers) await calls.put('k', marker);
    for (const member of cluster.members) await member.stop();
    // The tracer writes its last lines after the process has gone.
    const pathOf = (name: string) => join(cluster.folder, `${name}.trace`);
    const isWhole = (path: string) => readFileSync(path, 'latin1').includes('+++ exited with 0 +++');
    await eventually(() => cluster.members.every(({options}) => isWhole(pathOf(options.name))), {
      what: 'traces written to the end',
    });
    const traceOf = (name: string) => parseTrace(pathOf(name));
    const leaderTrace = traceOf(leader.options.name);
    const followerTraces = cluster.members
      .filter((member) => member !== leader)
      .map((member) => traceOf(member.options.name));
    for (const marker of markers) {
      const answered = answeredAt(leaderTrace, marker);
      const own = syncedAt(leaderTrace, marker);
      const others = followerTraces.map((trace) => syncedAt(trace, marker) ?? Number.POSITIVE_INFINITY);
      expect(answered, `answer to ${marker}`).toBeDefined();
      expect(own, `the leader's sync of ${marker}`).toBeLessThan(answered as number);
      expect(Math.min(...others), `a follower's sync of ${marker}`).toBeLessThan(answered as number);
    }
  });
});
