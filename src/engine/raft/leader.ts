/** What a leader does: append, commit, prove its leadership, change the configuration, hand over. */

import {assert} from '../errors.ts';
import {EMPTY_BYTES} from '../lib/bytes.ts';
import type {Index, MemberId} from '../types.ts';
import {changeConf, decodeConfChange, encodeConfChange, isJoint, LEAVE_JOINT} from './conf-change.ts';
import {describeConfChange} from './describe.ts';
import {type ConfChange, EntryType, type Message} from './message.ts';
import type {Progress} from './progress.ts';
import type {RaftState} from './raft-state.ts';
import {
  answerProvenReads,
  beginReadRound,
  isReadRoundDue,
  openReadRound,
  requestRead,
} from './read-rounds.ts';
import {awaitsCommit, sendDueAppends, sendHeartbeat, takeAppendResponse, tellCommit} from './replication.ts';

/** The candidate has won. `isAlone`: by its own vote, which is not on disk yet. */
export function startLeading(state: RaftState, {isAlone}: {isAlone: boolean}): void {
  assert(state.tracker.votesResult() === 'won', 'a leader without a majority');
  assert(state.tracker.isVoter(state.id), 'a leader that is no voter');
  state.becomeLeader();
  state.isTermUnsynced = isAlone;
  // Entries of earlier terms are committed only below one of this term (paper, section 5.4.2).
  append(state, EntryType.normal, EMPTY_BYTES);
}

/** Messages of the current term, or outside terms. */
export function stepLeader(state: RaftState, message: Message): void {
  assert(state.role === 'leader' && state.leader === state.id, 'not the leader');
  switch (message.type) {
    case 'propose':
      for (const {type, payload} of message.entries) {
        if (type === EntryType.normal) propose(state, payload);
        else proposeForwardedChange(state, payload);
      }
      awaitsCommit(state, message.from, state.log.lastIndex);
      return;
    case 'readIndex':
      requestRead(state, {from: message.from, context: message.context});
      return;
    case 'transferLeader':
      transferLeadership(state, message.transferee);
      return;
    case 'readIndexResponse':
      // Asked as a follower, answered by the leader of then: still true.
      state.readStates.push({context: message.context, index: message.index});
      return;
    case 'append':
    case 'heartbeat':
    case 'snapshot':
      state.logger.error('two leaders in one term', {
        term: state.term,
        leader: state.id,
        other: message.from,
      });
      return;
    default:
  }
  const progress = state.tracker.get(message.from);
  if (progress === undefined) return;
  if (message.type === 'appendResponse') {
    if (takeAppendResponse(state, progress, message)) maybeCommit(state);
    handOverIfCaughtUp(state, progress);
  } else if (message.type === 'heartbeatResponse') {
    takeHeartbeatResponse(state, progress, message.readContext);
  }
}

/** Time passes for a leader. */
export function tickLeader(state: RaftState): void {
  state.heartbeatElapsed++;
  state.electionElapsed++;
  if (state.electionElapsed >= state.electionTicks) {
    state.electionElapsed = 0;
    if (!state.tracker.takeQuorumActive(state.id)) {
      state.logger.warn('lost touch with the quorum: steps down', {term: state.term});
      state.becomeFollower(state.term, 0n);
      return;
    }
    if (state.transferee !== 0n) {
      state.logger.warn('leader transfer timed out', {to: state.transferee});
      state.transferee = 0n;
    }
  }
  if (state.heartbeatElapsed < state.heartbeatTicks) return;
  state.heartbeatElapsed = 0;
  maybeLeaveJoint(state);
  // A round that lost its heartbeats is not waited for: the next beat begins one for all that wait.
  if (state.reads.isWaiting && state.isCommittedInTerm) openReadRound(state);
  broadcastHeartbeat(state);
  answerProvenReads(state);
}

/** Carries the open read round to everybody. */
function broadcastHeartbeat(state: RaftState): void {
  state.narrowRound = 0;
  for (const progress of state.tracker.all) if (progress.id !== state.id) sendHeartbeat(state, progress);
}

/** What became due since the last Ready. */
export function sendDue(state: RaftState): void {
  if (isReadRoundDue(state)) beginReadRound(state);
  if (state.appendsDue) sendDueAppends(state);
}

// ---- The log ------------------------------------------------------------------------------------------------

/** @returns false when it was dropped */
export function propose(state: RaftState, payload: Uint8Array): boolean {
  if (state.transferee !== 0n) return false;
  const bytes = payload.length;
  // One that is larger than the bound still passes when nothing else is waiting.
  if (state.uncommittedBytes > 0 && state.uncommittedBytes + bytes > state.limits.uncommittedBytesMax) {
    state.logger.debug('dropped a proposal: too much is uncommitted', {bytes: state.uncommittedBytes});
    return false;
  }
  append(state, EntryType.normal, payload);
  return true;
}

function append(state: RaftState, type: EntryType, payload: Uint8Array): Index {
  assert(state.role === 'leader', 'only a leader appends');
  const index = state.log.lastIndex + 1;
  state.log.append([{index, term: state.term, type, payload}]);
  state.uncommittedBytes += payload.length;
  state.appendsDue = true;
  return index;
}

/** The leader's own disk has more of the log: its own acknowledgement. */
export function ownLogStored(state: RaftState): void {
  const {stored} = state.log.tail;
  if (state.isTermUnsynced && state.log.term(stored) === state.term) state.isTermUnsynced = false;
  const own = state.tracker.get(state.id);
  if (own?.accepted(stored)) maybeCommit(state);
}

/** Counts replicas only for entries of this term (paper, figure 8). */
export function maybeCommit(state: RaftState): void {
  const {log} = state;
  const before = log.commit;
  const agreed = state.tracker.quorumMatch();
  assert(agreed <= log.lastIndex, 'a quorum has more than its leader');
  if (agreed <= before || log.term(agreed) !== state.term) return;
  // Entries of earlier terms were not counted.
  state.uncommittedBytes = Math.max(0, state.uncommittedBytes - log.payloadBytes(before + 1, agreed));
  state.commitTo(agreed);
  assert(state.isCommittedInTerm, 'a leader committed an entry of another term');
  state.appendsDue = true;
  // A leader that is removed by this change leads no longer once it is applied.
  if (state.pendingConfIndex > before && state.pendingConfIndex <= agreed) tellCommit(state, agreed);
}

// ---- Leadership ---------------------------------------------------------------------------------------------

function takeHeartbeatResponse(state: RaftState, progress: Progress, readContext: number): void {
  progress.recentActive = true;
  progress.probeSent = false;
  if (progress.match < state.log.lastIndex || progress.state === 'probe') {
    // Whatever was lost on the way, the answer to this append tells.
    progress.probeDue = progress.state !== 'snapshot';
    state.appendsDue = true;
  }
  if (readContext <= progress.readAcked || readContext > state.reads.openRound) return;
  progress.readAcked = readContext;
  answerProvenReads(state);
}

/** Begins to hand over (thesis, section 3.10); proposals are dropped until it is done or an election time is over. */
export function transferLeadership(state: RaftState, to: MemberId): void {
  const progress = state.tracker.get(to);
  if (progress === undefined || progress.isLearner) {
    state.logger.info('ignored a leader transfer: not a voter', {to});
    return;
  }
  if (to === state.transferee) return;
  state.transferee = 0n;
  if (to === state.id) return;
  state.logger.info('leader transfer starts', {to, match: progress.match, last: state.log.lastIndex});
  state.transferee = to;
  assert(state.tracker.isVoter(to) && to !== state.id, 'handing over to nobody');
  // The transfer gets a full election timeout.
  state.electionElapsed = 0;
  state.appendsDue = true;
  handOverIfCaughtUp(state, progress);
}

function handOverIfCaughtUp(state: RaftState, progress: Progress): void {
  if (progress.id !== state.transferee || progress.match !== state.log.lastIndex) return;
  state.logger.info('tells the transferee to campaign', {to: progress.id});
  state.send({type: 'timeoutNow', from: state.id, to: progress.id, term: state.term});
}

// ---- The configuration --------------------------------------------------------------------------------------

/** @returns false when it is refused: a change is pending, leadership is not yet proven, or the rules forbid it */
export function proposeConfChange(state: RaftState, change: ConfChange): boolean {
  const refusal = refusalOf(state, change);
  if (refusal !== undefined) {
    state.logger.info('refused a configuration change', {
      change: describeConfChange(change),
      reason: refusal,
    });
    return false;
  }
  state.pendingConfIndex = append(state, EntryType.confChange, encodeConfChange(change));
  assert(state.pendingConfIndex > state.log.commit, 'a pending change is committed already');
  return true;
}

function proposeForwardedChange(state: RaftState, payload: Uint8Array): void {
  const change = decodeConfChange(payload);
  if (change === undefined) state.logger.error('dropped an undecodable configuration change');
  else proposeConfChange(state, change);
}

function refusalOf(state: RaftState, change: ConfChange): string | undefined {
  if (state.transferee !== 0n) return 'leadership is being handed over';
  if (state.pendingConfIndex > state.log.applied) return 'another change may be pending';
  // Else two leaders' changes may rest on quorums that do not overlap (Ongaro, raft-dev, 2015).
  if (!state.isCommittedInTerm) return 'nothing is committed in this term';
  const result = changeConf(state.tracker.conf, change);
  return 'refused' in result ? result.refused : undefined;
}

/** The configuration is another since an entry was applied. */
export function confChanged(state: RaftState): void {
  const own = state.tracker.get(state.id);
  if (own === undefined || own.isLearner) {
    state.logger.info('steps down: not a voter any more', {term: state.term});
    state.becomeFollower(state.term, 0n);
    return;
  }
  if (state.transferee !== 0n && !state.tracker.isVoter(state.transferee)) {
    state.logger.info('leader transfer called off: not a voter any more', {to: state.transferee});
    state.transferee = 0n;
  }
  // A smaller quorum may have more entries, and more read rounds, than the larger one had.
  maybeCommit(state);
  answerProvenReads(state);
  state.appendsDue = true;
}

/** Leaves a joint configuration that asks for it, once everything that led there is applied. */
export function maybeLeaveJoint(state: RaftState): void {
  const {conf} = state.tracker;
  if (!conf.autoLeave || !isJoint(conf) || refusalOf(state, LEAVE_JOINT) !== undefined) return;
  state.logger.info('leaves the joint configuration');
  proposeConfChange(state, LEAVE_JOINT);
}
