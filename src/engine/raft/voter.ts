/**
 * How a member votes, whatever its role (paper, sections 5.2 and 5.4.1). A learner votes too: it may have been
 * promoted by an entry that it has not applied yet. A vote is promised only after it is on disk (the outbox sees
 * to it); a pre-vote promises nothing.
 */

import {assert} from '../errors.ts';
import type {MemberId, Term} from '../types.ts';
import type {Message} from './message.ts';
import type {RaftState} from './raft-state.ts';

export type VoteRequest = Extract<Message, {type: 'vote' | 'preVote'}>;
type VoteMessage = VoteRequest | Extract<Message, {type: 'voteResponse' | 'preVoteResponse'}>;

/**
 * Whether a request of a higher term is ignored, because this member hears its leader: a partitioned or removed
 * member must not depose it (thesis, section 4.2.3). A leader that hands over asks for the exception.
 */
export function isInLease(state: RaftState, request: VoteRequest): boolean {
  return !request.isTransfer && state.leader !== 0n && state.electionElapsed < state.electionTicks;
}

/** Answers a request whose term is ours or, for a pre-vote, may be higher. */
export function answerVote(state: RaftState, request: VoteRequest): void {
  const {from, term, type} = request;
  const refusal = refusalOf(state, request);
  const fields = {candidate: from, term, last: request.lastIndex, lastTerm: request.lastTerm};
  if (type === 'preVote') {
    if (refusal === undefined) state.logger.info('granted pre-vote', fields);
    else state.logger.info('refused pre-vote', {...fields, reason: refusal});
    // A grant carries the term that was asked about, a refusal our own, which may be news to the asker.
    const answerTerm = refusal === undefined ? term : state.term;
    sendAnswer(state, {type: 'preVoteResponse', to: from, term: answerTerm, rejected: refusal !== undefined});
    return;
  }
  assert(request.term === state.term, 'a vote is given in its own term');
  if (refusal === undefined) {
    assert(state.vote === 0n || state.vote === from, 'a second vote in one term');
    assert(state.probation === 0, 'a vote on probation');
    state.logger.info('granted vote', fields);
    state.electionElapsed = 0;
    state.vote = from;
  } else {
    state.logger.info('refused vote', {...fields, reason: refusal});
  }
  sendAnswer(state, {type: 'voteResponse', to: from, term: state.term, rejected: refusal !== undefined});
}

/** A pre-vote of a term that is over: its asker learns of ours. */
export function refuseOldPreVote(state: RaftState, request: VoteRequest): void {
  sendAnswer(state, {type: 'preVoteResponse', to: request.from, term: state.term, rejected: true});
}

/**
 * Elections carry what is committed. If the entry is in our log, so is all below it, and all of it is committed:
 * without this, members that apply a configuration change at different times may wait for each other for ever.
 */
export function learnCommit(state: RaftState, message: VoteMessage): void {
  const {log} = state;
  if (state.role === 'leader' || message.commit <= log.commit) return;
  if (log.term(message.commit) !== message.commitTerm) return;
  state.logger.info('learned a commit index from an election', {from: message.from, commit: message.commit});
  state.commitTo(message.commit);
  if (state.role !== 'follower' && log.hasUnappliedConfChange()) state.becomeFollower(state.term, 0n);
}

function sendAnswer(
  state: RaftState,
  answer: {type: 'voteResponse' | 'preVoteResponse'; to: MemberId; term: Term; rejected: boolean},
): void {
  const {commit} = state.log;
  state.send({...answer, from: state.id, commit, commitTerm: state.log.term(commit) as Term});
}

function refusalOf(state: RaftState, request: VoteRequest): string | undefined {
  // What this member acknowledged and lost may be all that keeps a committed entry: it must not elect without it.
  if (state.probation !== 0) return 'on probation';
  const isFree =
    state.vote === request.from ||
    (state.vote === 0n && state.leader === 0n) ||
    (request.type === 'preVote' && request.term > state.term);
  if (!isFree) return state.vote === 0n ? 'has a leader' : 'voted for another';
  return state.log.isUpToDate(request.lastIndex, request.lastTerm) ? undefined : 'log is behind';
}
