/**
 * etcdserverpb.Watch. The hub does the watching; here its responses get their header and leave as fast as the client
 * reads: a response is taken from the hub only when the one before it has gone out.
 */

import type {WatchStream} from '../../../engine/watch/watch-stream.ts';
import type {Call, GrpcMethod} from '../../http2/grpc-method.ts';
import {
  decodeWatchRequest,
  encodeWatchResponse,
  type WatchCreateRequest,
  WatchCreateRequestFilterType,
  WatchPath,
  type WatchRequest,
  type WatchResponseInput,
} from '../../proto/generated/watch.ts';
import {toGrpcError} from '../error-status.ts';
import type {ServiceContext} from './service.ts';

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
