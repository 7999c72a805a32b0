/** etcdserverpb.Lease. */

import type {Call, GrpcMethod} from '../../http2/grpc-method.ts';
import {
  decodeLeaseGrantRequest,
  decodeLeaseKeepAliveRequest,
  decodeLeaseLeasesRequest,
  decodeLeaseRevokeRequest,
  decodeLeaseTimeToLiveRequest,
  encodeLeaseGrantResponse,
  encodeLeaseKeepAliveResponse,
  encodeLeaseLeasesResponse,
  encodeLeaseRevokeResponse,
  encodeLeaseTimeToLiveResponse,
  type LeaseKeepAliveRequest,
  type LeaseKeepAliveResponseInput,
  LeasePath,
} from '../../proto/generated/lease.ts';
import {refuse} from '../error-status.ts';
import {KEEP_ALIVES_IN_FLIGHT_MAX} from '../limits.ts';
import {answerInOrder} from './answer-in-order.ts';
import type {ServerFace, ServiceContext} from './service.ts';
import {unary} from './unary.ts';

export function leaseMethods({server, streamGuard}: ServiceContext): readonly GrpcMethod[] {
  return [
    unary(LeasePath.LeaseGrant, decodeLeaseGrantRequest, encodeLeaseGrantResponse, ({ID, TTL}) =>
      server.leaseGrant({id: ID, ttlSeconds: TTL}).then(({header, result}) => {
        return {header, ID: result.id, TTL: result.ttlSeconds};
      }, refuse),
    ),
    unary(LeasePath.LeaseRevoke, decodeLeaseRevokeRequest, encodeLeaseRevokeResponse, ({ID}) =>
      server.leaseRevoke(ID).then(({header}) => ({header}), refuse),
    ),
    unary(
      LeasePath.LeaseTimeToLive,
      decodeLeaseTimeToLiveRequest,
      encodeLeaseTimeToLiveResponse,
      ({ID, keys}) =>
        server.leaseTimeToLive({id: ID, keys}).then(({header, result}) => {
          const {ttlSeconds, grantedTtlSeconds} = result;
          return {header, ID, TTL: ttlSeconds, grantedTTL: grantedTtlSeconds, keys: result.keys};
        }, refuse),
    ),
    unary(LeasePath.LeaseLeases, decodeLeaseLeasesRequest, encodeLeaseLeasesResponse, () =>
      server.leases().then(({header, result}) => ({header, leases: result.map((ID) => ({ID}))}), refuse),
    ),
    {
      kind: 'bidi',
      path: LeasePath.LeaseKeepAlive,
      decode: decodeLeaseKeepAliveRequest,
      encode: encodeLeaseKeepAliveResponse,
      handle: (requests: AsyncIterable<LeaseKeepAliveRequest>, call: Call) =>
        answerInOrder(requests, ({ID}) => renew(server, ID), {
          inFlightMax: KEEP_ALIVES_IN_FLIGHT_MAX,
          signal: call.signal,
          onEnd: (end) => streamGuard.add(call, end),
        }),
    },
  ];
}

/** The header is from before the renewal: its revision must not be ahead of a lease that is lost meanwhile. */
function renew(server: ServerFace, id: bigint): Promise<LeaseKeepAliveResponseInput> {
  const header = server.header();
  return server.leaseRenew(id).then(({result}) => ({header, ID: id, TTL: result.ttlSeconds}), refuse);
}
