/**
 * What a log entry asks of the state machine. Everything timed, random or slow was decided by the proposer: a
 * command is applied to the same effect on every member.
 */

import type {DeleteRangeRequest, LeaseId, MemberId, PutRequest, Term, TxnRequest} from '../types.ts';

export type Command =
  | {readonly type: 'put'; readonly request: PutRequest}
  | {readonly type: 'deleteRange'; readonly request: DeleteRangeRequest}
  | {readonly type: 'txn'; readonly request: TxnRequest}
  | {readonly type: 'compact'; readonly revision: number}
  /** The id is never 0n here; the TTL is the one asked for, raised to the minimum by the proposer. */
  | {readonly type: 'leaseGrant'; readonly id: LeaseId; readonly ttlSeconds: number}
  /**
   * `proposerTerm` 0: a client's wish, always valid. Otherwise the expirer's term: the applier drops the command
   * when the entry's term is another (a leader that was deposed must not take leases).
   */
  | {readonly type: 'leaseRevoke'; readonly id: LeaseId; readonly proposerTerm: Term}
  /**
   * Remaining TTLs, so that a new leader goes on from there; 0 resets to the full TTL (a renewal). What a leader says
   * of them holds in its own term alone: logged later, it could stand behind a renewal. `proposerTerm` as above; 0: of
   * a log from before it was written down, and valid.
   */
  | {
      readonly type: 'leaseCheckpoint';
      readonly proposerTerm: Term;
      readonly leases: readonly {readonly id: LeaseId; readonly remainingTtlSeconds: number}[];
    }
  | {
      readonly type: 'alarm';
      readonly action: 'activate' | 'deactivate';
      readonly memberId: MemberId;
      readonly alarm: number;
    }
  /** A started member publishes its name and client URLs. */
  | {
      readonly type: 'memberAttributes';
      readonly memberId: MemberId;
      readonly name: string;
      readonly clientURLs: readonly string[];
    }
  | {readonly type: 'clusterVersion'; readonly version: string};

/** A command on its way through the log. The proposer finds the waiting caller by `requestId`. */
export interface Proposal {
  readonly proposer: MemberId;
  /** Unique among this proposer's requests, across its restarts too: a safe integer. */
  readonly requestId: number;
  readonly command: Command;
}
