/**
 * A watch that is taken up again wherever it broke, at any member, and held against what really happened when all is
 * over: everything from its start on, in order, each once, a revision's events together, no progress ahead of them, and
 * where it asked for that, with what was there before.
 */

import type {ClientDuplexStream} from '@grpc/grpc-js';
import type {SeededRandom} from '../../simulator/seeded-random.ts';
import {eventually} from '../eventually.ts';
import {type Message, RawGrpc} from '../raw-grpc.ts';
import type {TruthEvent} from './chaos-history.ts';
import {type WatchedEvent, watchedEventOf, wrongPrevious} from './previous-values.ts';

const RECONNECT_MS = 100;

export class ChaosWatcher {
  readonly #name: string;
  readonly #from: string;
  readonly #to: string;
  readonly #random: SeededRandom;
  readonly #clients: readonly RawGrpc[];
  readonly #onEvent: (event: TruthEvent) => void;
  #call: ClientDuplexStream<Message, Message> | undefined;
  #next = 0;
  #first = 0;
  #isStopped = false;
  readonly events: WatchedEvent[] = [];
  readonly violations: string[] = [];
  resumed = -1;

  constructor(options: {
    name: string;
    from: string;
    to: string;
    random: SeededRandom;
    endpoints: readonly string[];
    onEvent?: (event: TruthEvent) => void;
  }) {
    const {name, from, to, random, endpoints, onEvent = () => {}} = options;
    this.#name = name;
    this.#from = from;
    this.#to = to;
    this.#random = random;
    this.#clients = endpoints.map((endpoint) => new RawGrpc(endpoint));
    this.#onEvent = onEvent;
    this.#connect();
  }

  /** Everything up to `revision`, then it ends. */
  async finish(truth: readonly TruthEvent[]): Promise<void> {
    await eventually(() => this.#first > 0, {what: `${this.#name} created`});
    const ofRange = truth.filter(({key}) => key >= this.#from && key < this.#to);
    const mine = ofRange.filter(({revision}) => revision >= this.#first);
    await eventually(() => this.events.length >= mine.length, {
      timeoutMs: 30_000,
      what: `${mine.length} events of ${this.#name}`,
    }).catch((error: Error) => this.violations.push(`${error.message}: there are ${this.events.length}`));
    const at = mine.findIndex(({text}, n) => this.events[n]?.text !== text);
    if (at >= 0)
      this.violations.push(`${this.#name} got ${this.events[at]?.text} instead of ${mine[at].text}`);
    else if (this.events.length > mine.length)
      this.violations.push(`${this.#name} got ${this.events[mine.length].text}, which never happened`);
    const wrong = wrongPrevious(this.events, ofRange);
    if (wrong !== undefined) this.violations.push(`${this.#name}: ${wrong}`);
    this.stop();
  }

  stop(): void {
    this.#isStopped = true;
    this.#call?.cancel();
    for (const client of this.#clients) client[Symbol.dispose]();
  }

  /** Gives its stream up, and goes on elsewhere. */
  reconnect(): void {
    this.#call?.cancel();
  }

  #connect(): void {
    if (this.#isStopped) return;
    this.resumed++;
    const call = this.#clients[this.#random.below(this.#clients.length)].bidi('etcdserverpb.Watch/Watch');
    this.#call = call;
    const asksBefore = this.#random.below(2) === 0;
    let isOver = false;
    const again = () => {
      if (isOver) return;
      isOver = true;
      setTimeout(() => this.#connect(), RECONNECT_MS);
    };
    call.on('error', again);
    call.on('end', again);
    call.on('data', (response: Message) => !isOver && this.#take(response, {asksBefore}));
    call.write({
      create_request: {
        key: Buffer.from(this.#from),
        range_end: Buffer.from(this.#to),
        start_revision: this.#next,
        prev_kv: asksBefore,
      },
    });
    call.write({progress_request: {}});
  }

  #take(
    {header, created, canceled, cancel_reason: reason, events}: Message,
    options: {readonly asksBefore: boolean},
  ): void {
    const revision = Number(header.revision);
    if (created) {
      if (this.#first > 0) return;
      this.#first = revision + 1;
      this.#next = this.#first;
    } else if (canceled) {
      this.violations.push(`${this.#name} was canceled: ${reason}`);
    } else if (events.length === 0) {
      // All of them up to there must have come: what comes later must be later.
      this.#next = Math.max(this.#next, revision + 1);
    } else {
      const found: WatchedEvent[] = events.map((event: Message) => watchedEventOf(event, options));
      const early = found.find((event) => event.revision < this.#next);
      if (early !== undefined)
        this.violations.push(`${this.#name} got ${early.text} at ${this.#next} or later`);
      this.#next = (found.at(-1) as WatchedEvent).revision + 1;
      this.events.push(...found);
      for (const event of found) this.#onEvent(event);
    }
  }
}
