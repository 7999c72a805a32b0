/** How `kvd serve` begins and ends: signals, configuration file, and one clear line for what keeps it from starting. */

import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {afterAll, afterEach, describe, expect, it} from 'vitest';
import {eventually} from '../process/eventually.ts';
import {freePorts} from '../process/free-ports.ts';
import {cleanEnvironment} from '../process/member-process.ts';

const KVD = resolve(import.meta.dirname, '../../bin/run.js');
const folder = mkdtempSync(join(tmpdir(), 'kvd-serve-'));
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

afterAll(() => rmSync(folder, {recursive: true, force: true}));

interface Started {
  readonly child: ChildProcess;
  readonly clientUrl: string;
  readonly args: readonly string[];
}

async function urls(): Promise<{client: string; peer: string}> {
  const [client = 0, peer = 0] = await freePorts(2);
  return {client: `http://127.0.0.1:${client}`, peer: `http://127.0.0.1:${peer}`};
}

/** Resolves when the server says that it serves. */
async function start(args: readonly string[], clientUrl: string): Promise<Started> {
  const child = spawn(process.execPath, [KVD, 'serve', ...args], {cwd: folder, env: cleanEnvironment()});
  children.push(child);
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  await eventually(() => log.includes('ready to serve client requests'), {what: 'the server serves'});
  return {child, clientUrl, args};
}

/** One that is not to start. @returns its last line and exit code */
function refused(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const env = {...cleanEnvironment(), ...environment};
  const {status, stderr} = spawnSync(process.execPath, [KVD, 'serve', ...args], {
    cwd: folder,
    env,
    timeout: 30_000,
  });
  const lines = stderr.toString().trimEnd().split('\n');
  return {exit: status, line: lines.at(-1), errors: lines.filter((line) => line.startsWith('Error:')).length};
}

function listening(client: string, peer: string, dataDir: string): string[] {
  return [
    `--data-dir=${dataDir}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
  ];
}

describe('serve', () => {
  it('Ensure that a signal ends it with exit code 0, and its data is there when it starts again.', async () => {
    const {client, peer} = await urls();
    const args = listening(client, peer, 'again');
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const {child} = await start(args, client);
      const kvd = (...words: string[]) =>
        spawnSync(process.execPath, [KVD, `--endpoints=${client}`, ...words]);
      if (signal === 'SIGTERM') expect(kvd('put', 'a', '1').status).toBe(0);
      else expect(kvd('get', 'a').stdout.toString()).toBe('a\n1\n');
      child.kill(signal);
      const [exitCode] = await once(child, 'exit');
      expect(exitCode).toBe(0);
    }
  });

  it('Ensure that a configuration file alone decides, with single-dash flags as etcd takes them.', async () => {
    const {client, peer} = await urls();
    const path = join(folder, 'kvd.yml');
    writeFileSync(
      path,
      `name: filed\ndata-dir: filed.kvd\nlisten-client-urls: ${client}\nadvertise-client-urls: ${client}\n` +
        `listen-peer-urls: ${peer}\nenable-v2: true\nwatch-progress-notify-interval: 5000000000\n`,
    );
    await start(['-config-file', path, '-name', 'ignored'], client);
    const {stdout} = spawnSync(process.execPath, [KVD, `--endpoints=${client}`, 'member', 'list']);
    expect(stdout.toString()).toContain(', started, filed, ');
  });

  it('Ensure that a file that is no YAML is refused with the place of its fault.', () => {
    const path = join(folder, 'bad.yml');
    writeFileSync(path, 'name: [\n');
    const {exit, line, errors} = refused([`--config-file=${path}`]);
    expect({exit, errors}).toEqual({exit: 1, errors: 1});
    expect(line).toMatch(/^Error: --config-file=.*bad\.yml is not YAML: .* at line \d+, column \d+$/);
  });

  it('Ensure that a data folder in use is refused, and so is a port that is taken.', async () => {
    const {client, peer} = await urls();
    await start(listening(client, peer, 'used'), client);
    expect(refused(listening(client, peer, 'used'))).toEqual({
      exit: 1,
      line: `Error: ${join(folder, 'used')} is in use by another kvd; stop that one, or choose another --data-dir`,
      errors: 1,
    });
    const other = await urls();
    expect(refused(listening(client, other.peer, 'other'))).toEqual({
      exit: 1,
      line: `Error: cannot listen on ${client}: the address is already in use; stop the program that has it, or listen elsewhere (--listen-client-urls)`,
      errors: 1,
    });
  });

  it('Ensure that a peer port that is taken is refused.', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const {port} = server.address() as {port: number};
    const {client} = await urls();
    const {exit, line, errors} = refused(listening(client, `http://127.0.0.1:${port}`, 'peer'));
    server.close();
    expect({exit, errors}).toEqual({exit: 1, errors: 1});
    expect(line).toBe(
      `Error: cannot listen on http://127.0.0.1:${port}: the address is already in use; stop the program that has it, or listen elsewhere (--listen-peer-urls)`,
    );
  });

  it("Ensure that an etcd's data is refused with the way to move it over, and left alone.", async () => {
    const {client, peer} = await urls();
    mkdirSync(join(folder, 'etcd', 'member', 'wal'), {recursive: true});
    mkdirSync(join(folder, 'etcd', 'member', 'snap'), {recursive: true});
    const {exit, line, errors} = refused(listening(client, peer, 'etcd'));
    expect({exit, errors}).toEqual({exit: 1, errors: 1});
    expect(line).toContain('etcdctl snapshot save FILE, then kvd snapshot restore FILE --data-dir=NEW');
  });

  it('Ensure that wrong settings are refused before anything is made.', () => {
    expect(refused(['--nonsense'])).toEqual({
      exit: 1,
      line: 'Error: unknown flag --nonsense; see: kvd serve --help',
      errors: 1,
    });
    expect(refused([], {ETCD_ELECTION_TIMEOUT: '60000'})).toEqual({
      exit: 1,
      line: 'Error: ETCD_ELECTION_TIMEOUT=60000: must be from 1 to 50000 milliseconds',
      errors: 1,
    });
  });

  it('Ensure that the version is told in the form of etcd.', () => {
    const {stdout, status} = spawnSync(process.execPath, [KVD, 'serve', '--version']);
    expect(status).toBe(0);
    expect(stdout.toString()).toMatch(/^etcd Version: \d+\.\d+\.\d+\nkvd Version: /);
  });
});
