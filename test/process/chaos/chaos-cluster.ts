/** A cluster whose peer connections, disks and clocks can be broken from outside. */

import {execFileSync, spawnSync} from 'node:child_process';
import {closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {EtcdCalls} from '../etcd-calls.ts';
import {freePorts} from '../free-ports.ts';
import {MemberProcess} from '../member-process.ts';
import {PeerRelay} from './peer-relay.ts';

/** A member's disk. */
const DISK_BYTES = '256m';
const BALLAST_CHUNK_BYTES = 1 << 20;
const CLOCK = resolve(import.meta.dirname, 'jumping-clock.mjs');
/** Short elections: a minute has room for many faults. */
const ARGUMENTS = ['--heartbeat-interval=50', '--election-timeout=500', '--snapshot-count=5000'];

export class ChaosCluster {
  readonly members: readonly MemberProcess[];
  readonly relay = new PeerRelay();
  /** Whether each data dir is a small file system of its own: mounting needs privileges. */
  readonly hasSmallDisks: boolean;
  readonly #folder: string;

  private constructor(folder: string, members: readonly MemberProcess[], hasSmallDisks: boolean) {
    this.#folder = folder;
    this.members = members;
    this.hasSmallDisks = hasSmallDisks;
  }

  static async start(size: number): Promise<ChaosCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'kvd-chaos-'));
    const ports = await freePorts(3 * size);
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
      await Promise.all(members.map((member) => member.ready()));
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

  /** Sets what the member's process takes for the time of day off by this much, milliseconds. */
  jumpClock(member: MemberProcess, offsetMs: number): void {
    writeFileSync(clockFile(this.#folder, member.options.name), `${offsetMs}`);
  }

  /** Fills the member's disk to the last byte. @returns what frees it again */
  fillDisk(member: MemberProcess): () => void {
    const path = join(member.dataDir, '..', `${member.options.name}.data`, 'ballast.tmp');
    const file = openSync(path, 'w');
    const chunk = Buffer.alloc(BALLAST_CHUNK_BYTES);
    try {
      while (writeSync(file, chunk) > 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      closeSync(file);
    }
    return () => rmSync(path, {force: true});
  }

  async destroy(): Promise<void> {
    for (const member of this.members) {
      member.signal('SIGCONT');
      await member.kill();
    }
    this.relay.close();
    for (const {dataDir} of this.members) spawnSync('umount', [dataDir], {stdio: 'ignore'});
    rmSync(this.#folder, {recursive: true, force: true});
  }

  async #learnNames(): Promise<void> {
    using calls = new EtcdCalls(this.members[0].endpoint);
    const list = await calls.raw.unary('etcdserverpb.Cluster/MemberList');
    for (const {ID, name} of list.members)
      this.relay.names.set(BigInt(ID).toString(16).padStart(16, '0'), name);
  }
}

const clockFile = (folder: string, name: string) => join(folder, `${name}.clock`);

function mountDisk(path: string): boolean {
  mkdirSync(path, {recursive: true});
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', path], {stdio: 'ignore'});
    return true;
  } catch {
    return false;
  }
}
