/** Steps of the differential script by raw gRPC: leases, members, maintenance. */

import {type Action, bytes, type GrpcStep, type Request, stream, unary} from './grpc-step.ts';

const lease = (name: string, method: string, request: Request): GrpcStep =>
  unary(`lease: ${name}`, `Lease/${method}`, request);
const keepAlive = (name: string, actions: readonly Action[]): GrpcStep =>
  stream(`lease: keep alive ${name}`, 'Lease/LeaseKeepAlive', actions);
const put = (key: string, id: number): GrpcStep =>
  unary(`lease: put ${key} on ${id}`, 'KV/Put', {key: bytes(key), value: bytes('v'), lease: id});

export const LEASE_STEPS: readonly GrpcStep[] = [
  lease('none', 'LeaseLeases', {}),
  lease('grant', 'LeaseGrant', {ID: 101, TTL: 500}),
  lease('grant again', 'LeaseGrant', {ID: 101, TTL: 500}),
  lease('grant a second', 'LeaseGrant', {ID: 102, TTL: 1_000}),
  lease('grant with a chosen id', 'LeaseGrant', {TTL: 100_000}),
  lease('grant a short one', 'LeaseGrant', {ID: 103, TTL: 1}),
  lease('grant of no time', 'LeaseGrant', {ID: 104, TTL: 0}),
  lease('grant of negative time', 'LeaseGrant', {ID: 105, TTL: -10}),
  lease('grant of the longest time', 'LeaseGrant', {ID: 106, TTL: 9_000_000_000}),
  lease('grant of too long a time', 'LeaseGrant', {ID: 107, TTL: 9_000_000_001}),
  lease('grant of a negative id', 'LeaseGrant', {ID: -8, TTL: 1_000}),
  lease('grant of the largest id', 'LeaseGrant', {ID: '9223372036854775807', TTL: 1_000}),
  put('l/1', 101),
  put('l/2', 101),
  put('l/3', -8),
  lease('time to live', 'LeaseTimeToLive', {ID: 101}),
  lease('time to live with keys', 'LeaseTimeToLive', {ID: 101, keys: true}),
  lease('time to live without keys', 'LeaseTimeToLive', {ID: 102, keys: true}),
  lease('time to live of a negative id', 'LeaseTimeToLive', {ID: -8, keys: true}),
  lease('time to live of nothing', 'LeaseTimeToLive', {ID: 999}),
  lease('time to live of nothing with keys', 'LeaseTimeToLive', {ID: 999, keys: true}),
  lease('time to live of 0', 'LeaseTimeToLive', {}),
  keepAlive('one', [{send: {ID: 101}}, {receive: 1}]),
  keepAlive('several on a stream', [
    {send: {ID: 101}},
    {receive: 1},
    {send: {ID: 102}},
    {receive: 1},
    {send: {ID: 999}},
    {receive: 1},
    {send: {ID: -8}},
    {receive: 1},
    {send: {}},
    {receive: 1},
  ]),
  keepAlive('and end', [{send: {ID: 101}}, {receive: 1}, {end: true}]),
  keepAlive('nothing', [{end: true}]),
  put('l/1', 102),
  lease('keys after a move', 'LeaseTimeToLive', {ID: 101, keys: true}),
  lease('revoke', 'LeaseRevoke', {ID: 101}),
  lease('revoke again', 'LeaseRevoke', {ID: 101}),
  lease('revoke nothing', 'LeaseRevoke', {ID: 999}),
  lease('revoke 0', 'LeaseRevoke', {}),
  lease('revoke one without keys', 'LeaseRevoke', {ID: 106}),
  lease('revoke a negative id', 'LeaseRevoke', {ID: -8}),
  unary('lease: what is left', 'KV/Range', {key: bytes('l/'), range_end: bytes('l0')}),
  lease('grant an id again after its end', 'LeaseGrant', {ID: 101, TTL: 500}),
];

const cluster = (name: string, method: string, request: Request): GrpcStep =>
  unary(`cluster: ${name}`, `Cluster/${method}`, request);
const NOWHERE = 'http://127.0.0.1:9';

/** Refusals, and what needs no change of the cluster: changes are in the script of etcdctl. */
export const CLUSTER_STEPS: readonly GrpcStep[] = [
  cluster('list', 'MemberList', {}),
  cluster('add nothing', 'MemberAdd', {}),
  cluster('add no URL', 'MemberAdd', {peerURLs: ['']}),
  cluster('add a bad URL', 'MemberAdd', {peerURLs: ['nonsense']}),
  cluster('add a URL with path', 'MemberAdd', {peerURLs: ['http://127.0.0.1:9/path']}),
  cluster('add a URL of another scheme', 'MemberAdd', {peerURLs: ['ftp://127.0.0.1:9']}),
  cluster('add a URL without port', 'MemberAdd', {peerURLs: ['http://127.0.0.1']}),
  cluster('add one bad of two', 'MemberAdd', {peerURLs: [NOWHERE, 'nonsense']}),
  cluster('remove nobody', 'MemberRemove', {}),
  cluster('remove an unknown one', 'MemberRemove', {ID: 1234}),
  cluster('update nobody', 'MemberUpdate', {peerURLs: [NOWHERE]}),
  cluster('update an unknown one', 'MemberUpdate', {ID: 1234, peerURLs: [NOWHERE]}),
  cluster('update with its own URL', 'MemberUpdate', ({members, peerUrls}) => ({
    ID: members[0],
    peerURLs: [peerUrls[0]],
  })),
  unary('cluster: promote a voter', 'Cluster/MemberPromote', ({members}) => ({ID: members[0]}), {
    on: 'leader',
  }),
  unary('cluster: promote an unknown one', 'Cluster/MemberPromote', {ID: 1234}, {on: 'leader'}),
  cluster('list at the end', 'MemberList', {}),
];

const maintenance = (
  name: string,
  method: string,
  request: Request,
  more: {on?: 'leader' | 'follower'; members?: 3} = {},
): GrpcStep => unary(`maintenance: ${name}`, `Maintenance/${method}`, request, more);
const value = {key: bytes('m/a'), value: bytes('v')};

export const MAINTENANCE_STEPS: readonly GrpcStep[] = [
  maintenance('status', 'Status', {}),
  maintenance('alarms', 'Alarm', {action: 'GET'}),
  maintenance('alarms of a kind', 'Alarm', {action: 'GET', alarm: 'CORRUPT'}),
  maintenance('raise an alarm', 'Alarm', ({members}) => ({
    action: 'ACTIVATE',
    memberID: members[0],
    alarm: 'NOSPACE',
  })),
  maintenance('raise it again', 'Alarm', ({members}) => ({
    action: 'ACTIVATE',
    memberID: members[0],
    alarm: 'NOSPACE',
  })),
  maintenance('raised alarms', 'Alarm', {action: 'GET', alarm: 'NOSPACE'}),
  unary('maintenance: put without space', 'KV/Put', value),
  unary('maintenance: put without key without space', 'KV/Put', {}),
  unary('maintenance: txn without space', 'KV/Txn', {success: [{request_put: value}]}),
  unary('maintenance: txn whose put is not taken, without space', 'KV/Txn', {
    failure: [{request_put: value}],
  }),
  unary('maintenance: nested put that is not taken, without space', 'KV/Txn', {
    failure: [{request_txn: {success: [{request_put: value}]}}],
  }),
  unary('maintenance: txn of reads without space', 'KV/Txn', {
    success: [{request_range: {key: bytes('m/a')}}],
  }),
  unary('maintenance: delete without space', 'KV/DeleteRange', {key: bytes('m/a')}),
  unary('maintenance: grant without space', 'Lease/LeaseGrant', {ID: 555, TTL: 100}),
  unary('maintenance: compact without space', 'KV/Compact', ({revision}) => ({revision})),
  maintenance('status without space', 'Status', {}),
  maintenance('drop the alarm of another', 'Alarm', {action: 'DEACTIVATE', memberID: 5, alarm: 'NOSPACE'}),
  maintenance('drop the alarm', 'Alarm', ({members}) => ({
    action: 'DEACTIVATE',
    memberID: members[0],
    alarm: 'NOSPACE',
  })),
  maintenance('drop it again', 'Alarm', ({members}) => ({
    action: 'DEACTIVATE',
    memberID: members[0],
    alarm: 'NOSPACE',
  })),
  unary('maintenance: put again', 'KV/Put', value),
  maintenance('defragment', 'Defragment', {}),
  maintenance('move the leader to an unknown one', 'MoveLeader', {targetID: 1234}, {on: 'leader'}),
  maintenance('move the leader to nobody', 'MoveLeader', {}, {on: 'leader'}),
  maintenance('move the leader from a follower', 'MoveLeader', ({follower}) => ({targetID: follower}), {
    on: 'follower',
    members: 3,
  }),
  maintenance('move the leader', 'MoveLeader', ({follower}) => ({targetID: follower}), {
    on: 'leader',
    members: 3,
  }),
  unary('maintenance: put after the move', 'KV/Put', value),
  unary('maintenance: with a leader', 'KV/Range', {key: bytes('m/a')}, {metadata: {hasleader: 'true'}}),
  unary('maintenance: authenticate without auth', 'Auth/Authenticate', {name: 'root', password: 'pw'}),
];

/** First on a new store: later, ids make the hashes differ. */
export const HASH_STEPS: readonly GrpcStep[] = [
  maintenance('hash of keys', 'HashKV', {}),
  maintenance('hash of keys at a revision', 'HashKV', ({revision}) => ({revision: revision - 4})),
  maintenance('hash of keys at revision 1', 'HashKV', {revision: 1}),
  maintenance('hash of keys in the future', 'HashKV', ({revision}) => ({revision: revision + 1})),
  maintenance('hash of keys at a negative revision', 'HashKV', {revision: -1}),
];

export const COMPACTED_HASH_STEPS: readonly GrpcStep[] = [
  maintenance('hash of compacted keys', 'HashKV', {}),
  maintenance('hash at a compacted revision', 'HashKV', ({revision}) => ({revision: revision - 1})),
];
