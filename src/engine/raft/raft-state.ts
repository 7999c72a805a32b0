/**
 * All state of one member, the changes of role, and the outbox: what follower.ts, candidate.ts and leader.ts work
 * on. Roles decide; this file keeps the fields consistent.
 */

import {assert} from '../errors.ts';
import {RAFT_PENDING_READS_MAX} from '../limits.ts';
import type {Logger, Random} from '../ports.ts';
import type {Index, MemberId, Term} from '../types.ts';
import {describeConf} from './describe.ts';
import {Log} from './log.ts';
import type {
  ConfState,
  Entry,
  EntryType,
  HardState,
  Message,
  ReadState,
  Role,
  SnapshotMeta,
} from './message.ts';
import type {Progress} from './progress.ts';
import {ProgressTracker} from './progress-tracker.ts';
import {ReadIndex} from './read-index.ts';

export interface RaftLimits {
  /** Payload bytes of one append message. */
  readonly appendBytesMax: number;
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  readonly uncommittedBytesMax: number;
  /** Payload bytes of one Ready's committed entries. */
  readonly applyBytesMax: number;
}

/** Where a member starts from: what its disk holds. */
export interface Restored {
  readonly hardState: HardState;
  /** As of `applied`. */
  readonly confState: ConfState;
  /** The point before the first entry. */
  readonly compacted: {readonly index: Index; readonly term: Term};
  readonly entries: readonly Entry[];
  readonly applied: Index;
  /**
   * The log's tail up to here was lost or is doubtful: until commit reaches it, this member does not campaign, nor
   * grant (pre-)votes, nor send accepting append responses below it. 0: none.
   */
  readonly probation: Index;
}

export interface RaftStateOptions {
  readonly id: MemberId;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly random: Random;
  readonly logger: Logger;
  readonly restored: Restored;
  readonly limits: RaftLimits;
}

export class RaftState {
  readonly id: MemberId;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly logger: Logger;
  readonly limits: RaftLimits;
  readonly #random: Random;

  /** Only grows. With `vote`, what a Ready makes durable before anything leaves that depends on it. */
  term: Term;
  /** Whom this member voted for in `term`; 0n: nobody. Changes once per term. */
  vote: MemberId;
  /** 0n: unknown. On a leader its own id. */
  leader: MemberId = 0n;
  role: Role = 'follower';
  readonly log: Log;
  readonly tracker: ProgressTracker;
  /** The configuration as of `log.applied`: the one a snapshot sent from here belongs to. */
  appliedConf: ConfState;
  /** Taken in from a leader, not yet installed by the caller. */
  pendingSnapshot: SnapshotMeta | undefined;
  /** The same, until a Ready has carried it. */
  newSnapshot: SnapshotMeta | undefined;
  /** See {@link Restored.probation}; 0 once commit has reached it. */
  probation: Index;
  /**
   * Known to be committed, though our log may have lost it. It is what the hard state keeps, so that a second crash
   * does not make the member forget that it is on probation. Only grows.
   */
  knownCommit: Index = 0;

  /** Ticks since the leader was heard of or a campaign began; on a leader since the quorum was looked at. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** Drawn anew with each change of role, from [electionTicks, 2 × electionTicks). */
  electionTimeout = 0;

  // Of a leader.
  /** Whom leadership is being handed to; 0n: nobody. */
  transferee: MemberId = 0n;
  /** No conf change may be proposed before this index is applied. */
  pendingConfIndex: Index = 0;
  /** Payload bytes between commit and last that this leader has appended. */
  uncommittedBytes = 0;
  /** Appends are owed to somebody: {@link sendDueAppends} runs with the next Ready. */
  appendsDue = false;
  /** A commit index up to here is worth a message of its own; what lies above waits for entries to travel with. */
  noticeUpTo: Index = 0;
  /**
   * This leader elected itself alone and its term is not known to be durable: whatever it says waits for the disk,
   * lest a crash make it a second, different leader of the same term in a learner's eyes.
   */
  isTermUnsynced = false;
  readonly reads: ReadIndex;
  /** The read round that was put to no more than a quorum and is open; 0: none. */
  narrowRound = 0;

  // For the next Ready.
  messagesNow: Message[] = [];
  messagesAfterSync: Message[] = [];
  readStates: ReadState[] = [];
  /** Proposals for the leader, sent together. */
  forwards: Array<{readonly type: EntryType; readonly payload: Uint8Array}> = [];

  constructor(options: RaftStateOptions) {
    const {restored} = options;
    assert(options.id !== 0n, 'member id 0 means nobody');
    assert(options.heartbeatTicks > 0, 'a heartbeat takes at least one tick');
    assert(options.electionTicks > options.heartbeatTicks, 'elections must be slower than heartbeats');
    this.id = options.id;
    this.electionTicks = options.electionTicks;
    this.heartbeatTicks = options.heartbeatTicks;
    this.logger = options.logger;
    this.limits = options.limits;
    this.#random = options.random;
    this.term = restored.hardState.term;
    this.vote = restored.hardState.vote;
    this.probation = restored.probation;
    this.log = new Log({...restored, commit: this.#restoredCommit(restored)});
    assert(this.log.lastTerm <= this.term, 'the restored log is newer than the restored term');
    if (this.log.commit >= this.probation) this.probation = 0;
    this.appliedConf = restored.confState;
    this.tracker = new ProgressTracker({
      conf: restored.confState,
      next: this.log.lastIndex + 1,
      inflightMessagesMax: options.limits.inflightMessagesMax,
      inflightBytesMax: options.limits.inflightBytesMax,
    });
    this.reads = new ReadIndex(RAFT_PENDING_READS_MAX);
    this.resetElectionTimeout();
  }

  get isCommittedInTerm(): boolean {
    return this.log.term(this.log.commit) === this.term;
  }

  /** Whether this member may stand for election at all. */
  get isPromotable(): boolean {
    return this.tracker.isVoter(this.id) && this.pendingSnapshot === undefined;
  }

  /** Routes by what the message depends on; see `Ready` in message.ts. */
  send(message: Message): void {
    if (this.isTermUnsynced || dependsOnDisk(message)) this.messagesAfterSync.push(message);
    else this.messagesNow.push(message);
  }

  commitTo(index: Index): void {
    this.log.commitTo(index);
    this.knownCommit = Math.max(this.knownCommit, index);
    if (this.probation !== 0 && this.log.commit >= this.probation) {
      this.logger.info('left probation', {commit: this.log.commit, probation: this.probation});
      this.probation = 0;
    }
  }

  becomeFollower(term: Term, leader: MemberId): void {
    assert(leader !== this.id, 'a follower of itself');
    const isNews = this.role !== 'follower' || this.term !== term || this.leader !== leader;
    this.#reset(term);
    this.leader = leader;
    this.role = 'follower';
    if (isNews) this.logger.info('became follower', {term, leader});
  }

  /** Term and vote stay: a pre-election changes nothing that lasts. */
  becomePreCandidate(): void {
    assert(this.role !== 'leader', 'a leader does not campaign');
    this.tracker.resetVotes();
    this.electionElapsed = 0;
    this.resetElectionTimeout();
    // Whoever asks for a pre-vote no longer believes in its leader (etcd issue 8334).
    this.leader = 0n;
    this.role = 'preCandidate';
    this.logger.info('became pre-candidate', {term: this.term});
  }

  becomeCandidate(): void {
    assert(this.role !== 'leader', 'a leader does not campaign');
    assert(this.probation === 0, 'a candidate on probation');
    this.#reset(this.term + 1);
    this.vote = this.id;
    this.role = 'candidate';
    this.logger.info('became candidate', {term: this.term});
  }

  becomeLeader(): void {
    assert(this.role === 'candidate', `a ${this.role} does not become leader`);
    assert(this.vote === this.id, 'a leader has voted for itself');
    this.#reset(this.term);
    this.leader = this.id;
    this.role = 'leader';
    const own = this.tracker.get(this.id);
    if (own !== undefined) this.#noteOwn(own);
    // Whatever conf change the old log holds may still be committed (etcd raft, becomeLeader).
    this.pendingConfIndex = this.log.lastIndex;
    this.logger.info('became leader', {term: this.term});
  }

  /** Takes over a configuration; on a leader the caller deals with what follows from it. */
  setConf(conf: ConfState): void {
    this.tracker.setConf(conf, this.log.lastIndex + 1);
    if (this.role === 'leader') this.#noteOwn(this.tracker.get(this.id));
    this.logger.info('configuration changed', {conf: describeConf(conf)});
  }

  resetElectionTimeout(): void {
    this.electionTimeout = this.electionTicks + this.#random.below(this.electionTicks);
    assert(this.electionTimeout < 2 * this.electionTicks, 'the election timeout is out of its range');
  }

  #reset(term: Term): void {
    assert(term >= this.term, `term goes back from ${this.term} to ${term}`);
    if (term !== this.term) {
      this.term = term;
      this.vote = 0n;
    }
    this.leader = 0n;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.resetElectionTimeout();
    this.transferee = 0n;
    this.pendingConfIndex = 0;
    this.uncommittedBytes = 0;
    this.appendsDue = false;
    this.noticeUpTo = 0;
    this.isTermUnsynced = false;
    this.reads.clear();
    this.narrowRound = 0;
    this.tracker.reset(this.log.lastIndex + 1);
  }

  #noteOwn(own: Progress | undefined): void {
    if (own === undefined) return;
    own.becomeReplicate();
    own.match = this.log.tail.stored;
    own.next = Math.max(this.log.lastIndex, own.match) + 1;
    own.recentActive = true;
  }

  /** Commit as the disk knows it, raised to what was applied. Beyond the log: its tail was lost. */
  #restoredCommit(restored: Restored): Index {
    const last = restored.compacted.index + restored.entries.length;
    const commit = Math.max(restored.hardState.commit, restored.applied, restored.compacted.index);
    assert(restored.applied <= last, `applied ${restored.applied} is beyond the last entry ${last}`);
    if (commit > last) {
      this.logger.warn('the log ends before its commit index: on probation', {commit, last});
      this.probation = Math.max(this.probation, commit);
    }
    this.knownCommit = commit;
    return Math.min(commit, last);
  }
}

/** What must not leave before the Ready that carries it is on disk: promises, and a candidate's new term. */
function dependsOnDisk(message: Message): boolean {
  switch (message.type) {
    case 'vote':
      return true;
    case 'voteResponse':
    case 'appendResponse':
      return !message.rejected;
    default:
      return false;
  }
}
