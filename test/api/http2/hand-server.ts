/** Our client's channel to a server that answers by hand, and the frames of such answers. */

import {GrpcChannel, type GrpcChannelOptions} from '../../../src/transport/http2/grpc-channel.ts';
import {block, F, frame, listenRaw, message, type RawPeer, type RawServer, T, uint32} from './raw-peer.ts';

const stops: (() => void)[] = [];

/** Ends the servers and channels of a test. */
export function stopAll(): void {
  for (const stop of stops.splice(0)) stop();
}

export async function listen(...given: Parameters<typeof listenRaw>): Promise<RawServer> {
  const server = await listenRaw(...given);
  stops.push(() => server.stop());
  return server;
}

export function channelTo(server: RawServer, options: Partial<GrpcChannelOptions> = {}): GrpcChannel {
  const channel = new GrpcChannel({target: `127.0.0.1:${server.port}`, dialTimeoutMs: 2000, ...options});
  stops.push(() => channel.close());
  return channel;
}

export const OK_HEADERS: [string, string][] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];
export const goaway = (last: number, code: number, debug = ''): Buffer =>
  frame(T.goaway, 0, 0, Buffer.concat([uint32(last), uint32(code), Buffer.from(debug)]));

export const headersOf = (
  id: number,
  fields: readonly (readonly [string, string])[],
  flags: number,
): Buffer => frame(T.headers, flags | F.endHeaders, id, block(fields));

/** Calls `act` for each request, once it is complete. */
export function onRequest(peer: RawPeer, act: (id: number) => void): void {
  const seen = new Set<number>();
  peer.socket.on('data', () => {
    for (const {type, flags, id} of [...peer.frames]) {
      if (type !== T.data || (flags & F.endStream) === 0 || seen.has(id)) continue;
      seen.add(id);
      act(id);
    }
  });
}

export const answer = (peer: RawPeer, id: number, content = 'ok'): void =>
  peer.send(
    headersOf(id, OK_HEADERS, 0),
    frame(T.data, 0, id, message(content)),
    headersOf(id, [['grpc-status', '0']], F.endStream),
  );

export const call = (channel: GrpcChannel, options = {}): Promise<string> =>
  channel.unary('/a.B/C', Buffer.from('request'), options).then((bytes) => Buffer.from(bytes).toString());
