/** A channel over our HTTP/2, which is loaded with the first one. */

import type {ConnectionOptions} from 'node:tls';
import {GrpcError, GrpcStatus} from '../http2/grpc-status.ts';
import type {Channel} from './channel.ts';

export interface OpenChannelOptions {
  readonly dialTimeoutMs: number;
  readonly tls?: ConnectionOptions | undefined;
  readonly keepAliveTimeMs?: number | undefined;
  readonly keepAliveTimeoutMs?: number | undefined;
  readonly maxReceiveBytes?: number | undefined;
}

/** @throws GrpcError InvalidArgument for what is no endpoint */
export async function openChannel(endpoint: string, options: OpenChannelOptions): Promise<Channel> {
  const {GrpcChannel} = await import('../http2/grpc-channel.ts');
  const {dialTimeoutMs, tls, keepAliveTimeMs, keepAliveTimeoutMs, maxReceiveBytes} = options;
  const make = () => {
    const given = {dialTimeoutMs, keepAliveTimeMs, keepAliveTimeoutMs, maxReceiveBytes};
    // An endpoint that says http: or unix: is dialled without TLS, whatever the options hold.
    const isPlain = /^(http|unix):/.test(endpoint);
    return new GrpcChannel({target: endpoint, tls: isPlain ? undefined : tls, ...given});
  };
  try {
    const channel = make();
    return {
      endpoint,
      connect: (call) => channel.connect(call),
      unary: (path, request, call) => channel.unary(path, request, call),
      stream: (path, call) => channel.stream(path, call),
      close: () => channel.close(),
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new GrpcError(GrpcStatus.invalidArgument, reason, error);
  }
}
