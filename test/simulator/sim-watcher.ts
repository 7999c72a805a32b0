/**
 * A watching client: follows a range of keys over stream breaks, crashes and compactions, and holds what it gets
 * against the model: in order, each once, none missing, each exactly as it was written, no progress ahead of events.
 */

import type {WatchResponse} from '../../src/engine/watch/watch-response.ts';
import type {WatchStream} from '../../src/engine/watch/watch-stream.ts';
import {WatchChecker} from './checkers/watch-checker.ts';
import type {Violate} from './history.ts';
import type {KvModel} from './kv-model.ts';
import {bytesOf} from './requests.ts';
import type {SeededRandom} from './seeded-random.ts';
import type {Life, SimulatedMember} from './simulated-member.ts';
import type {SimulatedNetwork} from './simulated-network.ts';

export interface SimWatcherOptions {
  readonly name: string;
  readonly network: SimulatedNetwork;
  readonly random: SeededRandom;
  readonly model: KvModel;
  readonly violate: Violate;
  readonly members: () => readonly SimulatedMember[];
  readonly from: string;
  /** Empty: the one key. */
  readonly to: string;
  readonly prevKv: boolean;
  readonly isSlow: boolean;
  /** Of the watcher: see `WatchFilter`. */
  readonly filters: readonly number[];
  /** Less than {@link FRAGMENT_BYTES}: it accepts revisions in pieces of this size. */
  readonly fragmentBytes: number;
}

export const FRAGMENT_BYTES = 1 << 20;

/** Between looks at whether a way is free again. */
const CUT_POLL_MS = 50;

/** Where a client begins: mostly now (0), else where history begins, within it, or in the future. */
function firstRevision({random, model}: SimWatcherOptions): number {
  const {compactRevision, revision} = model;
  switch (random.below(6)) {
    case 0:
      return Math.max(1, compactRevision);
    case 1:
      return Math.max(1, compactRevision + random.below(revision - compactRevision + 1));
    case 2:
      return revision + 1 + random.below(20);
    default:
      return 0;
  }
}

export class SimWatcher {
  readonly #options: SimWatcherOptions;
  readonly #member: SimulatedMember;
  readonly #checker: WatchChecker;
  #life: Life | undefined;
  #host = '';
  #stream: WatchStream | undefined;
  #isStopped = false;
  resumed = 0;

  constructor(options: SimWatcherOptions) {
    this.#options = options;
    const {name, violate} = options;
    this.#checker = new WatchChecker({
      ...options,
      firstRevision: firstRevision(options),
      violate: (guarantee, detail) => violate('watch', `${name}: not ${guarantee}: ${detail}`),
    });
    const all = options.members();
    this.#member = all[options.random.below(all.length)];
    this.#connect(this.#member);
  }

  /** Everything that has happened has been seen. */
  get isComplete(): boolean {
    return this.#checker.isComplete;
  }

  get events(): number {
    return this.#checker.events;
  }

  describe(): string {
    const {name, model} = this.#options;
    return `${name} of ${this.#options.from}..${this.#options.to}: next ${this.#checker.next} of ${model.revision}, at ${this.#life?.number}`;
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#life?.isAlive === true) this.#stream?.close();
  }

  /** Gives its stream up and goes on at another member. */
  reconnect(): void {
    if (this.#life?.isAlive === true) this.#stream?.close();
    this.#lost();
  }

  #lost(): void {
    this.#stream = undefined;
    this.#life = undefined;
    if (this.#isStopped) return;
    const {network, random, members} = this.#options;
    network.queue.after(20 + random.below(200), () => {
      const all = members();
      this.#connect(all[random.below(all.length)]);
    });
  }

  #connect(member: SimulatedMember): void {
    const {network, random} = this.#options;
    const {life} = member;
    const server = life?.server;
    if (this.#isStopped || this.#life !== undefined) return;
    const isCut = network.isCut(this.#options.name, member.name);
    if (life === undefined || server === undefined || !life.isPublished || isCut) {
      this.#lost();
      return;
    }
    this.#life = life;
    this.#host = member.name;
    life.onEnd(() => {
      if (this.#life !== life) return;
      network.queue.after(network.delayMs(), () => this.#life === life && this.#lost());
    });
    life.clock.enter(() => {
      if (this.#stream !== undefined || this.#isStopped || this.#life !== life) return;
      this.#checker.opened();
      this.resumed++;
      const reading = {isDue: false};
      const stream = server.watchHub.openStream({
        readable: () => this.#readable(stream, reading),
        fragmentBytes: this.#options.fragmentBytes,
      });
      this.#stream = stream;
      stream.create({
        key: bytesOf(this.#options.from),
        rangeEnd: bytesOf(this.#options.to),
        startRevision: this.#checker.next,
        progressNotify: random.below(2) === 0,
        filters: this.#options.filters,
        prevKv: this.#options.prevKv,
        watchId: 0n,
        fragment: this.#options.fragmentBytes < FRAGMENT_BYTES,
      });
      if (random.below(3) === 0) stream.requestProgress();
    });
  }

  #readable(stream: WatchStream, reading: {isDue: boolean}, delayMs = this.#readDelayMs()): void {
    if (reading.isDue) return;
    reading.isDue = true;
    const {network} = this.#options;
    network.queue.after(delayMs, () => {
      reading.isDue = false;
      const life = this.#life;
      if (this.#stream !== stream || life === undefined) return;
      if (network.isCut(this.#host, this.#options.name)) {
        // It waits on the connection, until somebody gives that up or the way is free again.
        this.#readable(stream, reading, CUT_POLL_MS);
        return;
      }
      life.clock.enter(() => {
        for (let response = stream.take(); response !== undefined; response = stream.take()) {
          if (this.#stream !== stream) return;
          this.#take(response);
        }
      });
    });
  }

  #readDelayMs(): number {
    const {network, random, isSlow} = this.#options;
    return isSlow ? random.below(2_000) : network.delayMs();
  }

  #take(response: WatchResponse): void {
    if (this.#checker.take(response) === undefined) return;
    if (this.#life?.isAlive === true) this.#stream?.close();
    this.#lost();
  }
}
