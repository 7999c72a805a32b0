/**
 * How a leader proves that it still leads, for the reads that wait (thesis, section 6.4). A round is put to just as
 * many members as make a quorum, those that answered first before: a message less to send is time that the reader
 * does not wait. Where one of them is slow, the round is put to all a moment later ({@link widenReadRound}).
 */

import {assert} from '../errors.ts';
import {isJoint} from './conf-change.ts';
import type {Progress} from './progress.ts';
import {majority} from './quorum.ts';
import type {RaftState} from './raft-state.ts';
import type {Read} from './read-index.ts';
import {awaitsCommit, sendHeartbeat} from './replication.ts';

/** @returns false when too many reads wait */
export function requestRead(state: RaftState, read: Read): boolean {
  // Before a commit of this term the commit index may be behind what clients were told; then the read waits.
  const isTaken = state.reads.add(read);
  if (!isTaken) state.logger.warn('refused a read: too many wait', {from: read.from});
  return isTaken;
}

export function isReadRoundDue(state: RaftState): boolean {
  return state.reads.isWaiting && !state.reads.isRoundOpen && state.isCommittedInTerm;
}

/** From now on heartbeats carry a round for all reads that wait. @returns its number */
export function openReadRound(state: RaftState): number {
  assert(state.isCommittedInTerm, 'a read round before a commit in the term');
  const round = state.reads.begin(state.log.commit);
  const own = state.tracker.get(state.id);
  if (own !== undefined) own.readAcked = round;
  return round;
}

export function beginReadRound(state: RaftState): void {
  const round = openReadRound(state);
  const {members, isAll} = swiftQuorum(state);
  state.narrowRound = isAll ? 0 : round;
  for (const progress of members) sendHeartbeat(state, progress);
  answerProvenReads(state);
}

/** Whoever was not asked yet is asked now, if the round still waits for answers. */
export function widenReadRound(state: RaftState, round: number): void {
  if (round === 0 || state.narrowRound !== round) return;
  assert(state.reads.openRound === round, 'a narrow round that is not the open one');
  state.narrowRound = 0;
  for (const progress of othersOf(state)) if (progress.readAsked < round) sendHeartbeat(state, progress);
}

export function answerProvenReads(state: RaftState): void {
  state.reads.proven(state.tracker.quorumReadAcked(), ({from, context}, index) => {
    if (from === state.id) state.readStates.push({context, index});
    else {
      awaitsCommit(state, from, index);
      state.send({type: 'readIndexResponse', from: state.id, to: from, term: 0, context, index});
    }
  });
  if (!state.reads.isRoundOpen) state.narrowRound = 0;
}

/** The members whose answers would be enough, the swiftest first. */
function swiftQuorum(state: RaftState): {members: readonly Progress[]; isAll: boolean} {
  const others = othersOf(state);
  const {conf} = state.tracker;
  const count = majority(conf.voters.length) - 1;
  // Two halves may have no cheapest quorum in common; such configurations do not last.
  if (isJoint(conf) || count >= others.length) return {members: others, isAll: true};
  others.sort((a, b) => b.readAcked - a.readAcked || Number(isFed(b)) - Number(isFed(a)));
  others.length = count;
  return {members: others, isAll: false};
}

/** Has answered in this term, lately. */
function isFed({state}: Progress): boolean {
  return state === 'replicate';
}

function othersOf(state: RaftState): Progress[] {
  return state.tracker.all.filter(({id}) => id !== state.id && state.tracker.isVoter(id));
}
