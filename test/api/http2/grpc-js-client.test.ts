/** The gRPC library most used on Node as a client of our server: every kind of call, errors, cancellation, limits. */

import {Client, compressionAlgorithms, credentials, Metadata, type ServiceError, status} from '@grpc/grpc-js';
import {afterAll, beforeAll, describe, expect, it, vi} from 'vitest';
import {type Served, serve} from './echo-service.ts';

const asIs = (bytes: Buffer): Buffer => bytes;

let served: Served;
let client: Client;

beforeAll(async () => {
  served = await serve();
  client = new Client(`127.0.0.1:${served.port}`, credentials.createInsecure());
});

afterAll(() => {
  client.close();
  served.stop();
});

function unary(path: string, request: Buffer, metadata = new Metadata(), options = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, asIs, asIs, request, metadata, options, (error, response) => {
      if (error === null) resolve(response!);
      else reject(error);
    });
  });
}

const failure = (promise: Promise<unknown>): Promise<ServiceError> =>
  promise.then(
    () => Promise.reject(new Error('it should have failed')),
    (error: ServiceError) => error,
  );

describe('grpc-js as client', () => {
  it('Ensure that a unary call is answered.', async () => {
    expect((await unary('/test.Echo/Unary', Buffer.from('hello'))).toString()).toBe('hello');
    expect((await unary('/test.Echo/Unary', Buffer.alloc(0))).length).toBe(0);
    const large = Buffer.alloc(1_500_000, 'y');
    expect((await unary('/test.Echo/Unary', large)).equals(large)).toBe(true);
  });

  it('Ensure that many calls at once are answered, each with its own.', async () => {
    const calls = Array.from({length: 500}, (_, i) => unary('/test.Echo/Unary', Buffer.from(`${i}`)));
    expect((await Promise.all(calls)).map(String)).toEqual(Array.from({length: 500}, (_, i) => `${i}`));
  });

  it('Ensure that an error keeps its status and its text.', async () => {
    const text = 'etcdserver: 100 % größer\n';
    expect(await failure(unary('/test.Echo/Fail', Buffer.from(text)))).toMatchObject({
      code: status.OUT_OF_RANGE,
      details: text,
    });
    expect(await failure(unary('/test.Echo/Fail', Buffer.from('plain')))).toMatchObject({
      code: status.UNKNOWN,
      details: 'it broke',
    });
  });

  it('Ensure that unknown methods are Unimplemented and the connection stands.', async () => {
    expect(await failure(unary('/test.Echo/Nothing', Buffer.alloc(3)))).toMatchObject({
      code: status.UNIMPLEMENTED,
      details: 'unknown method Nothing for service test.Echo',
    });
    expect(await failure(unary('/other.Thing/Do', Buffer.alloc(3)))).toMatchObject({
      code: status.UNIMPLEMENTED,
      details: 'unknown service other.Thing',
    });
    expect((await unary('/test.Echo/Unary', Buffer.from('still'))).toString()).toBe('still');
  });

  it('Ensure that a message beyond the limit is refused with gRPC’s text.', async () => {
    expect(await failure(unary('/test.Echo/Unary', Buffer.alloc(3_000_000)))).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      details: 'grpc: received message larger than max (3000000 vs. 2097152)',
    });
  });

  it('Ensure that metadata arrives, binary too.', async () => {
    const metadata = new Metadata();
    metadata.set('token', 'abc.1');
    metadata.set('trace-bin', Buffer.from([0, 1, 254, 255]));
    await unary('/test.Echo/Unary', Buffer.from('m'), metadata);
    const call = served.service.seen.at(-1)!;
    expect(call.metadata('token')).toBe('abc.1');
    expect(call.metadata('trace-bin')).toBe('\x00\x01\xfe\xff');
    expect(call.metadata('nothing')).toBeUndefined();
    expect(call.remote).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  it('Ensure that a deadline ends the call on both sides.', async () => {
    const before = served.service.aborted.length;
    const call = unary('/test.Echo/Hang', Buffer.from('x'), new Metadata(), {deadline: Date.now() + 100});
    expect((await failure(call)).code).toBe(status.DEADLINE_EXCEEDED);
    await vi.waitFor(() => expect(served.service.aborted.length).toBe(before + 1));
  });

  it('Ensure that cancelling aborts the handler.', async () => {
    const before = served.service.aborted.length;
    const call = client.makeUnaryRequest('/test.Echo/Hang', asIs, asIs, Buffer.from('x'), () => undefined);
    await vi.waitFor(() => expect(served.service.waiting).toBe(1));
    call.cancel();
    await vi.waitFor(() => expect(served.service.aborted.length).toBe(before + 1));
    expect(served.service.waiting).toBe(0);
  });

  it('Ensure that a server stream arrives whole and in order.', async () => {
    const stream = client.makeServerStreamRequest('/test.Echo/Count', asIs, asIs, Buffer.from('300 10000'));
    const first: number[] = [];
    for await (const message of stream) first.push((message as Buffer)[0]);
    expect(first).toEqual(Array.from({length: 300}, (_, i) => i & 0xff));
  });

  it('Ensure that a client stream is summed up.', async () => {
    const sum = await new Promise<Buffer>((resolve, reject) => {
      const call = client.makeClientStreamRequest('/test.Echo/Sum', asIs, asIs, (error, response) =>
        error === null ? resolve(response!) : reject(error),
      );
      for (let i = 0; i < 50; i++) call.write(Buffer.alloc(100_000));
      call.end();
    });
    expect(sum.toString()).toBe('5000000');
  });

  it('Ensure that a bidi stream answers while it is open, and ends when the client does.', async () => {
    const stream = client.makeBidiStreamRequest('/test.Echo/Bidi', asIs, asIs);
    const messages: string[] = [];
    const ended = new Promise<void>((resolve, reject) => {
      stream.on('data', (message: Buffer) => {
        messages.push(message.toString());
        if (messages.length < 20) stream.write(Buffer.from(`${messages.length}`));
        else stream.end();
      });
      stream.on('status', ({code}) => (code === 0 ? resolve() : reject(new Error(`status ${code}`))));
      stream.on('error', reject);
    });
    stream.write(Buffer.from('0'));
    await ended;
    expect(messages).toEqual(Array.from({length: 20}, (_, i) => `${i}`));
  });

  it('Ensure that a cancelled stream ends its handler.', async () => {
    const before = served.service.aborted.length;
    const stream = client.makeBidiStreamRequest('/test.Echo/Watch', asIs, asIs);
    stream.on('error', () => undefined);
    await new Promise((resolve) => stream.once('data', resolve));
    stream.cancel();
    await vi.waitFor(() => expect(served.service.aborted.length).toBe(before + 1));
  });

  it('Ensure that 20,000 cancelled calls on one connection do no harm.', async () => {
    const metadata = new Metadata();
    const before = served.service.waiting;
    for (let round = 0; round < 20; round++) {
      const ended: Promise<unknown>[] = [];
      for (let i = 0; i < 1000; i++) {
        const stream = client.makeBidiStreamRequest('/test.Echo/Watch', asIs, asIs, metadata, {});
        ended.push(
          new Promise((resolve) => stream.on('error', (error: ServiceError) => resolve(error.code))),
        );
        // Half of them have an answer when they are cancelled, half are on their way.
        if (i % 2 === 0) stream.once('data', () => stream.cancel());
        else setImmediate(() => stream.cancel());
      }
      expect(new Set(await Promise.all(ended))).toEqual(new Set([status.CANCELLED]));
    }
    expect((await unary('/test.Echo/Unary', Buffer.from('after'))).toString()).toBe('after');
    await vi.waitFor(() => expect(served.service.waiting).toBe(before), 10_000);
    expect(served.grpc.connections).toBe(1);
  }, 120_000);

  it('Ensure that gzip is understood and answered.', async () => {
    const gzip = new Client(`127.0.0.1:${served.port}`, credentials.createInsecure(), {
      'grpc.default_compression_algorithm': compressionAlgorithms.gzip,
    });
    const text = Buffer.from('compressible '.repeat(10_000));
    const answer = await new Promise<Buffer>((resolve, reject) => {
      gzip.makeUnaryRequest('/test.Echo/Unary', asIs, asIs, text, (error, response) =>
        error === null ? resolve(response!) : reject(error),
      );
    });
    gzip.close();
    expect(answer.equals(text)).toBe(true);
  });
});
