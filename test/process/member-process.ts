/** A real server process, kvd or Debian's etcd, with its data dir, ports and log: started, killed, stopped, restarted. */

import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {createWriteStream, mkdirSync, readFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {atExit} from './at-exit.ts';
import {eventually} from './eventually.ts';

export type Program = 'kvd' | 'etcd';

const KVD = resolve(import.meta.dirname, '../../bin/run.js');

export interface MemberProcessOptions {
  readonly program: Program;
  readonly name: string;
  /** Folder for data dir and log. */
  readonly folder: string;
  readonly clientPort: number;
  readonly peerPort: number;
  /** `name=url,…` of the whole cluster. */
  readonly initialCluster: string;
  readonly initialClusterState?: 'new' | 'existing';
  readonly extraArguments?: readonly string[];
  /** In front of the command line, such as strace and its arguments. */
  readonly wrapper?: readonly string[];
}

export class MemberProcess {
  readonly options: MemberProcessOptions;
  #child: ChildProcess | undefined;
  #exit: Promise<unknown> = Promise.resolve();
  /** Of the present process. */
  #fate = {mayEnd: false};
  /** Ends that nobody asked for, with the last that was logged. */
  readonly ends: string[] = [];

  constructor(options: MemberProcessOptions) {
    this.options = options;
    mkdirSync(options.folder, {recursive: true});
  }

  get clientUrl(): string {
    return `http://127.0.0.1:${this.options.clientPort}`;
  }

  get endpoint(): string {
    return `127.0.0.1:${this.options.clientPort}`;
  }

  get peerUrl(): string {
    return `http://127.0.0.1:${this.options.peerPort}`;
  }

  get dataDir(): string {
    return join(this.options.folder, `${this.options.name}.data`);
  }

  get logPath(): string {
    return join(this.options.folder, `${this.options.name}.log`);
  }

  /** A wrapper has to put itself beside the process, not between (strace -D). */
  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error(`${this.options.name} is not running`);
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  commandLine(): string[] {
    const {program, name, initialCluster, initialClusterState = 'new', extraArguments = []} = this.options;
    const command = program === 'kvd' ? [process.execPath, KVD, 'serve'] : ['etcd'];
    return [
      ...command,
      `--name=${name}`,
      `--data-dir=${this.dataDir}`,
      `--listen-client-urls=${this.clientUrl}`,
      `--advertise-client-urls=${this.clientUrl}`,
      `--listen-peer-urls=${this.peerUrl}`,
      `--initial-advertise-peer-urls=${this.peerUrl}`,
      `--initial-cluster=${initialCluster}`,
      `--initial-cluster-state=${initialClusterState}`,
      ...extraArguments,
    ];
  }

  /** Starts the process without waiting for it to serve. */
  spawn(): void {
    const [command, ...args] = [...(this.options.wrapper ?? []), ...this.commandLine()];
    const child = spawn(command, args, {stdio: ['ignore', 'pipe', 'pipe'], env: cleanEnvironment()});
    const log = createWriteStream(this.logPath, {flags: 'a'});
    child.stdout?.pipe(log, {end: false});
    child.stderr?.pipe(log, {end: false});
    this.#child = child;
    this.#exit = once(child, 'exit');
    const fate = {mayEnd: false};
    this.#fate = fate;
    // Not before its last words are there.
    child.once('close', (code, signal) => {
      if (fate.mayEnd) return;
      this.ends.push(`${this.options.name} ended with ${signal ?? `code ${code}`}:\n${this.logTail(8)}`);
    });
    child.once(
      'exit',
      atExit(() => child.kill('SIGKILL')),
    );
  }

  async start(): Promise<void> {
    this.spawn();
    await this.ready();
  }

  /** Resolves when `/health` says that the member can commit. */
  async ready(timeoutMs = 20_000): Promise<void> {
    try {
      await eventually(
        async () => {
          if (!this.isRunning) return true;
          const response = await fetch(`${this.clientUrl}/health`, {signal: AbortSignal.timeout(2_000)});
          return response.ok && ((await response.json()) as {health: string}).health === 'true';
        },
        {timeoutMs, what: `${this.options.name} healthy`},
      );
      if (!this.isRunning) throw new Error(`${this.options.name} ended while starting`);
    } catch (error) {
      throw new Error(`${this.options.name} does not serve; its log:\n${this.logTail()}`, {cause: error});
    }
  }

  signal(signal: NodeJS.Signals): void {
    if (signal === 'SIGKILL' || signal === 'SIGTERM') this.allowEnd();
    this.#child?.kill(signal);
  }

  /** Something is done to the process that runs that it need not outlive. */
  allowEnd(): void {
    this.#fate.mayEnd = true;
  }

  /** kill -9, and gone when it resolves. */
  async kill(): Promise<void> {
    if (!this.isRunning) return;
    this.signal('SIGKILL');
    await this.#exit;
  }

  /** SIGTERM. @returns the exit code */
  async stop(): Promise<number | null> {
    if (this.isRunning) {
      this.signal('SIGTERM');
      await this.exited();
    }
    return this.#child?.exitCode ?? null;
  }

  async exited(): Promise<number | null> {
    await this.#exit;
    return this.#child?.exitCode ?? null;
  }

  /** What it has said so far. */
  log(): string {
    try {
      return readFileSync(this.logPath, 'utf8');
    } catch {
      return '(no log)';
    }
  }

  logTail(lines = 30): string {
    return this.log().trimEnd().split('\n').slice(-lines).join('\n');
  }
}

/** Settings in the environment of whoever runs the tests must not reach the servers. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !/^(KVD|ETCD|ETCDCTL)_/.test(name));
  return {...Object.fromEntries(entries), ETCDCTL_API: '3', ETCD_UNSUPPORTED_ARCH: undefined};
}
