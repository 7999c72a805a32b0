/** A cluster whose peer connections, disks and clocks can be broken from outside. */

import {spawnSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {atExit} from '../at-exit.ts';
import {EtcdCalls} from '../etcd-calls.ts';
import {eventually} from '../eventually.ts';
import {freePorts} from '../free-ports.ts';
import {MemberProcess} from '../member-process.ts';
import {PeerRelay} from './peer-relay.ts';

/** A member's disk: in memory, as far as it is used. */
const DISK_BYTES = 2 ** 31;
/** All members start at once, maybe on a busy machine. */
const START_MS = 120_000;
/** Two readings of a clock lie some time apart. */
const CLOCK_ROUNDING_MS = 1_000;
const CLOCK = resolve(import.meta.dirname, 'jumping-clock.mjs');
/** Short elections: a minute has room for many faults. */
const ARGUMENTS = ['--heartbeat-interval=50', '--election-timeout=500', '--snapshot-count=5000'];

export class ChaosCluster {
  readonly members: readonly MemberProcess[];
  readonly relay = new PeerRelay();
  /** Whether each data dir is a small file system of its own: mounting needs privileges. */
  readonly hasSmallDisks: boolean;
  readonly #folder: string;
  readonly #forget: () => void;

  private constructor(folder: string, members: readonly MemberProcess[], hasSmallDisks: boolean) {
    this.#folder = folder;
    this.members = members;
    this.hasSmallDisks = hasSmallDisks;
    this.#forget = atExit(() => this.#remove());
  }

  static async start(size: number): Promise<ChaosCluster> {
    const ports = await freePorts(3 * size);
    const folder = mkdtempSync(join(tmpdir(), 'kvd-chaos-'));
    const names = Array.from({length: size}, (_, n) => `m${n + 1}`);
    const relayUrl = (n: number) => `http://127.0.0.1:${ports[3 * n + 2]}`;
    const initialCluster = names.map((name, n) => `${name}=${relayUrl(n)}`).join();
    const members = names.map((name, n) => {
      writeFileSync(clockFile(folder, name), '0');
      return new MemberProcess({
        program: 'kvd',
        name,
        folder,
        clientPort: ports[3 * n],
        peerPort: ports[3 * n + 1],
        initialCluster,
        extraArguments: [...ARGUMENTS, `--initial-advertise-peer-urls=${relayUrl(n)}`],
        wrapper: ['env', `NODE_OPTIONS=--import=${CLOCK}`, `CLOCK_OFFSET_FILE=${clockFile(folder, name)}`],
      });
    });
    const mounts = members.map((member) => mountDisk(member.dataDir));
    const cluster = new ChaosCluster(folder, members, mounts.every(Boolean));
    try {
      for (const [n, {options}] of members.entries())
        await cluster.relay.open({port: ports[3 * n + 2], to: options.name, targetPort: options.peerPort});
      for (const member of members) member.spawn();
      await Promise.all(members.map((member) => member.ready(START_MS)));
      await cluster.#learnNames();
    } catch (error) {
      await cluster.destroy();
      throw error;
    }
    return cluster;
  }

  get endpoints(): string[] {
    return this.members.map(({endpoint}) => endpoint);
  }

  /**
   * Sets what the member's process takes for the time of day off by this much, milliseconds.
   * @returns whether the process tells the time so
   */
  jumpClock(member: MemberProcess, offsetMs: number): () => boolean {
    const path = clockFile(this.#folder, member.options.name);
    writeFileSync(path, `${offsetMs}`);
    return () => Math.abs(Number(readFileSync(`${path}.seen`, 'utf8')) - offsetMs) < CLOCK_ROUNDING_MS;
  }

  /** Makes the member's disk as small as what lies on it. @returns what makes it large again */
  fillDisk({dataDir}: MemberProcess): () => void {
    // It may grow meanwhile, and is not made smaller than what it holds.
    for (let isFull = false; !isFull; ) {
      const {blocks, bfree, bsize} = statfsSync(dataDir);
      isFull = resizeDisk(dataDir, (blocks - bfree) * bsize);
    }
    return () => resizeDisk(dataDir, DISK_BYTES);
  }

  async destroy(): Promise<void> {
    for (const member of this.members) {
      member.signal('SIGCONT');
      await member.kill();
    }
    this.relay.close();
    this.#forget();
    this.#remove();
  }

  /** Where members may still be about to end, their disks go when they have. */
  #remove(): void {
    for (const {dataDir} of this.members) spawnSync('umount', ['-l', dataDir], {stdio: 'ignore'});
    rmSync(this.#folder, {recursive: true, force: true, maxRetries: 10});
  }

  async #learnNames(): Promise<void> {
    using calls = new EtcdCalls(this.members[0].endpoint);
    const named = async () => {
      const {members} = await calls.raw.unary('etcdserverpb.Cluster/MemberList');
      // A member that serves may not have been heard of by its name yet; a way of a nameless one is never cut.
      return members.every(({name}: {name: string}) => name !== '') && members;
    };
    for (const {ID, name} of await eventually(named, {what: 'names of all members', timeoutMs: START_MS}))
      this.relay.names.set(BigInt(ID).toString(16).padStart(16, '0'), name);
  }
}

const clockFile = (folder: string, name: string) => join(folder, `${name}.clock`);

function mountDisk(path: string): boolean {
  mkdirSync(path, {recursive: true});
  return mount('-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', path);
}

const resizeDisk = (path: string, bytes: number): boolean => mount('-o', `remount,size=${bytes}`, path);

function mount(...args: readonly string[]): boolean {
  return spawnSync('mount', args, {stdio: 'ignore'}).status === 0;
}
