/** The ports themselves, over real sockets: whatever bytes come, they go on serving others. */

import {connect} from 'node:net';
import {packCall, packMessages} from '../../src/transport/peer/frame-codec.ts';
import {helloHeaders, PEER_PATHS} from '../../src/transport/peer/handshake.ts';
import {encodeMessage} from '../../src/transport/peer/message-codec.ts';
import {serve} from '../api/http2/echo-service.ts';
import {heartbeat} from '../contract/peer-network.contract.ts';
import {SocketWorld} from '../contract/socket-world.ts';
import type {SeededRandom} from '../simulator/seeded-random.ts';
import {frame} from '../unit/http2/fuzzing.ts';
import {type FuzzTarget, neverRefuses, promise} from './fuzz-target.ts';
import {mutated, oneOf} from './mutate.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** A request that ends the connection on both sides: what is answered to it is all that can come. */
const REQUESTS = [
  'GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  'GET /readyz?verbose&exclude=x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  'POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n',
  'POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'GET / HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk\r\n\r\n',
];
/** A connection that the server neither answers nor ends is given up: that is no fault of its. */
const QUIET_MS = 20;

/** Others are answered and let go, however busy the machine is. */
const ANSWER_MS_MAX = 10_000;

export interface PortTargets {
  readonly targets: readonly FuzzTarget[];
  stop(): Promise<void>;
}

export async function portTargets(): Promise<PortTargets> {
  const served = await serve();
  const world = new SocketWorld();
  const peer = await world.start({id: 1n});
  const peerPort = Number(/:(\d+)$/.exec(peer.urls[0])?.[1]);
  return {
    targets: [clientPort(served.port), peerPortTarget(peerPort)],
    stop: async () => {
      served.stop();
      served.http.closeAllConnections();
      await world.stop();
    },
  };
}

function clientPort(port: number): FuzzTarget {
  const frames = [
    frame(4, 0, 0),
    frame(4, 1, 0),
    frame(6, 0, 0, Buffer.alloc(8)),
    frame(8, 0, 0, Buffer.alloc(4, 1)),
  ];
  const samples = [...REQUESTS.map((text) => Buffer.from(text)), Buffer.concat([PREFACE, ...frames])];
  const run = async (bytes: Buffer) => {
    await send(port, bytes);
    const {status} = await fetch(`http://127.0.0.1:${port}/health`);
    promise(status === 200, `the port answers ${status} to others`);
  };
  return {name: 'http-bytes', samples, run, isRefusal: neverRefuses};
}

function peerPortTarget(port: number): FuzzTarget {
  const hello = {protocol: {min: 1, max: 1}, clusterId: 0xc1n, memberId: 2n, to: 1n, peerUrls: []};
  const headers = Object.entries(helloHeaders(hello)).map(([name, value]) => `${name}: ${value}\r\n`);
  const handshake = (path: string) =>
    Buffer.from(
      `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n` +
        `sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${headers.join('')}\r\n`,
    );
  const frames = [
    packMessages([encodeMessage(heartbeat(2n, 1n, 5), 2n)]),
    packCall(1, {type: 'cluster'}),
    Buffer.from('{"type":"end","bytes":0,"crc":0}'),
  ];
  const opened = Object.values(PEER_PATHS).map(handshake);
  const samples = opened.map((head) =>
    Buffer.concat([head, ...frames.map((bytes) => webSocketFrame(2, bytes))]),
  );
  const run = async (bytes: Buffer) => {
    await send(port, bytes);
    const answer = await send(port, Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'), ANSWER_MS_MAX);
    promise(answer.startsWith('HTTP/1.1 404'), 'the port goes on answering others');
  };
  const malform = (random: SeededRandom) => {
    // A handshake that is right, and frames whose lengths are.
    const payloads = Array.from({length: 1 + random.below(3)}, () => mutated(random, frames));
    const opcodes = [0, 1, 2, 2, 2, 8, 9, 10];
    return Buffer.concat([
      oneOf(random, opened),
      ...payloads.map((bytes) => webSocketFrame(oneOf(random, opcodes), bytes)),
    ]);
  };
  return {name: 'peer-bytes', samples, malform, run, isRefusal: neverRefuses};
}

/** As a client sends it: masked, here with zeros. */
function webSocketFrame(opcode: number, payload: Uint8Array): Buffer {
  const {length} = payload;
  const isShort = length < 126;
  const head = Buffer.alloc(isShort ? 2 : 4);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (isShort ? length : 126);
  if (!isShort) head.writeUInt16BE(length & 0xffff, 2);
  return Buffer.concat([head, Buffer.alloc(4), payload]);
}

/** @returns what was answered until the connection ended or fell silent */
function send(port: number, bytes: Buffer, quietMs = QUIET_MS): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.setTimeout(quietMs, () => socket.destroy());
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(answer));
    socket.write(bytes);
  });
}
