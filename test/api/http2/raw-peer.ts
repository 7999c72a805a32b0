/** A peer that speaks frames by hand, right or wrong, and notes what comes back. Shares no framing code with src. */

import {connect, createServer, type Socket} from 'node:net';
import {HpackDecoder} from '../../../src/transport/http2/hpack/decoder.ts';
import type {HeaderField} from '../../../src/transport/http2/hpack/header-field.ts';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
export const T = {
  data: 0,
  headers: 1,
  priority: 2,
  rst: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;
export const F = {ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32} as const;
export const E = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSize: 6,
  refused: 7,
  cancel: 8,
  compression: 9,
  calm: 11,
} as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

export function frame(
  type: number,
  flags: number,
  id: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

export const settings = (...pairs: readonly (readonly [number, number])[]): Buffer => {
  const payload = Buffer.alloc(pairs.length * 6);
  pairs.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  });
  return frame(T.settings, 0, 0, payload);
};

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const string = (text: string): Buffer => {
  if (text.length < 127) return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')]);
  const rest = text.length - 127;
  const length: number[] = [127];
  let left = rest;
  for (; left >= 128; left >>= 7) length.push((left & 127) | 128);
  length.push(left);
  return Buffer.concat([Buffer.from(length), Buffer.from(text, 'latin1')]);
};

/** Fields as literals without indexing. */
export function block(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), string(name), string(value)]));
}

export function requestFields(path: string): [string, string][] {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'test'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ];
}

export function message(content: Uint8Array | string): Buffer {
  const bytes = Buffer.from(content as string);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

/** HEADERS and DATA of one whole unary call. */
export function unaryCall(id: number, content = 'hi', path = '/test.Echo/Unary'): Buffer {
  return Buffer.concat([
    frame(T.headers, F.endHeaders, id, block(requestFields(path))),
    frame(T.data, F.endStream, id, message(content)),
  ]);
}

export const openStream = (id: number, path = '/test.Echo/Watch', flags: number = F.endHeaders): Buffer =>
  frame(T.headers, flags, id, block(requestFields(path)));

export class RawPeer {
  readonly frames: Frame[] = [];
  readonly socket: Socket;
  isClosed = false;
  readonly #decoder = new HpackDecoder(4096);
  /** Header blocks by stream, in order: names and values. */
  readonly headers = new Map<number, Map<string, string>[]>();
  readonly data = new Map<number, Buffer[]>();
  #preface: number;
  #rest: Buffer = Buffer.alloc(0);
  readonly #ended = new Set<number>();
  #wakers: (() => void)[] = [];

  /** @param isServer the other side is a client: its preface comes first */
  constructor(socket: Socket, isServer = false) {
    this.#preface = isServer ? PREFACE.length : 0;
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#take(chunk);
      this.#wake();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  static async connect(port: number, open = true): Promise<RawPeer> {
    const socket = connect({host: '127.0.0.1', port, noDelay: true});
    const peer = new RawPeer(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    if (open) peer.send(PREFACE, settings(), frame(T.settings, F.ack, 0));
    return peer;
  }

  send(...parts: Uint8Array[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(parts));
  }

  /** Waits until `find` gives something other than undefined. */
  async until<R>(find: () => R | undefined, what = 'an event'): Promise<R> {
    const deadline = Date.now() + 10_000;
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`${what} did not come; frames: ${this.describe()}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wakers.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  describe(): string {
    return this.frames
      .slice(-30)
      .map(({type, flags, id, payload}) => `${type}/${flags}/${id}:${payload.length}`)
      .join(' ');
  }

  goaway(): Promise<{code: number; lastStreamId: number; debug: string}> {
    return this.until(() => {
      const found = this.frames.find(({type}) => type === T.goaway);
      if (found === undefined) return undefined;
      const {payload} = found;
      const debug = payload.toString('latin1', 8);
      return {lastStreamId: payload.readUInt32BE(0), code: payload.readUInt32BE(4), debug};
    }, 'GOAWAY');
  }

  reset(id: number): Promise<number> {
    return this.until(
      () => this.frames.find((one) => one.type === T.rst && one.id === id)?.payload.readUInt32BE(0),
      `RST_STREAM of ${id}`,
    );
  }

  closed(): Promise<true> {
    return this.until(() => (this.isClosed ? true : undefined), 'the end of the connection');
  }

  /** The last header block of a stream that has ended. */
  trailers(id: number): Promise<Map<string, string>> {
    return this.until(() => {
      return this.#ended.has(id) ? this.headers.get(id)!.at(-1) : undefined;
    }, `trailers of ${id}`);
  }

  body(id: number): Buffer {
    return Buffer.concat(this.data.get(id) ?? []);
  }

  /** A PING and its answer: everything sent before it has been handled. */
  async sync(): Promise<void> {
    const payload = Buffer.from(String(Math.random()).padEnd(8, '0').slice(-8));
    this.send(frame(T.ping, 0, 0, payload));
    await this.until(
      () =>
        this.frames.some((one) => one.type === T.ping && one.payload.equals(payload)) ? true : undefined,
      'the answer to PING',
    );
  }

  close(): void {
    this.socket.destroy();
  }

  #wake(): void {
    for (const wake of this.#wakers.splice(0)) wake();
  }

  #take(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    if (this.#preface > 0 && this.#rest.length >= this.#preface) {
      at = this.#preface;
      this.#preface = 0;
    }
    while (this.#preface === 0 && this.#rest.length - at >= 9) {
      if (!this.#takeFrame(at)) break;
      at += 9 + this.#rest.readUIntBE(at, 3);
    }
    this.#rest = this.#rest.subarray(at);
  }

  #takeFrame(at: number): boolean {
    const length = this.#rest.readUIntBE(at, 3);
    if (this.#rest.length - at - 9 < length) return false;
    const payload = this.#rest.subarray(at + 9, at + 9 + length);
    const [type, flags, id] = [this.#rest[at + 3], this.#rest[at + 4], this.#rest.readUInt32BE(at + 5)];
    this.#note({type, flags, id, payload});
    return true;
  }

  #note(one: Frame): void {
    this.frames.push(one);
    if (one.type === T.headers) {
      if ((one.flags & F.endStream) !== 0) this.#ended.add(one.id);
      const fields: HeaderField[] = [];
      this.#decoder.decode(one.payload, 0, one.payload.length, fields, 1e6);
      const map = new Map(fields.map(({name, value}) => [name, value]));
      this.headers.set(one.id, [...(this.headers.get(one.id) ?? []), map]);
    } else if (one.type === T.data) {
      this.data.set(one.id, [...(this.data.get(one.id) ?? []), Buffer.from(one.payload)]);
    }
  }
}

export interface RawServer {
  readonly port: number;
  /** Connections so far, in order. */
  readonly peers: RawPeer[];
  stop(): void;
}

/** A server that greets each client with SETTINGS and leaves the rest to `onPeer`. */
export async function listenRaw(
  onPeer: (peer: RawPeer, index: number) => void,
  greeting = settings(),
): Promise<RawServer> {
  const peers: RawPeer[] = [];
  const server = createServer((socket) => {
    const peer = new RawPeer(socket, true);
    peers.push(peer);
    peer.send(greeting);
    onPeer(peer, peers.length - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = (): void => {
    for (const peer of peers) peer.close();
    server.close();
  };
  return {port: (server.address() as {port: number}).port, peers, stop};
}
