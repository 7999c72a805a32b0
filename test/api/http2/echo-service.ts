/** A service whose messages are their own bytes, and a listener that serves it: what the tests of this folder call. */

import {createServer, type Server as HttpServer} from 'node:http';
import type {TlsOptions} from 'node:tls';
import type {Logger} from '../../../src/engine/ports.ts';
import type {Call, GrpcMethod} from '../../../src/transport/http2/grpc-method.ts';
import {GrpcServer, type GrpcServerOptions} from '../../../src/transport/http2/grpc-server.ts';
import {GrpcError, GrpcStatus} from '../../../src/transport/http2/grpc-status.ts';
import {OnePortListener} from '../../../src/transport/http2/one-port.ts';

export const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

const bytes = {decode: (message: Uint8Array) => message, encode: (message: Uint8Array) => message};

export interface EchoService {
  readonly methods: GrpcMethod[];
  /** Calls whose signal was aborted, by method. */
  readonly aborted: string[];
  /** Calls of `/test.Echo/Hang` and `/test.Echo/Watch` that wait now. */
  waiting: number;
  readonly seen: Call[];
  /** Parts that `/test.Echo/Parts` was asked for. */
  partsMade: number;
}

export function echoService(): EchoService {
  const aborted: string[] = [];
  const seen: Call[] = [];
  const service: EchoService = {methods: [], aborted, waiting: 0, seen, partsMade: 0};
  const untilAborted = (name: string, call: Call): Promise<void> => {
    service.waiting++;
    return new Promise((resolve) => {
      const done = (): void => {
        service.waiting--;
        aborted.push(name);
        resolve();
      };
      if (call.signal.aborted) done();
      else call.signal.addEventListener('abort', done);
    });
  };
  function* partsOf(length: number): Generator<Uint8Array> {
    for (let left = Math.abs(length); left > 0; left -= 65_536) {
      if (length < 0 && left < -length / 2) throw new Error('no more');
      service.partsMade++;
      yield Buffer.alloc(Math.min(left, 65_536), 'p');
    }
  }
  service.methods.push(
    {
      kind: 'unary',
      path: '/test.Echo/Unary',
      ...bytes,
      handle: async (request: Uint8Array, call) => {
        seen.push(call);
        return request;
      },
    },
    {
      kind: 'unary',
      path: '/test.Echo/Fail',
      ...bytes,
      handle: async (request: Uint8Array) => {
        const text = Buffer.from(request).toString();
        if (text === 'plain') throw new Error('it broke');
        throw new GrpcError(GrpcStatus.outOfRange, text);
      },
    },
    {
      kind: 'unary',
      path: '/test.Echo/Hang',
      ...bytes,
      handle: async (request: Uint8Array, call) => {
        await untilAborted('Hang', call);
        return request;
      },
    },
    {
      kind: 'unary',
      path: '/test.Echo/Large',
      ...bytes,
      handle: async (request: Uint8Array) => Buffer.alloc(Number(Buffer.from(request).toString()), 'x'),
    },
    {
      // An answer made while it is sent, in parts of 64 KiB; a negative length breaks off in the middle.
      kind: 'unary',
      path: '/test.Echo/Parts',
      ...bytes,
      encodeParts: (length: number) => ({
        length: Math.abs(length),
        heldBytes: 0,
        parts: partsOf(length),
      }),
      handle: async (request: Uint8Array) => Number(Buffer.from(request).toString()),
    },
    {
      // The request says how many answers of how many bytes: `100 1000`.
      kind: 'serverStream',
      path: '/test.Echo/Count',
      ...bytes,
      async *handle(request: Uint8Array) {
        const [count, size] = Buffer.from(request).toString().split(' ').map(Number);
        for (let i = 0; i < count; i++) yield Buffer.alloc(size, i & 0xff);
      },
    },
    {
      kind: 'bidi',
      path: '/test.Echo/Bidi',
      ...bytes,
      async *handle(requests: AsyncIterable<Uint8Array>) {
        for await (const request of requests) yield request;
      },
    },
    {
      // A client stream: one answer, the number of bytes received.
      kind: 'bidi',
      path: '/test.Echo/Sum',
      ...bytes,
      async *handle(requests: AsyncIterable<Uint8Array>) {
        let sum = 0;
        for await (const request of requests) sum += request.length;
        yield Buffer.from(String(sum));
      },
    },
    {
      kind: 'bidi',
      path: '/test.Echo/Watch',
      ...bytes,
      async *handle(_requests: AsyncIterable<Uint8Array>, call) {
        yield Buffer.from('created');
        await untilAborted('Watch', call);
      },
    },
  );
  return service;
}

/** A method whose handler heeds no cancellation: `release` holds a way to end each that runs. */
export function stubbornMethod(): {readonly stubborn: GrpcMethod; readonly release: (() => void)[]} {
  const release: (() => void)[] = [];
  const stubborn: GrpcMethod = {
    kind: 'unary',
    path: '/test.Echo/Stubborn',
    decode: (bytes) => bytes,
    encode: (bytes) => bytes,
    handle: (request: Uint8Array) => new Promise((resolve) => release.push(() => resolve(request))),
  };
  return {stubborn, release};
}

export interface Served {
  readonly port: number;
  readonly grpc: GrpcServer;
  readonly listener: OnePortListener;
  readonly http: HttpServer;
  readonly service: EchoService;
  stop(): void;
}

export async function serve(options: Partial<GrpcServerOptions> & {tls?: TlsOptions} = {}): Promise<Served> {
  const service = echoService();
  const {tls, ...rest} = options;
  const http =
    options.http ?? createServer((request, response) => response.end(`${request.method} ${request.url}`));
  const defaults = {methods: service.methods, maxReceiveBytes: 2 ** 21, logger: silent, http};
  const grpc = new GrpcServer({...defaults, ...rest});
  const listener = new OnePortListener({grpc, http, logger: silent, tls});
  const bound = await listener.listen({host: '127.0.0.1', port: 0});
  const stop = (): void => {
    listener.close();
    grpc.close();
  };
  return {port: 'port' in bound ? bound.port : 0, grpc, listener, http, service, stop};
}
