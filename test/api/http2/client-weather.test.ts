/** Our client and servers that answer by hand: what may be sent again, what may not, and how each end is told. */

import {afterEach, describe, expect, it, vi} from 'vitest';
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
import {block, E, F, frame, message, settings, T, uint32} from './raw-peer.ts';

afterEach(stopAll);

describe('calls that the server has surely not seen', () => {
  it('Ensure that a refused stream is sent again.', async () => {
    let refusals = 0;
    const server = await listen((peer) =>
      onRequest(peer, (id) => {
        if (refusals++ < 3) peer.send(frame(T.rst, 0, id, uint32(E.refused)));
        else answer(peer, id);
      }),
    );
    expect(await call(channelTo(server))).toBe('ok');
    expect(refusals).toBe(4);
    expect(server.peers.length).toBe(1);
  });

  it('Ensure that who refuses for ever is given up on.', async () => {
    const server = await listen((peer) =>
      onRequest(peer, (id) => peer.send(frame(T.rst, 0, id, uint32(E.refused)))),
    );
    await expect(call(channelTo(server))).rejects.toMatchObject({status: GrpcStatus.unavailable});
  });

  it('Ensure that calls behind GOAWAY’s last stream go to a new connection, and the others end on the old one.', async () => {
    const server = await listen((peer, index) => {
      if (index > 0) return onRequest(peer, (id) => answer(peer, id, 'new'));
      onRequest(peer, (id) => {
        if (id !== 3) return;
        peer.send(goaway(1, E.none, 'bye'));
        setImmediate(() => answer(peer, 1, 'old'));
      });
      return undefined;
    });
    const channel = channelTo(server);
    const first = call(channel);
    await vi.waitFor(() => expect(channel.connected).toBe(true));
    expect(await Promise.all([first, call(channel)])).toEqual(['old', 'new']);
    await server.peers[0].closed();
  });
});

describe('calls that the server may have seen', () => {
  it('Ensure that a connection that ends is Unavailable and nothing is sent again.', async () => {
    const server = await listen((peer) => onRequest(peer, () => peer.socket.end()));
    await expect(call(channelTo(server))).rejects.toMatchObject({
      status: GrpcStatus.unavailable,
      message: 'error reading from server: EOF',
    });
    expect(server.peers.length).toBe(1);
  });

  it('Ensure that a server that sends us away for a reason is quoted.', async () => {
    const server = await listen((peer) =>
      onRequest(peer, (id) => {
        peer.send(goaway(id, E.calm, 'too_many_pings'));
        peer.socket.end();
      }),
    );
    await expect(call(channelTo(server))).rejects.toMatchObject({
      status: GrpcStatus.unavailable,
      message: expect.stringMatching(/EOF.*ENHANCE_YOUR_CALM.*too_many_pings/),
    });
  });

  // The protocol's table "HTTP2 error codes"; what it does not name is Internal, and a refused stream is sent again.
  it.each([
    [0x0, 'NO_ERROR', GrpcStatus.internal],
    [0x1, 'PROTOCOL_ERROR', GrpcStatus.internal],
    [0x2, 'INTERNAL_ERROR', GrpcStatus.internal],
    [0x3, 'FLOW_CONTROL_ERROR', GrpcStatus.internal],
    [0x4, 'SETTINGS_TIMEOUT', GrpcStatus.internal],
    [0x5, 'STREAM_CLOSED', GrpcStatus.internal],
    [0x6, 'FRAME_SIZE_ERROR', GrpcStatus.internal],
    [0x7, 'REFUSED_STREAM', GrpcStatus.unavailable],
    [0x8, 'CANCEL', GrpcStatus.cancelled],
    [0x9, 'COMPRESSION_ERROR', GrpcStatus.internal],
    [0xa, 'CONNECT_ERROR', GrpcStatus.internal],
    [0xb, 'ENHANCE_YOUR_CALM', GrpcStatus.resourceExhausted],
    [0xc, 'INADEQUATE_SECURITY', GrpcStatus.permissionDenied],
    [0xd, 'HTTP_1_1_REQUIRED', GrpcStatus.internal],
    [0xff, '0xff', GrpcStatus.internal],
  ])('Ensure that a stream reset with code %i, %s, has gRPC’s status for it.', async (code, name, status) => {
    let calls = 0;
    const server = await listen((peer) =>
      onRequest(peer, (id) => {
        calls++;
        peer.send(frame(T.rst, 0, id, uint32(code)));
      }),
    );
    await expect(call(channelTo(server))).rejects.toMatchObject({
      status,
      message: expect.stringMatching(name),
    });
    if (code === E.refused) expect(calls).toBeGreaterThan(1);
    else expect(calls).toBe(1);
  });

  // The protocol's page "HTTP to gRPC status code mapping".
  it.each([
    ['400', GrpcStatus.internal],
    ['401', GrpcStatus.unauthenticated],
    ['403', GrpcStatus.permissionDenied],
    ['404', GrpcStatus.unimplemented],
    ['429', GrpcStatus.unavailable],
    ['502', GrpcStatus.unavailable],
    ['503', GrpcStatus.unavailable],
    ['504', GrpcStatus.unavailable],
    ['204', GrpcStatus.unknown],
    ['302', GrpcStatus.unknown],
    ['405', GrpcStatus.unknown],
    ['418', GrpcStatus.unknown],
    ['500', GrpcStatus.unknown],
    ['501', GrpcStatus.unknown],
    ['505', GrpcStatus.unknown],
    ['toString', GrpcStatus.unknown],
  ])(
    'Ensure that HTTP status %s has gRPC’s status for it, unless the answer has its own.',
    async (http, status) => {
      const server = await listen((peer) =>
        onRequest(peer, (id) => {
          const fields: [string, string][] = [
            [':status', http],
            ['content-type', 'text/plain'],
          ];
          if (id === 1) peer.send(headersOf(id, fields, F.endStream));
          else if (id === 3)
            peer.send(headersOf(id, fields, 0), frame(T.data, F.endStream, id, Buffer.from('no')));
          else peer.send(headersOf(id, [...fields, ['grpc-status', '9']], F.endStream));
        }),
      );
      const channel = channelTo(server);
      const error = {status, message: `unexpected HTTP status code received from server: ${http}`};
      await expect(call(channel)).rejects.toMatchObject(error);
      await expect(call(channel)).rejects.toMatchObject(error);
      await expect(call(channel)).rejects.toMatchObject({status: GrpcStatus.failedPrecondition});
    },
  );

  it.each([
    ['an HTTP error', [[':status', '503']], GrpcStatus.unavailable, /503/],
    [
      'no gRPC content',
      [
        [':status', '200'],
        ['content-type', 'text/html'],
      ],
      GrpcStatus.unknown,
      /text\/html/,
    ],
    [
      'trailers alone',
      [...OK_HEADERS, ['grpc-status', '5'], ['grpc-message', 'a%20b']],
      GrpcStatus.notFound,
      /^a b$/,
    ],
    ['a status that is none', [...OK_HEADERS, ['grpc-status', '99']], GrpcStatus.unknown, /^$/],
    ['no status', OK_HEADERS, GrpcStatus.unknown, /without a status/],
    ['no message', [...OK_HEADERS, ['grpc-status', '0']], GrpcStatus.internal, /no message/],
    ['a malformed field', [...OK_HEADERS, ['Upper', '0']], GrpcStatus.internal, /malformed/],
  ] as const)('Ensure that %s in the answer is told as such.', async (_name, fields, status, text) => {
    const server = await listen((peer) =>
      onRequest(peer, (id) => peer.send(headersOf(id, fields as [string, string][], F.endStream))),
    );
    await expect(call(channelTo(server))).rejects.toMatchObject({
      status,
      message: expect.stringMatching(text),
    });
  });

  it('Ensure that an answer beyond the limit is refused with gRPC’s text, and the connection goes on.', async () => {
    const server = await listen((peer) =>
      onRequest(peer, (id) => answer(peer, id, id === 1 ? 'x'.repeat(101) : 'ok')),
    );
    const channel = channelTo(server, {maxReceiveBytes: 100});
    await expect(call(channel)).rejects.toMatchObject({
      status: GrpcStatus.resourceExhausted,
      message: 'grpc: received message larger than max (101 vs. 100)',
    });
    expect(await call(channel)).toBe('ok');
    expect(server.peers.length).toBe(1);
  });

  it('Ensure that an informational answer is waited past.', async () => {
    const server = await listen((peer) =>
      onRequest(peer, (id) => {
        peer.send(headersOf(id, [[':status', '103']], 0));
        answer(peer, id);
      }),
    );
    expect(await call(channelTo(server))).toBe('ok');
  });

  it('Ensure that an answer that ends within a message, or without trailers, is an error.', async () => {
    const server = await listen((peer) =>
      onRequest(peer, (id) => {
        peer.send(headersOf(id, OK_HEADERS, 0));
        if (id === 1)
          peer.send(
            frame(T.data, 0, id, message('cut').subarray(0, 6)),
            headersOf(id, [['grpc-status', '0']], F.endStream),
          );
        else peer.send(frame(T.data, F.endStream, id, message('no trailers')));
      }),
    );
    const channel = channelTo(server);
    await expect(call(channel)).rejects.toMatchObject({message: 'the response ended within a message'});
    await expect(call(channel)).rejects.toMatchObject({
      message: expect.stringMatching(/without sending trailers/),
    });
  });
});

describe('the client’s end of the protocol', () => {
  it('Ensure that no more streams are opened than the server takes, and none is forgotten.', async () => {
    let open = 0;
    let most = 0;
    const server = await listen(
      (peer) => {
        onRequest(peer, (id) => {
          most = Math.max(most, ++open);
          setImmediate(() => {
            open--;
            answer(peer, id, `${id}`);
          });
        });
      },
      settings([3, 2]),
    );
    const channel = channelTo(server);
    await call(channel);
    const answers = await Promise.all(Array.from({length: 20}, () => call(channel)));
    expect(new Set(answers).size).toBe(20);
    expect(most).toBe(2);
  });

  it('Ensure that a call that waits for a stream keeps its deadline.', async () => {
    const server = await listen(
      (peer) => onRequest(peer, (id) => id === 1 && answer(peer, id)),
      settings([3, 1]),
    );
    const channel = channelTo(server);
    await call(channel);
    const blocking = call(channel).catch(() => undefined);
    await expect(call(channel, {timeoutMs: 50})).rejects.toMatchObject({status: GrpcStatus.deadlineExceeded});
    channel.close();
    await blocking;
  });

  it.each([
    [
      'PUSH_PROMISE',
      frame(T.push, F.endHeaders, 1, Buffer.concat([uint32(2), block([[':method', 'GET']])])),
      E.protocol,
    ],
    ['DATA on an idle stream', frame(T.data, 0, 99, message('x')), E.protocol],
    ['ENABLE_PUSH of 1', settings([2, 1]), E.protocol],
    ['a frame that is too large', frame(T.data, 0, 1, Buffer.alloc(20_000)), E.frameSize],
    [
      'garbage for HPACK',
      frame(T.headers, F.endHeaders, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
      E.compression,
    ],
  ])(
    'Ensure that %s from a server ends the connection, and the next call dials again.',
    async (_name, bad, code) => {
      const server = await listen((peer, index) =>
        onRequest(peer, (id) => {
          if (index === 0) peer.send(bad);
          else answer(peer, id);
        }),
      );
      const channel = channelTo(server);
      await expect(call(channel)).rejects.toMatchObject({status: GrpcStatus.unavailable});
      expect((await server.peers[0].goaway()).code).toBe(code);
      expect(await call(channel)).toBe('ok');
    },
  );

  it('Ensure that a server that no longer answers is noticed by keep-alive.', async () => {
    const server = await listen(() => undefined);
    const channel = channelTo(server, {keepAliveTimeMs: 50, keepAliveTimeoutMs: 50});
    await expect(call(channel)).rejects.toMatchObject({
      status: GrpcStatus.unavailable,
      message: expect.stringMatching(/keepalive/),
    });
  });

  it('Ensure that a deadline is told to the server, and cancelling resets the stream.', async () => {
    const server = await listen(() => undefined);
    const channel = channelTo(server);
    const abort = new AbortController();
    const failed = expect(
      call(channel, {timeoutMs: 60_000, signal: abort.signal, metadata: {token: 't', 'x-bin': '\0'}}),
    ).rejects.toMatchObject({status: GrpcStatus.cancelled});
    await vi.waitFor(() => expect(server.peers[0]?.headers.get(1)).toBeDefined());
    const [peer] = server.peers;
    const [request] = peer.headers.get(1)!;
    expect(request.get('grpc-timeout')).toMatch(/^\d{1,8}u$/);
    expect(request.get(':authority')).toBe(`127.0.0.1:${server.port}`);
    expect(request.get('te')).toBe('trailers');
    expect(request.get('token')).toBe('t');
    expect(request.get('x-bin')).toBe('AA');
    abort.abort();
    expect(await peer.reset(1)).toBe(E.cancel);
    await failed;
  });

  it('Ensure that a stream nobody reads stops its server, and goes on when somebody does.', async () => {
    let sent = 0;
    let window = 65_535;
    const server = await listen((peer) => {
      let isOpen = false;
      const push = (): void => {
        for (const one of peer.frames.splice(0)) {
          if (one.type === T.headers) isOpen = true;
          if (one.type === T.settings && one.flags === 0) window = one.payload.readUInt32BE(8);
          if (one.type === T.window && one.id === 1) window += one.payload.readUInt32BE(0);
          if (one.type === T.ping) peer.send(frame(T.ping, F.ack, 0, one.payload));
        }
        if (!isOpen) return;
        if (sent === 0) peer.send(headersOf(1, OK_HEADERS, 0));
        while (window >= 16_384 && sent < 10_000_000) {
          peer.send(frame(T.data, 0, 1, message(Buffer.alloc(16_379))));
          window -= 16_384;
          sent += 16_384;
        }
        if (sent >= 10_000_000) peer.send(headersOf(1, [['grpc-status', '0']], F.endStream));
      };
      peer.socket.on('data', push);
    });
    const channel = channelTo(server);
    const stream = channel.stream('/a.B/C', {});
    stream.end();
    await vi.waitFor(() => expect(sent).toBeGreaterThan(1_000_000));
    // Time enough for windows that should not come.
    for (let turn = 0; turn < 300; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(sent).toBeLessThan(4_000_000);
    let received = 0;
    for await (const one of stream.responses) received += one.length;
    expect(received).toBe(611 * 16_379);
  });

  it('Ensure that every sender that waits for the window hears when it opens, and when the call ends.', async () => {
    const server = await listen(() => undefined, settings([4, 0]));
    const channel = channelTo(server);
    await channel.connect({});
    await vi.waitFor(() => expect(server.peers[0].frames.some(({type}) => type === T.settings)).toBe(true));
    const stream = channel.stream('/a.B/C', {});
    await server.peers[0].until(() => server.peers[0].headers.get(1));
    const senders = Promise.all(['a', 'b', 'c'].map((text) => stream.send(Buffer.from(text))));
    server.peers[0].send(frame(T.window, 0, 1, uint32(18)));
    await senders;
    await server.peers[0].until(() => (server.peers[0].body(1).length === 18 ? true : undefined));
    const late = Promise.all(['d', 'e'].map((text) => stream.send(Buffer.from(text))));
    stream.cancel();
    await late;
  });

  it('Ensure that closing the channel ends its calls and it dials no more.', async () => {
    const server = await listen(() => undefined);
    const channel = channelTo(server);
    const running = expect(call(channel)).rejects.toMatchObject({status: GrpcStatus.cancelled});
    await vi.waitFor(() => expect(channel.connected).toBe(true));
    channel.close();
    await running;
    await expect(call(channel)).rejects.toMatchObject({status: GrpcStatus.cancelled});
    expect((await server.peers[0].goaway()).code).toBe(E.none);
  });
});
