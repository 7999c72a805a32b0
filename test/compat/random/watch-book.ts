/**
 * The watches of one server in a differential run. One watch of everything from the first revision on tells what has
 * happened; every other one has to bring exactly its share of that, from where it began.
 */

import {once} from 'node:events';
import type {ClientDuplexStream} from '@grpc/grpc-js';
import type {Message, RawGrpc} from '../../process/raw-grpc.ts';
import {shownBytes} from './answer.ts';

interface Seen {
  readonly revision: number;
  readonly key: string;
  readonly isPut: boolean;
  readonly text: string;
  readonly previous: string;
}

interface Watch {
  /** Equal on both servers. */
  readonly label: string;
  readonly stream: WatchStream;
  readonly id: string;
  readonly request: Message;
  readonly start: number;
  /** Events of the watch of everything from here on are not held against it yet. */
  at: number;
  readonly seen: Seen[];
}

const WAIT_MS = 20_000;
/** So many stay open. */
const WATCHES_MAX = 24;

class WatchStream {
  readonly #call: ClientDuplexStream<Message, Message>;
  readonly #controls: Message[] = [];
  readonly #events = new Map<string, Seen[]>();

  constructor(client: RawGrpc) {
    this.#call = client.bidi('etcdserverpb.Watch/Watch');
    this.#call.on('data', (response: Message) => {
      if (response.created || response.canceled) this.#controls.push(response);
      for (const event of response.events) this.eventsOf(response.watch_id).push(seen(event));
      this.#call.emit('more');
    });
    this.#call.on('error', () => {});
  }

  eventsOf(id: string): Seen[] {
    const known = this.#events.get(id);
    if (known !== undefined) return known;
    const made: Seen[] = [];
    this.#events.set(id, made);
    return made;
  }

  forget(id: string): void {
    this.#events.delete(id);
  }

  /** @returns what the stream says of it: created or canceled */
  async ask(request: Message): Promise<Message> {
    this.#call.write(request);
    return this.control();
  }

  async control(): Promise<Message> {
    await this.until(() => this.#controls.length > 0, 'an answer about a watch');
    return this.#controls.shift() as Message;
  }

  async until(isEnough: () => boolean, what: string): Promise<void> {
    const signal = AbortSignal.timeout(WAIT_MS);
    try {
      while (!isEnough()) await once(this.#call, 'more', {signal});
    } catch (error) {
      throw new Error(`not within ${WAIT_MS} ms: ${what}`, {cause: error});
    }
  }

  close(): void {
    this.#call.cancel();
  }
}

function seen({type, kv, prev_kv: previous}: Message): Seen {
  return {
    revision: Number(kv.mod_revision),
    key: kv.key.toString('latin1'),
    isPut: type === 'PUT' || type === 0,
    text: textOf(kv),
    previous: previous === null || previous === undefined ? '' : textOf(previous),
  };
}

const textOf = (kv: Message): string =>
  `${kv.key.toString('latin1')}=${kv.value.toString('latin1')}@${kv.create_revision},${kv.mod_revision},${kv.version},${kv.lease}`;

export class WatchBook {
  readonly #streams: readonly WatchStream[];
  readonly #everything: WatchStream;
  #all: Seen[] = [];
  readonly #watches: Watch[] = [];

  constructor(clients: readonly RawGrpc[]) {
    this.#streams = [...clients, ...clients].map((client) => new WatchStream(client));
    this.#everything = new WatchStream(clients[0]);
  }

  async open(): Promise<void> {
    const all = {key: Buffer.from('\0'), range_end: Buffer.from('\0'), start_revision: 1, prev_kv: true};
    const {watch_id: id} = await this.#everything.ask({create_request: all});
    this.#all = this.#everything.eventsOf(id);
  }

  close(): void {
    for (const stream of [this.#everything, ...this.#streams]) stream.close();
  }

  /** @returns what both servers have to say alike */
  async create(number: number, request: Message, compactRevision: number): Promise<string> {
    const stream = this.#streams[number % this.#streams.length];
    const created = await stream.ask({create_request: request});
    const told = [describeControl(created)];
    const start = Number(request.start_revision) || Number(created.header.revision) + 1;
    const isHistory = request.start_revision > 0 && start < compactRevision;
    if (isHistory && !created.canceled) told.push(describeControl(await stream.control()));
    else if (!created.canceled) {
      const {watch_id: id} = created;
      const seen = stream.eventsOf(id);
      this.#watches.push({label: `watch ${number}`, stream, id, request, start, at: 0, seen});
    }
    return told.join(' then ');
  }

  /**
   * Waits until every watch has brought what there is up to `revision`, and ends the oldest ones.
   * @returns what was seen since the last time, line by line: it has to be the same on both servers
   * @throws when a watch brings anything else than the watch of everything
   */
  async collect(revision: number): Promise<string[]> {
    const all = this.#all;
    const isThere = () => revision <= 1 || (all.at(-1)?.revision ?? 1) >= revision;
    await this.#everything.until(isThere, `all events up to ${revision}`);
    const lines = all.slice(this.#collected).map((one) => `${one.isPut} ${one.text} before ${one.previous}`);
    for (const watch of this.#watches) lines.push(...(await this.#check(watch)));
    this.#collected = all.length;
    while (this.#watches.length > WATCHES_MAX) lines.push(await this.#cancel(this.#watches[0]));
    return lines;
  }

  #collected = 0;

  /** Events below are of no use to new watches any more. */
  forgetBelow(revision: number): void {
    const count = this.#all.findIndex((one) => one.revision >= revision);
    if (count <= 0 || count > this.#collected) return;
    this.#all.splice(0, count);
    this.#collected -= count;
    for (const watch of this.#watches) watch.at = Math.max(0, watch.at - count);
  }

  async #check(watch: Watch): Promise<string[]> {
    const {label, stream, request, start, seen} = watch;
    const expected = this.#all.slice(watch.at).filter((one) => one.revision >= start && isIn(one, request));
    watch.at = this.#all.length;
    await stream.until(() => seen.length >= expected.length, `${expected.length} events of ${label}`);
    const brought = seen.splice(0);
    if (brought.length !== expected.length)
      throw new Error(`${label} brought ${brought.length} events instead of ${expected.length}`);
    return brought.map((one, n) => {
      const wanted = expected[n];
      const isPreviousRight =
        request.prev_kv !== true ? one.previous === '' : ['', wanted.previous].includes(one.previous);
      if (one.text !== wanted.text || one.isPut !== wanted.isPut || !isPreviousRight)
        throw new Error(
          `${label} (${JSON.stringify(request, shownBytes)}) brought ${describe(one)} instead of ${describe(wanted)}`,
        );
      return `${label} ${one.text} before ${one.previous}`;
    });
  }

  async #cancel(watch: Watch): Promise<string> {
    this.#watches.splice(this.#watches.indexOf(watch), 1);
    const canceled = await watch.stream.ask({cancel_request: {watch_id: watch.id}});
    watch.stream.forget(watch.id);
    return `${watch.label} ${describeControl(canceled)}`;
  }
}

const describe = ({text, isPut, previous}: Seen) => `${isPut ? 'put' : 'delete'} ${text} before ${previous}`;

function isIn({key, isPut}: Seen, request: Message): boolean {
  const from = request.key.length === 0 ? '\0' : request.key.toString('latin1');
  const to = request.range_end.toString('latin1');
  if (request.filters.includes(isPut ? 0 : 1)) return false;
  if (to === '') return key === from;
  return key >= from && (to === '\0' || key < to);
}

/** A cancel's header tells the revision at which the server got around to it. */
function describeControl({header, events: _, ...rest}: Message): string {
  return JSON.stringify(rest.canceled ? rest : {...rest, revision: header.revision});
}
