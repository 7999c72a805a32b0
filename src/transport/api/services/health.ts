/** grpc.health.v1.Health, with etcd's one service: the whole server under the empty name. */

import type {Call, GrpcMethod} from '../../http2/grpc-method.ts';
import {GrpcError, GrpcStatus} from '../../http2/grpc-status.ts';
import {
  decodeHealthCheckRequest,
  decodeHealthListRequest,
  encodeHealthCheckResponse,
  encodeHealthListResponse,
  type HealthCheckRequest,
  HealthCheckResponseServingStatus,
  HealthPath,
} from '../../proto/generated/health.ts';
import {toGrpcError} from '../error-status.ts';
import type {StreamGuard} from '../stream-guard.ts';
import type {ServiceContext} from './service.ts';
import {unary} from './unary.ts';

const {SERVING, SERVICE_UNKNOWN} = HealthCheckResponseServingStatus;

/** A member that answers serves: whether its cluster does is what /health and /readyz tell. */
export function healthMethods({streamGuard}: ServiceContext): readonly GrpcMethod[] {
  return [
    unary(HealthPath.Check, decodeHealthCheckRequest, encodeHealthCheckResponse, async ({service}) => {
      if (service !== '') throw new GrpcError(GrpcStatus.notFound, 'unknown service');
      return {status: SERVING};
    }),
    unary(HealthPath.List, decodeHealthListRequest, encodeHealthListResponse, async () => ({
      statuses: [{key: '', value: {status: SERVING}}],
    })),
    {
      kind: 'serverStream',
      path: HealthPath.Watch,
      decode: decodeHealthCheckRequest,
      encode: encodeHealthCheckResponse,
      handle: (request: HealthCheckRequest, call: Call) => watchHealth(streamGuard, request, call),
    },
  ];
}

/** The status does not change as long as there is somebody to tell, so that there is one message. */
async function* watchHealth(streamGuard: StreamGuard, {service}: HealthCheckRequest, call: Call) {
  yield {status: service === '' ? SERVING : SERVICE_UNKNOWN};
  if (call.signal.aborted) return;
  let forget: () => void = () => undefined;
  try {
    await new Promise<never>((_resolve, reject) => {
      forget = streamGuard.add(call, reject);
      call.signal.addEventListener('abort', () => reject(toGrpcError(call.signal.reason)), {once: true});
    });
  } finally {
    forget();
  }
}
