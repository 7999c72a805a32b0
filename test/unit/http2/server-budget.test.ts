/** What a connection may make the server hold when all of them hold much, and when its client does not read. */

import {randomBytes} from 'node:crypto';
import {createServer, type ServerResponse} from 'node:http';
import {gzipSync} from 'node:zlib';
import {afterEach, describe, expect, it, vi} from 'vitest';
import type {Logger} from '../../../src/engine/ports.ts';
import {EagerPoll} from '../../../src/transport/eager-poll.ts';
import {Deadlines} from '../../../src/transport/http2/deadlines.ts';
import type {GrpcMethod} from '../../../src/transport/http2/grpc-method.ts';
import {HpackEncoder} from '../../../src/transport/http2/hpack/encoder.ts';
import {
  HELD_BYTES_ALLOWANCE,
  HELD_BYTES_MAX,
  ORPHANS_ALLOWANCE,
  ORPHANS_MAX,
  PLAIN_CALL_COST_BYTES,
  UNSENT_BYTES_MAX,
} from '../../../src/transport/http2/limits.ts';
import {ServerConnection} from '../../../src/transport/http2/server-connection.ts';
import {frame, turn, uint32} from './fuzzing.ts';
import {MemorySocket} from './memory-socket.ts';

const MIB = 2 ** 20;
const log = () => undefined;
const quiet: Logger = {debug: log, info: log, warn: log, error: log, child: () => quiet};
const codec = {decode: (bytes: Uint8Array) => bytes, encode: (bytes: Uint8Array) => bytes};
const methods: GrpcMethod[] = [
  {kind: 'unary', path: '/s/hang', ...codec, handle: () => new Promise(() => undefined)},
  {kind: 'unary', path: '/s/large', ...codec, handle: async () => Buffer.alloc(MIB)},
  {kind: 'unary', path: '/s/wait', ...codec, handle: () => new Promise((resolve) => waiting.push(resolve))},
  {
    kind: 'serverStream',
    path: '/s/pour',
    ...codec,
    async *handle() {
      yield await new Promise<Uint8Array>((resolve) => waiting.push(resolve));
    },
  },
];
/** Ends the handlers that wait. */
const waiting: ((answer: Uint8Array) => void)[] = [];

/** Takes requests that are no gRPC and leaves them unanswered; no port leads to it. */
const http = createServer((_request, response) => unanswered.push(response));
const unanswered: ServerResponse[] = [];

const opened: ServerConnection[] = [];
afterEach(() => {
  for (const connection of opened.splice(0)) connection.close();
});

function open(budget: {heldBytes: number; orphans: number}, heldBytesPerConnectionMax = 256 * MIB) {
  const socket = new MemorySocket();
  const context = {
    methods: new Map(methods.map((method) => [method.path, method])),
    maxReceiveBytes: 16 * MIB,
    logger: quiet,
    observer: undefined,
    beforeCall: undefined,
    keepAlive: {minTimeMs: 0, intervalMs: 0, timeoutMs: 0},
    http,
    deadlines: new Deadlines(),
    clientsPoll: new EagerPoll(0),
    budget,
    heldBytesPerConnectionMax,
    handshakeTimeoutMs: 60_000,
  };
  const connection = new ServerConnection(socket.asSocket(), undefined, 'test', context, () => undefined);
  opened.push(connection);
  socket.emit('data', Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0)]));
  const encoder = new HpackEncoder(0);
  const headers = (id: number, path: string, encoding: string): Buffer => {
    encoder.begin();
    for (const [name, value] of [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      ['content-type', 'application/grpc'],
      ['grpc-encoding', encoding],
    ]) {
      encoder.add(name, value, 'plain');
    }
    return frame(1, 4, id, Buffer.from(encoder.end()));
  };
  /** One whole call with a request of this many bytes. */
  const call = (id: number, path: string, bytes = 0): void =>
    void socket.emit('data', callBytes(id, path, bytes));
  const callBytes = (id: number, path: string, bytes = 0): Buffer =>
    framed(
      id,
      headers(id, path, 'identity'),
      Buffer.concat([Buffer.from([0]), uint32(bytes), Buffer.alloc(bytes)]),
    );
  /** The same, compressed, as its answer will be. */
  const callPacked = (id: number, path: string, request: Uint8Array): void => {
    const message = Buffer.concat([Buffer.from([1]), uint32(request.length), request]);
    socket.emit('data', framed(id, headers(id, path, 'gzip'), message));
  };
  const framed = (id: number, head: Buffer, message: Buffer): Buffer => {
    const pieces = [head];
    for (let at = 0; at < message.length; at += 16_000) {
      const end = Math.min(message.length, at + 16_000);
      pieces.push(frame(0, end === message.length ? 1 : 0, id, message.subarray(at, end)));
    }
    return Buffer.concat(pieces);
  };
  const get = (id: number): Buffer => {
    encoder.begin();
    for (const [name, value] of [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
    ]) {
      encoder.add(name, value, 'plain');
    }
    return frame(1, 5, id, Buffer.from(encoder.end()));
  };
  const reset = (id: number): void => void socket.emit('data', frame(3, 0, id, uint32(8)));
  return {socket, connection, call, callBytes, callPacked, get, reset};
}

/** Codes of the RST_STREAM frames written, by stream. */
async function resets(socket: MemorySocket): Promise<Map<number, number>> {
  for (let i = 0; i < 4; i++) await turn();
  const bytes = Buffer.concat(socket.written);
  const codes = new Map<number, number>();
  for (let at = 0; at < bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    if (bytes[at + 3] === 3) codes.set(bytes.readUInt32BE(at + 5), bytes.readUInt32BE(at + 9));
  }
  return codes;
}

const NONE = 0;
const INTERNAL = 2;
const REFUSED = 7;
const CALM = 11;

describe('budget of a connection', () => {
  it('Ensure that when all hold too much, each may hold a little still, and no more.', async () => {
    const scarce = open({heldBytes: HELD_BYTES_MAX + 1, orphans: 0});
    for (const id of [1, 3, 5, 7, 9]) scarce.call(id, '/s/hang', 2 * MIB);
    // Their clients are told that it is too much (RESOURCE_EXHAUSTED), and the rest of the request is not wanted.
    expect([...(await resets(scarce.socket))]).toEqual([
      [7, NONE],
      [9, NONE],
    ]);
    expect(scarce.connection.heldBytes).toBeLessThanOrEqual(HELD_BYTES_ALLOWANCE);
    const plenty = open({heldBytes: 0, orphans: 0});
    for (const id of [1, 3, 5, 7, 9]) plenty.call(id, '/s/hang', 2 * MIB);
    expect([...(await resets(plenty.socket))]).toEqual([]);
  });

  it('Ensure that when there are too many orphans, each connection may have some still.', async () => {
    const {socket, call, reset} = open({heldBytes: 0, orphans: ORPHANS_MAX});
    let id = 1;
    for (let i = 0; i < ORPHANS_ALLOWANCE; i++, id += 2) {
      call(id, '/s/hang');
      reset(id);
    }
    call(id, '/s/hang');
    expect([...(await resets(socket))]).toEqual([[id, REFUSED]]);
  });

  it.each(['/s/wait', '/s/pour'])(
    'Ensure that a handler of %s counts with the chunk that its request lies in, those of one chunk once.',
    async (path) => {
      const {socket, connection, callBytes, reset} = open({heldBytes: 0, orphans: 0});
      // Frames of unknown types are ignored; their bytes lie in memory all the same.
      const noise = [1, 2, 3].map(() => frame(0x20, 0, 0, Buffer.alloc(16_000)));
      const chunk = (...calls: Buffer[]): Buffer => Buffer.concat([...calls, ...noise]);
      socket.emit('data', chunk(callBytes(1, path, 10), callBytes(3, path, 10)));
      socket.emit('data', chunk(callBytes(5, path, 10)));
      await vi.waitFor(() => expect(waiting.length).toBe(3));
      expect(connection.heldBytes).toBeGreaterThan(2 * 48_000);
      expect(connection.heldBytes).toBeLessThan(3 * 48_000);
      for (const id of [1, 3, 5]) reset(id);
      expect(connection.heldBytes).toBeGreaterThan(2 * 48_000);
      const [first, second, third] = waiting.splice(0);
      for (const [end, left] of [
        [first, 2],
        [third, 1],
        [second, 0],
      ] as const) {
        end(Buffer.alloc(0));
        for (let i = 0; i < 2; i++) await turn();
        expect(Math.floor(connection.heldBytes / 48_000)).toBe(left);
      }
      expect(connection.heldBytes).toBe(0);
    },
  );

  it('Ensure that handlers of plain requests are orphans until they answer, and hold what they cost.', async () => {
    const budget = {heldBytes: 0, orphans: ORPHANS_MAX};
    const {socket, connection, get, reset} = open(budget);
    // Those that are reset before their handler knows of them are no work.
    for (const id of [1, 3]) socket.emit('data', Buffer.concat([get(id), frame(3, 0, id, uint32(8))]));
    const ids = Array.from({length: ORPHANS_ALLOWANCE}, (_, i) => 5 + 2 * i);
    for (const id of ids) socket.emit('data', get(id));
    await vi.waitFor(() => expect(unanswered.length).toBe(ORPHANS_ALLOWANCE));
    expect(budget.orphans).toBe(ORPHANS_MAX);
    for (const id of ids) reset(id);
    expect(budget.orphans).toBe(ORPHANS_MAX + ORPHANS_ALLOWANCE);
    expect(connection.heldBytes).toBe(ORPHANS_ALLOWANCE * PLAIN_CALL_COST_BYTES);
    const next = 5 + 2 * ORPHANS_ALLOWANCE;
    socket.emit('data', get(next));
    expect([...(await resets(socket))]).toEqual([[next, REFUSED]]);
    unanswered.pop()!.writeHead(204).end();
    expect(budget.orphans).toBe(ORPHANS_MAX + ORPHANS_ALLOWANCE - 1);
    socket.emit('data', get(next + 2));
    await vi.waitFor(() => expect(unanswered.length).toBe(ORPHANS_ALLOWANCE));
    // One that breaks off by itself, and one that answers in order, leave nothing behind.
    unanswered.pop()!.destroy();
    await vi.waitFor(async () => expect((await resets(socket)).get(next + 2)).toBe(INTERNAL));
    socket.emit('data', get(next + 4));
    await vi.waitFor(() => expect(unanswered.length).toBe(ORPHANS_ALLOWANCE));
    unanswered.pop()!.end('fine');
    await vi.waitFor(() => expect(connection.streams.size).toBe(0));
    connection.close();
    for (const response of unanswered.splice(0)) response.end('late');
    expect(budget).toEqual({heldBytes: 0, orphans: ORPHANS_MAX});
    expect(connection.heldBytes).toBe(0);
  });

  it('Ensure that answers beyond the budget which the client does not take are dropped.', async () => {
    const {socket, connection, call} = open({heldBytes: 0, orphans: 0}, 2.5 * MIB);
    // The client never opens its windows, so that every answer waits whole.
    for (const id of [1, 3, 5]) call(id, '/s/large');
    expect([...(await resets(socket))]).toEqual([[5, CALM]]);
    expect(connection.heldBytes).toBe(2 * MIB);
  });

  it.each([
    ['answers that wait to be compressed', '/s/large', gzipSync('')],
    ['requests that wait to be unpacked', '/s/hang', gzipSync(randomBytes(MIB))],
  ])(
    'Ensure that %s count until their turn has come, although their calls are gone.',
    async (_what, path, request) => {
      const {connection, callPacked, reset} = open({heldBytes: 0, orphans: 0}, 3.5 * MIB);
      for (let id = 1; id <= 15; id += 2) {
        callPacked(id, path, request);
        // A handler that runs has answered; no job can have ended.
        for (let i = 0; i < 10; i++) await Promise.resolve();
        reset(id);
      }
      expect(connection.heldBytes).toBeGreaterThan(1.9 * MIB);
      expect(connection.heldBytes).toBeLessThan(3.5 * MIB);
      await vi.waitFor(() => expect(connection.heldBytes).toBe(0), {timeout: 30_000});
    },
  );

  it('Ensure that who does not take the answers to its frames is not read, until it does.', async () => {
    const {socket, call} = open({heldBytes: 0, orphans: 0});
    socket.isStuck = true;
    for (let id = 1; id < 40_000 && !socket.isPaused; id += 2) {
      call(id, '/no/such');
      if (id % 100 === 1) await turn();
    }
    expect(socket.isPaused).toBe(true);
    expect(socket.writableLength).toBeGreaterThan(UNSENT_BYTES_MAX);
    expect(socket.writableLength).toBeLessThan(1.1 * UNSENT_BYTES_MAX);
    socket.drain();
    expect(socket.isPaused).toBe(false);
  });
});
