/**
 * What a message must look like before raft looks at what it says. Peers are authenticated, but their bytes are
 * still input: nothing in them may break an invariant here.
 */

import type {Index, MemberId, Term} from '../types.ts';
import type {ConfState, Entry, Message} from './message.ts';

/** Whether numbers are in their range, and entries follow `previousIndex` without gaps and with rising terms. */
export function isWellFormed(message: Message): boolean {
  if (!isCount(message.term)) return false;
  switch (message.type) {
    case 'append':
      return isCount(message.commit) && areInOrder(message) && message.term > 0;
    case 'appendResponse':
      return isCount(message.index) && isCount(message.hintIndex) && isCount(message.hintTerm);
    case 'heartbeat':
      return isCount(message.commit) && isCount(message.readContext) && message.term > 0;
    case 'heartbeatResponse':
      return isCount(message.readContext);
    case 'vote':
    case 'preVote':
      return (
        isCount(message.lastIndex) && isCount(message.lastTerm) && isCount(message.commit) && message.term > 0
      );
    case 'snapshot': {
      const {index, term, confState} = message.meta;
      return isCount(index) && index > 0 && isCount(term) && term <= message.term && isConf(confState);
    }
    case 'propose':
      return message.entries.every(({type}) => type === 0 || type === 1);
    case 'readIndex':
      return isCount(message.context);
    case 'readIndexResponse':
      return isCount(message.context) && isCount(message.index);
    case 'voteResponse':
    case 'preVoteResponse':
      return isCount(message.commit);
    case 'timeoutNow':
    case 'transferLeader':
      return true;
    default:
      return false;
  }
}

/** Messages that no term limits: an old one does no harm, and the sender's term says nothing. */
export function isOutsideTerms(message: Message): boolean {
  const {type} = message;
  return (
    type === 'propose' || type === 'readIndex' || type === 'readIndexResponse' || type === 'transferLeader'
  );
}

function areInOrder(append: {
  readonly term: Term;
  readonly previousIndex: Index;
  readonly previousTerm: Term;
  readonly entries: readonly Entry[];
}): boolean {
  if (!isCount(append.previousIndex) || !isCount(append.previousTerm)) return false;
  let index = append.previousIndex;
  let term = append.previousTerm;
  for (const entry of append.entries) {
    if (entry.index !== index + 1 || !(entry.term >= term) || !Number.isSafeInteger(entry.index))
      return false;
    index = entry.index;
    term = entry.term;
  }
  return term <= append.term;
}

function isConf(conf: ConfState): boolean {
  const {voters, votersOutgoing, learners, learnersNext} = conf;
  const isVoter = (id: MemberId) => voters.includes(id) || votersOutgoing.includes(id);
  return (
    voters.length > 0 && !learners.some(isVoter) && learnersNext.every((id) => votersOutgoing.includes(id))
  );
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
