/** Calls of our client that wait for the server to have room for a stream, and how they end; answers that are too much. */

import {gzipSync} from 'node:zlib';
import {afterEach, describe, expect, it, vi} from 'vitest';
import type {ClientStream} from '../../../src/transport/http2/client-connection.ts';
import {GrpcStatus} from '../../../src/transport/http2/grpc-status.ts';
import {
  answer,
  call,
  channelTo,
  goaway,
  headersOf,
  listen,
  OK_HEADERS,
  onRequest,
  stopAll,
} from './hand-server.ts';
import {E, F, frame, message, type RawPeer, settings, T} from './raw-peer.ts';

afterEach(stopAll);

const contentOf = (peer: RawPeer, id: number): string[] =>
  (peer.data.get(id) ?? []).map((bytes) => bytes.toString('latin1', 5));

/** A channel whose one stream is taken by a call that hangs. */
async function full() {
  const server = await listen(() => undefined, settings([3, 1]));
  const channel = channelTo(server);
  await channel.connect({});
  const peer = server.peers[0];
  const first = call(channel).catch((error: Error) => error.message);
  await peer.until(() => peer.data.get(1));
  return {peer, channel, first};
}

describe('calls that wait for room', () => {
  it('Ensure that a stream says in order what it was given while it waited.', async () => {
    const {peer, channel, first} = await full();
    const stream = channel.stream('/a.B/Bidi', {});
    await stream.send(Buffer.from('one'));
    await stream.send(Buffer.from('two'));
    stream.end();
    await peer.sync();
    expect(peer.data.has(3)).toBe(false);
    answer(peer, 1);
    expect(await first).toBe('ok');
    await peer.until(() =>
      peer.frames.find(({id, type, flags}) => id === 3 && type === T.data && flags === F.endStream),
    );
    expect(contentOf(peer, 3)).toEqual(['one', 'two', '']);
    answer(peer, 3, 'done');
    const answers: string[] = [];
    for await (const bytes of stream.responses) answers.push(Buffer.from(bytes).toString());
    expect(answers).toEqual(['done']);
    await expect(stream.send(Buffer.from('late'))).rejects.toMatchObject({
      status: GrpcStatus.internal,
      message: 'the call has ended',
    });
  });

  it('Ensure that one that was given up while it waited never reaches the server.', async () => {
    const {peer, channel, first} = await full();
    const abort = new AbortController();
    const aborted = call(channel, {signal: abort.signal});
    const cancelled = channel.stream('/a.B/Bidi', {});
    const before = call(channel, {signal: AbortSignal.abort()});
    abort.abort();
    cancelled.cancel();
    const error = {status: GrpcStatus.cancelled, message: 'context canceled'};
    await expect(aborted).rejects.toMatchObject(error);
    await expect(before).rejects.toMatchObject(error);
    await expect(cancelled.responses[Symbol.asyncIterator]().next()).rejects.toMatchObject(error);
    await expect(cancelled.send(Buffer.from('late'))).rejects.toMatchObject(error);
    answer(peer, 1);
    expect(await first).toBe('ok');
    onRequest(peer, (id) => id > 1 && answer(peer, id, String(id)));
    expect(await call(channel)).toBe('3');
  });

  it('Ensure that room which the server makes by SETTINGS is used at once.', async () => {
    const {peer, channel, first} = await full();
    const second = call(channel);
    peer.send(settings([3, 2]));
    await peer.until(() => peer.data.get(3));
    answer(peer, 3, 'second');
    expect(await second).toBe('second');
    answer(peer, 1, 'first');
    expect(await first).toBe('first');
  });

  it('Ensure that closing the channel cancels them.', async () => {
    const {peer, channel, first} = await full();
    const second = call(channel);
    const closing = 'grpc: the client connection is closing';
    channel.close();
    await expect(second).rejects.toMatchObject({status: GrpcStatus.cancelled, message: closing});
    expect(await first).toBe(closing);
    await peer.closed();
    expect(peer.headers.has(3)).toBe(false);
  });

  it('Ensure that those which wait are told when the connection goes away, and sent again where that is safe.', async () => {
    const server = await listen(
      (peer, index) => {
        if (index > 0) onRequest(peer, (id) => answer(peer, id, 'new'));
      },
      settings([3, 1]),
    );
    const channel = channelTo(server);
    await channel.connect({});
    const peer = server.peers[0];
    const first = call(channel);
    await peer.until(() => peer.data.get(1));
    const unary = call(channel);
    const stream = channel.stream('/a.B/Bidi', {});
    peer.send(goaway(1, E.none, 'bye'));
    await expect(stream.responses[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      status: GrpcStatus.unavailable,
      message: 'the server is going away: NO_ERROR (bye)',
    });
    expect(await unary).toBe('new');
    answer(peer, 1, 'old');
    expect(await first).toBe('old');
  });
});

describe('streams whose connection is still being made', () => {
  it('Ensure that what is said early arrives in order, with the deadline that is left.', async () => {
    const server = await listen((peer) => onRequest(peer, (id) => answer(peer, id, 'done')));
    const stream = channelTo(server).stream('/a.B/Bidi', {timeoutMs: 60_000});
    const sent = [stream.send(Buffer.from('one')), stream.send(Buffer.from('two'))];
    stream.end();
    const answers: string[] = [];
    for await (const bytes of stream.responses) answers.push(Buffer.from(bytes).toString());
    expect(answers).toEqual(['done']);
    await Promise.all(sent);
    const [peer] = server.peers;
    expect(contentOf(peer, 1)).toEqual(['one', 'two', '']);
    expect(peer.headers.get(1)![0].get('grpc-timeout')).toMatch(/^[1-9]\d*[HMSmun]$/);
  });

  it('Ensure that one may be cancelled, aborted or left, and nothing of it reaches the server.', async () => {
    // It takes the connection and says nothing yet.
    const server = await listen(() => undefined, Buffer.alloc(0));
    const channel = channelTo(server);
    const abort = new AbortController();
    const error = {status: GrpcStatus.cancelled, message: 'context canceled'};
    const next = (stream: ClientStream) => stream.responses[Symbol.asyncIterator]().next();
    const [cancelled, aborted, left] = [{}, {signal: abort.signal}, {}].map((options) =>
      channel.stream('/a.B/Bidi', options),
    );
    cancelled.cancel();
    await expect(next(cancelled)).rejects.toMatchObject(error);
    abort.abort();
    await expect(next(aborted)).rejects.toMatchObject(error);
    await expect(aborted.send(Buffer.from('late'))).rejects.toMatchObject(error);
    await expect(call(channel, {signal: abort.signal})).rejects.toMatchObject(error);
    await vi.waitFor(() => expect(server.peers.length).toBe(1));
    const [peer] = server.peers;
    const leaving = left.responses[Symbol.asyncIterator]().return!();
    onRequest(peer, (id) => answer(peer, id));
    peer.send(settings());
    expect(await leaving).toEqual({value: undefined, done: true});
    expect(await call(channel)).toBe('ok');
    await peer.sync();
    // Cancelled in the same turn in which they were opened: at most their names arrive.
    const content = [...peer.data.values()].flat().map((bytes) => bytes.toString('latin1', 5));
    expect(content).toEqual(['request']);
  });
});

describe('answers', () => {
  it('Ensure that a header list beyond the bound resets the stream, and the connection goes on.', async () => {
    const server = await listen((peer) =>
      onRequest(peer, (id) => {
        // Each refers to one field of the table: short on the wire, long when it is read.
        if (id === 1) peer.send(headersOf(1, OK_HEADERS, 0), longBlock(id));
        else answer(peer, id);
      }),
    );
    const channel = channelTo(server);
    await expect(call(channel)).rejects.toMatchObject({
      status: GrpcStatus.internal,
      message: 'the header list is too long',
    });
    expect(await server.peers[0].reset(1)).toBe(E.calm);
    expect(await call(channel)).toBe('ok');
  });

  it('Ensure that a packed answer is unpacked, and one that breaks off when its limit is reached says so.', async () => {
    const packed = gzipSync(Buffer.alloc(1000, 'a'));
    const body = message(packed);
    body[0] = 1;
    const server = await listen((peer) =>
      onRequest(peer, (id) =>
        peer.send(
          headersOf(id, [...OK_HEADERS, ['grpc-encoding', 'gzip']], 0),
          frame(T.data, 0, id, body),
          headersOf(id, [['grpc-status', '0']], F.endStream),
        ),
      ),
    );
    expect(await call(channelTo(server))).toBe('a'.repeat(1000));
    await expect(call(channelTo(server, {maxReceiveBytes: 999}))).rejects.toMatchObject({
      status: GrpcStatus.resourceExhausted,
      message: 'grpc: received message after decompression larger than max 999',
    });
  });
});

/** HEADERS that put one field into the table and name it until the list is beyond the bound. */
function longBlock(id: number): Buffer {
  const value = 'v'.repeat(100);
  const insert = Buffer.concat([
    Buffer.from([0x40, 1]),
    Buffer.from('x'),
    Buffer.from([100]),
    Buffer.from(value),
  ]);
  return frame(T.headers, F.endHeaders | F.endStream, id, Buffer.concat([insert, Buffer.alloc(1000, 0xbe)]));
}
