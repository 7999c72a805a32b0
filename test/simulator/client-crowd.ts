/** All clients of a run: those that ask, those that take locks, and those that watch. */

import type {Refusals} from './checkers/refusals.ts';
import type {History, Violate} from './history.ts';
import type {KvModel} from './kv-model.ts';
import type {LeaseBook} from './lease-book.ts';
import type {LockBook} from './lock-book.ts';
import {keyOf} from './requests.ts';
import type {SeededRandom} from './seeded-random.ts';
import {SimClient} from './sim-client.ts';
import {SimLocker} from './sim-locker.ts';
import {FRAGMENT_BYTES, SimWatcher} from './sim-watcher.ts';
import type {SimulatedMember} from './simulated-member.ts';
import type {SimulatedNetwork} from './simulated-network.ts';
import type {Swarm} from './swarm.ts';
import type {Trace} from './trace.ts';

export interface ClientCrowdOptions {
  readonly swarm: Swarm;
  readonly network: SimulatedNetwork;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly model: KvModel;
  readonly history: History;
  readonly leases: LeaseBook;
  readonly refusals: Refusals;
  readonly locks: LockBook;
  readonly members: readonly SimulatedMember[];
  readonly violate: Violate;
  /** A client is about to ask. */
  readonly onAsks: () => void;
  readonly onAssertion: (error: unknown) => void;
}

export class ClientCrowd {
  readonly #options: ClientCrowdOptions;
  readonly #clients: SimClient[] = [];
  readonly #lockers: SimLocker[] = [];
  readonly #watchers: SimWatcher[] = [];
  /** Questions that clients have asked. */
  operations = 0;
  /** Clients that wait for an answer. */
  #running = 0;
  #isWatchingDisturbed = true;

  constructor(options: ClientCrowdOptions) {
    this.#options = options;
  }

  /** Their places in the network. */
  get hosts(): readonly string[] {
    const {clients, lockers, watchers} = this.#options.swarm;
    return [...names('c', clients), ...names('l', lockers), ...names('w', watchers)];
  }

  get watchEvents(): number {
    return this.#watchers.reduce((sum, {events}) => sum + events, 0);
  }

  /** Nobody waits for an answer any more. */
  get isQuiet(): boolean {
    return this.#running === 0;
  }

  get haveSeenEverything(): boolean {
    return this.#watchers.every(({isComplete}) => isComplete);
  }

  start(): void {
    const {swarm, random, members} = this.#options;
    const {leaseSecondsMax} = swarm;
    const fork = () => random.fork();
    for (const name of names('c', swarm.clients)) {
      const {keyCount, valueBytesMax, clientPauseMsMax: pauseMsMax, requestsAtOnce} = swarm;
      const client = new SimClient({
        ...this.#options,
        name,
        random: fork(),
        members: () => members,
        keyCount,
        valueBytesMax,
        pauseMsMax,
        leaseSecondsMax,
        mix: swarm.clientMix,
        requestsAtOnce,
        onAsks: () => {
          this.operations++;
          this.#options.onAsks();
        },
      });
      this.#clients.push(client);
      this.#follow(client.run());
    }
    for (const name of names('l', swarm.lockers)) {
      const locker = new SimLocker({
        ...this.#options,
        name,
        random: fork(),
        members: () => members,
        lockCount: Math.ceil(swarm.lockers / 3),
        clockRateMax: swarm.clockRateMax,
      });
      this.#lockers.push(locker);
      this.#follow(locker.run());
    }
    for (const name of names('w', swarm.watchers)) this.#watchers.push(this.#makeWatcher(name, fork()));
    this.#disturbWatchers(fork());
  }

  /** A client compares all members at a revision that was told before. */
  askHashes(): void {
    const {history, members} = this.#options;
    const [client] = this.#clients;
    const {floor} = history;
    if (client !== undefined) for (const member of members) this.#follow(client.hash(member, floor));
  }

  stop(): void {
    for (const client of [...this.#clients, ...this.#lockers]) client.stop();
  }

  /** They keep their streams from now on. */
  leaveWatchersAlone(): void {
    this.#isWatchingDisturbed = false;
  }

  stopWatching(): void {
    for (const watcher of this.#watchers) watcher.stop();
  }

  describeWatchers(): string {
    return this.#watchers.map((watcher) => watcher.describe()).join('; ');
  }

  #makeWatcher(name: string, random: SeededRandom): SimWatcher {
    const {swarm, network, model, members, violate} = this.#options;
    const from = random.below(swarm.keyCount);
    const to = from + 1 + random.below(swarm.keyCount - from);
    return new SimWatcher({
      name,
      network,
      random,
      model,
      violate,
      members: () => members,
      from: keyOf(from),
      to: random.below(3) === 0 ? '' : keyOf(to),
      prevKv: random.below(2) === 0,
      isSlow: random.below(3) === 0,
      filters: random.below(4) === 0 ? [random.below(2)] : [],
      fragmentBytes: random.below(3) === 0 ? 200 : FRAGMENT_BYTES,
    });
  }

  #follow(run: Promise<unknown>): void {
    this.#running++;
    run.then(
      () => this.#running--,
      (error: unknown) => this.#options.violate('client', (error as Error).stack ?? String(error)),
    );
  }

  #disturbWatchers(random: SeededRandom): void {
    if (this.#watchers.length === 0) return;
    this.#options.network.queue.after(200 + random.below(4_000), () => {
      if (!this.#isWatchingDisturbed) return;
      this.#watchers[random.below(this.#watchers.length)].reconnect();
      this.#disturbWatchers(random);
    });
  }
}

const names = (letter: string, count: number): string[] =>
  Array.from({length: count}, (_, place) => `${letter}${place + 1}`);
