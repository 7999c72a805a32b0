/**
 * The one table from engine failures to what a client sees. Clients of etcd compare the texts, so they are etcd's to
 * the letter; where etcd's server sends a code that differs from its own client's (Unknown instead of the documented
 * one), the table says what is on etcd's wire. The type makes it complete.
 */

import {AssertionError, EngineError, type EngineErrorCode} from '../../engine/errors.ts';
import {GrpcError, GrpcStatus} from '../http2/grpc-status.ts';

type Row = readonly [status: GrpcStatus, message: string];

const {
  cancelled,
  dataLoss,
  deadlineExceeded,
  failedPrecondition,
  internal,
  invalidArgument,
  notFound,
  outOfRange,
  resourceExhausted,
  unavailable,
  unknown,
} = GrpcStatus;

const NO_LEADER: Row = [unavailable, 'etcdserver: no leader'];
const STOPPED: Row = [unavailable, 'etcdserver: server stopped'];
const CORRUPT: Row = [dataLoss, 'etcdserver: corrupt cluster'];

const STATUS: Readonly<Record<EngineErrorCode, Row>> = {
  emptyKey: [invalidArgument, 'etcdserver: key is not provided'],
  keyNotFound: [invalidArgument, 'etcdserver: key not found'],
  valueProvided: [invalidArgument, 'etcdserver: value is provided'],
  leaseProvided: [invalidArgument, 'etcdserver: lease is provided'],
  tooManyOps: [invalidArgument, 'etcdserver: too many operations in txn request'],
  duplicateKey: [invalidArgument, 'etcdserver: duplicate key given in txn request'],
  requestTooLarge: [invalidArgument, 'etcdserver: request is too large'],
  invalidSortOption: [invalidArgument, 'etcdserver: invalid sort option'],

  compacted: [outOfRange, 'etcdserver: mvcc: required revision has been compacted'],
  futureRevision: [outOfRange, 'etcdserver: mvcc: required revision is a future revision'],
  noSpace: [resourceExhausted, 'etcdserver: mvcc: database space exceeded'],
  corrupt: CORRUPT,
  leaseNotFound: [notFound, 'etcdserver: requested lease not found'],
  leaseExists: [failedPrecondition, 'etcdserver: lease already exists'],
  leaseTtlTooLarge: [outOfRange, 'etcdserver: too large lease TTL'],
  notPrimaryLessor: [unknown, 'not a primary lessor'],

  memberExists: [failedPrecondition, 'etcdserver: member ID already exist'],
  peerUrlExists: [failedPrecondition, 'etcdserver: Peer URLs already exists'],
  memberUrlsBad: [invalidArgument, 'etcdserver: given member URLs are invalid'],
  memberNotFound: [notFound, 'etcdserver: member not found'],
  memberNotLearner: [failedPrecondition, 'etcdserver: can only promote a learner member'],
  learnerNotReady: [
    failedPrecondition,
    'etcdserver: can only promote a learner member which is in sync with leader',
  ],
  tooManyLearners: [failedPrecondition, 'etcdserver: too many learner members in cluster'],
  notEnoughStartedMembers: [unknown, 'etcdserver: re-configuration failed due to not enough started members'],
  unhealthy: [unavailable, 'etcdserver: unhealthy cluster'],
  notSupportedForLearner: [failedPrecondition, 'etcdserver: rpc not supported for learner'],
  badLeaderTransferee: [failedPrecondition, 'etcdserver: bad leader transferee'],
  leaderTransferTimeout: [unknown, 'etcdserver: request timed out, leader transfer took too long'],

  noLeader: NO_LEADER,
  notLeader: [failedPrecondition, 'etcdserver: not leader'],
  leaderChanged: [unavailable, 'etcdserver: leader changed'],
  stopped: STOPPED,
  timeout: [unavailable, 'etcdserver: request timed out'],
  timeoutLeaderFailed: [
    unavailable,
    'etcdserver: request timed out, possibly due to previous leader failure',
  ],
  timeoutConnectionLost: [unavailable, 'etcdserver: request timed out, possibly due to connection lost'],
  timeoutWaitingForApply: [
    unavailable,
    'etcdserver: request timed out, waiting for the applied index took too long',
  ],
  tooManyRequests: [unknown, 'etcdserver: too many requests'],
  canceled: [cancelled, 'context canceled'],
  deadlineExceeded: [deadlineExceeded, 'context deadline exceeded'],

  authNotEnabled: [failedPrecondition, 'etcdserver: authentication is not enabled'],
  notCapable: [failedPrecondition, 'etcdserver: not capable'],

  // A member whose disk fails stops; its clients go elsewhere.
  diskFull: STOPPED,
  diskError: STOPPED,
  walCorrupt: CORRUPT,
  markerCorrupt: CORRUPT,
  storeCorrupt: CORRUPT,
  snapshotInvalid: [internal, 'kvd: the snapshot is not valid'],
  exportFailed: [internal, 'kvd: the process that reads the store for a snapshot ended early'],
  // The rest ends a start, and is never on a wire.
  dataDirLocked: STOPPED,
  dataDirUnusable: STOPPED,
  formatUnsupported: STOPPED,
  dataDirOfEtcd: STOPPED,
  clusterMismatch: STOPPED,
  configInvalid: STOPPED,
};

/** What goes onto the wire for an engine failure. */
export function statusOf(code: EngineErrorCode): {readonly status: GrpcStatus; readonly message: string} {
  const [status, message] = rowOf(code);
  return {status, message};
}

/** A member of a newer version may have refused what this one passed on. */
function rowOf(code: EngineErrorCode): Row {
  return Object.hasOwn(STATUS, code)
    ? STATUS[code]
    : [unknown, 'kvd: refused by a member of another version'];
}

/** The error to throw from a handler for whatever came up. A broken invariant ends the process instead. */
export function toGrpcError(thrown: unknown): GrpcError {
  if (thrown instanceof GrpcError) return thrown;
  if (thrown instanceof EngineError) {
    const [status, message] = rowOf(thrown.code);
    return new GrpcError(status, message, thrown);
  }
  if (thrown instanceof AssertionError) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new GrpcError(internal, message, thrown);
}

/** For `.then(…, refuse)`: passes a failure on as its status. */
export function refuse(thrown: unknown): never {
  throw toGrpcError(thrown);
}
