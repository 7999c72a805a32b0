/**
 * Peers that mean harm: every published HTTP/2 flood against one connection, while a neighbour's connection must go on
 * being served and our memory must stay bounded.
 */

import {createServer} from 'node:http';
import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';
import {afterAll, beforeAll, describe, expect, it, vi} from 'vitest';
import {GrpcServer} from '../../../src/transport/http2/grpc-server.ts';
import {type Served, serve, silent, stubbornMethod} from './echo-service.ts';
import {
  block,
  E,
  F,
  frame,
  message,
  openStream,
  PREFACE,
  RawPeer,
  requestFields,
  settings,
  T,
  uint32,
  unaryCall,
} from './raw-peer.ts';

const MIB = 2 ** 20;

let served: Served;
let neighbour: RawPeer;
let neighbourStream = 1;

beforeAll(async () => {
  served = await serve();
  neighbour = await RawPeer.connect(served.port);
});

afterAll(() => {
  neighbour.close();
  served.stop();
});

async function neighbourIsServed(): Promise<void> {
  const id = neighbourStream;
  neighbourStream += 2;
  neighbour.send(unaryCall(id, 'neighbour'));
  expect((await neighbour.trailers(id)).get('grpc-status')).toBe('0');
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function memory(): number {
  collectGarbage();
  const {heapUsed, external} = process.memoryUsage();
  return heapUsed + external;
}

/** Sends without ever reading. */
async function deaf(port: number): Promise<RawPeer> {
  const peer = await RawPeer.connect(port);
  await peer.sync();
  peer.socket.pause();
  return peer;
}

describe('hostile peers', () => {
  it('Ensure that 20,000 cancelled calls on one connection do no harm (rapid reset).', async () => {
    const peer = await RawPeer.connect(served.port);
    let id = 1;
    for (let round = 0; round < 20; round++) {
      const parts: Buffer[] = [];
      for (let i = 0; i < 1000; i++, id += 2) {
        parts.push(openStream(id, '/test.Echo/Hang'), frame(T.data, F.endStream, id, message('x')));
        parts.push(frame(T.rst, 0, id, uint32(E.cancel)));
      }
      peer.send(...parts);
    }
    peer.send(unaryCall(id, 'after'));
    expect((await peer.trailers(id)).get('grpc-status')).toBe('0');
    expect(served.service.waiting).toBe(0);
    await neighbourIsServed();
    peer.close();
  });

  it('Ensure that handlers that do not heed their cancellation are bounded, and the bound is lifted again.', async () => {
    const {stubborn, release} = stubbornMethod();
    const own = await serve({methods: [stubborn]});
    const peer = await RawPeer.connect(own.port);
    let id = 1;
    for (let round = 0; round < 11; round++) {
      const parts: Buffer[] = [];
      for (let i = 0; i < 1000; i++, id += 2) {
        parts.push(unaryCall(id, 'x', '/test.Echo/Stubborn'), frame(T.rst, 0, id, uint32(E.cancel)));
      }
      peer.send(...parts);
    }
    peer.send(unaryCall(id, 'one more', '/test.Echo/Stubborn'));
    expect(await peer.reset(id)).toBe(E.refused);
    expect(release.length).toBe(10_000);
    for (const one of release.splice(0)) one();
    await peer.sync();
    peer.send(unaryCall(id + 2, 'one more', '/test.Echo/Stubborn'));
    await peer.sync();
    release[0]();
    expect((await peer.trailers(id + 2)).get('grpc-status')).toBe('0');
    peer.close();
    own.stop();
  });

  it('Ensure that a client that pings without end is sent away, and one at etcd’s pace is not.', async () => {
    const peer = await RawPeer.connect(served.port);
    for (let i = 0; i < 10; i++) peer.send(frame(T.ping, 0, 0, Buffer.alloc(8)));
    expect(await peer.goaway()).toMatchObject({code: E.calm, debug: 'too_many_pings'});
    await neighbourIsServed();
  });

  it('Ensure that SETTINGS without end are stopped.', async () => {
    const peer = await deaf(served.port);
    for (let i = 0; i < 100; i++) peer.send(...Array.from({length: 100}, (_, k) => settings([4, 1000 + k])));
    peer.socket.resume();
    expect((await peer.goaway()).code).toBe(E.calm);
    await neighbourIsServed();
  });

  it('Ensure that CONTINUATION without end is stopped, with empty frames too.', async () => {
    for (const size of [0, 10_000]) {
      const peer = await RawPeer.connect(served.port);
      peer.send(frame(T.headers, 0, 1, block(requestFields('/a'))));
      const filler = block([['x-filler', 'y'.repeat(size)]]);
      for (let i = 0; i < 100; i++)
        peer.send(frame(T.continuation, 0, 1, size === 0 ? Buffer.alloc(0) : filler));
      expect((await peer.goaway()).code).toBe(E.calm);
    }
    await neighbourIsServed();
  });

  it('Ensure that empty DATA frames without end are stopped.', async () => {
    const peer = await RawPeer.connect(served.port);
    peer.send(openStream(1, '/test.Echo/Bidi'));
    peer.send(...Array.from({length: 11_000}, () => frame(T.data, 0, 1)));
    expect((await peer.goaway()).code).toBe(E.calm);
    await neighbourIsServed();
  });

  it('Ensure that a header list beyond the bound is answered, and the table stays right (header bomb).', async () => {
    const peer = await RawPeer.connect(served.port);
    const large = Array.from({length: 9}, (_, i): [string, string] => [`x-${i}`, 'v'.repeat(7000)]);
    const whole = block([...requestFields('/test.Echo/Unary'), ...large, ['y', 'z'.repeat(2000)]]);
    peer.send(
      frame(T.headers, F.endStream, 1, whole.subarray(0, 16_000)),
      frame(T.continuation, 0, 1, whole.subarray(16_000, 32_000)),
      frame(T.continuation, 0, 1, whole.subarray(32_000, 48_000)),
      frame(T.continuation, 0, 1, whole.subarray(48_000, 64_000)),
      frame(T.continuation, F.endHeaders, 1, whole.subarray(64_000)),
    );
    const trailers = await peer.trailers(1);
    expect(trailers.get(':status')).toBe('431');
    expect(trailers.get('grpc-status')).toBe('8');
    peer.send(unaryCall(3));
    expect((await peer.trailers(3)).get('grpc-status')).toBe('0');
    peer.close();
  });

  it('Ensure that references to one large table entry cost next to nothing (HPACK bomb).', async () => {
    const peer = await RawPeer.connect(served.port);
    const value = 'v'.repeat(3900);
    const insert = Buffer.concat([Buffer.from([0x40, 1, 0x62, 0x7f, 0xbd, 0x1d]), Buffer.from(value)]);
    peer.send(frame(T.headers, 5, 1, Buffer.concat([block(requestFields('/test.Echo/Unary')), insert])));
    const before = memory();
    for (let id = 3; id < 100; id += 2) {
      peer.send(
        frame(T.headers, 5, id, Buffer.concat([block(requestFields('/a')), Buffer.alloc(16_000, 0xbe)])),
      );
    }
    expect((await peer.trailers(99)).get(':status')).toBe('431');
    expect(memory() - before).toBeLessThan(20 * MIB);
    await neighbourIsServed();
    peer.close();
  });

  it('Ensure that answers which the peer does not take do not pile up (internal data buffering).', async () => {
    const peer = await deaf(served.port);
    peer.send(settings([4, 2 ** 31 - 1]), frame(T.window, 0, 0, uint32(2 ** 31 - 1 - 65_535)));
    const before = memory();
    peer.send(openStream(1, '/test.Echo/Count'), frame(T.data, F.endStream, 1, message('10000 100000')));
    for (let i = 0; i < 20; i++) await neighbourIsServed();
    expect(memory() - before).toBeLessThan(16 * MIB);
    peer.close();
  });

  it('Ensure that small answers which the peer does not take stop us from reading on (data dribble, reset answers).', async () => {
    const peer = await deaf(served.port);
    const before = memory();
    let id = 1;
    for (let round = 0; round < 20; round++) {
      const parts: Buffer[] = [];
      for (let i = 0; i < 1000; i++, id += 2) parts.push(openStream(id, '/no.Such/Thing'));
      peer.send(...parts);
      await neighbourIsServed();
    }
    expect(memory() - before).toBeLessThan(32 * MIB);
    peer.socket.resume();
    expect((await peer.trailers(id - 2)).get('grpc-status')).toBe('12');
    peer.close();
  });

  it('Ensure that unfinished requests hold no more than a connection may.', async () => {
    const keepAlive = {minTimeMs: 0, intervalMs: 0, timeoutMs: 0};
    const own = await serve({maxReceiveBytes: 64 * MIB, keepAlive, heldBytesPerConnectionMax: 32 * MIB});
    const peer = await RawPeer.connect(own.port);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(60 * MIB, 1);
    const piece = Buffer.alloc(16_384);
    let sent = 0;
    let isCalm = false;
    for (let id = 1; id < 40 && !isCalm; id += 2) {
      peer.send(openStream(id, '/test.Echo/Unary'), frame(T.data, 0, id, prefix));
      for (let i = 0; i < 500; i++) peer.send(frame(T.data, 0, id, piece));
      sent += 500 * piece.length;
      await peer.sync();
      isCalm = peer.frames.some(({type}) => type === T.headers);
    }
    expect(isCalm).toBe(true);
    const [first] = [...peer.headers.values()];
    expect(first.at(-1)!.get('grpc-status')).toBe('8');
    expect(sent).toBeGreaterThan(16 * MIB);
    peer.close();
    own.stop();
  }, 60_000);

  it('Ensure that streams themselves, and requests that are no gRPC calls, count in the budget.', async () => {
    const hanging = createServer(() => undefined);
    const own = await serve({heldBytesPerConnectionMax: 1 * MIB, http: hanging});
    const peer = await RawPeer.connect(own.port);
    const get = block([
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/hang'],
      [':authority', 'x'],
    ]);
    for (let id = 1; id < 100; id += 2) peer.send(frame(T.headers, F.endHeaders | F.endStream, id, get));
    expect(await peer.reset(99)).toBe(E.refused);
    const refused = (): number => peer.frames.filter(({type}) => type === T.rst).length;
    expect(refused()).toBeGreaterThan(25);
    peer.close();
    const other = await RawPeer.connect(own.port);
    for (let id = 1; id < 1000; id += 2) other.send(openStream(id, '/test.Echo/Watch'));
    expect(await other.reset(999)).toBe(E.refused);
    other.close();
    own.stop();
  });

  it('Ensure that a window opened byte by byte is served byte by byte, and no neighbour waits.', async () => {
    const peer = await RawPeer.connect(served.port, false);
    peer.send(PREFACE, settings([4, 0]), unaryCall(1, '2000', '/test.Echo/Large'));
    for (let i = 0; i < 2005; i++) peer.send(frame(T.window, 0, 1, uint32(1)));
    expect((await peer.trailers(1)).get('grpc-status')).toBe('0');
    expect(peer.body(1).length).toBe(2005);
    await neighbourIsServed();
    peer.close();
  });

  it('Ensure that half-open connections are closed: nothing said, half a preface, no SETTINGS.', async () => {
    const impatient = await serve({handshakeTimeoutMs: 100});
    const silentPeer = await RawPeer.connect(impatient.port, false);
    const half = await RawPeer.connect(impatient.port, false);
    half.send(PREFACE.subarray(0, 10));
    const mute = await RawPeer.connect(impatient.port, false);
    mute.send(PREFACE);
    expect((await half.goaway()).code).toBe(E.settingsTimeout);
    expect((await mute.goaway()).code).toBe(E.settingsTimeout);
    await half.closed();
    await mute.closed();
    // The one that said nothing is still the listener's, with a time of its own.
    expect(silentPeer.isClosed).toBe(false);
    silentPeer.close();
    impatient.stop();
  });

  /** Keeps what is told to everybody. */
  function listeningLogger() {
    const lines: string[] = [];
    const warn = (text: string, fields?: object) => void lines.push(`${text} ${JSON.stringify(fields)}`);
    return {lines, logger: {...silent, warn}};
  }

  it('Ensure that a breach on a stream is logged with who and why, the first of each connection.', async () => {
    const {lines, logger} = listeningLogger();
    const own = await serve({logger});
    const peer = await RawPeer.connect(own.port);
    for (const id of [1, 3]) {
      peer.send(unaryCall(id, 'x', '/test.Echo/Hang'));
      peer.send(frame(T.window, 0, id, uint32(0)));
      expect(await peer.reset(id)).toBe(E.protocol);
    }
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /on a stream .*127\.0\.0\.1:\d+.*"stream":1.*PROTOCOL_ERROR.*WINDOW_UPDATE by 0/,
    );
    peer.close();
    own.stop();
  });

  it('Ensure that an answer whose parts fail midway is logged.', async () => {
    const {lines, logger} = listeningLogger();
    const own = await serve({logger});
    const peer = await RawPeer.connect(own.port);
    peer.send(settings([4, 10_000_000]), frame(T.window, 0, 0, uint32(10_000_000)));
    peer.send(unaryCall(1, '-1000000', '/test.Echo/Parts'));
    expect(await peer.reset(1)).toBe(E.internal);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/an answer broke off .*127\.0\.0\.1:\d+.*"stream":1.*no more/);
    peer.close();
    own.stop();
  });

  it('Ensure that a breach is logged with who and why.', async () => {
    const {lines, logger} = listeningLogger();
    const own = await serve({logger});
    const peer = await RawPeer.connect(own.port);
    peer.send(frame(T.data, 0, 0));
    await peer.closed();
    expect(lines.length).toBe(1);
    expect(lines[0]).toMatch(/a client broke HTTP\/2 .*127\.0\.0\.1:\d+.*PROTOCOL_ERROR.*DATA on stream 0/);
    own.stop();
  });

  it('Ensure that an answer made in parts is made only as fast as it is read.', async () => {
    const peer = await RawPeer.connect(served.port);
    const madeBefore = served.service.partsMade;
    peer.send(unaryCall(1, '20000000', '/test.Echo/Parts'));
    let taken = 0;
    while (taken < 20_000_005) {
      await peer.until(() => ((peer.data.get(1)?.length ?? 0) > 0 ? true : undefined));
      const bytes = peer.data.get(1)!.reduce((sum, {length}) => sum + length, 0);
      peer.data.set(1, []);
      peer.frames.length = 0;
      taken += bytes;
      expect((served.service.partsMade - madeBefore) * 65_536).toBeLessThan(taken + 1 * MIB);
      peer.send(frame(T.window, 0, 1, uint32(bytes)), frame(T.window, 0, 0, uint32(bytes)));
    }
    expect((await peer.trailers(1)).get('grpc-status')).toBe('0');
    expect(taken).toBe(20_000_005);
    peer.close();
  }, 60_000);

  it('Ensure that an answer whose parts fail midway resets its stream and nothing else.', async () => {
    const peer = await RawPeer.connect(served.port);
    peer.send(settings([4, 10_000_000]), frame(T.window, 0, 0, uint32(10_000_000)));
    peer.send(unaryCall(1, '-1000000', '/test.Echo/Parts'));
    expect(await peer.reset(1)).toBe(E.internal);
    peer.send(unaryCall(3));
    expect((await peer.trailers(3)).get('grpc-status')).toBe('0');
    peer.close();
  });

  it('Ensure that 10,000 streams may be open on one connection, and all are ended with it.', async () => {
    const peer = await RawPeer.connect(served.port);
    const before = served.service.waiting;
    peer.send(frame(T.window, 0, 0, uint32(1_000_000)));
    for (let round = 0; round < 10; round++) {
      peer.send(
        ...Array.from({length: 1000}, (_, i) => openStream((round * 1000 + i) * 2 + 1, '/test.Echo/Watch')),
      );
    }
    await peer.until(() => (peer.data.size === 10_000 ? true : undefined), '10,000 answers');
    expect(served.service.waiting - before).toBe(10_000);
    await neighbourIsServed();
    peer.close();
    await vi.waitFor(() => expect(served.service.waiting).toBe(before));
    await neighbourIsServed();
    expect(served.service.waiting).toBe(before);
  });

  it('Ensure that draining tells clients to go and ends when the last call has.', async () => {
    const own = await serve();
    const peer = await RawPeer.connect(own.port);
    peer.send(openStream(1, '/test.Echo/Bidi'));
    await peer.sync();
    const drained = own.grpc.drain(10_000);
    expect(await peer.goaway()).toMatchObject({code: E.none, lastStreamId: 2 ** 31 - 1});
    // The answer to the server's PING has not been sent: a call on its way is still served.
    peer.send(unaryCall(3));
    expect((await peer.trailers(3)).get('grpc-status')).toBe('0');
    const ping = await peer.until(() => peer.frames.find(({type, flags}) => type === T.ping && flags === 0));
    peer.send(frame(T.ping, F.ack, 0, ping.payload));
    peer.send(unaryCall(5));
    expect(await peer.reset(5)).toBe(E.refused);
    peer.send(frame(T.data, F.endStream, 1));
    expect((await peer.trailers(1)).get('grpc-status')).toBe('0');
    await peer.closed();
    await drained;
    own.stop();
  });

  it('Ensure that closing the server aborts what runs.', async () => {
    const own = await serve();
    const peer = await RawPeer.connect(own.port);
    peer.send(openStream(1, '/test.Echo/Watch'));
    await peer.until(() => peer.data.get(1));
    expect(own.service.waiting).toBe(1);
    await own.grpc.drain(0);
    await peer.closed();
    expect(own.service.waiting).toBe(0);
    expect(own.grpc).toBeInstanceOf(GrpcServer);
    own.stop();
  });
});
