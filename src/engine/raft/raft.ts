/**
 * Raft, complete and pure: messages, ticks and proposals in, `Ready` out.
 *
 * Two decisions carry the design. Raft never waits: whatever depends on the disk is handed out behind what must be
 * on it (`Ready.messagesAfterSync`, `stored`), so that several writes may be under way while messages flow. And
 * the configuration changes when an entry is applied, not when it is appended, as in etcd; the rules that make that
 * safe (no campaign over an unapplied change, no change before a commit in the term) stand in candidate.ts and
 * leader.ts.
 *
 * It does no I/O, reads no clock and knows no payload but that of configuration changes. It keeps payloads that it
 * is given: the caller does not reuse their memory. Contexts of reads must not repeat, not even over a restart.
 */

import {assert} from '../errors.ts';
import {
  RAFT_APPEND_BYTES_MAX,
  RAFT_APPLY_BYTES_MAX,
  RAFT_INFLIGHT_BYTES_MAX,
  RAFT_INFLIGHT_MESSAGES_MAX,
  RAFT_UNCOMMITTED_BYTES_MAX,
} from '../limits.ts';
import type {Logger, Random} from '../ports.ts';
import type {Index, MemberId, Term} from '../types.ts';
import {campaign, stepCandidate} from './candidate.ts';
import {changeConf, encodeConfChange} from './conf-change.ts';
import {describeConfChange} from './describe.ts';
import {stepFollower} from './follower.ts';
import {
  confChanged,
  maybeLeaveJoint,
  ownLogStored,
  propose,
  proposeConfChange,
  sendDue,
  stepLeader,
  tickLeader,
  transferLeadership,
} from './leader.ts';
import {
  type ConfChange,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  type Message,
  type ReadState,
  type Ready,
  type SnapshotMeta,
  type SoftState,
} from './message.ts';
import {isOutsideTerms, isWellFormed} from './message-check.ts';
import {type RaftLimits, RaftState, type Restored} from './raft-state.ts';
import {isReadRoundDue, requestRead, widenReadRound} from './read-rounds.ts';
import {tellCommit, untoldCommit} from './replication.ts';
import {type RaftStatus, statusOf} from './status.ts';
import {answerVote, isInLease, learnCommit, refuseOldPreVote} from './voter.ts';

export interface RaftOptions {
  readonly id: MemberId;
  /** An election begins after this many ticks without a leader, up to twice as many. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly random: Random;
  readonly logger: Logger;
  readonly restored: Restored;
  /** What is not given is as limits.ts has it. */
  readonly limits?: Partial<RaftLimits> | undefined;
}

/** See {@link Raft.postponed}. */
export interface Postponed {
  /** Not everybody who has this entry knows that it is committed; the next entries carry it. 0: everybody does. */
  readonly commit: Index;
  /** The read round that was put to a quorum alone, and is unanswered; 0: none. */
  readonly readRound: number;
}

export const NOTHING_POSTPONED: Postponed = {commit: 0, readRound: 0};

const NO_MESSAGES: Message[] = [];
const NO_READ_STATES: ReadState[] = [];
const NO_ENTRIES: readonly Entry[] = [];

export class Raft {
  readonly #state: RaftState;
  // As the last Ready told them.
  #softState: SoftState;
  #hardState: HardState;

  constructor(options: RaftOptions) {
    const limits = {
      appendBytesMax: RAFT_APPEND_BYTES_MAX,
      inflightMessagesMax: RAFT_INFLIGHT_MESSAGES_MAX,
      inflightBytesMax: RAFT_INFLIGHT_BYTES_MAX,
      uncommittedBytesMax: RAFT_UNCOMMITTED_BYTES_MAX,
      applyBytesMax: RAFT_APPLY_BYTES_MAX,
      ...options.limits,
    };
    const state = new RaftState({...options, limits});
    this.#state = state;
    this.#softState = {leader: state.leader, role: state.role};
    this.#hardState = options.restored.hardState;
  }

  /** One unit of time has passed. */
  tick(): void {
    const state = this.#state;
    if (state.role === 'leader') {
      tickLeader(state);
      return;
    }
    state.electionElapsed++;
    if (state.electionElapsed < state.electionTimeout) return;
    state.electionElapsed = 0;
    if (state.leader !== 0n) state.logger.info('lost its leader', {term: state.term, leader: state.leader});
    // Even if it may not campaign itself, it must not keep others from it by believing in a silent leader.
    state.leader = 0n;
    if (state.isPromotable) campaign(state, 'preElection');
  }

  /** A message from another member. Whatever it says, it breaks nothing; what is stale or unknown is dropped. */
  step(message: Message): void {
    const state = this.#state;
    if (message.to !== state.id || message.from === state.id || !isWellFormed(message)) {
      state.logger.warn('dropped a message', {type: message.type, from: message.from, to: message.to});
      return;
    }
    if (isOutsideTerms(message) || this.#settleTerm(message)) this.#stepInTerm(message);
  }

  /**
   * Wants a command in the log; on a follower, by way of the leader.
   * @returns false when it was dropped: no leader, a leader transfer, or too many uncommitted bytes. True promises
   * nothing: the entry may still be lost with its leader
   */
  propose(payload: Uint8Array): boolean {
    assert(payload.length > 0, "the empty payload is the leader's own");
    const state = this.#state;
    if (state.role === 'leader') return propose(state, payload);
    return this.#forward(EntryType.normal, payload);
  }

  /**
   * @returns false as {@link propose}, and when a change is pending or unapplied, the leader has committed nothing
   * in its own term, or the change is not possible from the present configuration
   */
  proposeConfChange(change: ConfChange): boolean {
    const state = this.#state;
    if (state.role === 'leader') return proposeConfChange(state, change);
    return this.#forward(EntryType.confChange, encodeConfChange(change));
  }

  /**
   * Asks for an index such that whoever has applied it may read; the answer comes in `Ready.readStates`, or never.
   * @returns false when nobody can be asked
   */
  readIndex(context: number): boolean {
    const state = this.#state;
    if (state.role === 'leader') return requestRead(state, {from: state.id, context});
    if (state.leader === 0n) return false;
    state.send({type: 'readIndex', from: state.id, to: state.leader, term: 0, context});
    return true;
  }

  transferLeadership(to: MemberId): void {
    const state = this.#state;
    if (state.role === 'leader') transferLeadership(state, to);
    else if (state.leader !== 0n) {
      state.send({type: 'transferLeader', from: state.id, to: state.leader, term: 0, transferee: to});
    }
  }

  /**
   * What a leader has put off in the hope that it need not be sent at all. Whoever drives raft hands the answer to
   * {@link catchUpOn} a moment later.
   */
  postponed(): Postponed {
    const state = this.#state;
    if (state.role !== 'leader') return NOTHING_POSTPONED;
    const commit = untoldCommit(state);
    const {narrowRound} = state;
    return commit === 0 && narrowRound === 0 ? NOTHING_POSTPONED : {commit, readRound: narrowRound};
  }

  /** Sends what was postponed, as far as it is still needed. */
  catchUpOn({commit, readRound}: Postponed): void {
    const state = this.#state;
    if (state.role !== 'leader') return;
    if (commit <= state.log.commit) tellCommit(state, commit);
    widenReadRound(state, readRound);
  }

  /** Stands for election now, as if the election timeout were over. */
  campaign(): void {
    campaign(this.#state, 'preElection');
  }

  hasReady(): boolean {
    const state = this.#state;
    return (
      state.messagesNow.length > 0 ||
      state.messagesAfterSync.length > 0 ||
      state.appendsDue ||
      state.forwards.length > 0 ||
      state.readStates.length > 0 ||
      state.newSnapshot !== undefined ||
      state.log.tail.next <= state.log.lastIndex ||
      this.#hasCommitted() ||
      this.#isHardStateNew() ||
      this.#isSoftStateNew() ||
      (state.role === 'leader' && isReadRoundDue(state))
    );
  }

  /** Hands out, once, all there is to do. May be called again while earlier Readys are on their way to the disk. */
  ready(): Ready {
    const state = this.#state;
    if (state.role === 'leader') sendDue(state);
    this.#sendForwards();
    const isVoteNew = state.term !== this.#hardState.term || state.vote !== this.#hardState.vote;
    const softState = this.#isSoftStateNew() ? {leader: state.leader, role: state.role} : undefined;
    const hardState = this.#isHardStateNew()
      ? {term: state.term, vote: state.vote, commit: state.knownCommit}
      : undefined;
    if (softState !== undefined) this.#softState = softState;
    assert(state.term >= this.#hardState.term, 'the term went back');
    assert(
      state.vote !== 0n || state.term > this.#hardState.term || this.#hardState.vote === 0n,
      'a vote was taken back',
    );
    if (hardState !== undefined) this.#hardState = hardState;
    const entries = state.log.takeUnwritten();
    const snapshot = state.newSnapshot;
    state.newSnapshot = undefined;
    const {messagesNow, messagesAfterSync, readStates} = state;
    if (messagesNow.length > 0) state.messagesNow = [];
    if (messagesAfterSync.length > 0) state.messagesAfterSync = [];
    if (readStates.length > 0) state.readStates = [];
    return {
      softState,
      hardState,
      entries,
      snapshot,
      mustSync: isVoteNew || entries.length > 0 || snapshot !== undefined,
      messagesNow: messagesNow.length > 0 ? messagesNow : NO_MESSAGES,
      messagesAfterSync: messagesAfterSync.length > 0 ? messagesAfterSync : NO_MESSAGES,
      committed: this.#hasCommitted() ? state.log.takeCommitted(state.limits.applyBytesMax) : NO_ENTRIES,
      readStates: readStates.length > 0 ? readStates : NO_READ_STATES,
    };
  }

  /**
   * The disk has a Ready's entries, of which `upTo` is the last. Called once for every Ready that had some, in
   * their order; where several were synced together, calling for the last alone will do unless entries were
   * replaced in between.
   */
  stored(upTo: {readonly index: Index; readonly term: Term}): void {
    const state = this.#state;
    if (!state.log.tail.confirmed(upTo)) {
      state.logger.debug('a confirmation from the disk brings nothing new', {
        index: upTo.index,
        term: upTo.term,
      });
      return;
    }
    if (state.role === 'leader') ownLogStored(state);
  }

  /** `Ready.snapshot` is durable, and the state machine is at it. */
  snapshotInstalled(meta: SnapshotMeta): void {
    const state = this.#state;
    const pending = state.pendingSnapshot;
    // A newer one may have arrived meanwhile; then this was a step on the way.
    if (pending === undefined || pending.index !== meta.index || pending.term !== meta.term) return;
    state.pendingSnapshot = undefined;
    state.log.appliedTo(meta.index);
    state.appliedConf = state.tracker.conf;
    state.logger.info('installed a snapshot', {index: meta.index, term: meta.term});
  }

  /**
   * The entry with this change is being applied; what was applied before it has been reported, or is reported
   * together with it: {@link applied} with its index follows. A change that is not possible from the
   * present configuration (every member finds it so) changes nothing.
   * @returns the configuration from now on
   */
  applyConfChange(change: ConfChange): ConfState {
    const state = this.#state;
    const result = changeConf(state.tracker.conf, change);
    if ('refused' in result) {
      const fields = {change: describeConfChange(change), reason: result.refused};
      state.logger.warn('a committed configuration change is not possible', fields);
      return state.tracker.conf;
    }
    state.setConf(result.conf);
    if (state.role === 'leader') confChanged(state);
    return result.conf;
  }

  /** Entries up to here are applied. */
  applied(index: Index): void {
    const state = this.#state;
    state.log.appliedTo(index);
    if (state.pendingSnapshot !== undefined) return;
    state.appliedConf = state.tracker.conf;
    if (state.role === 'leader') maybeLeaveJoint(state);
  }

  /** Forgets entries up to and including `index`, which must be applied. Whoever needs them gets a snapshot. */
  compact(index: Index): void {
    this.#state.log.compact(index);
  }

  /** Memory held by the log, bytes, about. */
  logBytes(): number {
    return this.#state.log.bytes;
  }

  /** Of these, what {@link compact} could free by now. */
  appliedLogBytes(): number {
    return this.#state.log.appliedBytes;
  }

  /** The lowest index that {@link compact} may be called with to leave fewer than `bytes`, if it is applied. */
  cutLeaving(bytes: number): Index {
    return this.#state.log.cutLeaving(bytes);
  }

  /** Messages to this member were lost. */
  unreachable(id: MemberId): void {
    const state = this.#state;
    const progress = state.tracker.get(id);
    if (state.role !== 'leader' || progress?.state !== 'replicate') return;
    progress.becomeProbe();
    state.appendsDue = true;
    state.logger.debug('a member is unreachable', {member: id, next: progress.next});
  }

  /** The image announced to this member arrived there, or did not. */
  snapshotFinished(to: MemberId, ok: boolean): void {
    const state = this.#state;
    const progress = state.tracker.get(to);
    if (state.role !== 'leader' || progress?.state !== 'snapshot') return;
    if (ok) progress.becomeProbe();
    else progress.snapshotFailed();
    // Not at once: after a success its own answer comes, after a failure the link needs a moment.
    progress.probeSent = true;
    state.logger.info(ok ? 'a snapshot arrived' : 'a snapshot failed', {member: to, next: progress.next});
  }

  /** A leader gives up leading, because it cannot do its work (its disk hangs). */
  stepDown(): void {
    const state = this.#state;
    if (state.role !== 'leader') return;
    state.logger.warn('steps down by request', {term: state.term});
    state.becomeFollower(state.term, 0n);
  }

  status(): RaftStatus {
    return statusOf(this.#state);
  }

  /** Entries `from` to `to`, both included; they must be in memory (firstIndex to lastIndex). */
  entries(from: Index, to: Index): readonly Entry[] {
    return this.#state.log.slice(from, to, Number.POSITIVE_INFINITY);
  }

  /** Undefined outside the log; the point before the first entry belongs to it. */
  term(index: Index): Term | undefined {
    return this.#state.log.term(index);
  }

  /** Brings terms together (paper, figure 2, rules for servers). @returns whether the message is still of interest */
  #settleTerm(message: Message): boolean {
    const state = this.#state;
    const {type, term, from} = message;
    const isVoteRequest = type === 'vote' || type === 'preVote';
    if (term > state.term) {
      if (isVoteRequest && isInLease(state, message)) {
        state.logger.info('ignored a vote request: hears its leader', {candidate: from, term, kind: type});
        return false;
      }
      // A pre-vote asks about a term that may never come; so does its grant.
      if (type === 'preVote' || (type === 'preVoteResponse' && !message.rejected)) return true;
      const isFromLeader = type === 'append' || type === 'heartbeat' || type === 'snapshot';
      state.becomeFollower(term, isFromLeader ? from : 0n);
      return true;
    }
    if (term === state.term) return true;
    if (type === 'append' || type === 'heartbeat' || type === 'snapshot') {
      // A leader that was left behind, perhaps by our own higher term alone: without a word from us it would go on
      // for ever, and we would never be heard (etcd issue 8243).
      const refusal = {rejected: true, index: 0, hintIndex: 0, hintTerm: 0};
      state.send({type: 'appendResponse', from: state.id, to: from, term: state.term, ...refusal});
    } else if (type === 'preVote') {
      refuseOldPreVote(state, message);
    }
    return false;
  }

  #stepInTerm(message: Message): void {
    const state = this.#state;
    const {type} = message;
    if (type === 'vote' || type === 'preVote' || type === 'voteResponse' || type === 'preVoteResponse') {
      learnCommit(state, message);
    }
    if (type === 'vote' || type === 'preVote') {
      answerVote(state, message);
    } else if (state.role === 'leader') {
      stepLeader(state, message);
    } else if (state.role === 'follower') {
      if (type === 'timeoutNow') campaign(state, 'transfer');
      else stepFollower(state, message);
    } else if (type === 'append' || type === 'heartbeat' || type === 'snapshot') {
      state.becomeFollower(state.term, message.from);
      stepFollower(state, message);
    } else if (type === 'readIndexResponse') {
      stepFollower(state, message);
    } else {
      stepCandidate(state, message);
    }
  }

  #forward(type: EntryType, payload: Uint8Array): boolean {
    if (this.#state.leader === 0n) return false;
    this.#state.forwards.push({type, payload});
    return true;
  }

  #sendForwards(): void {
    const state = this.#state;
    if (state.forwards.length === 0) return;
    const entries = state.forwards;
    state.forwards = [];
    if (state.role === 'leader' || state.leader === 0n) return;
    state.send({type: 'propose', from: state.id, to: state.leader, term: 0, entries});
  }

  #hasCommitted(): boolean {
    return this.#state.pendingSnapshot === undefined && this.#state.log.hasCommitted();
  }

  #isHardStateNew(): boolean {
    const {term, vote, knownCommit} = this.#state;
    const known = this.#hardState;
    return term !== known.term || vote !== known.vote || knownCommit !== known.commit;
  }

  #isSoftStateNew(): boolean {
    return this.#state.leader !== this.#softState.leader || this.#state.role !== this.#softState.role;
  }
}
