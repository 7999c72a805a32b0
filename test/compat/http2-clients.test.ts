/**
 * Clients that are not ours on the client port of real members: etcdctl, grpc-js, curl and raw HTTP/2, in numbers and
 * sizes beyond the usual; beside Debian's etcd where answers can be compared.
 */

import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {decodeWatchResponse, encodeWatchRequest} from '../../src/transport/proto/generated/watch.ts';
import {frame, message, openStream, RawPeer, T, uint32} from '../api/http2/raw-peer.ts';
import {eventually} from '../process/eventually.ts';
import {freePorts} from '../process/free-ports.ts';
import {cleanEnvironment, MemberProcess, type Program} from '../process/member-process.ts';
import {type Message, RawGrpc} from '../process/raw-grpc.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvd-http2-'));
const members: Record<Program, MemberProcess> = {} as Record<Program, MemberProcess>;

beforeAll(async () => {
  for (const program of ['etcd', 'kvd'] as const) {
    const [clientPort, peerPort] = await freePorts(2);
    const initialCluster = `${program}=http://127.0.0.1:${peerPort}`;
    const options = {
      program,
      name: program,
      folder: join(folder, program),
      clientPort,
      peerPort,
      initialCluster,
    };
    members[program] = new MemberProcess(options);
    await members[program].start();
  }
});

afterAll(async () => {
  for (const member of Object.values(members)) await member.kill();
  rmSync(folder, {recursive: true, force: true});
});

function run(command: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      {env: cleanEnvironment(), timeout: 60_000},
      (error, stdout, stderr) =>
        error === null ? resolve(stdout) : reject(new Error(`${command}: ${stderr}`, {cause: error})),
    );
    child.stdin?.end(input);
  });
}

const etcdctl = (args: readonly string[], input?: string): Promise<string> =>
  run('etcdctl', ['--endpoints', members.kvd.endpoint, ...args], input);

const WATCH = '/etcdserverpb.Watch/Watch';

describe('etcdctl', () => {
  it('Ensure that it runs transactions and locks.', async () => {
    const txn = 'value("t/a") = ""\n\nput t/b 2\n\nput t/a 1\nput t/b 1\n\n';
    expect(await etcdctl(['txn'], txn)).toBe('FAILURE\n\nOK\n\nOK\n');
    expect(await etcdctl(['txn'], 'value("t/a") = "1"\n\nget t/ --prefix\n\n\n')).toBe(
      'SUCCESS\n\nt/a\n1\nt/b\n1\n',
    );
    expect(await etcdctl(['lock', 'l', 'echo', 'locked'])).toBe('locked\n');
    const holder = spawn('etcdctl', ['--endpoints', members.kvd.endpoint, 'lock', 'l'], {
      env: cleanEnvironment(),
    });
    const [line] = (await once(holder.stdout, 'data')) as [Buffer];
    expect(line.toString()).toMatch(/^l\/[0-9a-f]+\n/);
    const waiter = etcdctl(['lock', 'l', 'echo', 'mine']);
    // The waiter stands in the queue when it has a key of its own there.
    await eventually(
      async () => (await etcdctl(['get', 'l/', '--prefix', '--keys-only'])).match(/l\//g)?.length === 2,
      {
        timeoutMs: 20_000,
        what: 'a waiter in the queue of the lock',
      },
    );
    holder.kill('SIGINT');
    expect(await waiter).toBe('mine\n');
  });
});

describe('curl', () => {
  it('Ensure that HTTP/2 by prior knowledge and HTTP/1.1 get the same from one port.', async () => {
    const url = `${members.kvd.clientUrl}/version`;
    const version = ['-sS', '-w', ' %{http_version} %{http_code}'];
    const [one, two] = await Promise.all([
      run('curl', [...version, '--http1.1', url]),
      run('curl', [...version, '--http2-prior-knowledge', url]),
    ]);
    expect(one).toMatch(/"etcdserver":.* 1\.1 200$/);
    expect(two).toBe(one.replace(' 1.1 200', ' 2 200'));
  });
});

describe('watches', () => {
  it('Ensure that 10,000 open streams of one connection all see an event, and end with it.', async () => {
    using calls = new RawGrpc(members.kvd.endpoint);
    const peer = await RawPeer.connect(members.kvd.options.clientPort);
    peer.send(frame(T.window, 0, 0, uint32(2 ** 30)));
    const create = message(encodeWatchRequest({createRequest: {key: Buffer.from('many')}}));
    for (let round = 0; round < 10; round++) {
      const ids = Array.from({length: 1000}, (_, i) => (round * 1000 + i) * 2 + 1);
      peer.send(...ids.flatMap((id) => [openStream(id, WATCH), frame(T.data, 0, id, create)]));
      await peer.until(
        () => (peer.data.size === (round + 1) * 1000 ? true : undefined),
        'watches are created',
      );
    }
    await calls.unary('etcdserverpb.KV/Put', {key: Buffer.from('many'), value: Buffer.from('seen')});
    const seen = (): number => [...peer.data.values()].filter((pieces) => pieces.length === 2).length;
    await peer.until(() => (seen() === 10_000 ? true : undefined), 'everybody sees the event');
    for (const id of [1, 9_999, 19_999]) {
      const body = peer.data.get(id)![1];
      const {events} = decodeWatchResponse(body.subarray(5));
      expect(events.map(({kv}) => Buffer.from(kv!.value).toString())).toEqual(['seen']);
    }
    peer.close();
    const watchers = async (): Promise<number> => {
      const text = await (await fetch(`${members.kvd.clientUrl}/metrics`)).text();
      return Number(/^etcd_debugging_mvcc_watcher_total (\d+)/m.exec(text)?.[1]);
    };
    await eventually(async () => (await watchers()) === 0, {
      timeoutMs: 20_000,
      what: 'all watchers are gone',
    });
  });

  it('Ensure that 20,000 watches cancelled one after the other on one connection do no harm.', async () => {
    const peer = await RawPeer.connect(members.kvd.options.clientPort);
    peer.send(frame(T.window, 0, 0, uint32(2 ** 30)));
    const create = message(encodeWatchRequest({createRequest: {key: Buffer.from('gone')}}));
    let id = 1;
    for (let round = 0; round < 20; round++) {
      const parts: Buffer[] = [];
      for (let i = 0; i < 1000; i++, id += 2) {
        parts.push(openStream(id, WATCH), frame(T.data, 0, id, create), frame(T.rst, 0, id, uint32(8)));
      }
      // One that stays tells that those before it have been handled.
      peer.send(...parts, openStream(id, WATCH), frame(T.data, 0, id, create));
      const last = id;
      id += 2;
      await peer.until(() => peer.data.get(last), 'a watch behind them');
    }
    expect(peer.frames.some(({type}) => type === T.goaway)).toBe(false);
    peer.close();
  });

  /** What a watcher of a transaction larger than a message is sent: events and the mark of each response. */
  async function fragments(program: Program, isFragmented: boolean): Promise<[number, boolean][]> {
    using calls = new RawGrpc(members[program].endpoint);
    const put = (i: number): Message => ({
      request_put: {key: Buffer.from(`f/${i}`), value: Buffer.alloc(100_000, i)},
    });
    const success = Array.from({length: 14}, (_, i) => put(i));
    await calls.unary('etcdserverpb.KV/Txn', {success});
    const responses: [number, boolean][] = [];
    let createdAt: (revision: number) => void = () => undefined;
    const created = new Promise<number>((resolve) => {
      createdAt = resolve;
    });
    const stream = calls.bidi('etcdserverpb.Watch/Watch');
    const whole = new Promise<void>((resolve, reject) => {
      stream.on('error', reject);
      stream.on('data', (response: Message) => {
        if (response.created) createdAt(Number(response.header.revision));
        else responses.push([response.events.length, response.fragment]);
        if (responses.reduce((sum, [events]) => sum + events, 0) === 14) resolve();
      });
    });
    const watch = {
      key: Buffer.from('f/'),
      range_end: Buffer.from('f0'),
      prev_kv: true,
      fragment: isFragmented,
    };
    stream.write({create_request: watch});
    await created;
    await calls.unary('etcdserverpb.KV/Txn', {success});
    await whole;
    stream.removeAllListeners('error').on('error', () => undefined);
    stream.cancel();
    return responses;
  }

  it.each([true, false])('Ensure that fragments are etcd’s: asked for %s.', async (isFragmented) => {
    const [etcd, kvd] = await Promise.all([fragments('etcd', isFragmented), fragments('kvd', isFragmented)]);
    expect(kvd).toEqual(etcd);
    expect(kvd.length).toBeGreaterThan(isFragmented ? 1 : 0);
    expect(kvd.map(([, isFragment]) => isFragment)).toEqual(kvd.map((_, i) => i < kvd.length - 1));
  });
});
