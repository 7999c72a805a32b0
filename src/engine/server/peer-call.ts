/** What members ask each other beside raft's messages, and the answers. Plain data: it travels as it stands. */

import type {ClusterId, Index, LeaseId, Member, MemberId, Term} from '../types.ts';

/** A wish to change the member list, as a client put it. */
export type MemberOperation =
  | {readonly type: 'add'; readonly peerURLs: readonly string[]; readonly isLearner: boolean}
  | {readonly type: 'remove'; readonly id: MemberId}
  | {readonly type: 'update'; readonly id: MemberId; readonly peerURLs: readonly string[]}
  | {readonly type: 'promote'; readonly id: MemberId};

export type PeerCall =
  /** Joining and bootstrap: who are you all? Answered without a leader. */
  | {readonly type: 'cluster'}
  /** To the leader, which alone keeps deadlines. */
  | {readonly type: 'leaseRenew'; readonly id: LeaseId}
  | {readonly type: 'leaseRemaining'; readonly id: LeaseId}
  | {readonly type: 'membership'; readonly operation: MemberOperation}
  /** The running state hash at a log index that was passed lately. */
  | {readonly type: 'stateHash'; readonly index: Index};

export type PeerAnswer =
  | {
      readonly type: 'cluster';
      readonly clusterId: ClusterId;
      readonly memberId: MemberId;
      readonly members: readonly Member[];
      readonly removed: readonly MemberId[];
    }
  /** `ttlSeconds` 0: there is no such lease. */
  | {readonly type: 'leaseRenew'; readonly ttlSeconds: number}
  /** -1: there is no such lease. */
  | {readonly type: 'leaseRemaining'; readonly remainingSeconds: number}
  /** The list after the change; `added` is the new member's id, 0n otherwise. */
  | {readonly type: 'membership'; readonly added: MemberId; readonly members: readonly Member[]}
  /** Undefined: that index is not remembered (not reached yet, or long ago). */
  | {readonly type: 'stateHash'; readonly hash: number | undefined; readonly term: Term};
