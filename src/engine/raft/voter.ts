/**
 * How a member votes, whatever its role (paper, sections 5.2 and 5.4.1). A learner votes too: it may have been
 * promoted by an entry that it has not applied yet. A vote is promised only after it is on disk (the outbox sees
 * to it); a pre-vote promises nothing.
 */

import type {Message} from './message.ts';
import type {RaftState} from './raft-state.ts';

export type VoteRequest = Extract<Message, {type: 'vote' | 'preVote'}>;

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
    const rejected = refusal !== undefined;
    state.send({type: 'preVoteResponse', from: state.id, to: from, term: answerTerm, rejected});
    return;
  }
  if (refusal === undefined) {
    state.logger.info('granted vote', fields);
    state.electionElapsed = 0;
    state.vote = from;
  } else {
    state.logger.info('refused vote', {...fields, reason: refusal});
  }
  const rejected = refusal !== undefined;
  state.send({type: 'voteResponse', from: state.id, to: from, term: state.term, rejected});
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
