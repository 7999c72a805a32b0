/**
 * RFC 9113 section by section: what a client can do wrong, and what the server must do about it. Each row is one
 * sentence of the RFC: the frames that break it, and the error it names. After a stream error the connection must go
 * on; after a connection error a neighbour's connection must.
 */

import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {type Served, serve} from './echo-service.ts';
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

interface Row {
  readonly section: string;
  readonly rule: string;
  readonly send: readonly Uint8Array[];
  /** The frames replace the preface too. */
  readonly raw?: boolean;
  /** Error codes that the RFC allows here. */
  readonly connectionError?: readonly number[];
  readonly streamError?: readonly number[];
  /** The stream of the error; 1 by default. */
  readonly stream?: number;
}

const headers = (
  fields: readonly (readonly [string, string])[],
  flags: number = F.endHeaders | F.endStream,
) => frame(T.headers, flags, 1, block(fields));
const without = (name: string) => requestFields('/test.Echo/Unary').filter(([known]) => known !== name);
const withField = (...fields: [string, string][]) => [...requestFields('/test.Echo/Unary'), ...fields];
const half = openStream(1);
const ended = openStream(1, '/test.Echo/Watch', F.endHeaders | F.endStream);

const ROWS: readonly Row[] = [
  // ---- 3.4 the preface
  {
    section: '3.4',
    rule: 'a wrong preface',
    raw: true,
    send: [Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n')],
    connectionError: [E.protocol],
  },
  {
    section: '3.4',
    rule: 'the preface is followed by SETTINGS',
    raw: true,
    send: [PREFACE, frame(T.ping, 0, 0, Buffer.alloc(8))],
    connectionError: [E.protocol],
  },
  {
    section: '3.4',
    rule: 'the preface is not followed by an ACK',
    raw: true,
    send: [PREFACE, frame(T.settings, F.ack, 0)],
    connectionError: [E.protocol],
  },
  // ---- 4.1, 4.2 frames
  {
    section: '4.2',
    rule: 'DATA beyond SETTINGS_MAX_FRAME_SIZE',
    send: [half, frame(T.data, 0, 1, Buffer.alloc(16_385))],
    connectionError: [E.frameSize],
  },
  {
    section: '4.2',
    rule: 'HEADERS beyond SETTINGS_MAX_FRAME_SIZE',
    send: [frame(T.headers, F.endHeaders, 1, Buffer.alloc(16_385))],
    connectionError: [E.frameSize],
  },
  {
    section: '4.2',
    rule: 'an unknown frame beyond SETTINGS_MAX_FRAME_SIZE',
    send: [frame(0x77, 0, 1, Buffer.alloc(16_385))],
    connectionError: [E.frameSize],
  },
  // ---- 4.3 header blocks
  {
    section: '4.3',
    rule: 'a block that does not decode: index 0',
    send: [frame(T.headers, 5, 1, Buffer.from([0x80]))],
    connectionError: [E.compression],
  },
  {
    section: '4.3',
    rule: 'a block that does not decode: an index beyond the tables',
    send: [frame(T.headers, 5, 1, Buffer.from([0xff, 0x7f]))],
    connectionError: [E.compression],
  },
  {
    section: '4.3',
    rule: 'a block that ends within a string',
    send: [frame(T.headers, 5, 1, Buffer.from([0x00, 0x05, 0x61]))],
    connectionError: [E.compression],
  },
  {
    section: '4.3',
    rule: 'a block that does not decode, in trailers',
    send: [half, frame(T.headers, 5, 1, Buffer.from([0x80]))],
    connectionError: [E.compression],
  },
  {
    section: '4.3',
    rule: 'HEADERS without END_HEADERS is followed by its CONTINUATION',
    send: [frame(T.headers, 0, 1, block(requestFields('/a'))), frame(T.ping, 0, 0, Buffer.alloc(8))],
    connectionError: [E.protocol],
  },
  {
    section: '4.3',
    rule: '... not by one of another stream',
    send: [frame(T.headers, 0, 1, block(requestFields('/a'))), frame(T.continuation, F.endHeaders, 3)],
    connectionError: [E.protocol],
  },
  {
    section: '4.3',
    rule: '... not by DATA',
    send: [frame(T.headers, 0, 1, block(requestFields('/a'))), frame(T.data, 0, 1, message('x'))],
    connectionError: [E.protocol],
  },
  {
    section: '4.3',
    rule: '... not by an unknown frame',
    send: [frame(T.headers, 0, 1, block(requestFields('/a'))), frame(0x77, 0, 1)],
    connectionError: [E.protocol],
  },
  // ---- 5.1 states
  {
    section: '5.1',
    rule: 'idle: DATA',
    send: [frame(T.data, 0, 1, message('x'))],
    connectionError: [E.protocol],
  },
  {
    section: '5.1',
    rule: 'idle: RST_STREAM',
    send: [frame(T.rst, 0, 1, uint32(8))],
    connectionError: [E.protocol],
  },
  {
    section: '5.1',
    rule: 'idle: WINDOW_UPDATE',
    send: [frame(T.window, 0, 1, uint32(8))],
    connectionError: [E.protocol],
  },
  {
    section: '5.1',
    rule: 'idle: CONTINUATION',
    send: [frame(T.continuation, F.endHeaders, 1, block(requestFields('/a')))],
    connectionError: [E.protocol],
  },
  {
    section: '5.1',
    rule: 'half-closed (remote): DATA',
    send: [ended, frame(T.data, 0, 1, message('x'))],
    streamError: [E.streamClosed],
  },
  {
    section: '5.1',
    rule: 'half-closed (remote): HEADERS',
    send: [ended, openStream(1, '/test.Echo/Watch', F.endHeaders | F.endStream)],
    streamError: [E.streamClosed],
  },
  {
    section: '5.1',
    rule: 'closed after RST_STREAM: DATA',
    send: [half, frame(T.rst, 0, 1, uint32(8)), frame(T.data, 0, 1, message('x'))],
    connectionError: [E.streamClosed],
  },
  {
    section: '5.1',
    rule: 'closed after RST_STREAM: HEADERS',
    send: [half, frame(T.rst, 0, 1, uint32(8)), ended],
    connectionError: [E.streamClosed],
  },
  {
    section: '5.1',
    rule: 'a higher stream was opened: DATA on a lower one that never was',
    send: [openStream(5), frame(T.data, 0, 3, message('x'))],
    connectionError: [E.protocol, E.streamClosed],
  },
  {
    section: '5.1.1',
    rule: 'a client opens an even stream',
    send: [openStream(2)],
    connectionError: [E.protocol],
  },
  {
    section: '5.1.1',
    rule: 'a stream id that is lower than an earlier one',
    send: [openStream(5), openStream(3)],
    connectionError: [E.protocol, E.streamClosed],
  },
  // ---- 5.2 flow control
  {
    section: '5.2.1',
    rule: 'DATA beyond the stream window, which is shut since nobody reads',
    send: [half, ...Array.from({length: 200}, () => frame(T.data, 0, 1, message(Buffer.alloc(16_000))))],
    streamError: [E.flowControl],
  },
  // ---- 6.1 DATA
  {
    section: '6.1',
    rule: 'DATA on stream 0',
    send: [frame(T.data, 0, 0, message('x'))],
    connectionError: [E.protocol],
  },
  {
    section: '6.1',
    rule: 'more padding than payload',
    send: [half, frame(T.data, F.padded, 1, Buffer.from([5, 1, 2]))],
    connectionError: [E.protocol],
  },
  {
    section: '6.1',
    rule: 'PADDED without a length',
    send: [half, frame(T.data, F.padded, 1)],
    connectionError: [E.frameSize, E.protocol],
  },
  // ---- 6.2 HEADERS
  {
    section: '6.2',
    rule: 'HEADERS on stream 0',
    send: [frame(T.headers, 5, 0, block(requestFields('/a')))],
    connectionError: [E.protocol],
  },
  {
    section: '6.2',
    rule: 'more padding than payload',
    send: [frame(T.headers, 5 | F.padded, 1, Buffer.from([200, 0x83]))],
    connectionError: [E.protocol],
  },
  {
    section: '6.2',
    rule: 'PADDED without a length',
    send: [frame(T.headers, 5 | F.padded, 1)],
    connectionError: [E.frameSize, E.protocol],
  },
  {
    section: '6.2',
    rule: 'PRIORITY without its five bytes',
    send: [frame(T.headers, 5 | F.priority, 1, Buffer.from([0, 0]))],
    connectionError: [E.frameSize, E.protocol],
  },
  // ---- 6.3 PRIORITY
  {
    section: '6.3',
    rule: 'PRIORITY on stream 0',
    send: [frame(T.priority, 0, 0, Buffer.alloc(5))],
    connectionError: [E.protocol],
  },
  {
    section: '6.3',
    rule: 'PRIORITY of another length than five',
    send: [half, frame(T.priority, 0, 1, Buffer.alloc(4))],
    streamError: [E.frameSize],
  },
  // ---- 6.4 RST_STREAM
  {
    section: '6.4',
    rule: 'RST_STREAM on stream 0',
    send: [frame(T.rst, 0, 0, uint32(8))],
    connectionError: [E.protocol],
  },
  {
    section: '6.4',
    rule: 'RST_STREAM of another length than four',
    send: [half, frame(T.rst, 0, 1, Buffer.alloc(3))],
    connectionError: [E.frameSize],
  },
  // ---- 6.5 SETTINGS
  {
    section: '6.5',
    rule: 'SETTINGS on a stream',
    send: [frame(T.settings, 0, 1)],
    connectionError: [E.protocol],
  },
  {
    section: '6.5',
    rule: 'SETTINGS ACK with a payload',
    send: [frame(T.settings, F.ack, 0, Buffer.alloc(6))],
    connectionError: [E.frameSize],
  },
  {
    section: '6.5',
    rule: 'SETTINGS that is no multiple of six bytes',
    send: [frame(T.settings, 0, 0, Buffer.alloc(7))],
    connectionError: [E.frameSize],
  },
  {section: '6.5.2', rule: 'ENABLE_PUSH of 2', send: [settings([2, 2])], connectionError: [E.protocol]},
  {
    section: '6.5.2',
    rule: 'INITIAL_WINDOW_SIZE beyond 2^31-1',
    send: [settings([4, 2 ** 31])],
    connectionError: [E.flowControl],
  },
  {
    section: '6.5.2',
    rule: 'MAX_FRAME_SIZE below 2^14',
    send: [settings([5, 16_383])],
    connectionError: [E.protocol],
  },
  {
    section: '6.5.2',
    rule: 'MAX_FRAME_SIZE beyond 2^24-1',
    send: [settings([5, 2 ** 24])],
    connectionError: [E.protocol],
  },
  // ---- 6.6 PUSH_PROMISE
  {
    section: '6.6',
    rule: 'a client sends PUSH_PROMISE',
    send: [half, frame(T.push, F.endHeaders, 1, uint32(2))],
    connectionError: [E.protocol],
  },
  // ---- 6.7 PING
  {
    section: '6.7',
    rule: 'PING on a stream',
    send: [frame(T.ping, 0, 1, Buffer.alloc(8))],
    connectionError: [E.protocol],
  },
  {
    section: '6.7',
    rule: 'PING of another length than eight',
    send: [frame(T.ping, 0, 0, Buffer.alloc(6))],
    connectionError: [E.frameSize],
  },
  // ---- 6.8 GOAWAY
  {
    section: '6.8',
    rule: 'GOAWAY on a stream',
    send: [frame(T.goaway, 0, 1, Buffer.alloc(8))],
    connectionError: [E.protocol],
  },
  {
    section: '6.8',
    rule: 'GOAWAY shorter than eight bytes',
    send: [frame(T.goaway, 0, 0, Buffer.alloc(7))],
    connectionError: [E.frameSize],
  },
  // ---- 6.9 WINDOW_UPDATE
  {
    section: '6.9',
    rule: 'an increment of 0 on the connection',
    send: [frame(T.window, 0, 0, uint32(0))],
    connectionError: [E.protocol],
  },
  {
    section: '6.9',
    rule: 'an increment of 0 on a stream',
    send: [half, frame(T.window, 0, 1, uint32(0))],
    streamError: [E.protocol],
  },
  {
    section: '6.9',
    rule: 'WINDOW_UPDATE of another length than four',
    send: [frame(T.window, 0, 0, Buffer.alloc(3))],
    connectionError: [E.frameSize],
  },
  {
    section: '6.9.1',
    rule: 'the connection window beyond 2^31-1',
    send: [frame(T.window, 0, 0, uint32(2 ** 31 - 1))],
    connectionError: [E.flowControl],
  },
  {
    section: '6.9.1',
    rule: 'a stream window beyond 2^31-1',
    send: [half, frame(T.window, 0, 1, uint32(2 ** 31 - 1))],
    streamError: [E.flowControl],
  },
  {
    section: '6.9.2',
    rule: 'INITIAL_WINDOW_SIZE that lifts a stream window beyond 2^31-1',
    send: [half, frame(T.window, 0, 1, uint32(2 ** 31 - 1 - 65_535)), settings([4, 65_536])],
    connectionError: [E.flowControl],
  },
  // ---- 6.10 CONTINUATION
  {
    section: '6.10',
    rule: 'CONTINUATION on stream 0',
    send: [frame(T.continuation, F.endHeaders, 0)],
    connectionError: [E.protocol],
  },
  {
    section: '6.10',
    rule: 'CONTINUATION behind HEADERS with END_HEADERS',
    send: [half, frame(T.continuation, F.endHeaders, 1)],
    connectionError: [E.protocol],
  },
  {
    section: '6.10',
    rule: 'CONTINUATION behind the one with END_HEADERS',
    send: [
      frame(T.headers, 0, 1, block(requestFields('/test.Echo/Watch'))),
      frame(T.continuation, F.endHeaders, 1),
      frame(T.continuation, F.endHeaders, 1),
    ],
    connectionError: [E.protocol],
  },
  // ---- 8.1 messages
  {
    section: '8.1',
    rule: 'trailers that do not end the stream',
    send: [half, frame(T.headers, F.endHeaders, 1, block([['x', 'y']]))],
    streamError: [E.protocol],
  },
  {
    section: '8.1.1',
    rule: 'content-length that is not the length',
    send: [
      headers(withField(['content-length', '100']), F.endHeaders),
      frame(T.data, F.endStream, 1, message('short')),
    ],
    streamError: [E.protocol],
  },
  {
    section: '8.1.1',
    rule: 'two content-length that differ',
    send: [headers(withField(['content-length', '7'], ['content-length', '8']), F.endHeaders)],
    streamError: [E.protocol],
  },
  {
    section: '8.1.1',
    rule: 'content-length of a request without content',
    send: [headers(withField(['content-length', '1']))],
    streamError: [E.protocol],
  },
  {
    section: '8.1.1',
    rule: 'content-length that is not the length, in a request that is no call',
    send: [
      headers([...without('content-type'), ['content-length', '9']], F.endHeaders),
      frame(T.data, F.endStream, 1, Buffer.from('short')),
    ],
    streamError: [E.protocol],
  },
  // ---- 8.2 fields
  {
    section: '8.2',
    rule: 'upper case in a name',
    send: [headers(withField(['X-Name', 'v']))],
    streamError: [E.protocol],
  },
  {
    section: '8.2.1',
    rule: 'a space in a name',
    send: [headers(withField(['x name', 'v']))],
    streamError: [E.protocol],
  },
  {
    section: '8.2.1',
    rule: 'a DEL or byte beyond ASCII in a name',
    send: [headers(withField(['x\x7f\xe4', 'v']))],
    streamError: [E.protocol],
  },
  {
    section: '8.2.1',
    rule: 'a colon within a name',
    send: [headers(withField(['x:y', 'v']))],
    streamError: [E.protocol],
  },
  {section: '8.2.1', rule: 'an empty name', send: [headers(withField(['', 'v']))], streamError: [E.protocol]},
  {
    section: '8.2.1',
    rule: 'NUL in a value',
    send: [headers(withField(['x', 'a\0b']))],
    streamError: [E.protocol],
  },
  {
    section: '8.2.1',
    rule: 'LF in a value',
    send: [headers(withField(['x', 'a\nb']))],
    streamError: [E.protocol],
  },
  {
    section: '8.2.1',
    rule: 'CR in a value',
    send: [headers(withField(['x', 'a\rb']))],
    streamError: [E.protocol],
  },
  {
    section: '8.2.1',
    rule: 'a blank in front of a value',
    send: [headers(withField(['x', ' a']))],
    streamError: [E.protocol],
  },
  {
    section: '8.2.1',
    rule: 'a blank behind a value',
    send: [headers(withField(['x', 'a\t']))],
    streamError: [E.protocol],
  },
  {
    section: '8.2.2',
    rule: 'connection',
    send: [headers(withField(['connection', 'close']))],
    streamError: [E.protocol],
  },
  {
    section: '8.2.2',
    rule: 'keep-alive',
    send: [headers(withField(['keep-alive', 'x']))],
    streamError: [E.protocol],
  },
  {
    section: '8.2.2',
    rule: 'proxy-connection',
    send: [headers(withField(['proxy-connection', 'x']))],
    streamError: [E.protocol],
  },
  {
    section: '8.2.2',
    rule: 'transfer-encoding',
    send: [headers(withField(['transfer-encoding', 'chunked']))],
    streamError: [E.protocol],
  },
  {
    section: '8.2.2',
    rule: 'upgrade',
    send: [headers(withField(['upgrade', 'h2c']))],
    streamError: [E.protocol],
  },
  {
    section: '8.2.2',
    rule: 'te other than trailers',
    send: [headers([...without('te'), ['te', 'gzip']])],
    streamError: [E.protocol],
  },
  {
    section: '8.2.2',
    rule: 'a field of HTTP/1.1 connections in trailers',
    send: [half, headers([['connection', 'close']])],
    streamError: [E.protocol],
  },
  // ---- 8.3 pseudo fields
  {
    section: '8.3',
    rule: 'an unknown pseudo field',
    send: [headers([[':test', 'x'], ...requestFields('/a')])],
    streamError: [E.protocol],
  },
  {
    section: '8.3',
    rule: 'a pseudo field of responses',
    send: [headers([[':status', '200'], ...requestFields('/a')])],
    streamError: [E.protocol],
  },
  {
    section: '8.3',
    rule: 'a pseudo field in trailers',
    send: [half, headers([[':method', 'POST']])],
    streamError: [E.protocol],
  },
  {
    section: '8.3',
    rule: 'a pseudo field behind a regular one',
    send: [headers([['x', 'y'], ...requestFields('/a')])],
    streamError: [E.protocol],
  },
  {section: '8.3.1', rule: 'no :method', send: [headers(without(':method'))], streamError: [E.protocol]},
  {section: '8.3.1', rule: 'no :scheme', send: [headers(without(':scheme'))], streamError: [E.protocol]},
  {section: '8.3.1', rule: 'no :path', send: [headers(without(':path'))], streamError: [E.protocol]},
  {
    section: '8.3.1',
    rule: 'an empty :path',
    send: [headers([...without(':path').slice(0, 2), [':path', ''], ...without(':path').slice(2)])],
    streamError: [E.protocol],
  },
  {
    section: '8.3.1',
    rule: 'two :method',
    send: [headers([[':method', 'POST'], ...requestFields('/a')])],
    streamError: [E.protocol],
  },
  {
    section: '8.3.1',
    rule: 'two :path',
    send: [headers([[':path', '/b'], ...requestFields('/a')])],
    streamError: [E.protocol],
  },
  {
    section: '8.3.1',
    rule: 'two :scheme',
    send: [headers([[':scheme', 'http'], ...requestFields('/a')])],
    streamError: [E.protocol],
  },
  {
    section: '8.5',
    rule: 'CONNECT with :scheme and :path',
    send: [headers(requestFields('/a').map(([n, v]) => [n, n === ':method' ? 'CONNECT' : v] as const))],
    streamError: [E.protocol],
  },
  {
    section: '8.5',
    rule: 'CONNECT without :authority',
    send: [headers([[':method', 'CONNECT']])],
    streamError: [E.protocol],
  },
];

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

async function expectAlive(peer: RawPeer, id: number): Promise<void> {
  peer.send(unaryCall(id, 'alive'));
  expect((await peer.trailers(id)).get('grpc-status')).toBe('0');
  expect(peer.body(id).subarray(5).toString()).toBe('alive');
}

describe('RFC 9113', () => {
  it.each(ROWS.map((row) => [`${row.section} ${row.rule}`, row] as const))(
    'Ensure that the server minds section %s.',
    async (_name, row) => {
      const peer = await RawPeer.connect(served.port, row.raw !== true);
      peer.send(...row.send);
      if (row.connectionError !== undefined) {
        expect(row.connectionError).toContain((await peer.goaway()).code);
        await peer.closed();
      } else {
        expect(row.streamError).toContain(await peer.reset(row.stream ?? 1));
        await expectAlive(peer, 101);
      }
      peer.close();
      await expectAlive(neighbour, neighbourStream);
      neighbourStream += 2;
    },
  );

  it.each([
    ['a frame of unknown type is ignored (5.5)', [frame(0x77, 0xff, 0, Buffer.alloc(20))]],
    [
      'an unknown setting is ignored (6.5.2)',
      [settings([0x99, 7], [1, 100], [3, 0], [4, 100_000], [5, 20_000], [6, 9])],
    ],
    [
      'flags without meaning are ignored (4.1)',
      [frame(T.ping, 0xfe, 0, Buffer.alloc(8)), frame(T.settings, 0xfe, 0)],
    ],
    [
      'the reserved bit of a stream id is ignored (4.1)',
      [frame(T.window, 0, 0x80000000, uint32(0x80000001))],
    ],
    ['PRIORITY on an idle stream is fine (5.3)', [frame(T.priority, 0, 7, Buffer.alloc(5))]],
    [
      'PRIORITY that depends on itself is ignored (5.3)',
      [frame(T.priority, 0, 9, Buffer.from([0, 0, 0, 9, 1]))],
    ],
    ['GOAWAY of the client lets calls go on (6.8)', [frame(T.goaway, 0, 0, Buffer.alloc(8))]],
    [
      'RST_STREAM and WINDOW_UPDATE on a closed stream are ignored (5.1)',
      [unaryCall(1), frame(T.rst, 0, 1, uint32(8)), frame(T.window, 0, 1, uint32(8))],
    ],
    [
      'error codes that nobody knows mean nothing special (7)',
      [
        half,
        frame(T.rst, 0, 1, uint32(0x12345)),
        frame(T.goaway, 0, 0, Buffer.concat([uint32(0), uint32(0x6789a)])),
      ],
    ],
    ['a SETTINGS ACK more is ignored (6.5.3)', [frame(T.settings, F.ack, 0)]],
    [
      'CONTINUATION may come in pieces, empty ones too (6.10)',
      [
        frame(T.headers, F.endStream, 1, block(requestFields('/test.Echo/Unary')).subarray(0, 10)),
        frame(T.continuation, 0, 1),
        frame(T.continuation, 0, 1, block(requestFields('/test.Echo/Unary')).subarray(10, 20)),
        frame(T.continuation, F.endHeaders, 1, block(requestFields('/test.Echo/Unary')).subarray(20)),
      ],
    ],
    [
      'padding and priority of HEADERS are taken off (6.2)',
      [
        frame(
          T.headers,
          5 | F.padded | F.priority,
          1,
          Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 9]), block(requestFields('/a')), Buffer.alloc(3)]),
        ),
      ],
    ],
    [
      'trailers of a request end it (8.1)',
      [openStream(1, '/test.Echo/Bidi'), frame(T.headers, 5, 1, block([['x', 'y']]))],
    ],
    [
      'any :authority is good, none too',
      [
        frame(
          T.headers,
          5,
          1,
          block(
            requestFields('/a').map(([n, v]): [string, string] => [
              n,
              n === ':authority' ? '#initially=[http://a b]/%' : v,
            ]),
          ),
        ),
      ],
    ],
    [
      'frames of a stream that the server has reset are ignored (5.1)',
      [
        frame(T.headers, F.endHeaders, 1, block(requestFields('/no.Such/Method'))),
        frame(T.data, 0, 1, message('x')),
        frame(T.headers, 5, 1, block([['x', 'y']])),
      ],
    ],
  ] as const)('Ensure that %s.', async (_name, send) => {
    const peer = await RawPeer.connect(served.port);
    peer.send(...send);
    await expectAlive(peer, 101);
    peer.close();
  });

  it('Ensure that padding of DATA is taken off and given back to the window (6.1).', async () => {
    const peer = await RawPeer.connect(served.port);
    peer.send(openStream(1, '/test.Echo/Unary'));
    const content = message('x'.repeat(1000));
    // 6000 frames with 255 bytes of padding: more than the stream's window in padding alone.
    for (let at = 0; at < 6000; at++) {
      const piece = content.subarray(at, Math.min(at + 1, content.length));
      const payload = Buffer.concat([Buffer.from([255]), piece, Buffer.alloc(255)]);
      peer.send(frame(T.data, F.padded | (at === 5999 ? F.endStream : 0), 1, payload));
    }
    expect((await peer.trailers(1)).get('grpc-status')).toBe('0');
    expect(peer.body(1).equals(content)).toBe(true);
    peer.close();
  });

  it('Ensure that the server speaks first: SETTINGS, then an ACK of ours (3.4, 6.5.3).', async () => {
    const peer = await RawPeer.connect(served.port);
    await peer.until(() => peer.frames.find(({type, flags}) => type === T.settings && flags === F.ack));
    expect(peer.frames[0].type).toBe(T.settings);
    const payload = peer.frames[0].payload;
    const told = new Map<number, number>();
    for (let at = 0; at < payload.length; at += 6)
      told.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    expect(told.get(3)).toBe(1_000_000);
    expect(told.get(4)).toBeGreaterThanOrEqual(2 ** 20);
    peer.close();
  });

  it('Ensure that a stream that both sides have ended takes no more (5.1).', async () => {
    for (const late of [frame(T.data, 0, 1, message('x')), unaryCall(1)]) {
      const peer = await RawPeer.connect(served.port);
      peer.send(unaryCall(1));
      await peer.trailers(1);
      peer.send(late);
      expect((await peer.goaway()).code).toBe(E.streamClosed);
      await peer.closed();
    }
  });

  it('Ensure that RST_STREAM and the ACK of a PING are never answered (5.4.2, 6.7).', async () => {
    const peer = await RawPeer.connect(served.port);
    peer.send(half, frame(T.rst, 0, 1, uint32(E.cancel)), frame(T.ping, F.ack, 0, Buffer.alloc(8, 'n')));
    await expectAlive(peer, 3);
    expect(peer.frames.filter(({type}) => type === T.rst || type === T.ping)).toEqual([]);
    peer.close();
  });

  it('Ensure that DATA which nobody wants counts for the connection window, and is given back (6.9).', async () => {
    const peer = await RawPeer.connect(served.port);
    peer.send(openStream(1, '/no.Such/Method'));
    expect(await peer.reset(1)).toBe(E.none);
    for (let i = 0; i < 300; i++) peer.send(frame(T.data, 0, 1, Buffer.alloc(16_000)));
    await expectAlive(peer, 3);
    const given = peer.frames.filter(({type, id}) => type === T.window && id === 0).slice(1);
    const bytes = given.reduce((sum, {payload}) => sum + payload.readUInt32BE(0), 0);
    expect(bytes).toBeGreaterThan(2_000_000);
    peer.close();
  });

  it('Ensure that settings are taken in their order, the last of one kind counts (6.5.3).', async () => {
    const peer = await RawPeer.connect(served.port, false);
    peer.send(PREFACE, settings([4, 100_000], [4, 3]), unaryCall(1, 'abc'));
    await peer.until(() => (peer.body(1).length > 0 ? true : undefined));
    await peer.sync();
    expect(peer.body(1).length).toBe(3);
    peer.close();
  });

  it('Ensure that CONNECT is refused in order (8.5).', async () => {
    const peer = await RawPeer.connect(served.port);
    const connect = block([
      [':method', 'CONNECT'],
      [':authority', 'elsewhere:1'],
    ]);
    peer.send(frame(T.headers, F.endHeaders | F.endStream, 1, connect));
    expect((await peer.trailers(1)).get(':status')).toBe('405');
    await expectAlive(peer, 3);
    peer.close();
  });

  it('Ensure that PING is answered with its own payload (6.7).', async () => {
    const peer = await RawPeer.connect(served.port);
    peer.send(frame(T.ping, 0, 0, Buffer.from('12345678')));
    const answer = await peer.until(() => peer.frames.find(({type}) => type === T.ping));
    expect(answer).toMatchObject({flags: F.ack, id: 0});
    expect(answer.payload.toString()).toBe('12345678');
    peer.close();
  });

  it('Ensure that the peer’s windows are kept to, and change with SETTINGS, below zero too (6.9.2).', async () => {
    const peer = await RawPeer.connect(served.port, false);
    peer.send(PREFACE, settings([4, 10]), unaryCall(1, 'a'.repeat(95)));
    await peer.until(() => (peer.body(1).length === 10 ? true : undefined));
    await peer.sync();
    expect(peer.body(1).length).toBe(10);
    peer.send(settings([4, 3]));
    peer.send(frame(T.window, 0, 1, uint32(6)));
    await peer.sync();
    expect(peer.body(1).length).toBe(10);
    peer.send(frame(T.window, 0, 1, uint32(2)));
    await peer.until(() => (peer.body(1).length === 11 ? true : undefined));
    peer.send(settings([4, 1000]));
    expect((await peer.trailers(1)).get('grpc-status')).toBe('0');
    expect(peer.body(1).length).toBe(100);
    peer.close();
  });

  it('Ensure that the connection window is kept to over all streams (5.2).', async () => {
    const peer = await RawPeer.connect(served.port, false);
    peer.send(PREFACE, settings([4, 1_000_000]));
    for (let id = 1; id <= 19; id += 2) peer.send(unaryCall(id, '20000', '/test.Echo/Large'));
    const total = (): number => [...peer.data.values()].flat().reduce((sum, {length}) => sum + length, 0);
    await peer.until(() => (total() === 65_535 ? true : undefined));
    await peer.sync();
    expect(total()).toBe(65_535);
    peer.send(frame(T.window, 0, 0, uint32(1_000_000)));
    for (let id = 1; id <= 19; id += 2) await peer.trailers(id);
    expect(total()).toBe(10 * 20_005);
    peer.close();
  });

  it('Ensure that no frame is larger than the peer takes (4.2), and more when it takes more.', async () => {
    const peer = await RawPeer.connect(served.port, false);
    peer.send(PREFACE, settings([4, 10_000_000]), frame(T.window, 0, 0, uint32(10_000_000)));
    peer.send(unaryCall(1, '300000', '/test.Echo/Large'));
    await peer.trailers(1);
    expect(Math.max(...peer.frames.map(({payload}) => payload.length))).toBe(16_384);
    peer.send(settings([5, 1_000_000]), unaryCall(3, '300000', '/test.Echo/Large'));
    await peer.trailers(3);
    expect(Math.max(...peer.frames.map(({payload}) => payload.length))).toBeGreaterThan(16_384);
    peer.close();
  });

  it('Ensure that header blocks leave in the order in which they change the table (RFC 7541, 2.2).', async () => {
    const peer = await RawPeer.connect(served.port, false);
    peer.send(PREFACE, settings([4, 1000]));
    // The first answer waits for its window with its trailers; the second one's overtake it.
    peer.send(
      unaryCall(1, '3000', '/test.Echo/Large'),
      unaryCall(3, 'small'),
      unaryCall(5, 'x', '/test.Echo/Fail'),
    );
    expect((await peer.trailers(3)).get('grpc-status')).toBe('0');
    expect((await peer.trailers(5)).get('grpc-status')).toBe('11');
    peer.send(frame(T.window, 0, 1, uint32(10_000)));
    expect((await peer.trailers(1)).get('grpc-status')).toBe('0');
    await expectAlive(peer, 7);
    peer.close();
  });

  it('Ensure that a table made small and large again between two blocks is announced as both (RFC 7541, 4.2).', async () => {
    const peer = await RawPeer.connect(served.port, false);
    peer.send(PREFACE, settings());
    await expectAlive(peer, 1);
    peer.send(settings([1, 0]), settings([1, 4096]));
    await expectAlive(peer, 3);
    const next = peer.frames.find(({type, id}) => type === T.headers && id === 3)!;
    // Two size updates, 0 and 4096, in front of everything else.
    expect(next.payload.subarray(0, 4).toString('hex')).toBe('203fe11f');
    peer.close();
  });

  it('Ensure that a smaller HEADER_TABLE_SIZE is obeyed and announced (RFC 7541, 4.2).', async () => {
    const peer = await RawPeer.connect(served.port, false);
    peer.send(PREFACE, settings([1, 0]));
    for (let id = 1; id < 10; id += 2) await expectAlive(peer, id);
    peer.send(settings([1, 60]));
    for (let id = 11; id < 20; id += 2) await expectAlive(peer, id);
    peer.send(settings([1, 4096]));
    for (let id = 21; id < 30; id += 2) await expectAlive(peer, id);
    peer.close();
  });
});
