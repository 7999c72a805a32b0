/** Our client: against our own server and against grpc-js as server; deadlines, broken connections, dialling. */

import {readdirSync, readFileSync, rmSync} from 'node:fs';
import {createServer, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {afterAll, afterEach, beforeAll, describe, expect, it, vi} from 'vitest';
import {GrpcChannel, type GrpcChannelOptions} from '../../../src/transport/http2/grpc-channel.ts';
import {GrpcStatus} from '../../../src/transport/http2/grpc-status.ts';
import {type Served, serve} from './echo-service.ts';
import {handlers, Server, ServerCredentials} from './grpc-js-server.ts';

const bytes = (text: string): Buffer => Buffer.from(text);
const text = (message: Uint8Array): string => Buffer.from(message).toString();

const channels: GrpcChannel[] = [];
function channelTo(target: string, options: Partial<GrpcChannelOptions> = {}): GrpcChannel {
  const channel = new GrpcChannel({target, dialTimeoutMs: 2_000, ...options});
  channels.push(channel);
  return channel;
}

afterEach(() => {
  for (const channel of channels.splice(0)) channel.close();
});

async function startGrpcJs(): Promise<{port: number; stop: () => void}> {
  const server = new Server({'grpc.max_receive_message_length': -1});
  server.addService(...handlers());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {port, stop: () => server.forceShutdown()};
}

describe.each(['our server', 'a grpc-js server'])('our client against %s', (kind) => {
  let port: number;
  let stop: () => void;

  beforeAll(async () => {
    ({port, stop} = kind === 'our server' ? await serve() : await startGrpcJs());
  });

  afterAll(() => stop());

  it('Ensure that unary calls are answered, one after the other and all at once.', async () => {
    const channel = channelTo(`127.0.0.1:${port}`);
    expect(channel.connected).toBe(false);
    expect(text(await channel.unary('/test.Echo/Unary', bytes('hello'), {}))).toBe('hello');
    expect(channel.connected).toBe(true);
    const many = Array.from({length: 300}, (_, i) => channel.unary('/test.Echo/Unary', bytes(`${i}`), {}));
    expect((await Promise.all(many)).map(text)).toEqual(many.map((_, i) => `${i}`));
  });

  it('Ensure that large messages pass both ways.', async () => {
    const channel = channelTo(`http://127.0.0.1:${port}`);
    const large = Buffer.alloc(2_000_000, 'z');
    expect(large.equals(await channel.unary('/test.Echo/Unary', large, {}))).toBe(true);
    const answer = await channel.unary('/test.Echo/Large', bytes('30000000'), {});
    expect(answer.length).toBe(30_000_000);
  });

  it('Ensure that an error has the status and text of the server.', async () => {
    const channel = channelTo(`127.0.0.1:${port}`);
    await expect(channel.unary('/test.Echo/Fail', bytes('etcdserver: größer'), {})).rejects.toMatchObject({
      name: 'GrpcError',
      status: GrpcStatus.outOfRange,
      message: 'etcdserver: größer',
    });
    await expect(channel.unary('/test.Other/Fail', bytes(''), {})).rejects.toMatchObject({
      status: GrpcStatus.unimplemented,
    });
  });

  it('Ensure that a deadline ends the call with gRPC’s text, and a signal with Cancelled.', async () => {
    const channel = channelTo(`127.0.0.1:${port}`);
    await expect(channel.unary('/test.Echo/Hang', bytes(''), {timeoutMs: 50})).rejects.toMatchObject({
      status: GrpcStatus.deadlineExceeded,
      // grpc-js may be faster with a text of its own.
      message: expect.stringMatching(
        kind === 'our server' ? /^context deadline exceeded$/ : /deadline exceeded/i,
      ),
    });
    const abort = new AbortController();
    const call = channel.unary('/test.Echo/Hang', bytes(''), {signal: abort.signal});
    setImmediate(() => abort.abort());
    await expect(call).rejects.toMatchObject({status: GrpcStatus.cancelled, message: 'context canceled'});
  });

  it('Ensure that streams work in both directions and end in order.', async () => {
    const channel = channelTo(`127.0.0.1:${port}`);
    const stream = channel.stream('/test.Echo/Bidi', {metadata: {hasleader: 'true'}});
    await stream.send(bytes('0'));
    const received: string[] = [];
    for await (const message of stream.responses) {
      received.push(text(message));
      if (received.length === 10) stream.end();
      else await stream.send(bytes(`${received.length}`));
    }
    expect(received).toEqual(Array.from({length: 10}, (_, i) => `${i}`));
  });

  it('Ensure that a long server stream is pulled whole.', async () => {
    const channel = channelTo(`127.0.0.1:${port}`);
    const stream = channel.stream('/test.Echo/Count', {});
    await stream.send(bytes('200 50000'));
    stream.end();
    let size = 0;
    for await (const message of stream.responses) size += message.length;
    expect(size).toBe(10_000_000);
  });

  it('Ensure that a much-sending client stream is taken in.', async () => {
    const channel = channelTo(`127.0.0.1:${port}`);
    const stream = channel.stream('/test.Echo/Sum', {});
    for (let i = 0; i < 100; i++) await stream.send(Buffer.alloc(100_000));
    stream.end();
    const answers: string[] = [];
    for await (const message of stream.responses) answers.push(text(message));
    expect(answers).toEqual(['10000000']);
  });

  it('Ensure that a cancelled stream throws Cancelled to its reader.', async () => {
    const channel = channelTo(`127.0.0.1:${port}`);
    const stream = channel.stream('/test.Echo/Watch', {});
    await stream.send(bytes('watch'));
    const iterator = stream.responses[Symbol.asyncIterator]();
    expect(text((await iterator.next()).value)).toBe('created');
    stream.cancel();
    await expect(iterator.next()).rejects.toMatchObject({status: GrpcStatus.cancelled});
    expect(text(await channel.unary('/test.Echo/Unary', bytes('alive'), {}))).toBe('alive');
  });
});

describe('our client and bad weather', () => {
  let served: Served | undefined;

  afterEach(() => {
    served?.stop();
    served = undefined;
  });

  it('Ensure that nobody listening is Unavailable, at once.', async () => {
    const channel = channelTo('127.0.0.1:1');
    await expect(channel.unary('/test.Echo/Unary', bytes(''), {})).rejects.toMatchObject({
      status: GrpcStatus.unavailable,
      message: expect.stringMatching(/^connection error: .*connection refused/),
    });
  });

  it('Ensure that a server that accepts and says nothing leads to the deadline.', async () => {
    const sockets: Socket[] = [];
    const mute = createServer((socket) => sockets.push(socket));
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const {port} = mute.address() as {port: number};
    const channel = channelTo(`127.0.0.1:${port}`);
    await expect(channel.unary('/a.B/C', bytes(''), {timeoutMs: 50})).rejects.toMatchObject({
      status: GrpcStatus.deadlineExceeded,
    });
    const impatient = channelTo(`127.0.0.1:${port}`, {dialTimeoutMs: 50});
    await expect(impatient.unary('/a.B/C', bytes(''), {})).rejects.toMatchObject({
      status: GrpcStatus.unavailable,
      message: expect.stringMatching(/^connection error: .*no answer in 50 ms/),
    });
    // The first attempt is still under way.
    const pending = channel.connect({timeoutMs: undefined, signal: undefined});
    channel.close();
    await expect(pending).rejects.toMatchObject({status: GrpcStatus.cancelled});
    for (const socket of sockets) socket.destroy();
    mute.close();
  });

  it('Ensure that a connection lost amid calls is Unavailable, and the next call dials again.', async () => {
    served = await serve();
    const channel = channelTo(`127.0.0.1:${served.port}`);
    const call = channel.unary('/test.Echo/Hang', bytes(''), {});
    const failed = expect(call).rejects.toMatchObject({
      status: GrpcStatus.unavailable,
      message: expect.stringMatching(/^error reading from server: /),
    });
    await vi.waitFor(() => expect(served!.service.waiting).toBe(1));
    const {port} = served;
    served.stop();
    await failed;
    served = await serve();
    const again = channelTo(`127.0.0.1:${served.port}`);
    expect(text(await again.unary('/test.Echo/Unary', bytes('back'), {}))).toBe('back');
    expect(port).not.toBe(0);
  });

  it('Ensure that a draining server finishes its calls while new ones go elsewhere.', async () => {
    served = await serve();
    const channel = channelTo(`127.0.0.1:${served.port}`);
    const stream = channel.stream('/test.Echo/Bidi', {});
    await stream.send(bytes('1'));
    const iterator = stream.responses[Symbol.asyncIterator]();
    await iterator.next();
    const drained = served.grpc.drain(10_000);
    await vi.waitFor(() => expect(channel.connected).toBe(false));
    await stream.send(bytes('2'));
    expect(text((await iterator.next()).value)).toBe('2');
    stream.end();
    expect((await iterator.next()).done).toBe(true);
    await drained;
    expect(served.grpc.connections).toBe(0);
  });

  it('Ensure that a unix socket can be dialled.', async () => {
    served = await serve();
    const path = join(tmpdir(), `kvd-${process.pid}-${Math.random().toString(36).slice(2)}.sock`);
    await served.listener.listen({path});
    for (const target of [`unix:${path}`, `unix://${path}`]) {
      expect(text(await channelTo(target).unary('/test.Echo/Unary', bytes('u'), {}))).toBe('u');
    }
    rmSync(path, {force: true});
  });

  it('Ensure that an HTTP/1.1 server is no gRPC server, and says so.', async () => {
    const {createServer: createHttp} = await import('node:http');
    const http = createHttp();
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const {port} = http.address() as {port: number};
    await expect(
      channelTo(`127.0.0.1:${port}`).unary('/a.B/C', bytes(''), {timeoutMs: 5_000}),
    ).rejects.toMatchObject({
      status: GrpcStatus.unavailable,
    });
    http.close();
  });

  it('Ensure that nothing of it loads node:http2 or a gRPC library.', () => {
    const folder = resolve(import.meta.dirname, '../../../src/transport/http2');
    const sources = readdirSync(folder, {recursive: true, encoding: 'utf8'}).filter((name) =>
      name.endsWith('.ts'),
    );
    const loading = sources.filter((name) =>
      /from '(node:http2|@grpc)/.test(readFileSync(join(folder, name), 'utf8')),
    );
    expect(sources.length).toBeGreaterThan(20);
    expect(loading).toEqual([]);
  });
});
