/** What users and strangers get wrong: one clear line, the right exit code, and no data lost. */

import {execFileSync, spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import {connect, createServer, type Server} from 'node:net';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {afterEach, beforeEach, describe, expect, it} from 'vitest';
import {EtcdCalls} from './etcd-calls.ts';
import {eventually} from './eventually.ts';
import {freePorts} from './free-ports.ts';
import {cleanEnvironment, MemberProcess} from './member-process.ts';

const KVD = resolve(import.meta.dirname, '../../bin/run.js');
const NOBODY = 65_534;

let folder: string;
let members: MemberProcess[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvd-bad-input-'));
  members = [];
});

afterEach(async () => {
  for (const member of members) await member.kill();
  rmSync(folder, {recursive: true, force: true});
});

async function member(options: Partial<MemberProcess['options']> = {}): Promise<MemberProcess> {
  const [clientPort, peerPort] = await freePorts(2);
  const made = new MemberProcess({
    program: 'kvd',
    name: 'm1',
    folder,
    clientPort,
    peerPort,
    initialCluster: `m1=http://127.0.0.1:${peerPort}`,
    ...options,
  });
  members.push(made);
  return made;
}

interface Ended {
  readonly code: number | null;
  /** What is meant for the user: the lines of stderr that are not the log's. */
  readonly lines: readonly string[];
}

/** Runs a command line of kvd that is expected to end by itself. */
async function run(args: readonly string[], options: {uid?: number; input?: string} = {}): Promise<Ended> {
  const child = spawn(process.execPath, [KVD, ...args], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: cleanEnvironment(),
    cwd: folder,
    timeout: 30_000,
    ...(options.uid !== undefined && {uid: options.uid, gid: options.uid}),
  });
  child.stdin.end(options.input ?? '');
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(child, 'close');
  return {code, lines: stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'))};
}

function serveArguments(made: MemberProcess, ...extra: string[]): string[] {
  const [, , ...args] = made.commandLine();
  return [...args, ...extra];
}

function expectOneLine(ended: Ended, code: number, ...words: readonly (string | RegExp)[]): void {
  expect(ended.lines).toHaveLength(1);
  for (const word of words) expect(ended.lines[0]).toMatch(word);
  expect(ended.lines[0]).not.toMatch(/\bat .*:\d+:\d+/);
  expect(ended.code).toBe(code);
}

describe('serve refuses', () => {
  it('Ensure that wrong flags and URLs are named with their value.', async () => {
    expectOneLine(await run(['serve', '--no-such-flag=1']), 1, 'no-such-flag');
    expectOneLine(
      await run(['serve', '--listen-client-urls=localhost:2379']),
      1,
      'listen-client-urls',
      'localhost:2379',
    );
    expectOneLine(await run(['serve', '--election-timeout=10']), 1, 'election-timeout');
    expectOneLine(await run(['serve', '--initial-cluster=a=http://127.0.0.1:1']), 1, 'initial-cluster');
    expectOneLine(await run(['serve', '--config-file=missing.yml']), 1, 'missing.yml');
  });

  it('Ensure that a port that is taken is named, client or peer.', async () => {
    const made = await member();
    const taken: Server = createServer();
    for (const port of [made.options.clientPort, made.options.peerPort]) {
      await new Promise<void>((done) => taken.listen(port, '127.0.0.1', done));
      expectOneLine(await run(serveArguments(made)), 1, String(port), /in use/);
      await new Promise((done) => taken.close(done));
    }
    await made.start();
  });

  it('Ensure that a data dir in use is left alone, and goes on serving.', async () => {
    const made = await member();
    await made.start();
    using calls = new EtcdCalls(made.endpoint);
    await calls.put('k', 'v');
    const second = await member();
    const args = serveArguments(second).map((arg) => arg.replace(second.dataDir, made.dataDir));
    expectOneLine(await run(args), 1, made.dataDir, /another process|in use|locked/);
    expect((await calls.get('k'))?.value.toString()).toBe('v');
  });

  it("Ensure that a real etcd's data dir is refused with the way to move over, untouched.", async () => {
    const etcd = await member({program: 'etcd'});
    await etcd.start();
    await etcd.stop();
    const before = execFileSync('find', [etcd.dataDir, '-type', 'f', '-exec', 'md5sum', '{}', '+'], {
      encoding: 'utf8',
    });
    const made = await member();
    const ended = await run(serveArguments(made, `--data-dir=${etcd.dataDir}`));
    expectOneLine(ended, 1, etcd.dataDir, 'etcdctl snapshot save', 'kvd snapshot restore');
    const after = execFileSync('find', [etcd.dataDir, '-type', 'f', '-exec', 'md5sum', '{}', '+'], {
      encoding: 'utf8',
    });
    expect(after).toBe(before);
  });

  it('Ensure that a data dir of a later format, of strangers, or with swapped parts is refused.', async () => {
    const made = await member();
    await made.start();
    await made.stop();
    const later = join(folder, 'later');
    cpSync(made.dataDir, later, {recursive: true});
    const marker = readFileSync(join(later, 'KVD'), 'utf8');
    // A later kvd writes more than another number: that alone would be a flipped bit.
    writeFileSync(join(later, 'KVD'), marker.replace('{"format":1', '{"format":99,"later":true'));
    expectOneLine(await run(serveArguments(made, `--data-dir=${later}`)), 1, '99');
    const strange = join(folder, 'strange');
    mkdirSync(strange);
    writeFileSync(join(strange, 'photo.jpg'), 'x');
    expectOneLine(await run(serveArguments(made, `--data-dir=${strange}`)), 1, 'photo.jpg');
    const emptied = join(folder, 'emptied');
    cpSync(made.dataDir, emptied, {recursive: true});
    rmSync(join(emptied, 'wal'), {recursive: true});
    const ended = await run(serveArguments(made, `--data-dir=${emptied}`));
    expect(ended.code).toBe(1);
    expect(ended.lines).toHaveLength(1);
    await made.start();
  });

  it('Ensure that --initial-cluster of another cluster does not open this one, and nothing is lost.', async () => {
    const made = await member();
    await made.start();
    using calls = new EtcdCalls(made.endpoint);
    await calls.put('k', 'v');
    await made.stop();
    const [peerPort] = await freePorts(1);
    const url = `http://127.0.0.1:${peerPort}`;
    const args = ['--initial-advertise-peer-urls=', '--listen-peer-urls='].map((flag) => flag + url);
    expectOneLine(
      await run(serveArguments(made, ...args, `--initial-cluster=m1=${url}`)),
      1,
      'initial-cluster',
      url,
    );
    await made.start();
    expect((await calls.get('k'))?.value.toString()).toBe('v');
  });

  it('Ensure that flags that contradict each other about the first cluster only keep a fresh member from starting.', async () => {
    const made = await member();
    const contradiction = [
      ['--initial-advertise-peer-urls=http://127.0.0.1:9', 'both must be the same'],
      [`--initial-cluster=other=${made.peerUrl}`, 'has no member named'],
    ];
    for (const [flag, reason] of contradiction) {
      expectOneLine(await run(serveArguments(made, flag)), 1, reason);
      expect(existsSync(made.dataDir)).toBe(false);
    }
    await made.start();
    using calls = new EtcdCalls(made.endpoint);
    await calls.put('k', 'v');
    await made.stop();
    for (const [flag, reason] of contradiction) {
      const again = await member({...made.options, extraArguments: [flag]});
      await again.start();
      expect((await calls.get('k'))?.value.toString()).toBe('v');
      expect(again.logTail(100)).toContain(reason);
      await again.stop();
    }
  });

  it('Ensure that a folder without rights is named, for reading and for writing.', async () => {
    chmodSync(folder, 0o755);
    const made = await member();
    const dataDir = join(folder, 'closed');
    mkdirSync(dataDir, {mode: 0o700});
    expectOneLine(await run(serveArguments(made, `--data-dir=${dataDir}`), {uid: NOBODY}), 1, dataDir);
    const readable = join(folder, 'readable');
    mkdirSync(readable, {mode: 0o755});
    expectOneLine(await run(serveArguments(made, `--data-dir=${readable}`), {uid: NOBODY}), 1, readable);
  });

  it('Ensure that members of different clusters do not talk to each other.', async () => {
    const first = await member();
    await first.start();
    const [clientPort, peerPort] = await freePorts(2);
    const stranger = await member({
      name: 's1',
      clientPort,
      peerPort,
      initialCluster: `s1=http://127.0.0.1:${peerPort},m1=${first.peerUrl}`,
      extraArguments: ['--initial-cluster-token=other'],
    });
    stranger.spawn();
    await eventually(() => stranger.logTail().includes('another cluster'), {what: 'the stranger says why'});
    using calls = new EtcdCalls(first.endpoint);
    await calls.put('k', 'v');
    expect((await calls.status()).leader).not.toBe('0');
  });
});

describe('a full disk', () => {
  it('Ensure that a member on a full file system says so, and serves all acknowledged data when there is room again.', async () => {
    const mount = join(folder, 'small');
    mkdirSync(mount);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', mount]);
    if (mounted.status !== 0) {
      console.log(`cannot mount a small file system here: ${mounted.stderr}`);
      return;
    }
    try {
      const made = await member({extraArguments: [`--data-dir=${join(mount, 'data')}`]});
      await made.start();
      const acknowledged: string[] = [];
      using calls = new EtcdCalls(made.endpoint);
      for (let n = 0; made.isRunning && n < 200; n++) {
        try {
          await calls.put(`k${n}`, 'x'.repeat(500_000), 2_000);
          acknowledged.push(`k${n}`);
        } catch {
          break;
        }
      }
      expect(acknowledged.length).toBeGreaterThan(3);
      const code = made.isRunning ? undefined : await made.exited();
      expect(code).not.toBe(0);
      if (made.isRunning) await made.kill();
      expect(made.logTail()).toMatch(/disk|space/i);
      execFileSync('mount', ['-o', 'remount,size=256m', mount]);
      await made.start();
      for (const key of acknowledged) expect((await calls.get(key))?.value.length).toBe(500_000);
    } finally {
      for (const made of members) await made.kill();
      execFileSync('umount', [mount]);
    }
  });
});

describe('garbage on the ports', () => {
  const GARBAGE: readonly [string, Buffer][] = [
    ['zeros', Buffer.alloc(65_536)],
    ['a TLS hello', Buffer.from('16030100c8010000c40303', 'hex')],
    ['half an HTTP/2 preface', Buffer.from('PRI * HTTP/2.0\r\n')],
    [
      'a preface and noise',
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(4_096, 0xff)]),
    ],
    ['a huge header', Buffer.from(`GET / HTTP/1.1\r\nx: ${'a'.repeat(1_000_000)}`)],
    [
      'an upgrade that is none',
      Buffer.from('GET /kvd/peer HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n'),
    ],
  ];

  it('Ensure that it ends the connection it came on and nothing else.', async () => {
    const made = await member();
    await made.start();
    using calls = new EtcdCalls(made.endpoint);
    for (const port of [made.options.clientPort, made.options.peerPort]) {
      for (const [, bytes] of GARBAGE) {
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => {});
        socket.end(bytes);
        socket.resume();
        await calls.put('k', 'v');
        socket.destroy();
      }
    }
    expect((await calls.get('k'))?.value.toString()).toBe('v');
    expect(made.logTail(200)).not.toMatch(/\bat .*\.js:\d+/);
  });
});
