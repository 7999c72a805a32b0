/**
 * Elections (paper, section 5.2; thesis, section 9.6). A member first asks whether it could win (pre-vote): until a
 * quorum says so its term stays, and a member that nobody hears disturbs nobody on its return.
 */

import {assert} from '../errors.ts';
import type {Term} from '../types.ts';
import {startLeading} from './leader.ts';
import type {Message} from './message.ts';
import type {RaftState} from './raft-state.ts';

export type Campaign = 'preElection' | 'election' | 'transfer';

/** Stands for election if nothing forbids it. */
export function campaign(state: RaftState, kind: Campaign): void {
  if (state.role === 'leader') return;
  const obstacle = obstacleTo(state);
  if (obstacle !== undefined) {
    state.logger.info('does not campaign', {term: state.term, reason: obstacle});
    return;
  }
  if (kind === 'preElection') state.becomePreCandidate();
  else state.becomeCandidate();
  assert(state.probation === 0 && state.isPromotable, 'a campaign that is not allowed');
  assert(kind === 'preElection' || state.vote === state.id, 'a candidate votes for itself');
  state.tracker.recordVote(state.id, true);
  // The vote requests, and so all votes but our own, wait until term and vote are on disk.
  if (state.tracker.votesResult() === 'won') {
    win(state, {isAlone: true});
    return;
  }
  requestVotes(state, kind);
}

/** Messages of the current term (a granted pre-vote: of the next) to a candidate or pre-candidate. */
export function stepCandidate(state: RaftState, message: Message): void {
  assert(state.role === 'candidate' || state.role === 'preCandidate', 'not a candidate');
  const expected = state.role === 'preCandidate' ? 'preVoteResponse' : 'voteResponse';
  if (message.type !== expected) return;
  state.logger.info(message.rejected ? 'was refused a vote' : 'received a vote', {
    from: message.from,
    term: state.term,
    kind: message.type,
  });
  state.tracker.recordVote(message.from, !message.rejected);
  const result = state.tracker.votesResult();
  if (result === 'won') win(state, {isAlone: false});
  else if (result === 'lost') state.becomeFollower(state.term, 0n);
}

function win(state: RaftState, {isAlone}: {isAlone: boolean}): void {
  if (state.role === 'preCandidate') {
    campaign(state, 'election');
    return;
  }
  startLeading(state, {isAlone});
}

function requestVotes(state: RaftState, kind: Campaign): void {
  assert(state.leader === 0n, 'a candidate follows nobody');
  const {id, log} = state;
  const isPre = kind === 'preElection';
  const term = isPre ? state.term + 1 : state.term;
  const request = {
    type: isPre ? ('preVote' as const) : ('vote' as const),
    lastIndex: log.lastIndex,
    lastTerm: log.lastTerm,
    isTransfer: kind === 'transfer',
    commit: log.commit,
    commitTerm: log.term(log.commit) as Term,
  };
  for (const {id: to} of state.tracker.all) {
    if (to !== id && state.tracker.isVoter(to)) state.send({...request, from: id, to, term});
  }
}

function obstacleTo(state: RaftState): string | undefined {
  if (state.pendingSnapshot !== undefined) return 'a snapshot is being installed';
  if (!state.isPromotable) return 'not a voter';
  if (state.probation !== 0) return 'on probation';
  // Two configurations that are two changes apart need not overlap (etcd raft issue 456).
  if (state.log.hasUnappliedConfChange()) return 'a committed configuration change is not applied';
  return undefined;
}
