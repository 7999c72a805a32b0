/** What went wrong, as one line for a human, and the exit code that goes with it. */

import {didYouMean} from '../../config/nearest-name.ts';
import {EngineError, type EngineFailure, type MemberFailure} from '../../engine/errors.ts';
import {statusOf} from '../../transport/api/error-status.ts';
import {NoAnswerError} from '../../transport/client/no-answer.ts';
import {GrpcError, GrpcStatus} from '../../transport/http2/grpc-status.ts';
import {CommandError, ExitCode, UnknownNameError} from './exit.ts';
import {fileReason, inWords, isFileError} from './file-error.ts';

export interface Described {
  /** Empty: nothing is left to say. */
  readonly line: string;
  readonly exitCode: number;
}

export function describeError(error: unknown): Described {
  if (error instanceof UnknownNameError) {
    const {what, word, names, hint, exitCode} = error;
    return {line: what + (didYouMean(word, names) || hint), exitCode};
  }
  if (error instanceof CommandError) return {line: error.message, exitCode: error.exitCode};
  if (error instanceof GrpcError) return {line: describeGrpcError(error), exitCode: ExitCode.error};
  if (error instanceof EngineError) return {line: describeFailure(error), exitCode: ExitCode.error};
  return {line: describeSystemError(error), exitCode: ExitCode.error};
}

/** Servers' own texts stand alone, as etcdctl prints them; others with their status. */
function describeGrpcError(error: GrpcError): string {
  const {status, message} = error;
  if (error instanceof NoAnswerError) return [message, error.reasons.join('; ')].join(': ');
  if (message.startsWith('etcdserver: ') || message.startsWith('context ')) return message;
  if (status === GrpcStatus.deadlineExceeded) return 'context deadline exceeded';
  return `rpc error: code = ${STATUS_NAMES[status] ?? status} desc = ${message}`;
}

const STATUS_NAMES: Readonly<Record<number, string>> = {
  [GrpcStatus.cancelled]: 'Canceled',
  [GrpcStatus.unknown]: 'Unknown',
  [GrpcStatus.invalidArgument]: 'InvalidArgument',
  [GrpcStatus.deadlineExceeded]: 'DeadlineExceeded',
  [GrpcStatus.notFound]: 'NotFound',
  [GrpcStatus.alreadyExists]: 'AlreadyExists',
  [GrpcStatus.permissionDenied]: 'PermissionDenied',
  [GrpcStatus.resourceExhausted]: 'ResourceExhausted',
  [GrpcStatus.failedPrecondition]: 'FailedPrecondition',
  [GrpcStatus.aborted]: 'Aborted',
  [GrpcStatus.outOfRange]: 'OutOfRange',
  [GrpcStatus.unimplemented]: 'Unimplemented',
  [GrpcStatus.internal]: 'Internal',
  [GrpcStatus.unavailable]: 'Unavailable',
  [GrpcStatus.dataLoss]: 'DataLoss',
  [GrpcStatus.unauthenticated]: 'Unauthenticated',
};

type Failure<Code extends MemberFailure['code']> = Extract<MemberFailure, {code: Code}>;

/** The type makes it complete. */
const FAILURES: {readonly [Code in MemberFailure['code']]: (failure: Failure<Code>) => string} = {
  configInvalid: ({detail}) => detail,
  clusterMismatch: ({detail}) => `this member does not belong to the cluster: ${detail}`,
  dataDirLocked: ({path}) => `${path} is in use by another kvd; stop that one, or choose another --data-dir`,
  dataDirUnusable: ({path, detail}) =>
    `${path} cannot be used: ${inWords(detail)}; choose another --data-dir or mend it`,
  dataDirOfEtcd: ({path}) =>
    `${path} is the data of an etcd, which kvd does not open; move it over while that etcd runs: ` +
    'etcdctl snapshot save FILE, then kvd snapshot restore FILE --data-dir=NEW',
  formatUnsupported: ({path, found, supported}) =>
    `${path} was written by another version of kvd (format ${found}; this one reads ${supported}); use that version`,
  walCorrupt: (failure) =>
    `${failure.path} is damaged at byte ${failure.offset}: ${failure.detail}; ${advice(failure)}`,
  markerCorrupt: (failure) =>
    `${failure.path} is damaged at byte ${failure.offset}: ${failure.detail}; ${advice(failure)}`,
  storeCorrupt: (failure) => `${failure.path} is damaged: ${failure.detail}; ${advice(failure)}`,
  snapshotInvalid: ({detail}) => detail,
  exportFailed: ({detail}) => `the store could not be read for a snapshot: ${detail}; try again`,
  diskFull: ({path}) => `no space is left for ${path}; make room on that file system and start again`,
  diskError: ({path, operation, detail}) => `${operation} ${path}: ${inWords(detail)}`,
};

/** The next command for whoever has damaged data. */
function advice({
  remedy,
  dataDir = "this member's data",
}: Failure<'walCorrupt' | 'markerCorrupt' | 'storeCorrupt'>): string {
  const rejoin =
    `put ${dataDir} aside and let this member rejoin the others (kvd member remove, kvd member add, then ` +
    'kvd serve --initial-cluster-state=existing)';
  const restore = `put ${dataDir} aside and restore a backup: kvd snapshot restore FILE --data-dir=${dataDir}`;
  switch (remedy) {
    case 'repair':
      return `kvd wal repair --data-dir=${dataDir} tells what may be lost, and with --yes cuts the batch off; or ${restore}`;
    case 'restore':
      return `nobody else has this data: ${restore}`;
    case 'rejoin':
      return rejoin;
    default:
      return `${rejoin}, or restore a snapshot (kvd snapshot restore)`;
  }
}

/** What would answer a request has its text where requests are answered. */
function describeFailure({failure}: EngineError): string {
  if (!isMemberFailure(failure)) return statusOf(failure.code).message;
  const describe = FAILURES[failure.code] as (failure: MemberFailure) => string;
  return describe(failure);
}

function isMemberFailure(failure: EngineFailure): failure is MemberFailure {
  return Object.hasOwn(FAILURES, failure.code);
}

function describeSystemError(error: unknown): string {
  if (isFileError(error) && error.path !== undefined)
    return `${error.syscall} ${error.path}: ${fileReason(error)}`;
  return error instanceof Error ? (error.message.split('\n')[0] as string) : String(error);
}

/** For calls whose failure etcdctl takes for a bad connection: lease timetolive, list and keep-alive. */
export function badConnection(error: unknown): never {
  throw new CommandError(ExitCode.badConnection, describeError(error).line, error);
}
