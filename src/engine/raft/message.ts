/** What raft takes in and gives out: messages, log entries, and the `Ready` that one turn hands to its caller. */

import type {Index, MemberId, Term} from '../types.ts';

export const EntryType = {normal: 0, confChange: 1} as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

/** One place in the log. A normal entry with an empty payload is the one a new leader appends. */
export interface Entry {
  readonly index: Index;
  readonly term: Term;
  readonly type: EntryType;
  /** Opaque to raft, but for conf changes (conf-change.ts). */
  readonly payload: Uint8Array;
}

/**
 * What must be on disk before a vote or an acknowledgement leaves. `vote` 0n: not given in this term. `commit` never
 * goes down; on a member that lost the tail of its log it may lie beyond the last entry, and must be kept like that.
 */
export interface HardState {
  readonly term: Term;
  readonly vote: MemberId;
  readonly commit: Index;
}

/** Who decides. Outside a joint change `votersOutgoing` and `learnersNext` are empty. All sorted ascending. */
export interface ConfState {
  readonly voters: readonly MemberId[];
  readonly votersOutgoing: readonly MemberId[];
  readonly learners: readonly MemberId[];
  readonly learnersNext: readonly MemberId[];
  readonly autoLeave: boolean;
}

/** The point a snapshot stands for: the log up to and including `index` is replaced by it. */
export interface SnapshotMeta {
  readonly index: Index;
  readonly term: Term;
  readonly confState: ConfState;
}

/** One member to add, promote, demote or remove. */
export interface ConfChangeStep {
  readonly type: 'addVoter' | 'addLearner' | 'remove' | 'update';
  readonly memberId: MemberId;
}

/**
 * A change of the configuration. One step: etcd's simple change. More than one, or `joint` set: joint consensus,
 * left by itself (`autoLeave`) or by an empty change. `context` is the caller's (the member's URLs and so on).
 */
export interface ConfChange {
  readonly steps: readonly ConfChangeStep[];
  readonly joint: 'auto' | 'implicit' | 'explicit';
  readonly context: Uint8Array;
}

interface Routed {
  readonly from: MemberId;
  readonly to: MemberId;
  /** The sender's term; 0 in messages that stand outside terms (propose, readIndex and their answers). */
  readonly term: Term;
}

export type Message = Routed &
  (
    | {
        readonly type: 'append';
        /** The entry just before `entries`, which the follower must have. */
        readonly previousIndex: Index;
        readonly previousTerm: Term;
        readonly entries: readonly Entry[];
        readonly commit: Index;
      }
    | {
        readonly type: 'appendResponse';
        /** Accepted: the last index that now matches (and is on disk). Rejected: the `previousIndex` refused. */
        readonly index: Index;
        readonly rejected: boolean;
        /** With a rejection: where the follower's log may agree, and its term there. */
        readonly hintIndex: Index;
        readonly hintTerm: Term;
      }
    | {readonly type: 'heartbeat'; readonly commit: Index; readonly readContext: number}
    | {readonly type: 'heartbeatResponse'; readonly readContext: number}
    | {
        readonly type: 'vote' | 'preVote';
        readonly lastIndex: Index;
        readonly lastTerm: Term;
        /** Asked by a leader that hands over: voters answer even within a leader's lease. */
        readonly isTransfer: boolean;
        /** What the sender knows to be committed: see the response. */
        readonly commit: Index;
        readonly commitTerm: Term;
      }
    | {
        readonly type: 'voteResponse' | 'preVoteResponse';
        readonly rejected: boolean;
        /**
         * An entry that is committed, whoever wins. A member whose log has it learns so even if nobody can be
         * elected before a committed configuration change is applied (etcd issue 12359).
         */
        readonly commit: Index;
        readonly commitTerm: Term;
      }
    /** Announces an image of the state; its bytes travel beside the messages. */
    | {readonly type: 'snapshot'; readonly meta: SnapshotMeta}
    | {readonly type: 'timeoutNow'}
    /** A follower hands proposals to its leader. */
    | {
        readonly type: 'propose';
        readonly entries: readonly {readonly type: EntryType; readonly payload: Uint8Array}[];
      }
    /** A follower asks its leader for a read index; `context` names the question at the asker. */
    | {readonly type: 'readIndex'; readonly context: number}
    | {readonly type: 'readIndexResponse'; readonly context: number; readonly index: Index}
    /** A follower passes a wish for leader transfer on to its leader. */
    | {readonly type: 'transferLeader'; readonly transferee: MemberId}
  );

export type MessageType = Message['type'];

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

/** State that needs no disk. */
export interface SoftState {
  /** 0n: unknown. */
  readonly leader: MemberId;
  readonly role: Role;
}

/** The answer to readIndex: whoever has applied `index` may read. */
export interface ReadState {
  readonly context: number;
  readonly index: Index;
}

/**
 * What one turn of raft asks of its caller, in this order: send `messagesNow`; make `snapshot`, `entries` and
 * `hardState` durable; then send `messagesAfterSync` and report `stored`; apply `committed`.
 * Several Readys may be on their way to the disk at once, in order.
 */
export interface Ready {
  readonly softState: SoftState | undefined;
  /** Set when it changed since the last Ready. */
  readonly hardState: HardState | undefined;
  /** To append to the log on disk; the first may overwrite entries written before. */
  readonly entries: readonly Entry[];
  /** To install, before `entries`. Its image has already arrived (the snapshot message is stepped after it). */
  readonly snapshot: SnapshotMeta | undefined;
  /** Entries, a term or a vote changed: wait for the sync. Otherwise hardState holds only a newer commit index. */
  readonly mustSync: boolean;
  readonly messagesNow: readonly Message[];
  readonly messagesAfterSync: readonly Message[];
  /** Committed, on this member's disk, and not handed out before. */
  readonly committed: readonly Entry[];
  readonly readStates: readonly ReadState[];
}
