/**
 * A member as its clients see it: what the API listener, and anybody who embeds kvd, calls. Each call goes the one
 * way: through the log for writes, through a confirmed read index for linearizable reads, straight to the local
 * state for serializable ones. Every rejection is an EngineError.
 */

import type {
  Alarm,
  ClusterId,
  DeleteRangeRequest,
  DeleteRangeResult,
  Header,
  LeaseId,
  Member,
  MemberId,
  PutRequest,
  PutResult,
  RangeRequest,
  RangeResult,
  TxnRequest,
  TxnResult,
} from '../types.ts';
import type {WatchHub} from '../watch/watch-hub.ts';

/** An answer with the header of the moment it became true. */
export interface Answered<Result> {
  readonly header: Header;
  readonly result: Result;
}

export interface MemberStatus {
  /** The API level, `3.7.1`. */
  readonly version: string;
  readonly dbSize: number;
  readonly dbSizeInUse: number;
  readonly dbSizeQuota: number;
  /** 0n: no leader known. */
  readonly leader: MemberId;
  readonly raftIndex: number;
  readonly raftTerm: number;
  readonly raftAppliedIndex: number;
  readonly errors: readonly string[];
  readonly isLearner: boolean;
  readonly storageVersion: string;
}

export interface SnapshotStream {
  /** All bytes to come: the database and its 32-byte digest. */
  readonly totalBytes: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** The calls; `signal` ends the waiting (not the effect) of one that is on its way. */
export interface ServerCalls {
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
  readonly watchHub: WatchHub;
  header(): Header;
  leader(): MemberId;
  isLearner(): boolean;

  range(request: RangeRequest, signal?: AbortSignal): Promise<Answered<RangeResult>>;
  /** The same range at one revision in parts of bounded size, in key order; the count comes with the last part. */
  rangeStream(request: RangeRequest, signal?: AbortSignal): AsyncIterable<Answered<RangeResult>>;
  put(request: PutRequest, signal?: AbortSignal): Promise<Answered<PutResult>>;
  deleteRange(request: DeleteRangeRequest, signal?: AbortSignal): Promise<Answered<DeleteRangeResult>>;
  txn(request: TxnRequest, signal?: AbortSignal): Promise<Answered<TxnResult>>;
  /** `physical`: resolves only when the revisions are gone from this member's store. */
  compact(request: {revision: number; physical: boolean}, signal?: AbortSignal): Promise<Answered<undefined>>;

  /** `id` 0n: one is chosen. */
  leaseGrant(request: {id: LeaseId; ttlSeconds: number}): Promise<Answered<{id: LeaseId; ttlSeconds: number}>>;
  leaseRevoke(id: LeaseId): Promise<Answered<undefined>>;
  /** The new TTL in seconds; 0 when there is no such lease. */
  leaseRenew(id: LeaseId): Promise<Answered<{ttlSeconds: number}>>;
  /** `ttlSeconds` -1 when there is no such lease. */
  leaseTimeToLive(request: {id: LeaseId; keys: boolean}): Promise<
    Answered<{ttlSeconds: number; grantedTtlSeconds: number; keys: readonly Uint8Array[]}>
  >;
  leases(): Promise<Answered<readonly LeaseId[]>>;

  memberAdd(request: {peerURLs: readonly string[]; isLearner: boolean}): Promise<
    Answered<{member: Member; members: readonly Member[]}>
  >;
  memberRemove(id: MemberId): Promise<Answered<readonly Member[]>>;
  memberUpdate(request: {id: MemberId; peerURLs: readonly string[]}): Promise<Answered<readonly Member[]>>;
  memberPromote(id: MemberId): Promise<Answered<readonly Member[]>>;
  members(request: {linearizable: boolean}): Promise<Answered<readonly Member[]>>;

  alarms(): Promise<Answered<readonly Alarm[]>>;
  alarmActivate(alarm: Alarm): Promise<Answered<readonly Alarm[]>>;
  alarmDeactivate(alarm: Alarm): Promise<Answered<readonly Alarm[]>>;
  status(): Promise<Answered<MemberStatus>>;
  defragment(): Promise<void>;
  hash(): Promise<Answered<number>>;
  hashKv(revision: number): Promise<Answered<{hash: number; compactRevision: number; hashRevision: number}>>;
  snapshot(signal?: AbortSignal): Promise<SnapshotStream>;
  moveLeader(target: MemberId): Promise<void>;

  /** Resolves when this member has confirmed, within the election timeout, that a leader can commit. */
  confirmLeader(): Promise<void>;
}
