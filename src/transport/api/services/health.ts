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
import {unary} from './unary.ts';

const {SERVING, SERVICE_UNKNOWN} = HealthCheckResponseServingStatus;

/** A member that answers serves: whether its cluster does is what /health and /readyz tell. */
export function healthMethods(): readonly GrpcMethod[] {
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
      handle: watchHealth,
    },
  ];
}

/** The status does not change while the connection stands, so that there is one message. */
async function* watchHealth({service}: HealthCheckRequest, {signal}: Call) {
  yield {status: service === '' ? SERVING : SERVICE_UNKNOWN};
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), {once: true});
  });
}
