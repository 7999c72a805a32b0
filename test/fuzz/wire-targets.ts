/** What comes over the network: peers' frames and handshakes, protobuf messages, header blocks. */

import type {Message} from '../../src/engine/raft/message.ts';
import {CompareResult, CompareTarget} from '../../src/engine/types.ts';
import {ConnectionError} from '../../src/transport/http2/errors.ts';
import {HpackDecoder} from '../../src/transport/http2/hpack/decoder.ts';
import {HpackEncoder} from '../../src/transport/http2/hpack/encoder.ts';
import {packCall, packFailure, packMessages, unpackFrame} from '../../src/transport/peer/frame-codec.ts';
import {readHello, readRefusal, readWelcome} from '../../src/transport/peer/handshake.ts';
import {decodeMessage, encodeMessage, MalformedFrameError} from '../../src/transport/peer/message-codec.ts';
import * as auth from '../../src/transport/proto/generated/auth.ts';
import * as cluster from '../../src/transport/proto/generated/cluster.ts';
import * as election from '../../src/transport/proto/generated/election.ts';
import * as kv from '../../src/transport/proto/generated/kv.ts';
import * as lease from '../../src/transport/proto/generated/lease.ts';
import * as lock from '../../src/transport/proto/generated/lock.ts';
import * as maintenance from '../../src/transport/proto/generated/maintenance.ts';
import * as watch from '../../src/transport/proto/generated/watch.ts';
import {ProtoError} from '../../src/transport/proto/proto-error.ts';
import {compareOf, deleteOf, putOf, rangeOf} from '../simulator/requests.ts';
import type {FuzzTarget} from './fuzz-target.ts';

const FROM = 7n;
const TO = 8n;
const payload = Buffer.from('payload');
const routed = {from: FROM, to: TO, term: 5};
const MESSAGES: readonly Message[] = [
  {
    type: 'append',
    ...routed,
    previousIndex: 9,
    previousTerm: 3,
    commit: 8,
    entries: [{index: 10, term: 4, type: 0, payload}],
  },
  {type: 'vote', ...routed, lastIndex: 3, lastTerm: 2, isTransfer: true, commit: 40, commitTerm: 2},
  {type: 'propose', ...routed, entries: [{type: 0, payload}]},
  {type: 'readIndexResponse', ...routed, context: 1, index: 100},
];

const HEADERS =
  'kvd-protocol: 1-1\nkvd-cluster: 00000000000000aa\nkvd-from: 0000000000000007\nkvd-to: 0000000000000008\nkvd-peer-urls: http://a:1';

/** Every decoder of the API's requests and answers. */
const decoders = [auth, cluster, election, kv, lease, lock, maintenance, watch].flatMap((module) =>
  Object.entries(module as Record<string, unknown>).filter(([name]) => name.startsWith('decode')),
) as [string, (bytes: Uint8Array) => unknown][];

const PROTO_SAMPLES = [
  kv.encodePutRequest(putOf('key', 'value', {lease: -1n, prevKv: true})),
  kv.encodeRangeRequest(rangeOf('key', 'z', {limit: 5, revision: 2 ** 40, sortOrder: 1, minModRevision: -1})),
  kv.encodeTxnRequest({
    compare: [compareOf('key', {target: CompareTarget.value, result: CompareResult.less, value: payload})],
    success: [{requestPut: putOf('key', 'value')}, {requestRange: rangeOf('a', 'b')}],
    failure: [{requestTxn: {compare: [], success: [{requestDeleteRange: deleteOf('a')}], failure: []}}],
  }),
];

function headerBlock(): Buffer {
  const encoder = new HpackEncoder(4096);
  encoder.begin();
  encoder.add(':method', 'POST', 'index');
  encoder.add(':path', '/etcdserverpb.KV/Put', 'index');
  encoder.add('grpc-timeout', '5S', 'plain');
  encoder.add('authorization', 'secret', 'secret');
  return Buffer.from(encoder.end());
}

const LIST_BYTES_MAX = 16_384;

export const WIRE_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'peer-frames',
    samples: [
      ...MESSAGES.map((message) => Buffer.from(packMessages([encodeMessage(message, FROM)]))),
      Buffer.from(packCall(1, {method: 'x', values: [1, 2n, 'y', payload]})),
      Buffer.from(packFailure(1, {code: 'unhealthy'})),
    ],
    run: (bytes) => {
      const frame = unpackFrame(bytes);
      if (frame.type !== 'messages') return;
      for (const value of frame.messages) decodeMessage(value, {from: FROM, to: TO});
    },
    isRefusal: (error) => error instanceof MalformedFrameError,
  },
  {
    name: 'peer-handshake',
    samples: [Buffer.from(HEADERS), Buffer.from('kvd-refusal: {"code":"busy","detail":"x"}')],
    run: (bytes) => {
      const pairs = bytes
        .toString('latin1')
        .split('\n')
        .map((line) => line.split(': '));
      const headers = Object.fromEntries(pairs.map(([name, value]) => [name, value]));
      return [readHello(headers), readWelcome(headers), readRefusal(headers)];
    },
    // A handshake that is none is undefined, not an error.
    isRefusal: () => false,
  },
  {
    name: 'protobuf',
    samples: PROTO_SAMPLES,
    run: (bytes) => {
      let refused: unknown;
      let taken = 0;
      for (const [, decode] of decoders) {
        try {
          decode(bytes);
          taken++;
        } catch (error) {
          if (!(error instanceof ProtoError)) throw error;
          refused = error;
        }
      }
      if (taken === 0) throw refused;
    },
    isRefusal: (error) => error instanceof ProtoError,
  },
  {
    name: 'hpack',
    samples: [headerBlock(), Buffer.concat([headerBlock(), headerBlock()])],
    run: (bytes) => {
      const decoder = new HpackDecoder(4096);
      for (let n = 0; n < 2; n++) decoder.decode(bytes, 0, bytes.length, [], LIST_BYTES_MAX);
    },
    isRefusal: (error) => error instanceof ConnectionError,
  },
];
