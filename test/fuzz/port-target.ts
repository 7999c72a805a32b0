/** The client port itself, over a real socket: whatever bytes come, it goes on serving others. */

import {connect} from 'node:net';
import {type Served, serve} from '../api/http2/echo-service.ts';
import {frame} from '../unit/http2/fuzzing.ts';
import type {FuzzTarget} from './fuzz-target.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** A request that ends the connection on both sides: what is answered to it is all that can come. */
const REQUESTS = [
  'GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  'POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n',
  'POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'GET / HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk\r\n\r\n',
];
/** A connection that the server neither answers nor ends is given up: that is no fault of its. */
const QUIET_MS = 20;

export interface PortTarget {
  readonly target: FuzzTarget;
  stop(): void;
}

export async function portTarget(): Promise<PortTarget> {
  const served = await serve();
  const frames = [
    frame(4, 0, 0),
    frame(4, 1, 0),
    frame(6, 0, 0, Buffer.alloc(8)),
    frame(8, 0, 0, Buffer.alloc(4, 1)),
  ];
  const samples = [...REQUESTS.map((text) => Buffer.from(text)), Buffer.concat([PREFACE, ...frames])];
  const run = async (bytes: Buffer) => {
    await send(served, bytes);
    const {status} = await fetch(`http://127.0.0.1:${served.port}/health`);
    if (status !== 200) throw new Error(`the port answers ${status} to others`);
  };
  const target = {name: 'http-bytes', samples, run, isRefusal: () => false};
  return {
    target,
    stop: () => {
      served.stop();
      served.http.closeAllConnections();
    },
  };
}

function send({port}: Served, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.setTimeout(QUIET_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve());
    socket.resume();
    socket.write(bytes);
  });
}
