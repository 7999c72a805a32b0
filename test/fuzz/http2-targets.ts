/** HTTP/2 and gRPC as bytes: frames, settings, header blocks, messages, and gRPC's small text forms. */

import {ConnectionError} from '../../src/transport/http2/errors.ts';
import {FrameReader, type FrameSink} from '../../src/transport/http2/frame-reader.ts';
import {MessageReader, writeMessagePrefix} from '../../src/transport/http2/grpc-message.ts';
import {GrpcError} from '../../src/transport/http2/grpc-status.ts';
import {
  decodeBinary,
  decodeMessage,
  encodeBinary,
  encodeMessage,
  formatTimeout,
  parseStatus,
  parseTimeout,
} from '../../src/transport/http2/grpc-text.ts';
import {packMessage, unpackMessage} from '../../src/transport/http2/gzip.ts';
import {HeaderBlockReader} from '../../src/transport/http2/header-block-reader.ts';
import {HpackDecoder} from '../../src/transport/http2/hpack/decoder.ts';
import {HpackEncoder} from '../../src/transport/http2/hpack/encoder.ts';
import type {HeaderField} from '../../src/transport/http2/hpack/header-field.ts';
import {huffmanDecode, huffmanEncode, huffmanLength} from '../../src/transport/http2/hpack/huffman.ts';
import {RequestHead, readRequestHead} from '../../src/transport/http2/request-head.ts';
import {notGrpc, readResponseHead, resetError} from '../../src/transport/http2/response-head.ts';
import {encodeSettings, PeerSettings} from '../../src/transport/http2/settings.ts';
import type {SeededRandom} from '../simulator/seeded-random.ts';
import {frame, uint32} from '../unit/http2/fuzzing.ts';
import {type FuzzTarget, neverRefuses, promise, promiseSame} from './fuzz-target.ts';
import {noise, oneOf} from './mutate.ts';

const LIST_BYTES_MAX = 16_384;
const TABLE_BYTES = 4096;
const FRAME_BYTES_MAX = 16_384;
const MESSAGE_BYTES_MAX = 4096;

const isConnectionError = (error: unknown) => error instanceof ConnectionError;
const isGrpcError = (error: unknown) => error instanceof GrpcError;

type Use = 'index' | 'plain' | 'secret';
const REQUEST: readonly (readonly [string, string, Use])[] = [
  [':method', 'POST', 'index'],
  [':scheme', 'http', 'index'],
  [':path', '/etcdserverpb.KV/Put', 'index'],
  [':authority', 'localhost:2379', 'index'],
  ['te', 'trailers', 'index'],
  ['content-type', 'application/grpc', 'index'],
  ['grpc-timeout', '5S', 'plain'],
  ['authorization', 'secret', 'secret'],
  ['x-bin', 'AAEC', 'plain'],
  ['content-length', '5', 'plain'],
];
const RESPONSE: readonly (readonly [string, string, Use])[] = [
  [':status', '200', 'index'],
  ['content-type', 'application/grpc+proto', 'index'],
  ['grpc-status', '11', 'plain'],
  ['grpc-message', 'etcdserver: %C3%A4', 'plain'],
  ['grpc-encoding', 'gzip', 'index'],
];

function blockOf(
  fields: readonly (readonly [string, string, Use])[],
  encoder = new HpackEncoder(TABLE_BYTES),
): Buffer {
  encoder.begin();
  for (const [name, value, use] of fields) encoder.add(name, value, use);
  return Buffer.from(encoder.end());
}

const fieldsOf = (fields: readonly HeaderField[]) => fields.map(({name, value}) => [name, value]);

const HPACK: FuzzTarget = {
  name: 'hpack',
  samples: [blockOf(REQUEST), Buffer.concat([blockOf(REQUEST), blockOf(RESPONSE)]), blockOf(RESPONSE)],
  malform: (random) => {
    // Representations one behind the other, with indexes and lengths near their bounds.
    const parts = Array.from({length: 1 + random.below(8)}, () => {
      const prefix = oneOf(random, [0x80, 0xc0, 0x40, 0x00, 0x10, 0x20, 0x3f, 0x7f, 0xff, 0xbe]);
      const rest = oneOf(random, [
        '',
        '00',
        '01',
        'e11f',
        'ffffff7f',
        'ffffffff0f',
        '0161',
        '8261',
        '0161850161',
      ]);
      return Buffer.concat([
        Buffer.from([prefix | random.below(3)]),
        Buffer.from(rest, 'hex'),
        noise(random, random.below(3)),
      ]);
    });
    return Buffer.concat([blockOf(oneOf(random, [REQUEST, RESPONSE])), ...parts]);
  },
  run: (bytes) => {
    const decoder = new HpackDecoder(TABLE_BYTES);
    const fields: HeaderField[] = [];
    const size = decoder.decode(bytes, 0, bytes.length, fields, LIST_BYTES_MAX);
    promise(decoder.table.bytes <= TABLE_BYTES, 'the table keeps to its size');
    const listBytes = fields.reduce((sum, field) => sum + field.size, 0);
    promise(listBytes <= Math.min(size, LIST_BYTES_MAX), 'the list keeps to its size');
    // Encoded again, twice over one connection, they are the same fields.
    const encoder = new HpackEncoder(TABLE_BYTES);
    const other = new HpackDecoder(TABLE_BYTES);
    for (const use of ['index', 'index', 'plain'] as const) {
      const block = blockOf(
        fields.map(({name, value}) => [name, value, use]),
        encoder,
      );
      const again: HeaderField[] = [];
      other.decode(block, 0, block.length, again, LIST_BYTES_MAX);
      promiseSame(fieldsOf(again), fieldsOf(fields));
    }
    checkHeads(fields);
    decoder.decode(bytes, 0, bytes.length, [], LIST_BYTES_MAX);
  },
  isRefusal: isConnectionError,
};

/** Any list of fields is a head or is told to be malformed. */
function checkHeads(fields: readonly HeaderField[]): void {
  const head = readRequestHead(fields);
  if (head instanceof RequestHead) {
    promise(head.method !== '', 'a request has a method');
    promise(head.timeoutMs === undefined || head.timeoutMs >= 0, 'a timeout is a time');
    for (const {name} of fields) head.metadata(name);
  }
  const response = readResponseHead(fields);
  if (response !== undefined) notGrpc(response);
}

const HUFFMAN: FuzzTarget = {
  name: 'huffman',
  samples: ['www.example.com', 'no-cache', 'ÿþ\0\u0080', ''].map((text) => {
    const bytes = Buffer.alloc(huffmanLength(text));
    huffmanEncode(text, bytes, 0);
    return bytes;
  }),
  run: (bytes) => {
    const text = huffmanDecode(bytes, 0, bytes.length);
    const again = Buffer.alloc(huffmanLength(text));
    huffmanEncode(text, again, 0);
    promise(again.equals(bytes), 'a text is written in one way');
  },
  isRefusal: isConnectionError,
};

/** What a reader of frames was told; pieces of DATA are joined, since where they are cut is the network's business. */
class Events implements FrameSink {
  readonly lines: string[] = [];
  readonly #settings = new PeerSettings();
  readonly #blocks = new HeaderBlockReader((streamId, endStream, block, start, end) => {
    this.lines.push(`block ${streamId} ${endStream} ${block.toString('hex', start, end)}`);
  });
  #data = '';
  reader: FrameReader | undefined;

  dataBegin(streamId: number, length: number): void {
    this.lines.push(`data ${streamId} ${length}`);
  }

  dataPiece(chunk: Buffer, start: number, end: number): void {
    promise(end > start, 'a piece is not empty');
    this.#data += chunk.toString('hex', start, end);
  }

  dataEnd(endStream: boolean): void {
    this.lines.push(`content ${this.#data} ${endStream}`);
    this.#data = '';
  }

  frame(type: number, flags: number, streamId: number, chunk: Buffer, start: number, end: number): void {
    this.lines.push(`frame ${type} ${flags} ${streamId} ${chunk.toString('hex', start, end)}`);
    if (type === 1) this.#blocks.headers(flags, streamId, chunk, start, end);
    else if (type === 9) this.#blocks.continuation(flags, chunk, start, end);
    else if (type === 4) this.#settings.apply(chunk, start, end, 'client');
    else if (type === 3 && end - start === 4) resetError(chunk.readUInt32BE(start));
    if (this.reader !== undefined) this.reader.continuationOf = this.#blocks.openStreamId;
  }
}

function readFrames(bytes: Buffer, pieceBytes: number): string[] {
  const events = new Events();
  const reader = new FrameReader(events, FRAME_BYTES_MAX);
  events.reader = reader;
  try {
    for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes));
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
    events.lines.push(`error ${error.code} ${error.message}`);
  }
  return events.lines;
}

const block = blockOf(REQUEST);
const FRAMES: readonly Buffer[] = [
  frame(
    4,
    0,
    0,
    encodeSettings([
      [1, 4096],
      [3, 100],
      [4, 65_535],
      [5, 16_384],
    ]),
  ),
  frame(4, 1, 0),
  frame(1, 4, 1, block),
  frame(1, 0x2c, 1, Buffer.concat([Buffer.from([2]), Buffer.alloc(5), block, Buffer.alloc(2)])),
  Buffer.concat([
    frame(1, 0, 3, block.subarray(0, 9)),
    frame(9, 0, 3, block.subarray(9, 20)),
    frame(9, 4, 3, block.subarray(20)),
  ]),
  frame(0, 1, 1, Buffer.from('\0\0\0\0\x05hello')),
  frame(0, 9, 1, Buffer.concat([Buffer.from([3]), Buffer.from('abc'), Buffer.alloc(3)])),
  frame(6, 0, 0, Buffer.alloc(8)),
  frame(8, 0, 0, uint32(100)),
  frame(3, 0, 1, uint32(8)),
  frame(7, 0, 0, Buffer.alloc(8)),
];

const FRAMES_TARGET: FuzzTarget = {
  name: 'http2-frames',
  samples: [Buffer.concat(FRAMES), ...FRAMES],
  malform: (random) => Buffer.concat(Array.from({length: 1 + random.below(6)}, () => malformedFrame(random))),
  run: (bytes) => {
    const whole = readFrames(bytes, Math.max(1, bytes.length));
    // A wrong frame ends the reading, wherever the network has cut.
    if (bytes.length < 3000) promiseSame(readFrames(bytes, 1), whole, 'read byte by byte it is otherwise');
    promiseSame(readFrames(bytes, 13), whole, 'read in pieces it is otherwise');
  },
  isRefusal: neverRefuses,
};

/** Its length is right; its type, flags and stream are any. */
function malformedFrame(random: SeededRandom): Buffer {
  const sample = oneOf(random, FRAMES);
  const payload = Buffer.from(sample.subarray(9));
  if (payload.length > 0 && random.below(2) === 0)
    payload[random.below(payload.length)] = oneOf(random, [0, 1, 255, random.below(256)]);
  const type = random.below(3) === 0 ? random.below(11) : sample[3];
  const flags = random.below(2) === 0 ? random.below(64) : sample[4];
  return frame(
    type,
    flags,
    oneOf(random, [0, 1, 3, 2 ** 31 - 1, 2 ** 31]),
    random.below(4) === 0 ? payload.subarray(0, random.below(payload.length + 1)) : payload,
  );
}

function grpcMessage(bytes: Uint8Array, isCompressed = false): Buffer {
  const prefix = Buffer.alloc(5);
  writeMessagePrefix(prefix, 0, bytes.length, isCompressed);
  return Buffer.concat([prefix, bytes]);
}

function readMessages(bytes: Buffer, pieceBytes: number): string[] {
  const reader = new MessageReader(MESSAGE_BYTES_MAX, 'gzip');
  const found: string[] = [];
  try {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = bytes.subarray(at, at + pieceBytes);
      reader.push(piece, 0, piece.length, (message, isCompressed) => {
        found.push(`${isCompressed} ${Buffer.from(message).toString('hex')}`);
        return true;
      });
      promise(reader.heldBytes <= Math.max(MESSAGE_BYTES_MAX, 65_536), 'it holds no more than a message');
    }
    found.push(reader.isAtBoundary ? 'whole' : 'cut short');
  } catch (error) {
    if (!(error instanceof GrpcError)) throw error;
    found.push(`error ${error.message}`);
  }
  return found;
}

const MESSAGES: FuzzTarget = {
  name: 'grpc-messages',
  samples: [
    Buffer.concat([
      grpcMessage(Buffer.from('hello')),
      grpcMessage(Buffer.alloc(0)),
      grpcMessage(Buffer.alloc(700, 1), true),
    ]),
    grpcMessage(Buffer.alloc(MESSAGE_BYTES_MAX)),
  ],
  run: (bytes) => {
    const whole = readMessages(bytes, Math.max(1, bytes.length));
    promiseSame(readMessages(bytes, 7), whole, 'read in pieces it is otherwise');
  },
  isRefusal: neverRefuses,
};

const GZIP_SAMPLES = [Buffer.alloc(2000, 'kvd '), Buffer.alloc(4000)].map((bytes) => {
  const packed = packMessage(bytes, {hold: () => undefined, isOverBudget: () => false});
  return 'bytes' in packed ? packed.bytes : bytes;
});
const GZIP: FuzzTarget = {
  name: 'gzip',
  samples: GZIP_SAMPLES,
  run: (bytes) => {
    promise(unpackMessage(bytes, MESSAGE_BYTES_MAX).length <= MESSAGE_BYTES_MAX, 'no more than is allowed');
  },
  isRefusal: isGrpcError,
};

const TEXTS: FuzzTarget = {
  name: 'grpc-texts',
  samples: ['5S', '99999999H', 'a%20b', '%C3%A4%', 'AAEC', '14', '0'].map((text) => Buffer.from(text)),
  run: (bytes) => {
    const text = bytes.toString('latin1');
    const utf8 = bytes.toString('utf8');
    promiseSame(decodeMessage(encodeMessage(utf8)), utf8);
    promiseSame(decodeBinary(encodeBinary(text)), text);
    decodeMessage(text);
    promise(parseStatus(text) >= 0 && parseStatus(text) <= 16, 'a status is one of those there are');
    const ms = parseTimeout(text);
    if (ms === undefined) return;
    const again = parseTimeout(formatTimeout(ms)) ?? Number.NaN;
    promise(
      again >= Math.min(ms, 99_999_999_000) && again <= ms * 1.01 + 1,
      'a timeout is written without loss',
    );
  },
  isRefusal: neverRefuses,
};

export const HTTP2_TARGETS: readonly FuzzTarget[] = [HPACK, HUFFMAN, FRAMES_TARGET, MESSAGES, GZIP, TEXTS];
