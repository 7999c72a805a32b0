/**
 * A state-aware fuzzer of the server's end: each seed plays a client that begins well, goes on with mostly valid
 * frames, and breaks some of them. Whatever it does, nothing throws, every stream is accounted for, and at the end
 * nothing is held. A campaign: HTTP2_FUZZ_CONNECTIONS=1000000 npx vitest run test/unit/http2/server-fuzz.test.ts
 */

import {createServer} from 'node:http';
import {gzipSync} from 'node:zlib';
import {describe, expect, it, vi} from 'vitest';
import type {Logger} from '../../../src/engine/ports.ts';
import {EagerPoll} from '../../../src/transport/eager-poll.ts';
import {Deadlines} from '../../../src/transport/http2/deadlines.ts';
import type {GrpcMethod} from '../../../src/transport/http2/grpc-method.ts';
import {GrpcError, GrpcStatus} from '../../../src/transport/http2/grpc-status.ts';
import {HpackEncoder} from '../../../src/transport/http2/hpack/encoder.ts';
import {ServerConnection} from '../../../src/transport/http2/server-connection.ts';
import type {ServerContext} from '../../../src/transport/http2/server-context.ts';
import {eventually} from '../../process/eventually.ts';
import {frame, randomOf, turn, uint32} from './fuzzing.ts';
import {MemorySocket} from './memory-socket.ts';

const CONNECTIONS = Number(process.env.HTTP2_FUZZ_CONNECTIONS ?? 1000);
const FIRST_SEED = Number(process.env.HTTP2_FUZZ_SEED ?? 1);
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => quiet,
};
const codec = {decode: (bytes: Uint8Array) => bytes, encode: (bytes: Uint8Array) => bytes};
const methods: GrpcMethod[] = [
  {kind: 'unary', path: '/s/echo', ...codec, handle: async (request: Uint8Array) => request},
  {kind: 'unary', path: '/s/large', ...codec, handle: async () => Buffer.alloc(200_000)},
  {
    kind: 'unary',
    path: '/s/slow',
    ...codec,
    handle: async (request: Uint8Array) => {
      for (let i = 0; i < 3; i++) await turn();
      return request;
    },
  },
  {
    kind: 'unary',
    path: '/s/fail',
    ...codec,
    handle: async () => {
      throw new GrpcError(GrpcStatus.notFound, 'nö');
    },
  },
  {
    kind: 'unary',
    path: '/s/bad',
    encode: codec.encode,
    decode: () => {
      throw new Error('unreadable');
    },
    handle: async () => Buffer.alloc(0),
  },
  {
    kind: 'serverStream',
    path: '/s/count',
    ...codec,
    async *handle() {
      for (let i = 0; i < 5; i++) yield Buffer.alloc(5_000);
    },
  },
  {
    kind: 'bidi',
    path: '/s/bidi',
    ...codec,
    async *handle(requests: AsyncIterable<Uint8Array>) {
      for await (const request of requests) yield request;
    },
  },
  {
    kind: 'bidi',
    path: '/s/deaf',
    ...codec,
    async *handle(_requests: AsyncIterable<Uint8Array>, call) {
      yield Buffer.from('created');
      await new Promise<void>((resolve) => {
        if (call.signal.aborted) resolve();
        else call.signal.addEventListener('abort', () => resolve());
      });
    },
  },
];
/** Unpacked at once, beside the loop, and never: too large. */
const ZIPPED = [1_000, 60_000, 1_000_000].map((bytes) => gzipSync(Buffer.alloc(bytes)));
const PATHS = [...methods.map(({path}) => path), '/s/none', '/x', 'bad'];

/** Takes the requests that are no gRPC; no port leads to it. */
const http = createServer((request, response) => {
  // The client has gone: nothing works for it any more.
  request.on('error', () => response.end());
  if (request.url === '/x') {
    // Before the request has ended.
    response.end('x');
    return;
  }
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on('end', () => response.end(request.url === '/s/large' ? Buffer.alloc(200_000) : String(bytes)));
});
/** What HTTP/1.1 has no words for, and what only looks like it. */
const ODD_METHODS = ['GET', 'HEAD', 'OPTIONS', 'DELETE', 'CONNECT', 'G ET', 'get', ''];
const ODD_PATHS = ['/a b', '/\x7f', '*', '', '//', '/ä', '/s/large', 'http://x/'];
const ODD_NAMES = ['constructor', '__proto__', 'trailer', 'host', 'expect', 'content-length', 'cookie', 'te'];
const ODD_VALUES = ['', '5', '100-continue', 'a\tb', 'a\x01b', 'trailers', 'x'.repeat(300)];

function contextOf(): ServerContext {
  return {
    methods: new Map(methods.map((method) => [method.path, method])),
    maxReceiveBytes: 100_000,
    logger: quiet,
    observer: undefined,
    beforeCall: (path, call) => {
      if (path === '/s/echo' && call.metadata('x-meta')?.length === 7)
        throw new GrpcError(GrpcStatus.unauthenticated, 'who?');
    },
    keepAlive: {minTimeMs: 0, intervalMs: 0, timeoutMs: 0},
    http,
    deadlines: new Deadlines(),
    clientsPoll: new EagerPoll(0),
    budget: {heldBytes: 0, orphans: 0},
    heldBytesPerConnectionMax: 2_000_000,
    handshakeTimeoutMs: 60_000,
  };
}

/** One client: bytes by seed. */
class Client {
  readonly #random: (below: number) => number;
  readonly #encoder = new HpackEncoder(4096);
  #nextId = 1;
  readonly #open: number[] = [];
  /** It mostly asks for what is no gRPC. */
  readonly #isPlain: boolean;

  constructor(seed: number) {
    this.#random = randomOf(seed);
    this.#isPlain = this.#random(4) === 0;
  }

  /** The bytes of the whole life, in the pieces in which they arrive. */
  *chunks(): Generator<Buffer> {
    const random = this.#random;
    const start = [PREFACE, this.#settings(), frame(4, 1, 0)];
    const frames = [...start, ...Array.from({length: 1 + random(60)}, () => this.#any())];
    const mutations = random(2) === 0 ? 0 : random(3);
    for (let i = 0; i < mutations; i++) {
      const at = random(10) === 0 ? random(frames.length) : 3 + random(Math.max(1, frames.length - 3));
      if (frames[at] !== undefined) frames[at] = this.#mutate(frames[at]);
    }
    const bytes = Buffer.concat(frames);
    for (let from = 0; from < bytes.length; ) {
      const length = random(3) === 0 ? 1 + random(20) : 1 + random(20_000);
      yield Buffer.from(bytes.subarray(from, from + length));
      from += length;
    }
  }

  #any(): Buffer {
    const random = this.#random;
    // Once in a while a frame that no sane client sends.
    if (random(80) === 0) {
      const id = random(3) * this.#nextId;
      return frame(random(12), random(256), id, Buffer.alloc(random(30), random(256)));
    }
    const at = random(this.#open.length || 1);
    const id = this.#open[at];
    if (id === undefined) return random(3) === 0 ? this.#call() : this.#headers(4);
    switch (random(13)) {
      case 0:
      case 1:
      case 2:
        return this.#call();
      case 3:
      case 4:
        return this.#headers(4);
      case 5:
      case 6: {
        const isEnd = random(4) === 0;
        if (isEnd) this.#forget(at);
        return frame(0, Number(isEnd), id, this.#message());
      }
      case 7: {
        const isEnd = random(4) === 0;
        if (isEnd) this.#forget(at);
        return this.#padded(id, Number(isEnd));
      }
      case 8:
        return frame(8, 0, random(2) * id, uint32(1 + random(100_000)));
      case 9:
        this.#forget(at);
        return frame(3, 0, id, uint32(random(14)));
      case 10:
        return this.#settings();
      case 11:
        return frame(6, random(2), 0, Buffer.alloc(8, random(256)));
      default:
        return frame(2, 0, id, Buffer.alloc(5));
    }
  }

  /** The stream has ended from our side; now and then we go on all the same. */
  #forget(at: number): void {
    if (this.#random(40) !== 0) this.#open.splice(at, 1);
  }

  #settings(): Buffer {
    const random = this.#random;
    const values: [number, number][] = [
      [1, random(5000)],
      [4, random(4) === 0 ? random(1000) : 65_535 + random(100_000)],
      [5, 16_384 + random(100_000)],
      [3, random(100)],
    ];
    const pairs = values.slice(random(3)).slice(0, random(3));
    return frame(
      4,
      0,
      0,
      Buffer.concat(pairs.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), uint32(value)]))),
    );
  }

  #plainBlock(): Buffer {
    const random = this.#random;
    const encoder = this.#encoder;
    const oneOf = (values: readonly string[]) => values[random(values.length)];
    encoder.begin();
    encoder.add(':method', random(4) === 0 ? oneOf(ODD_METHODS) : 'POST', 'index');
    encoder.add(':scheme', 'http', 'index');
    encoder.add(':path', oneOf(random(4) === 0 ? ODD_PATHS : PATHS), 'index');
    if (random(2) === 0) encoder.add(':authority', random(6) === 0 ? oneOf(ODD_VALUES) : 'h', 'index');
    for (let i = random(4); i > 0; i--) encoder.add(oneOf(ODD_NAMES), oneOf(ODD_VALUES), 'plain');
    return Buffer.from(encoder.end());
  }

  #block(): Buffer {
    if (this.#isPlain && this.#random(3) !== 0) return this.#plainBlock();
    const random = this.#random;
    const encoder = this.#encoder;
    encoder.begin();
    encoder.add(':method', random(50) === 0 ? 'GET' : 'POST', 'index');
    encoder.add(':scheme', 'http', 'index');
    encoder.add(':path', PATHS[random(PATHS.length)], random(2) === 0 ? 'index' : 'plain');
    if (random(2) === 0) encoder.add(':authority', 'x'.repeat(random(40)), 'index');
    encoder.add('content-type', random(50) === 0 ? 'text/plain' : 'application/grpc', 'index');
    if (random(4) === 0) encoder.add('grpc-timeout', `${random(200)}${'HMSmunx'[random(7)]}`, 'index');
    if (random(4) === 0) {
      encoder.add('grpc-encoding', ['gzip', 'gzip', 'gzip', 'identity', 'br'][random(5)], 'plain');
    }
    if (random(4) === 0) encoder.add('x-meta', 'v'.repeat(random(600)), 'index');
    return Buffer.from(encoder.end());
  }

  #headers(flags: number): Buffer {
    const random = this.#random;
    const id = this.#nextId;
    this.#nextId += 2 * (1 + (random(10) === 0 ? random(5) : 0));
    if ((flags & 1) === 0) this.#open.push(id);
    const block = this.#block();
    if (random(5) !== 0) return frame(1, flags, id, block);
    const cut = random(block.length);
    const pieces = [frame(1, flags & ~4, id, block.subarray(0, cut))];
    if (random(2) === 0) pieces.push(frame(9, 0, id));
    return Buffer.concat([...pieces, frame(9, 4, id, block.subarray(cut))]);
  }

  #call(): Buffer {
    const id = this.#nextId;
    const headers = this.#headers(4);
    this.#open.pop();
    return Buffer.concat([headers, frame(0, 1, id, this.#message())]);
  }

  #message(): Buffer {
    const random = this.#random;
    if (random(12) === 0) {
      const zipped = ZIPPED[random(ZIPPED.length)];
      return Buffer.concat([Buffer.from([1]), uint32(zipped.length), zipped]);
    }
    const size = random(10) === 0 ? random(16_000) : random(300);
    const count = random(6) === 0 ? random(4) : 1;
    const one = Buffer.concat([
      Buffer.from([random(30) === 0 ? random(3) : 0]),
      uint32(size),
      Buffer.alloc(size, 7),
    ]);
    const all = Buffer.concat(Array.from({length: count}, () => one));
    return random(6) === 0 ? all.subarray(0, random(all.length + 1)) : all.subarray(0, 16_384);
  }

  #padded(id: number, flags: number): Buffer {
    const padding = this.#random(256);
    const payload = Buffer.concat([
      Buffer.from([padding]),
      this.#message().subarray(0, 16_000),
      Buffer.alloc(padding),
    ]);
    return frame(0, 8 | flags, id, payload);
  }

  #mutate(bytes: Buffer): Buffer {
    const random = this.#random;
    const copy = Buffer.from(bytes);
    switch (random(5)) {
      case 0:
        for (let i = 0; i < 1 + random(3); i++) copy[random(copy.length)] = random(256);
        return copy;
      case 1:
        copy[random(Math.min(9, copy.length))] ^= 1 << random(8);
        return copy;
      case 2:
        return copy.subarray(0, random(copy.length));
      case 3:
        return Buffer.concat([copy, copy]);
      default:
        return Buffer.concat([copy, Buffer.alloc(random(20), random(256))]);
    }
  }
}

async function play(seed: number): Promise<'closed' | 'alive'> {
  const context = contextOf();
  const socket = new MemorySocket();
  let ends = 0;
  const connection = new ServerConnection(socket.asSocket(), undefined, `seed ${seed}`, context, () => {
    ends++;
  });
  const random = randomOf(seed ^ 0x5eed);
  const client = new Client(seed);
  for (const chunk of client.chunks()) {
    if (random(12) === 0) socket.isStuck = true;
    if (!connection.isClosed) socket.emit('data', chunk);
    if (random(3) === 0) await turn();
    if (random(6) === 0) socket.drain();
    if (random(200) === 0) connection.drain();
  }
  for (let i = 0; i < 4; i++) await turn();
  const isClosed = connection.isClosed;
  expect(ends).toBe(isClosed ? 1 : 0);
  expect(connection.heldBytes).toBeLessThan(2_000_000 + 300_000);
  if (random(2) === 0) connection.close();
  else socket.emit('end');
  socket.destroy();
  for (let i = 0; i < 6; i++) await turn();
  // What is being unpacked beside the loop is let go of when that is done.
  const isHeld = () => connection.heldBytes + context.budget.heldBytes + context.budget.orphans > 0;
  if (isHeld()) await eventually(() => !isHeld(), {everyMs: 1, what: 'everything let go of'});
  expect(ends).toBe(1);
  expect(connection.streams.size).toBe(0);
  // Messages that wait for gzip are held until their turn has come.
  const nothing = {held: 0, heldBytes: 0, orphans: 0};
  const isEmpty = () => expect({held: connection.heldBytes, ...context.budget}).toEqual(nothing);
  await vi.waitFor(isEmpty, {timeout: 30_000, interval: 5});
  return isClosed ? 'closed' : 'alive';
}

describe('server connection', () => {
  it('Ensure that no sequence of frames, right or wrong, harms the server.', async () => {
    const outcomes = {closed: 0, alive: 0};
    const parallel = 20;
    for (let seed = FIRST_SEED; seed < FIRST_SEED + CONNECTIONS; seed += parallel) {
      const batch = Array.from({length: parallel}, (_, i) =>
        play(seed + i).catch((error: Error) => {
          throw new Error(`seed ${seed + i}: ${error.stack}`);
        }),
      );
      for (const outcome of await Promise.all(batch)) outcomes[outcome]++;
    }
    // Both kinds of life must be played, or the fuzzer plays nothing.
    expect(outcomes.closed).toBeGreaterThan(CONNECTIONS / 20);
    expect(outcomes.alive).toBeGreaterThan(CONNECTIONS / 20);
  }, 1e9);
});
