/** Connects to one endpoint over our HTTP/2. The stack is loaded with the first connection. */

import type {Socket} from 'node:net';
import type {ConnectionOptions} from 'node:tls';
import type {Endpoint} from '../../config/url.ts';
import type {Channel} from './channel.ts';
import {parseEndpoint} from './endpoint.ts';

export interface OpenChannelOptions {
  /** For name resolution, connecting and the TLS handshake together. */
  readonly timeoutMs: number;
  readonly tls?: ConnectionOptions | undefined;
  readonly keepAliveTimeMs?: number | undefined;
  readonly keepAliveTimeoutMs?: number | undefined;
  readonly maxReceiveBytes?: number | undefined;
}

export async function openChannel(endpoint: string, options: OpenChannelOptions): Promise<Channel> {
  const target = parseEndpoint(endpoint, {tls: options.tls !== undefined});
  const {GrpcChannel} = await import('../http2/grpc-channel.ts');
  const socket = await dial(target, options);
  const authority =
    target.kind === 'unix'
      ? 'localhost'
      : `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`;
  const channel = new GrpcChannel(socket, {
    authority,
    scheme: target.tls ? 'https' : 'http',
    keepAliveTimeMs: options.keepAliveTimeMs,
    keepAliveTimeoutMs: options.keepAliveTimeoutMs,
    maxReceiveBytes: options.maxReceiveBytes,
  });
  return {
    endpoint,
    get isOpen() {
      return channel.isOpen;
    },
    unary: (path, request, call) => channel.unary(path, request, call),
    stream: (path, call) => channel.stream(path, call),
    close: () => channel.close(),
  };
}

async function dial(target: Endpoint, {timeoutMs, tls}: OpenChannelOptions): Promise<Socket> {
  const where =
    target.kind === 'unix' ? {path: target.path} : {host: target.host || 'localhost', port: target.port};
  const socket = target.tls
    ? (await import('node:tls')).connect({...tlsOptions(target, tls), ...where})
    : (await import('node:net')).connect(where);
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new Error(`no answer from ${describe(target)} in ${timeoutMs} ms`)),
      timeoutMs,
    );
    socket.once('error', fail);
    socket.once(target.tls ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

/** The server's certificate is checked against the name that was dialled, unless the options name another. */
function tlsOptions(target: Endpoint, tls: ConnectionOptions = {}): ConnectionOptions {
  const servername =
    target.kind === 'tcp' && !/^[\d.]+$|:/.test(target.host) ? {servername: target.host} : {};
  return {ALPNProtocols: ['h2'], ...servername, ...tls};
}

function describe(target: Endpoint): string {
  return target.kind === 'unix' ? target.path : `${target.host}:${target.port}`;
}
