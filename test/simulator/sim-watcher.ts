/**
 * A watching client: follows a range of keys over stream breaks, crashes and compactions, and holds what it gets
 * against the model: in order, each once, none missing, each exactly as it was written, no progress ahead of events.
 */

import {type Event, EventType} from '../../src/engine/types.ts';
import {NO_WATCH_ID, type WatchResponse} from '../../src/engine/watch/watch-response.ts';
import type {WatchStream} from '../../src/engine/watch/watch-stream.ts';
import type {Violate} from './history.ts';
import {isSame, type KvModel, type ModelEvent, textOf} from './kv-model.ts';
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
}

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
  /** The next revision that may come; 0 until the first stream told where it began. */
  #next = 0;
  #life: Life | undefined;
  #host = '';
  #stream: WatchStream | undefined;
  /** Within the stream: everything up to here was announced as complete. */
  #progress = 0;
  /** Events of one revision that are still to come in the present response. */
  #pending: ModelEvent[] = [];
  #isStopped = false;
  events = 0;
  resumed = 0;

  constructor(options: SimWatcherOptions) {
    this.#options = options;
    const all = options.members();
    this.#member = all[options.random.below(all.length)];
    this.#next = firstRevision(options);
    this.#connect(this.#member);
  }

  /** Everything that has happened has been seen. */
  get isComplete(): boolean {
    return this.#next > 0 && this.#missing(this.#options.model.revision) === undefined;
  }

  describe(): string {
    const {name, model} = this.#options;
    return `${name} of ${this.#options.from}..${this.#options.to}: next ${this.#next} of ${model.revision}, at ${this.#life?.number}`;
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
      this.#progress = 0;
      this.resumed++;
      const reading = {isDue: false};
      const stream = server.watchHub.openStream({
        readable: () => this.#readable(stream, reading),
        fragmentBytes: 1 << 20,
      });
      this.#stream = stream;
      stream.create({
        key: bytesOf(this.#options.from),
        rangeEnd: bytesOf(this.#options.to),
        startRevision: this.#next,
        progressNotify: random.below(2) === 0,
        filters: [],
        prevKv: this.#options.prevKv,
        watchId: 0n,
        fragment: false,
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
    if (response.created) {
      if (this.#next === 0) this.#next = response.revision + 1;
      return;
    }
    if (response.canceled) {
      if (response.compactRevision > 0) this.#compacted(response.compactRevision);
      else this.#wrong(`canceled: ${response.cancelReason}`);
      return;
    }
    for (const event of response.events) {
      const revision = event.kv.modRevision;
      if (revision <= this.#progress) this.#wrong(`an event of ${revision} after progress ${this.#progress}`);
      const wanted = this.#pending[0] ?? this.#nextEvents(revision);
      if (wanted === undefined) return;
      this.#pending.shift();
      this.events++;
      this.#compare(event, wanted);
    }
    if (response.events.length > 0) {
      if (this.#pending.length > 0) this.#wrong(`revision ${this.#next - 1} came in pieces`);
      return;
    }
    if (response.watchId === NO_WATCH_ID || response.events.length === 0) {
      const missing = this.#missing(response.revision);
      if (missing !== undefined)
        this.#wrong(`progress ${response.revision}, but ${missing.key}@${missing.revision} has not come`);
      this.#progress = Math.max(this.#progress, response.revision);
    }
  }

  #nextEvents(revision: number): ModelEvent | undefined {
    if (revision < this.#next) {
      this.#wrong(`revision ${revision} again, or too early: ${this.#next} is next`);
      return undefined;
    }
    const missing = this.#missing(revision - 1);
    if (missing !== undefined) {
      this.#wrong(`${missing.type} ${missing.key}@${missing.revision} was left out before ${revision}`);
      return undefined;
    }
    this.#pending = this.#eventsOf(revision);
    this.#next = revision + 1;
    if (this.#pending.length === 0) this.#wrong(`an event of revision ${revision}, where there is none`);
    return this.#pending[0];
  }

  #compare(event: Event, wanted: ModelEvent): void {
    const isRight =
      wanted.kv === undefined
        ? event.type === EventType.delete && textOf(event.kv.key) === wanted.key
        : event.type === EventType.put && isSame(event.kv, wanted.kv);
    if (!isRight) this.#wrong(`an event of ${wanted.revision} is not ${wanted.type} ${wanted.key}`);
    if (!this.#options.prevKv) return;
    const {prevKv} = event;
    // What is compacted is not there any more.
    if (prevKv === undefined && this.#options.model.compactRevision >= wanted.revision - 1) return;
    const isPrevious =
      prevKv === undefined
        ? wanted.before === undefined
        : wanted.before !== undefined && isSame(prevKv, wanted.before);
    if (!isPrevious) this.#wrong(`the previous value of ${wanted.key}@${wanted.revision} is wrong`);
  }

  #compacted(compactRevision: number): void {
    const {model} = this.#options;
    if (this.#next >= compactRevision && this.#next > 0)
      this.#wrong(`canceled by compaction ${compactRevision}, but was at ${this.#next}`);
    if (compactRevision > model.compactRevision)
      this.#wrong(`compaction ${compactRevision} has not happened`);
    this.#next = Math.max(this.#next, compactRevision);
    if (this.#life?.isAlive === true) this.#stream?.close();
    this.#lost();
  }

  /** The first event up to this revision that should have come. */
  #missing(revision: number): ModelEvent | undefined {
    for (let at = this.#next; at <= revision && at <= this.#options.model.revision; at++) {
      const [event] = this.#eventsOf(at);
      if (event !== undefined) return event;
    }
    return undefined;
  }

  #eventsOf(revision: number): ModelEvent[] {
    const {model, from, to} = this.#options;
    return model.eventsOf(revision).filter(({key}) => (to === '' ? key === from : key >= from && key < to));
  }

  #wrong(detail: string): void {
    this.#options.violate('watch', `${this.#options.name}: ${detail}`);
  }
}
