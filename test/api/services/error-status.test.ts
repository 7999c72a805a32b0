/** The table of statuses: codes and texts that clients compare. */

import {describe, expect, it} from 'vitest';
import {EngineError, type EngineFailure} from '../../../src/engine/errors.ts';
import {toGrpcError} from '../../../src/transport/api/error-status.ts';
import {GrpcError, GrpcStatus} from '../../../src/transport/http2/grpc-status.ts';

const EXPECTED: readonly (readonly [EngineFailure, number, string])[] = [
  [{code: 'emptyKey'}, 3, 'etcdserver: key is not provided'],
  [
    {code: 'tooManyOps', operations: 2, operationsMax: 1},
    3,
    'etcdserver: too many operations in txn request',
  ],
  [{code: 'duplicateKey'}, 3, 'etcdserver: duplicate key given in txn request'],
  [{code: 'requestTooLarge', bytes: 2, bytesMax: 1}, 3, 'etcdserver: request is too large'],
  [{code: 'compacted', compactRevision: 3}, 11, 'etcdserver: mvcc: required revision has been compacted'],
  [
    {code: 'futureRevision', currentRevision: 3},
    11,
    'etcdserver: mvcc: required revision is a future revision',
  ],
  [{code: 'noSpace'}, 8, 'etcdserver: mvcc: database space exceeded'],
  [{code: 'leaseNotFound'}, 5, 'etcdserver: requested lease not found'],
  [{code: 'leaseExists'}, 9, 'etcdserver: lease already exists'],
  [{code: 'leaseTtlTooLarge', ttlSeconds: 1e10}, 11, 'etcdserver: too large lease TTL'],
  [{code: 'memberNotFound'}, 5, 'etcdserver: member not found'],
  [{code: 'peerUrlExists'}, 9, 'etcdserver: Peer URLs already exists'],
  [
    {code: 'notEnoughStartedMembers'},
    2,
    'etcdserver: re-configuration failed due to not enough started members',
  ],
  [{code: 'unhealthy'}, 14, 'etcdserver: unhealthy cluster'],
  [{code: 'noLeader'}, 14, 'etcdserver: no leader'],
  [{code: 'leaderChanged'}, 14, 'etcdserver: leader changed'],
  [{code: 'timeout'}, 14, 'etcdserver: request timed out'],
  [{code: 'tooManyRequests'}, 2, 'etcdserver: too many requests'],
  [{code: 'authNotEnabled'}, 9, 'etcdserver: authentication is not enabled'],
  [{code: 'corrupt'}, 15, 'etcdserver: corrupt cluster'],
  [{code: 'diskFull', path: '/somewhere'}, 14, 'etcdserver: server stopped'],
];

describe('error statuses', () => {
  it.each(EXPECTED)("Ensure that %o has etcd's status and text.", (failure, status, message) => {
    const error = toGrpcError(new EngineError(failure));
    expect([error.status, error.message]).toEqual([status, message]);
  });

  it('Ensure that a status passes as it is and anything else is internal, with its cause kept.', () => {
    const known = new GrpcError(GrpcStatus.unimplemented, 'no');
    expect(toGrpcError(known)).toBe(known);
    const cause = new TypeError('oh');
    expect(toGrpcError(cause)).toMatchObject({status: GrpcStatus.internal, message: 'oh', cause});
    expect(toGrpcError('text').message).toBe('text');
  });
});
