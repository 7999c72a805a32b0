/**
 * A server with one trivial unary method, on our HTTP/2 or on node's: `server.ts ours|node [folder of certificates]`.
 * Prints its port.
 */

import {readFileSync} from 'node:fs';
import {createServer as createHttp} from 'node:http';
import {createSecureServer, createServer, type ServerHttp2Stream} from 'node:http2';
import type {AddressInfo} from 'node:net';
import {GrpcServer} from '../../src/transport/http2/grpc-server.ts';
import {OnePortListener} from '../../src/transport/http2/one-port.ts';

const [, , kind, certificateFolder] = process.argv;
const tls =
  certificateFolder === undefined
    ? undefined
    : {
        key: readFileSync(`${certificateFolder}/key.pem`),
        cert: readFileSync(`${certificateFolder}/cert.pem`),
        ALPNProtocols: ['h2'],
      };
const ANSWER = Buffer.from([10, 4, 8, 1, 16, 1]);

async function ours(): Promise<number> {
  const log = () => undefined;
  const logger = {debug: log, info: log, warn: log, error: log, child: () => logger};
  const identity = {decode: (bytes: Uint8Array) => bytes, encode: (bytes: Uint8Array) => bytes};
  const grpc = new GrpcServer({
    methods: [{kind: 'unary', path: '/etcdserverpb.KV/Put', ...identity, handle: async () => ANSWER}],
    maxReceiveBytes: 2 ** 21,
    logger,
  });
  const listener = new OnePortListener({grpc, http: createHttp(), logger, tls});
  const bound = await listener.listen({host: '127.0.0.1', port: 0});
  return 'port' in bound ? bound.port : 0;
}

function node(): Promise<number> {
  const framed = Buffer.concat([Buffer.from([0, 0, 0, 0, ANSWER.length]), ANSWER]);
  const onStream = (stream: ServerHttp2Stream): void => {
    const parts: Buffer[] = [];
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => {
      stream.respond({':status': 200, 'content-type': 'application/grpc'}, {waitForTrailers: true});
      stream.on('wantTrailers', () => stream.sendTrailers({'grpc-status': '0'}));
      stream.end(framed);
    });
  };
  const server = tls === undefined ? createServer() : createSecureServer(tls);
  server.on('stream', onStream);
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

process.stdout.write(`${await (kind === 'node' ? node() : ours())}\n`);
