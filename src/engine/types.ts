/**
 * The vocabulary of the engine: plain data, no logic.
 *
 * Request and response shapes carry etcd's field names in camel case, so that a decoded protobuf message is
 * one of these as it stands: nothing is converted between the wire and the engine. A byte string is a
 * `Uint8Array` (at run time mostly a `Buffer`); whoever keeps one longer than the call it came in owns a copy.
 *
 * Numbers: member, cluster and lease ids are `bigint`. Terms, log indexes and revisions are `number`; those that
 * kvd makes are safe integers, those that a client sends may be any int64 rounded to a double (beyond 2^53 they
 * compare as "larger than anything here", which is what they are).
 */

/** Unsigned 64 bits; 0n means nobody. */
export type MemberId = bigint;
/** Unsigned 64 bits. */
export type ClusterId = bigint;
/** Signed 64 bits; 0n means no lease. */
export type LeaseId = bigint;
/** A Raft term, from 1; 0 before the first election. */
export type Term = number;
/** A position in the Raft log, from 1; 0 is "before the log". */
export type Index = number;

/** One version of a key. `main` counts write transactions, `sub` the changes inside one, from 0. */
export interface Revision {
  readonly main: number;
  readonly sub: number;
}

/** A key with its newest value at some revision. */
export interface KeyValue {
  readonly key: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  /** 1 for a fresh key, then +1 per put; 0 in the tombstone that a delete event carries. */
  readonly version: number;
  readonly value: Uint8Array;
  readonly lease: LeaseId;
  /**
   * The same six fields as protobuf bytes of mvccpb.KeyValue, where they are at hand (they are what is stored):
   * an encoder may copy them through. Always equal to the fields.
   */
  readonly encoded?: Uint8Array | undefined;
  /** Where `encoded` is read from the store each time it is asked for: its length, bytes. */
  readonly distantBytes?: number | undefined;
}

export const EventType = {put: 0, delete: 1} as const;
export type EventType = (typeof EventType)[keyof typeof EventType];

/** A change that a watcher sees. A delete's `kv` holds key and modRevision only. */
export interface Event {
  readonly type: EventType;
  readonly kv: KeyValue;
  readonly prevKv?: KeyValue | undefined;
}

// ---- Key-value requests -------------------------------------------------------------------------------------

/** `rangeEnd`: empty = the one key; a single 0 byte = all keys from `key` on; else the half-open range. */
export interface KeyRange {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

export const SortOrder = {none: 0, ascend: 1, descend: 2} as const;
export const SortTarget = {key: 0, version: 1, create: 2, mod: 3, value: 4} as const;

export interface RangeRequest extends KeyRange {
  /** 0: no limit. */
  readonly limit: number;
  /** 0 or less: the current revision. */
  readonly revision: number;
  readonly sortOrder: number;
  readonly sortTarget: number;
  readonly serializable: boolean;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  /** Filters by revision; 0 means no bound. */
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
}

export interface RangeResult {
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  /** All keys of the range at that revision, whatever limit and filters left out. */
  readonly count: number;
}

export interface PutRequest {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease: LeaseId;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

export interface PutResult {
  readonly prevKv: KeyValue | undefined;
}

export interface DeleteRangeRequest extends KeyRange {
  readonly prevKv: boolean;
}

export interface DeleteRangeResult {
  readonly deleted: number;
  readonly prevKvs: readonly KeyValue[];
}

export const CompareResult = {equal: 0, greater: 1, less: 2, notEqual: 3} as const;
export const CompareTarget = {version: 0, create: 1, mod: 2, value: 3, lease: 4} as const;

/** One guard of a transaction; with `rangeEnd` it must hold for every key of the range. */
export interface Compare extends KeyRange {
  readonly result: number;
  readonly target: number;
  readonly version?: number | undefined;
  readonly createRevision?: number | undefined;
  readonly modRevision?: number | undefined;
  readonly value?: Uint8Array | undefined;
  readonly lease?: LeaseId | undefined;
}

/** Exactly one field is set. */
export interface RequestOp {
  readonly requestRange?: RangeRequest | undefined;
  readonly requestPut?: PutRequest | undefined;
  readonly requestDeleteRange?: DeleteRangeRequest | undefined;
  readonly requestTxn?: TxnRequest | undefined;
}

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

/** The answer to the operation at the same place; exactly one field is set. */
export interface ResponseOp {
  readonly responseRange?: RangeResult | undefined;
  readonly responsePut?: PutResult | undefined;
  readonly responseDeleteRange?: DeleteRangeResult | undefined;
  readonly responseTxn?: TxnResult | undefined;
}

export interface TxnResult {
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}

// ---- Cluster ------------------------------------------------------------------------------------------------

/** A member as the cluster's replicated list knows it. `name` and `clientURLs` are empty until it has started. */
export interface Member {
  readonly id: MemberId;
  readonly name: string;
  readonly peerURLs: readonly string[];
  readonly clientURLs: readonly string[];
  readonly isLearner: boolean;
}

export const AlarmType = {none: 0, noSpace: 1, corrupt: 2} as const;

export interface Alarm {
  readonly memberId: MemberId;
  readonly alarm: number;
}

/** What every answer to a client says about where it comes from. */
export interface Header {
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
  readonly revision: number;
  readonly raftTerm: Term;
}

// ---- Stored records -----------------------------------------------------------------------------------------

/**
 * The tables of a member's store. They mirror etcd's buckets (names, key and value layouts; see the snapshot
 * codec), so that a snapshot file is a copy, plus `kvd` for what only kvd keeps.
 */
export const TABLES = [
  'alarm',
  'auth',
  'authRoles',
  'authUsers',
  'cluster',
  'key',
  'kvd',
  'lease',
  'members',
  'members_removed',
  'meta',
] as const;
export type Table = (typeof TABLES)[number];

/** A half-open range of record keys, in byte order; `to` absent: up to the table's end. */
export interface RecordRange {
  readonly from?: Uint8Array | undefined;
  readonly to?: Uint8Array | undefined;
  readonly reverse?: boolean | undefined;
}

export type TableRecord = readonly [key: Uint8Array, value: Uint8Array];

/** How far a store's image has come: everything up to `index` is in it, nothing after it. */
export interface AppliedMark {
  readonly index: Index;
  readonly term: Term;
  /** The running state hash over all commands up to `index`: an unsigned 32-bit number. */
  readonly hash: number;
}
