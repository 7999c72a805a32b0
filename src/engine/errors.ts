/**
 * Every failure a caller can act on, as code and data. Texts for clients are made in one table at the edge
 * (transport/api/error-status.ts); nothing is ever matched by text. A broken invariant is not here: it is an
 * `assert` and ends the process.
 */

export type EngineFailure = RequestFailure | MemberFailure;

/** What a request is answered with. */
export type RequestFailure =
  // Requests that are wrong in themselves.
  | {code: 'emptyKey'}
  | {code: 'keyNotFound'}
  | {code: 'valueProvided'}
  | {code: 'leaseProvided'}
  | {code: 'tooManyOps'; operations: number; operationsMax: number}
  | {code: 'duplicateKey'}
  | {code: 'requestTooLarge'; bytes: number; bytesMax: number}
  | {code: 'invalidSortOption'}
  // Requests that the current state refuses.
  | {code: 'compacted'; compactRevision: number}
  | {code: 'futureRevision'; currentRevision: number}
  | {code: 'noSpace'}
  | {code: 'corrupt'}
  | {code: 'leaseNotFound'}
  | {code: 'leaseExists'}
  | {code: 'leaseTtlTooLarge'; ttlSeconds: number}
  | {code: 'notPrimaryLessor'}
  // Membership.
  | {code: 'memberExists'}
  | {code: 'peerUrlExists'}
  | {code: 'memberUrlsBad'; urls: readonly string[]}
  | {code: 'memberNotFound'}
  | {code: 'memberNotLearner'}
  | {code: 'learnerNotReady'}
  | {code: 'tooManyLearners'}
  | {code: 'notEnoughStartedMembers'}
  | {code: 'unhealthy'}
  | {code: 'notSupportedForLearner'}
  | {code: 'badLeaderTransferee'}
  | {code: 'leaderTransferTimeout'}
  // Leadership and time.
  | {code: 'noLeader'}
  | {code: 'notLeader'}
  | {code: 'leaderChanged'}
  | {code: 'stopped'}
  | {code: 'timeout'}
  | {code: 'timeoutLeaderFailed'}
  | {code: 'timeoutConnectionLost'}
  | {code: 'timeoutWaitingForApply'}
  | {code: 'tooManyRequests'}
  | {code: 'canceled'}
  | {code: 'deadlineExceeded'}
  // Auth.
  | {code: 'authNotEnabled'}
  | {code: 'notCapable'};

/** What keeps a member from starting, running, or making its files; a command that meets it tells the user. */
export type MemberFailure =
  // Disk and files. `path` is as the user knows it; `offset` in bytes.
  | {code: 'diskFull'; path: string}
  | {code: 'diskError'; path: string; operation: string; detail: string}
  | ({code: 'walCorrupt'; path: string; offset: number; detail: string} & Remedy)
  | ({code: 'markerCorrupt'; path: string; offset: number; detail: string} & Remedy)
  | ({code: 'storeCorrupt'; path: string; detail: string} & Remedy)
  | {code: 'snapshotInvalid'; detail: string}
  | {code: 'exportFailed'; detail: string}
  | {code: 'dataDirLocked'; path: string}
  | {code: 'dataDirUnusable'; path: string; detail: string}
  | {code: 'formatUnsupported'; path: string; found: string; supported: string}
  | {code: 'dataDirOfEtcd'; path: string}
  // Bootstrap.
  | {code: 'clusterMismatch'; detail: string}
  | {code: 'configInvalid'; detail: string};

/** What the user of damaged data can do about it, where that is known. */
interface Remedy {
  /** Rejoin the others, restore a backup, or cut the end of the log off. */
  readonly remedy?: 'rejoin' | 'restore' | 'repair';
  readonly dataDir?: string;
}

export type EngineErrorCode = EngineFailure['code'];

/** Thrown for every failure above; `failure` holds the code with its data, `cause` what lay underneath. */
export class EngineError extends Error {
  readonly failure: EngineFailure;

  constructor(failure: EngineFailure, cause?: unknown) {
    super(describeFailure(failure), cause === undefined ? undefined : {cause});
    this.name = 'EngineError';
    this.failure = failure;
  }

  get code(): EngineErrorCode {
    return this.failure.code;
  }
}

function describeFailure(failure: EngineFailure): string {
  const {code, ...data} = failure;
  const fields = Object.entries(data).map(([name, value]) => `${name}=${String(value)}`);
  return fields.length === 0 ? code : `${code}: ${fields.join(' ')}`;
}

/** Ends the process by an uncaught error: for what the programmer, not the user, got wrong. Always on. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

export class AssertionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'AssertionError';
  }
}
