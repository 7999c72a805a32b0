/** Commands that go on for a while, that start programs, or whose arguments are no text, against a real etcd. */

import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {afterAll, afterEach, beforeAll, describe, expect, it} from 'vitest';
import {eventually} from '../process/eventually.ts';
import {freePorts} from '../process/free-ports.ts';
import {cleanEnvironment, MemberProcess} from '../process/member-process.ts';

const KVD = resolve(import.meta.dirname, '../../bin/run.js');
const folder = mkdtempSync(join(tmpdir(), 'kvd-live-'));
let server: MemberProcess;
const running: Running[] = [];

/** A command that has been started. */
class Running {
  readonly child: ChildProcess;
  output = '';
  errors = '';

  constructor(args: readonly string[], more: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, [KVD, ...args], {env: {...environment(), ...more}});
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.output += chunk.toString('latin1');
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.errors += chunk.toString();
    });
    running.push(this);
  }

  shows(text: string): Promise<true> {
    return eventually(() => this.output.includes(text), {what: JSON.stringify(text)});
  }

  /** @returns the exit code */
  async ended(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'close');
    return this.child.exitCode;
  }
}

function environment(): NodeJS.ProcessEnv {
  return {...cleanEnvironment(), ETCDCTL_ENDPOINTS: server.endpoint};
}

const run = (...args: string[]) =>
  spawnSync(process.execPath, [KVD, ...args], {env: environment(), input: ''});
const shell = (script: string) =>
  spawnSync('sh', ['-c', script], {env: {...environment(), KVD: `${process.execPath} ${KVD}`}});

beforeAll(async () => {
  const [clientPort = 0, peerPort = 0] = await freePorts(2);
  const initialCluster = `default=http://127.0.0.1:${peerPort}`;
  server = new MemberProcess({
    program: 'etcd',
    folder,
    name: 'default',
    clientPort,
    peerPort,
    initialCluster,
  });
  await server.start();
});

afterEach(() => {
  for (const {child} of running.splice(0)) child.kill('SIGKILL');
});

afterAll(async () => {
  await server.kill();
  rmSync(folder, {recursive: true, force: true});
});

describe('live commands', () => {
  it('Ensure that keys and values that are no UTF-8 survive from arguments to output.', () => {
    const script = `key=$(printf 'k\\376\\377'); $KVD put "$key" "$(printf 'v\\200\\001')" && $KVD get "$key"`;
    const {stdout, status} = shell(script);
    expect(status).toBe(0);
    expect(stdout.toString('latin1')).toBe('OK\nk\xfe\xff\nv\x80\x01\n');
    expect(shell(`etcdctl get "$(printf 'k\\376\\377')" --print-value-only`).stdout.toString('latin1')).toBe(
      'v\x80\x01\n',
    );
  });

  it('Ensure that a value from the standard input is taken byte for byte.', () => {
    expect(shell(`head -c 300000 /dev/zero | tr '\\0' '\\377' | $KVD put big`).status).toBe(0);
    const {stdout} = shell('$KVD get big --print-value-only');
    expect(stdout.length).toBe(300_001);
    expect(stdout.every((byte, at) => byte === (at === 300_000 ? 10 : 255))).toBe(true);
  });

  it('Ensure that a reader that leaves early ends the command without a word.', () => {
    const {stderr} = shell('$KVD get big --print-value-only | head -c 1 > /dev/null');
    expect(stderr.toString()).toBe('');
  });

  it('Ensure that watch shows changes and runs a program for each with their data in its environment.', async () => {
    const show = ['printenv', 'ETCD_WATCH_EVENT_TYPE', 'ETCD_WATCH_KEY', 'ETCD_WATCH_VALUE'];
    const watch = new Running(['watch', 'w', '--prefix', '--rev=1', '--', ...show]);
    run('put', 'w1', 'a\n"b"');
    await watch.shows('PUT\nw1\na\n"b"\n"PUT"\n"w1"\n"a\\n\\"b\\""\n');
    run('del', 'w1');
    await watch.shows('DELETE\nw1\n\n"DELETE"\n"w1"\n""\n');
  });

  it('Ensure that interactive watch takes several watches and progress requests until its input ends.', async () => {
    const watch = new Running(['watch', '-i']);
    watch.child.stdin?.write('watch i1\nnonsense\nwatch i2 --prev-kv\nprogress\n');
    await watch.shows('progress notify: ');
    run('put', 'i1', '1');
    run('put', 'i2', '2');
    await watch.shows('PUT\ni1\n1\n');
    await watch.shows('PUT\ni2\n2\n');
    watch.child.stdin?.end();
    expect(await watch.ended()).toBe(3);
    expect(watch.errors).toBe(
      'Invalid command nonsense (watch and progress only)\nError: error reading watch request line: EOF\n',
    );
  });

  it('Ensure that a lock is held until a signal, kept from others, and given back.', async () => {
    const first = new Running(['lock', 'l']);
    await first.shows('l/');
    const second = new Running(['lock', 'l', '--', 'sh', '-c', 'echo "$ETCD_LOCK_KEY"; exit 7']);
    await eventually(
      () => run('get', 'l/', '--prefix', '--keys-only').stdout.toString().split('l/').length === 3,
      {
        what: 'two contenders',
      },
    );
    expect(second.output).toBe('');
    first.child.kill('SIGINT');
    expect(await first.ended()).toBe(0);
    expect(await second.ended()).toBe(7);
    expect(second.output).toMatch(/^l\/[0-9a-f]+\n$/);
    expect(second.errors).toBe('Error: exit status 7\n');
    expect(run('get', 'l/', '--prefix').stdout.toString()).toBe('');
    expect(run('lease', 'list').stdout.toString()).toBe('found 0 leases\n');
  });

  it('Ensure that a signal to a lock reaches its command, whose end is the end of both.', async () => {
    const trap = 'trap "echo told; exit 7" TERM; trap : INT; echo up; while :; do sleep 0.1; done';
    const polite = new Running(['lock', 'p', '--', 'sh', '-c', trap]);
    await polite.shows('up\n');
    polite.child.kill('SIGINT');
    polite.child.kill('SIGTERM');
    expect(await polite.ended()).toBe(7);
    expect(polite.output).toBe('up\ntold\n');
    expect(polite.errors).toBe('Error: exit status 7\n');
    const meek = new Running(['lock', 'p', '--', 'sh', '-c', 'echo up; exec sleep 60']);
    await meek.shows('up\n');
    meek.child.kill('SIGTERM');
    expect(await meek.ended()).toBe(1);
    expect(meek.errors).toBe('Error: signal: terminated\n');
    expect(run('get', 'p/', '--prefix').stdout.toString()).toBe('');
  });

  it('Ensure that a signal ends a wait for a lock or an office with exit code 1, and a watch by itself.', async () => {
    const session = new Running(['lock', 'q']);
    await session.shows('q/');
    const leader = new Running(['elect', 'q2', 'me']);
    await leader.shows('me');
    for (const args of [
      ['lock', 'q'],
      ['lock', 'q', '--', 'echo', 'never'],
      ['elect', 'q2', 'you'],
    ]) {
      const waiting = new Running(args);
      const contest = args[0] === 'lock' ? 'q/' : 'q2/';
      await eventually(
        () => run('get', contest, '--prefix', '--keys-only').stdout.toString().split(contest).length === 3,
        {what: 'two contenders'},
      );
      waiting.child.kill('SIGTERM');
      expect(await waiting.ended()).toBe(1);
      expect(waiting.errors).toBe('Error: context canceled\n');
      expect(waiting.output).toBe('');
    }
    const watch = new Running(['watch', 'q3', '--rev=1']);
    run('put', 'q3', '1');
    await watch.shows('q3');
    watch.child.kill('SIGINT');
    expect(await watch.ended()).toBe(null);
    expect(watch.child.signalCode).toBe('SIGINT');
  });

  it('Ensure that an election is told to listeners, and resigned on a signal.', async () => {
    const listener = new Running(['elect', '-l', 'e']);
    const leader = new Running(['elect', 'e', 'me']);
    await leader.shows('\nme\n');
    await listener.shows('\nme\n');
    leader.child.kill('SIGTERM');
    expect(await leader.ended()).toBe(0);
    expect(run('get', 'e/', '--prefix').stdout.toString()).toBe('');
    listener.child.kill('SIGINT');
    expect(await listener.ended()).toBe(0);
  });

  it('Ensure that keep-alive goes on until the lease is revoked.', async () => {
    const [, id = ''] = /lease (\w+)/.exec(run('lease', 'grant', '3').stdout.toString()) ?? [];
    const keepAlive = new Running(['lease', 'keep-alive', id]);
    await keepAlive.shows(`lease ${id} keepalived with TTL(3)\n`);
    run('lease', 'revoke', id);
    expect(await keepAlive.ended()).toBe(0);
    expect(keepAlive.output.endsWith(`lease ${id} expired or revoked.\n`)).toBe(true);
  });

  it('Ensure that a snapshot is whole when it has its name, and etcdctl agrees on its hash.', () => {
    const path = join(folder, 'backup.db');
    expect(run('snapshot', 'save', path).stdout.toString()).toBe(`Snapshot saved at ${path}\n`);
    const theirs = spawnSync('etcdctl', ['snapshot', 'status', path, '-w', 'json'], {
      env: cleanEnvironment(),
    });
    const ours = JSON.parse(run('snapshot', 'status', path, '-w', 'json').stdout.toString());
    const {hash, revision, totalSize} = JSON.parse(theirs.stdout.toString());
    expect(ours).toMatchObject({hash, revision, totalSize});
    expect(readFileSync(path).length).toBe(totalSize + 32);
  });

  it('Ensure that a snapshot to a place that cannot be written says so and leaves nothing.', () => {
    const nowhere = join(folder, 'nowhere');
    const {status, stderr} = run('snapshot', 'save', join(nowhere, 'backup.db'));
    expect(status).toBe(5);
    expect(stderr.toString()).toBe(
      `Error: write ${nowhere}/backup.db: no such file or directory; make the folder ${nowhere} first\n`,
    );
    expect(existsSync(nowhere)).toBe(false);
  });

  it('Ensure that a watch whose endpoints are all away says so once, and goes on when one comes back.', async () => {
    const own = mkdtempSync(join(folder, 'away-'));
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    const initialCluster = `away=http://127.0.0.1:${peerPort}`;
    const away = new MemberProcess({
      program: 'etcd',
      folder: own,
      name: 'away',
      clientPort,
      peerPort,
      initialCluster,
    });
    const watch = new Running(['watch', 'k', '--rev=1', '--dial-timeout=100ms'], {
      KVD_ENDPOINTS: away.endpoint,
    });
    const told = () => watch.errors.split('no endpoint can be reached').length - 1;
    await eventually(() => told() === 1, {what: 'the warning'});
    expect(watch.errors).toContain(`dial ${away.endpoint}: connection refused`);
    try {
      await away.start();
      spawnSync('etcdctl', ['put', 'k', '1', '--endpoints', away.endpoint], {env: cleanEnvironment()});
      await watch.shows('PUT\nk\n1\n');
      expect(told()).toBe(1);
    } finally {
      await away.kill();
    }
    await eventually(() => told() === 2, {what: 'the second warning'});
  });

  it('Ensure that the next endpoint is tried when one does not answer.', async () => {
    const [nobody = 0] = await freePorts(1);
    const endpoints = `127.0.0.1:${nobody},${server.endpoint}`;
    const env = {...cleanEnvironment(), KVD_ENDPOINTS: endpoints};
    expect(spawnSync(process.execPath, [KVD, 'put', 'f', '1'], {env}).stdout.toString()).toBe('OK\n');
  });
});
