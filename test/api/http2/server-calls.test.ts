/** What handlers see of their calls: admission, signals, deadlines, being pulled and being stopped; and what is counted. */

import {afterEach, describe, expect, it, vi} from 'vitest';
import {GrpcChannel} from '../../../src/transport/http2/grpc-channel.ts';
import type {Call, GrpcMethod} from '../../../src/transport/http2/grpc-method.ts';
import type {GrpcServerOptions} from '../../../src/transport/http2/grpc-server.ts';
import {GrpcError, GrpcStatus} from '../../../src/transport/http2/grpc-status.ts';
import {serve} from './echo-service.ts';
import {
  block,
  E,
  F,
  frame,
  message,
  openStream,
  RawPeer,
  requestFields,
  T,
  uint32,
  unaryCall,
} from './raw-peer.ts';

const stops: (() => void)[] = [];

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

const codec = {decode: (bytes: Uint8Array) => bytes, encode: (bytes: Uint8Array) => bytes};

async function start(methods: GrpcMethod[], options: Partial<GrpcServerOptions> = {}) {
  const served = await serve({methods, ...options});
  const channel = new GrpcChannel({target: `127.0.0.1:${served.port}`, dialTimeoutMs: 2000});
  stops.push(() => {
    channel.close();
    served.stop();
  });
  return {...served, channel};
}

const echo: GrpcMethod = {
  kind: 'unary',
  path: '/s/Echo',
  ...codec,
  handle: async (request: Uint8Array) => request,
};

describe('admission', () => {
  it('Ensure that a call that is not let in fails with the reason, before its handler, streams too.', async () => {
    const handle = vi.fn(async (request: Uint8Array) => request);
    const bidi: GrpcMethod = {
      kind: 'bidi',
      path: '/s/Bidi',
      ...codec,
      async *handle() {
        await handle(Buffer.alloc(0));
        yield Buffer.alloc(0);
      },
    };
    const {channel, port} = await start([{...echo, handle}, bidi], {
      beforeCall: (path, call) => {
        if (call.metadata('token') !== 'good')
          throw new GrpcError(GrpcStatus.unauthenticated, `no token for ${path}`);
      },
    });
    const refused = {status: GrpcStatus.unauthenticated, message: 'no token for /s/Echo'};
    await expect(channel.unary('/s/Echo', Buffer.alloc(100_000), {})).rejects.toMatchObject(refused);
    const stream = channel.stream('/s/Bidi', {});
    await expect(stream.responses[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      status: refused.status,
    });
    expect(handle).not.toHaveBeenCalled();
    expect((await channel.unary('/s/Echo', Buffer.alloc(3), {metadata: {token: 'good'}})).length).toBe(3);
    // Two values: the first counts.
    const peer = await RawPeer.connect(port);
    peer.send(unaryCall(1, 'x', '/s/Echo'));
    expect((await peer.trailers(1)).get('grpc-status')).toBe('16');
    peer.close();
  });
});

describe('signals and deadlines', () => {
  const hang = (seen: {call?: Call; reason?: unknown}): GrpcMethod => ({
    kind: 'unary',
    path: '/s/Hang',
    ...codec,
    handle: (_request: Uint8Array, call: Call) =>
      new Promise((_, reject) => {
        seen.call = call;
        call.signal.addEventListener('abort', () => {
          seen.reason = call.signal.reason;
          reject(new Error('stopped'));
        });
      }),
  });

  it('Ensure that the deadline answers by itself, aborts with its own reason and ends the call once.', async () => {
    const seen: {call?: Call; reason?: unknown} = {};
    const ended: GrpcStatus[] = [];
    const {port} = await start([hang(seen), echo], {
      metrics: {callEnded: (_method, status) => ended.push(status)},
    });
    const peer = await RawPeer.connect(port);
    const timeout = Buffer.concat([
      Buffer.from([0, 12]),
      Buffer.from('grpc-timeout'),
      Buffer.from([3]),
      Buffer.from('50m'),
    ]);
    const head = openStream(1, '/s/Hang');
    // A client that has not even half-closed.
    peer.send(
      frame(T.headers, F.endHeaders, 1, Buffer.concat([head.subarray(9), timeout])),
      frame(T.data, 0, 1, message('x')),
    );
    const trailers = await peer.trailers(1);
    expect(trailers.get('grpc-status')).toBe('4');
    expect(trailers.get('grpc-message')).toBe('context deadline exceeded');
    expect(await peer.reset(1)).toBe(E.none);
    // And one that has: its handler runs.
    peer.send(
      frame(T.headers, F.endHeaders, 3, Buffer.concat([head.subarray(9), timeout])),
      frame(T.data, F.endStream, 3, message('x')),
    );
    expect((await peer.trailers(3)).get('grpc-status')).toBe('4');
    expect(seen.call?.timeoutMs).toBe(50);
    expect(seen.reason).toMatchObject({
      status: GrpcStatus.deadlineExceeded,
      message: 'context deadline exceeded',
    });
    expect(ended).toEqual([GrpcStatus.deadlineExceeded, GrpcStatus.deadlineExceeded]);
    peer.close();
  });

  it('Ensure that cancelling, and losing the connection, abort with Cancelled; a later look at the signal too.', async () => {
    const seen: {call?: Call; reason?: unknown} = {};
    let late: Call | undefined;
    const release: (() => void)[] = [];
    const lateLooker: GrpcMethod = {
      kind: 'unary',
      path: '/s/Late',
      ...codec,
      handle: async (request: Uint8Array, call: Call) => {
        await new Promise<void>((resolve) => release.push(resolve));
        late = call;
        return request;
      },
    };
    const {port} = await start([hang(seen), lateLooker]);
    const peer = await RawPeer.connect(port);
    peer.send(unaryCall(1, 'x', '/s/Hang'), unaryCall(3, 'x', '/s/Late'));
    await vi.waitFor(() => expect(seen.call).toBeDefined());
    peer.send(frame(T.rst, 0, 1, uint32(E.cancel)));
    await vi.waitFor(() => expect(seen.reason).toMatchObject({status: GrpcStatus.cancelled}));
    peer.close();
    await peer.closed();
    await vi.waitFor(() => expect(release.length).toBe(1));
    release[0]();
    await vi.waitFor(() => expect(late).toBeDefined());
    expect(late!.signal.aborted).toBe(true);
  });
});

describe('streams', () => {
  it('Ensure that a handler cleans up when its client cancels, when encoding fails and when it ends.', async () => {
    const cleaned: string[] = [];
    const encode = (response: string): Uint8Array => {
      if (response === 'bad') throw new Error('cannot encode');
      return Buffer.from(response);
    };
    const method: GrpcMethod = {
      kind: 'serverStream',
      path: '/s/Stream',
      decode: (bytes) => Buffer.from(bytes).toString(),
      encode,
      async *handle(kind: string, call) {
        try {
          yield 'first';
          if (kind === 'bad') yield 'bad';
          if (kind === 'wait') await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
        } finally {
          cleaned.push(kind);
        }
      },
    };
    const {channel} = await start([method]);
    const read = async (kind: string, cancel = false): Promise<string> => {
      const stream = channel.stream('/s/Stream', {});
      await stream.send(Buffer.from(kind));
      stream.end();
      try {
        for await (const _ of stream.responses) if (cancel) stream.cancel();
        return 'ok';
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(await read('end')).toBe('ok');
    expect(await read('bad')).toBe('cannot encode');
    expect(await read('wait', true)).toBe('context canceled');
    await vi.waitFor(() => expect(cleaned).toEqual(['end', 'bad', 'wait']));
  });

  it('Ensure that an iterator without a generator is told by return(), while its next() still waits.', async () => {
    let returned = 0;
    const method: GrpcMethod = {
      kind: 'serverStream',
      path: '/s/Iterator',
      ...codec,
      handle: () => ({
        [Symbol.asyncIterator]: () => ({
          next: () => new Promise(() => undefined),
          return: async () => {
            returned++;
            return {value: undefined, done: true as const};
          },
        }),
      }),
    };
    const {port} = await start([method]);
    const peer = await RawPeer.connect(port);
    peer.send(unaryCall(1, 'x', '/s/Iterator'), frame(T.rst, 0, 1, uint32(E.cancel)));
    await vi.waitFor(() => expect(returned).toBe(1));
    peer.close();
  });

  it('Ensure that a producer is asked for no more than its client reads.', async () => {
    let made = 0;
    const method: GrpcMethod = {
      kind: 'serverStream',
      path: '/s/Endless',
      ...codec,
      async *handle() {
        for (;;) {
          made++;
          yield Buffer.alloc(10_000);
        }
      },
    };
    const {port} = await start([method, echo]);
    const peer = await RawPeer.connect(port);
    peer.send(unaryCall(1, 'x', '/s/Endless'));
    await peer.until(() => (peer.body(1).length === 65_535 ? true : undefined));
    expect(made).toBe(7);
    peer.send(frame(T.window, 0, 1, uint32(10_005)), frame(T.window, 0, 0, uint32(10_005)));
    await peer.until(() => (peer.body(1).length === 75_540 ? true : undefined));
    expect(made).toBe(8);
    peer.close();
  });

  it('Ensure that requests of a cancelled call end with Cancelled, those of a finished one in order.', async () => {
    const ends: string[] = [];
    const method: GrpcMethod = {
      kind: 'bidi',
      path: '/s/Bidi',
      ...codec,
      async *handle(requests: AsyncIterable<Uint8Array>) {
        try {
          for await (const request of requests) yield request;
          ends.push('in order');
        } catch (error) {
          ends.push((error as Error).message);
        }
      },
    };
    const {port} = await start([method]);
    const peer = await RawPeer.connect(port);
    peer.send(openStream(1, '/s/Bidi'), frame(T.data, F.endStream, 1, message('a')));
    await peer.trailers(1);
    peer.send(openStream(3, '/s/Bidi'), frame(T.data, 0, 3, message('a')));
    await peer.until(() => peer.data.get(3));
    peer.send(frame(T.rst, 0, 3, uint32(E.cancel)));
    await vi.waitFor(() => expect(ends).toEqual(['in order', 'context canceled']));
    peer.close();
  });
});

describe('wrong requests', () => {
  it.each([
    ['no message', frame(T.data, F.endStream, 1), '13', 'the request ended without a message'],
    [
      'two messages',
      frame(T.data, F.endStream, 1, Buffer.concat([message('a'), message('b')])),
      '13',
      'more than one',
    ],
    [
      'half a message',
      frame(T.data, F.endStream, 1, message('abc').subarray(0, 6)),
      '13',
      'within a message',
    ],
    [
      'a compressed one without a word',
      frame(T.data, F.endStream, 1, Buffer.from([1, 0, 0, 0, 0])),
      '13',
      'compressed',
    ],
    [
      'one that cannot be decoded',
      frame(T.data, F.endStream, 1, message('bad')),
      '13',
      'error unmarshalling request: bad bytes',
    ],
    [
      'one that the handler throws at',
      frame(T.data, F.endStream, 1, message('throw')),
      '2',
      'thrown at once',
    ],
  ])('Ensure that %s is answered, and the connection goes on.', async (_name, data, status, text) => {
    const method: GrpcMethod = {
      kind: 'unary',
      path: '/s/Strict',
      encode: codec.encode,
      decode: (bytes) => {
        if (Buffer.from(bytes).toString() === 'bad') throw new Error('bad bytes');
        return bytes;
      },
      handle: (request: Uint8Array) => {
        if (Buffer.from(request).toString() === 'throw') throw new Error('thrown at once');
        return Promise.resolve(request);
      },
    };
    const {port} = await start([method, echo]);
    const peer = await RawPeer.connect(port);
    peer.send(openStream(1, '/s/Strict'), data);
    const trailers = await peer.trailers(1);
    expect(trailers.get('grpc-status')).toBe(status);
    expect(trailers.get('grpc-message')).toContain(text);
    peer.send(unaryCall(3, 'fine', '/s/Echo'));
    expect((await peer.trailers(3)).get('grpc-status')).toBe('0');
    peer.close();
  });
});

it('Ensure that an encoding nobody knows is refused and those that are known are told, on each way in.', async () => {
  const {port} = await start([echo]);
  const peer = await RawPeer.connect(port);
  const open = (id: number, encoding: string, flags: number): Buffer =>
    frame(
      T.headers,
      F.endHeaders | flags,
      id,
      block([...requestFields('/s/Echo'), ['grpc-encoding', encoding]]),
    );
  peer.send(open(1, 'br', F.endStream), open(3, 'snappy', 0), unaryCall(5, 'fine', '/s/Echo'));
  for (const [id, encoding] of [
    [1, 'br'],
    [3, 'snappy'],
  ] as const) {
    expect(Object.fromEntries(await peer.trailers(id))).toEqual({
      ':status': '200',
      'content-type': 'application/grpc',
      'grpc-status': '12',
      'grpc-message': `grpc: Decompressor is not installed for grpc-encoding "${encoding}"`,
      'grpc-accept-encoding': 'identity,gzip',
    });
  }
  expect(await peer.reset(3)).toBe(E.none);
  expect(Object.fromEntries(await peer.trailers(5))).toEqual({'grpc-status': '0'});
  peer.close();
});

describe('counting', () => {
  it('Ensure that calls and messages are counted, each once.', async () => {
    const counts: Record<string, number> = {};
    const count = (name: string, by = 1): void => {
      counts[name] = (counts[name] ?? 0) + by;
    };
    const {channel} = await start([echo], {
      metrics: {
        callStarted: () => count('started'),
        callEnded: (_method, status) => count(`ended ${status}`),
        messageReceived: (_method, bytes) => count('received', bytes),
        messageSent: (_method, bytes) => count('sent', bytes),
      },
    });
    for (let i = 0; i < 5; i++) await channel.unary('/s/Echo', Buffer.alloc(100), {});
    await channel.unary('/s/Unknown', Buffer.alloc(100), {}).catch(() => undefined);
    expect(counts).toEqual({started: 5, 'ended 0': 5, received: 500, sent: 500});
  });
});
