/**
 * A relay in front of each member's peer port. It reads in the handshake who dials, so that the ways between two
 * members can be cut one by one, in one direction or both: what is under way then waits, as in a broken network.
 */

import {connect, createServer, type Server, type Socket} from 'node:net';

/** One direction of a connection. */
interface Way {
  /** Who dialed, by the id in the handshake: names may be learned later. */
  readonly dialer: string;
  /** Who was dialed, by name. */
  readonly dialed: string;
  readonly isForth: boolean;
  readonly source: Socket;
  readonly sink: Socket;
  readonly held: Buffer[];
}

interface Cut {
  /** Several faults may cut the same way: the last one to go heals it. */
  faults: number;
  /** Pieces that had to wait so far. */
  waited: number;
}

const HEAD_END = '\r\n\r\n';
const HEAD_BYTES_MAX = 65_536;
/** A dialer whose handshake does not say who it is. */
const STRANGER = '';

export class PeerRelay {
  readonly #servers: Server[] = [];
  readonly #ways = new Set<Way>();
  /** By the way that is cut. */
  readonly #cuts = new Map<string, Cut>();
  /** Names by id, as the handshake writes ids. */
  readonly names = new Map<string, string>();

  async open(options: {port: number; to: string; targetPort: number}): Promise<void> {
    const {port, to, targetPort} = options;
    const server = createServer((socket) => this.#accept(socket, to, targetPort));
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const {source, sink} of this.#ways) {
      source.destroy();
      sink.destroy();
    }
  }

  cut(from: string, to: string): void {
    const pair = `${from} ${to}`;
    const known = this.#cuts.get(pair);
    if (known === undefined) this.#cuts.set(pair, {faults: 1, waited: 0});
    else known.faults++;
  }

  /**
   * What waited arrives late, or never: then both ends learn that the connection is gone.
   * @returns how many pieces waited
   */
  heal(from: string, to: string, isLost: boolean): number {
    const pair = `${from} ${to}`;
    const cut = this.#cuts.get(pair);
    if (cut === undefined || --cut.faults > 0) return cut?.waited ?? 0;
    this.#cuts.delete(pair);
    for (const way of this.#ways) {
      if (this.#pairOf(way) !== pair || way.held.length === 0) continue;
      if (isLost) way.source.destroy();
      else for (const chunk of way.held.splice(0)) way.sink.write(chunk);
      way.source.resume();
    }
    return cut.waited;
  }

  #accept(dialer: Socket, to: string, targetPort: number): void {
    let head = Buffer.alloc(0);
    dialer.on('error', () => dialer.destroy());
    const read = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      if (!head.includes(HEAD_END) && head.length < HEAD_BYTES_MAX) return;
      dialer.off('data', read);
      dialer.pause();
      const id = /^kvd-from: *(\w+)/im.exec(head.toString('latin1'))?.[1] ?? STRANGER;
      this.#join({dialer, id, to, targetPort, head});
    };
    dialer.on('data', read);
  }

  #join(options: {dialer: Socket; id: string; to: string; targetPort: number; head: Buffer}): void {
    const {dialer, id, to, targetPort, head} = options;
    const member = connect(targetPort, '127.0.0.1');
    const ends = {dialer: id, dialed: to};
    const forth: Way = {...ends, isForth: true, source: dialer, sink: member, held: []};
    const back: Way = {...ends, isForth: false, source: member, sink: dialer, held: []};
    for (const way of [forth, back]) {
      const {source, sink} = way;
      this.#ways.add(way);
      source.on('data', (chunk) => this.#pass(way, chunk));
      source.on('error', () => source.destroy());
      source.on('close', () => {
        this.#ways.delete(way);
        sink.destroy();
      });
    }
    this.#pass(forth, head);
    dialer.resume();
  }

  #pairOf({dialer, dialed, isForth}: Way): string {
    const name = this.names.get(dialer) ?? STRANGER;
    return isForth ? `${name} ${dialed}` : `${dialed} ${name}`;
  }

  #pass(way: Way, chunk: Buffer): void {
    const {source, sink, held} = way;
    const cut = this.#cuts.get(this.#pairOf(way));
    if (cut !== undefined) {
      cut.waited++;
      held.push(chunk);
      source.pause();
      return;
    }
    if (sink.write(chunk)) return;
    source.pause();
    sink.once('drain', () => held.length === 0 && source.resume());
  }
}
