/**
 * One machine of a simulated cluster: a disk, a backend's images and a place in the network that outlive processes,
 * and the process that runs on it for a while. A process that dies leaves its promises and timers standing for ever;
 * a machine that loses power loses, beyond that, what was not synced.
 */

import {EngineError} from '../../src/engine/errors.ts';
import {createSha1, createSha256} from '../../src/engine/io/digest.ts';
import type {Disk, LogFields, Logger, Metrics} from '../../src/engine/ports.ts';
import type {Identity} from '../../src/engine/server/bootstrap.ts';
import {type OpenedMember, openMember} from '../../src/engine/server/open-member.ts';
import {Replica} from '../../src/engine/server/replica.ts';
import {Server} from '../../src/engine/server/server.ts';
import type {ServerConfig} from '../../src/engine/server/server-config.ts';
import type {ServerPorts} from '../../src/engine/server/server-ports.ts';
import {DataDir} from '../../src/engine/storage/data-dir.ts';
import type {EventQueue} from './event-queue.ts';
import {LateWork} from './late-work.ts';
import {MemberClock} from './member-clock.ts';
import {type MemberObserver, observeMember, observeReplica} from './member-observer.ts';
import {MemoryBackendDisk} from './memory-backend.ts';
import {type CrashChoices, type DiskOperation, MemoryDisk} from './memory-disk.ts';
import {SeededRandom} from './seeded-random.ts';
import type {SimulatedEndpoint} from './simulated-endpoint.ts';
import type {SimulatedNetwork} from './simulated-network.ts';
import type {Trace} from './trace.ts';

export interface DiskWeather {
  /** Of each operation, and of each sync on top, milliseconds. */
  operationMsMax: number;
  syncMsMax: number;
  /** Syncs do not return while set. */
  isHung: boolean;
  /** The next syncs fail. */
  syncErrors: number;
  /** The next operations of any kind fail. */
  ioErrors: number;
}

export const FAIR_DISK: DiskWeather = {
  operationMsMax: 0.05,
  syncMsMax: 2,
  isHung: false,
  syncErrors: 0,
  ioErrors: 0,
};

export interface SimulatedMemberOptions {
  readonly name: string;
  readonly url: string;
  readonly config: ServerConfig;
  readonly queue: EventQueue;
  readonly network: SimulatedNetwork;
  readonly trace: Trace;
  readonly seed: number;
  readonly observer: MemberObserver;
  readonly walSegmentBytes: number;
  readonly overlayBytesMax?: number | undefined;
}

/** One process from its start to its end. */
export class Life {
  readonly number: number;
  readonly clock: MemberClock;
  readonly network: SimulatedEndpoint;
  /** Set as start-up goes on. */
  opened: OpenedMember | undefined;
  replica: Replica | undefined;
  server: Server | undefined;
  isPublished = false;
  isStopping = false;
  /** An injected fault of the disk will end it, rightly. */
  isDoomed = false;
  readonly #onEnd = new Set<() => void>();

  constructor(number: number, clock: MemberClock, network: SimulatedEndpoint) {
    this.number = number;
    this.clock = clock;
    this.network = network;
  }

  get isAlive(): boolean {
    return this.clock.isAlive;
  }

  /** @returns a function that calls it off */
  onEnd(action: () => void): () => void {
    this.#onEnd.add(action);
    return () => this.#onEnd.delete(action);
  }

  end(): void {
    for (const action of [...this.#onEnd]) action();
    this.#onEnd.clear();
  }
}

const NOBODY: Identity = {clusterId: 0n, memberId: 0n};
const NO_METRICS: Metrics = {
  counter: () => ({add: () => undefined}),
  gauge: () => ({set: () => undefined}),
  histogram: () => ({observe: () => undefined}),
};

export class SimulatedMember {
  readonly name: string;
  readonly url: string;
  readonly options: SimulatedMemberOptions;
  config: ServerConfig;
  weather: DiskWeather = {...FAIR_DISK};
  readonly lateWork = new LateWork();
  clockRate = 1;
  /** A fault has meddled with its files: it may have lost what was durable, until it has caught up. */
  isDamaged = false;
  #wallSkewMs = 0;
  #isDiskFull = false;
  /** The process dies just before this many more operations of the disk are done; undefined: it does not. */
  crashAfterOperations: number | undefined;
  onArmedCrash: () => void = () => undefined;
  life: Life | undefined;
  disk: MemoryDisk;
  images: MemoryBackendDisk;
  readonly #random: SeededRandom;
  #lives = 0;
  #isLocked = false;
  #diskOperations = 0;
  /** Of the disk, by the process that runs. */
  readonly #underWay = new Set<DiskOperation>();

  constructor(options: SimulatedMemberOptions) {
    this.options = options;
    this.name = options.name;
    this.url = options.url;
    this.config = options.config;
    this.#random = new SeededRandom(options.seed);
    this.disk = this.#freshDisk();
    this.images = this.#freshImages();
  }

  get lives(): number {
    return this.#lives;
  }

  get diskOperations(): number {
    return this.#diskOperations;
  }

  get isUp(): boolean {
    return this.life !== undefined;
  }

  /** The server, where clients can reach it. */
  get server(): Server | undefined {
    return this.life?.server;
  }

  get replica(): Replica | undefined {
    return this.life?.replica;
  }

  /** Begins a process; how far it comes shows in `life`. */
  start(): Life {
    if (this.life !== undefined) throw new Error(`${this.name} runs already`);
    const {queue, network} = this.options;
    this.#lives++;
    const clock = new MemberClock(queue, this.#random, {
      ownMs: this.#random.below(1_000_000_000),
      rate: this.clockRate,
    });
    clock.wallSkewMs = this.#wallSkewMs;
    let opened: OpenedMember | undefined;
    let dataDir: DataDir | undefined;
    const life: Life = new Life(
      this.#lives,
      clock,
      network.endpoint({
        host: this.name,
        urls: [this.url],
        identity: () => opened?.identity ?? dataDir?.marker ?? NOBODY,
        isRemoved: (id) => life.replica?.members.isRemoved(id) ?? false,
        clock,
        random: this.#random,
        electionTimeoutMs: this.config.electionTimeoutMs,
        refusedAsRemoved: () => this.#ended(life, undefined),
        onAssertion: (error) => this.#ended(life, error),
      }),
    );
    this.life = life;
    life.isDoomed = this.#isDiskFull;
    this.#note(`starts, life ${life.number}`);
    const run = async () => {
      await this.#dropLostImages();
      dataDir = await DataDir.open({
        disk: this.#wrappedDisk(),
        lock: async () => this.#lock(),
        logger: this.#logger(),
      });
      const ports = this.#ports(life);
      opened = await openMember({
        config: this.config,
        ports,
        dataDir,
        onFailure: (error) => this.#ended(life, error),
        walSegmentBytes: this.options.walSegmentBytes,
        overlayBytesMax: this.options.overlayBytesMax,
      });
      life.opened = opened;
      observeMember({member: this, life, opened, observer: this.options.observer});
      life.replica = new Replica({
        config: this.config,
        ports,
        opened,
        onFailure: (error) => this.#ended(life, error),
      });
      const {replica} = life;
      observeReplica({member: this, life, opened, replica, observer: this.options.observer});
      this.lateWork.hold(opened, replica, clock);
      life.server = new Server(replica);
      await life.replica.start();
      await life.replica.published();
      life.isPublished = true;
    };
    run().catch((error: unknown) => this.#ended(life, error));
    return life;
  }

  /** The process is gone; its machine and disk stay as they are. `landed`: a backend commit under way came through. */
  kill(options: {landed: boolean}): void {
    this.#dies('killed');
    this.#note('is killed');
    this.images.crash({landed: options.landed});
    this.#end({silently: false});
  }

  /** The machine loses power. */
  losePower(choices: CrashChoices, options: {landed: boolean}): void {
    this.#dies('without power');
    this.#note('loses power');
    this.images.crash({landed: options.landed});
    this.#end({silently: true});
    this.disk = this.disk.crash(choices, {turn: (operation) => this.#turn(operation)});
    this.disk.isFull = this.#isDiskFull;
  }

  /** Stops as a signal makes it; resolves when it is down. */
  async stop(): Promise<void> {
    const {life} = this;
    if (life?.replica === undefined || life.opened === undefined || life.isStopping) return;
    life.isStopping = true;
    this.#note('stops');
    const {replica, opened} = life;
    const work = replica
      .stop()
      .then(() => opened.close())
      .catch((error: unknown) => this.#ended(life, error));
    await Promise.race([work, new Promise<void>((resolve) => life.onEnd(resolve))]);
    if (this.life !== life) return;
    this.#note('has stopped');
    this.#end({silently: false});
  }

  /** The machine gets an empty disk; nothing may run on it. */
  wipe(): void {
    if (this.life !== undefined) throw new Error(`${this.name} is wiped while it runs`);
    this.#note('is wiped');
    this.disk = this.#freshDisk();
    this.images = this.#freshImages();
  }

  setClockRate(rate: number): void {
    this.clockRate = rate;
    this.life?.clock.setRate(rate);
  }

  /** Nothing more fits on its disk: a process may end over that, or not get started. */
  setDiskFull(isFull: boolean): void {
    this.#isDiskFull = isFull;
    this.disk.isFull = isFull;
    if (isFull && this.life !== undefined) this.life.isDoomed = true;
  }

  setWallSkewMs(skewMs: number): void {
    this.#wallSkewMs = skewMs;
    if (this.life !== undefined) this.life.clock.wallSkewMs = skewMs;
  }

  /**
   * Somebody starts the same member again while it runs. It goes as far as the lock of the data dir.
   * @returns what became of it; `moot` when the first process had no lock yet or ended meanwhile
   */
  async startSecond(): Promise<'refused' | 'opened' | 'moot'> {
    const {life} = this;
    if (life === undefined || !this.#isLocked) return 'moot';
    this.#note('is started a second time');
    const lock = async () => {
      if (this.life !== life) throw new EngineError({code: 'stopped'});
      return this.#lock();
    };
    try {
      await DataDir.open({disk: this.#wrappedDisk(), lock, logger: this.#logger()});
      return 'opened';
    } catch (error) {
      if (this.life !== life) return 'moot';
      if (error instanceof EngineError && error.code === 'dataDirLocked') return 'refused';
      throw error;
    }
  }

  #end({silently}: {silently: boolean}): void {
    const {life} = this;
    if (life === undefined) return;
    this.#underWay.clear();
    this.life = undefined;
    this.#isLocked = false;
    life.clock.kill();
    life.network.die({silently});
    life.end();
  }

  #ended(life: Life, error: unknown): void {
    if (this.life !== life) return;
    this.#note(`ends: ${error === undefined ? 'removed' : String(error)}`);
    this.images.crash({landed: false});
    this.#end({silently: false});
    this.options.observer.ended(this, life, error);
  }

  #ports(life: Life): ServerPorts {
    return {
      clock: life.clock,
      random: this.#random,
      disk: this.#wrappedDisk(),
      backendOpener: this.images,
      network: life.network as ServerPorts['network'],
      logger: this.#logger(),
      metrics: NO_METRICS,
      sha1: createSha1,
      sha256: createSha256,
    };
  }

  /** With a folder of the store goes the image in it. */
  #wrappedDisk(): Disk {
    const {disk} = this;
    const member = this;
    return {
      open: (path, options) => disk.open(path, options),
      readFile: (path) => disk.readFile(path),
      exists: (path) => disk.exists(path),
      list: (path) => disk.list(path),
      makeFolder: (path) => disk.makeFolder(path),
      rename: (from, to) => disk.rename(from, to),
      async remove(path) {
        await disk.remove(path);
        member.images.remove(path);
      },
      syncFolder: (path) => disk.syncFolder(path),
      userPath: (path) => `${member.name}/${path}`,
    };
  }

  /** A folder that did not outlive a power failure took its image with it. */
  async #dropLostImages(): Promise<void> {
    for (const path of this.images.paths()) if (!(await this.disk.exists(path))) this.images.remove(path);
  }

  #lock(): () => Promise<void> {
    if (this.#isLocked) throw new EngineError({code: 'dataDirLocked', path: this.name});
    this.#isLocked = true;
    return async () => {
      this.#isLocked = false;
    };
  }

  #freshDisk(): MemoryDisk {
    return new MemoryDisk({turn: (operation) => this.#turn(operation)});
  }

  #freshImages(): MemoryBackendDisk {
    // The images outlive the processes; their time is that of whichever process runs.
    const clock = {
      monotonicMs: () => this.life?.clock.monotonicMs() ?? 0,
      wallMs: () => 0,
      after: (delayMs: number, action: () => void) =>
        this.life?.clock.after(delayMs, action) ?? (() => undefined),
      yield: () => this.life?.clock.yield() ?? new Promise<void>(() => undefined),
    };
    return new MemoryBackendDisk({
      clock,
      commitMs: () => this.#random.below(10 + 4 * this.weather.syncMsMax),
    });
  }

  /** Before each operation of the disk: it takes time, hangs, fails, or the process dies over it. */
  async #turn(operation: DiskOperation): Promise<void> {
    const {life} = this;
    if (life === undefined) throw new Error('a disk without a process');
    this.#diskOperations++;
    const {name, path} = operation;
    this.#underWay.add(operation);
    if (this.crashAfterOperations !== undefined && this.crashAfterOperations-- <= 0) {
      this.crashAfterOperations = undefined;
      this.#note(`dies before ${name} ${path}`);
      this.options.queue.after(0, () => this.onArmedCrash());
      return new Promise(() => undefined);
    }
    const {operationMsMax, syncMsMax} = this.weather;
    const isSync = name === 'sync' || name === 'syncFolder';
    const ms = (this.#random.below(1_000) / 1_000) * (isSync ? operationMsMax + syncMsMax : operationMsMax);
    await new Promise<void>((resolve) => life.clock.after(ms, resolve));
    while (isSync && this.weather.isHung) await new Promise<void>((resolve) => life.clock.after(50, resolve));
    this.#underWay.delete(operation);
    if (this.weather.ioErrors > 0) {
      this.weather.ioErrors--;
      life.isDoomed = true;
      throw new EngineError({code: 'diskError', path, operation: name, detail: 'EIO'});
    }
    if (isSync && this.weather.syncErrors > 0) {
      this.weather.syncErrors--;
      life.isDoomed = true;
      throw new EngineError({code: 'diskError', path, operation: 'fsync', detail: 'EIO'});
    }
  }

  #logger(): Logger {
    const note = (level: string) => (message: string, fields?: LogFields) => {
      this.options.trace.reach(`says: ${message}`);
      let text = `${level} ${message}`;
      for (const [name, value] of Object.entries(fields ?? {})) {
        if (value !== undefined)
          text += ` ${name}=${typeof value === 'bigint' ? value.toString(16).slice(-4) : String(value)}`;
      }
      this.#note(text);
    };
    const logger: Logger = {
      debug: () => undefined,
      info: note('info'),
      warn: note('warn'),
      error: note('error'),
      child: () => logger,
    };
    return logger;
  }

  /** Names the point at which the process dies: what it was, and what its disk was doing. */
  #dies(how: string): void {
    const {life} = this;
    if (life === undefined) return;
    const role = life.isPublished ? (life.replica?.loop.status().role ?? 'starting') : 'starting';
    const doing = [...this.#underWay].map(({name, path}) => `${name} ${path.replace(/[0-9a-f]{4,}/g, '#')}`);
    const stage = life.isStopping ? 'stopping' : role;
    this.options.trace.reach(`${how}: ${stage}${doing.length > 0 ? `, in ${doing.sort()[0]}` : ''}`);
  }

  #note(text: string): void {
    this.options.trace.note(`${this.name} ${text}`);
  }
}
