/** A ServerFace whose calls a test fills in; what it does not fill in fails. */

import {EngineError} from '../../../src/engine/errors.ts';
import type {Header} from '../../../src/engine/types.ts';
import type {ServerFace, ServiceContext} from '../../../src/transport/api/services/service.ts';
import {StreamGuard} from '../../../src/transport/api/stream-guard.ts';
import type {Call, GrpcMethod} from '../../../src/transport/http2/grpc-method.ts';

export const HEADER: Header = {clusterId: 2n ** 63n + 5n, memberId: 7n, revision: 42, raftTerm: 3};

export function fakeServer(calls: Partial<ServerFace> = {}): ServerFace {
  const missing = async (): Promise<never> => {
    throw new EngineError({code: 'stopped'});
  };
  const base = {
    clusterId: HEADER.clusterId,
    memberId: HEADER.memberId,
    electionTimeoutMs: 100,
    header: () => HEADER,
    leader: () => HEADER.memberId,
    isLearner: () => false,
    alarms: async () => ({header: HEADER, result: []}),
    range: missing,
    put: missing,
    deleteRange: missing,
    txn: missing,
    compact: missing,
    leaseGrant: missing,
    leaseRevoke: missing,
    leaseRenew: missing,
    leaseTimeToLive: missing,
    leases: missing,
    memberAdd: missing,
    memberRemove: missing,
    memberUpdate: missing,
    memberPromote: missing,
    members: missing,
    alarmActivate: missing,
    alarmDeactivate: missing,
    status: missing,
    defragment: missing,
    hash: missing,
    hashKv: missing,
    snapshot: missing,
    moveLeader: missing,
    confirmLeader: missing,
  };
  return {...base, ...calls} as unknown as ServerFace;
}

export function fakeContext(server: ServerFace): ServiceContext {
  return {
    server,
    streamGuard: new StreamGuard(server, {electionTimeoutMs: server.electionTimeoutMs}),
    txnOperationsMax: 128,
    watchFragmentBytes: 1_572_864,
  };
}

export function fakeCall(metadata: Readonly<Record<string, string>> = {}, signal?: AbortSignal): Call {
  return {
    metadata: (name) => metadata[name],
    signal: signal ?? new AbortController().signal,
    timeoutMs: undefined,
    remote: 'test',
  };
}

/** Calls a unary method as the transport does, but for the bytes. */
export function callUnary(
  methods: readonly GrpcMethod[],
  path: string,
  request: Uint8Array,
  call: Call = fakeCall(),
): Promise<Uint8Array> {
  const method = methods.find((one) => one.path === path);
  if (method?.kind !== 'unary') throw new Error(`no unary method ${path}`);
  return method.handle(method.decode(request), call).then((response: unknown) => method.encode(response));
}
