/**
 * etcdserverpb.Watch. The hub does the watching; here its responses get their header and leave as fast as the client
 * reads: a response is taken from the hub only when the one before it has gone out.
 */

import type {WatchResponse} from '../../../engine/watch/watch-response.ts';
import type {WatchStream} from '../../../engine/watch/watch-stream.ts';
import type {Call, GrpcMethod} from '../../http2/grpc-method.ts';
import {
  decodeWatchRequest,
  encodeWatchResponse,
  WatchPath,
  type WatchRequest,
  type WatchResponseInput,
} from '../../proto/generated/watch.ts';
import {toGrpcError} from '../error-status.ts';
import {WATCH_ANSWERS_UNREAD_MAX} from '../limits.ts';
import type {ServerFace, ServiceContext} from './service.ts';

export function watchMethods(context: ServiceContext): readonly GrpcMethod[] {
  return [
    {
      kind: 'bidi',
      path: WatchPath.Watch,
      decode: decodeWatchRequest,
      encode: encodeWatchResponse,
      handle: (requests: AsyncIterable<WatchRequest>, call: Call) => watch(context, requests, call),
    },
  ];
}

/** Something to wait for that may happen any number of times. */
class Wake {
  #resolve: () => void = () => undefined;

  readonly signal = (): void => this.#resolve();

  /** Who waits has looked at what it waits for just before. */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }
}

/** Ends by failing: with the call, or when the guard says so. A half-closed client goes on watching. */
async function* watch(
  {server, streamGuard, watchFragmentBytes}: ServiceContext,
  requests: AsyncIterable<WatchRequest>,
  call: Call,
): AsyncGenerator<WatchResponseInput, void> {
  const readable = new Wake();
  const room = new Wake();
  const stream = server.watchHub.openStream({readable: readable.signal, fragmentBytes: watchFragmentBytes});
  let failure: {readonly error: unknown} | undefined;
  const fail = (error: unknown) => {
    failure ??= {error};
    readable.signal();
    room.signal();
  };
  const abort = () => fail(call.signal.reason);
  const forget = streamGuard.add(call, fail);
  call.signal.addEventListener('abort', abort, {once: true});
  readRequests(requests, stream, room).catch(fail);
  try {
    for (;;) {
      if (failure !== undefined) throw toGrpcError(failure.error);
      const response = stream.take();
      if (response === undefined) {
        await readable.wait();
        continue;
      }
      if (stream.backlog < WATCH_ANSWERS_UNREAD_MAX) room.signal();
      yield toWire(server, response);
    }
  } finally {
    call.signal.removeEventListener('abort', abort);
    forget();
    stream.close();
    room.signal();
  }
}

/** Takes no further request while the client leaves answers unread, so that it cannot make them pile up. */
async function readRequests(
  requests: AsyncIterable<WatchRequest>,
  stream: WatchStream,
  room: Wake,
): Promise<void> {
  for await (const {createRequest, cancelRequest, progressRequest} of requests) {
    if (stream.isClosed) return;
    if (createRequest !== undefined) stream.create(createRequest);
    else if (cancelRequest !== undefined) stream.cancel(cancelRequest.watchId);
    else if (progressRequest !== undefined) stream.requestProgress();
    if (stream.backlog >= WATCH_ANSWERS_UNREAD_MAX) await room.wait();
  }
}

function toWire(server: ServerFace, {revision, ...response}: WatchResponse): WatchResponseInput {
  const {clusterId, memberId, raftTerm} = server.header();
  return {header: {clusterId, memberId, revision, raftTerm}, ...response};
}
