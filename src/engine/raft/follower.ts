/** How a follower takes in its leader's log (paper, section 5.3), and passes on what only a leader can answer. */

import {assert} from '../errors.ts';
import type {Index, MemberId, Term} from '../types.ts';
import type {Message} from './message.ts';
import type {RaftState} from './raft-state.ts';

type Of<Type extends Message['type']> = Extract<Message, {type: Type}>;

/** Messages of the current term, or outside terms. The sender of append, heartbeat and snapshot is the leader. */
export function stepFollower(state: RaftState, message: Message): void {
  switch (message.type) {
    case 'append':
      if (followLeader(state, message.from)) takeAppend(state, message);
      return;
    case 'heartbeat':
      if (followLeader(state, message.from)) takeHeartbeat(state, message);
      return;
    case 'snapshot':
      if (followLeader(state, message.from)) takeSnapshot(state, message);
      return;
    case 'propose':
      // A proposal that arrives just after a change of leader finds its way; it must not circle.
      if (state.leader !== 0n && state.leader !== message.from) state.forwards.push(...message.entries);
      return;
    case 'readIndexResponse':
      state.readStates.push({context: message.context, index: message.index});
      return;
    default:
      // Answers to a role that this member has left.
      return;
  }
}

function followLeader(state: RaftState, from: MemberId): boolean {
  if (state.leader !== 0n && state.leader !== from) {
    state.logger.error('two leaders in one term', {term: state.term, leader: state.leader, other: from});
    return false;
  }
  if (state.leader === 0n) state.logger.info('found leader', {term: state.term, leader: from});
  state.leader = from;
  state.electionElapsed = 0;
  return true;
}

function takeAppend(state: RaftState, message: Of<'append'>): void {
  const {log} = state;
  assert(message.term === state.term && state.role === 'follower', 'an append of another term');
  const {previousIndex, previousTerm, entries} = message;
  if (previousIndex < log.commit) {
    // Old, sent twice, or sent by a leader that does not know yet how far we are: tell it.
    accept(state, message.from, previousIndex, log.commit);
    return;
  }
  const outcome = log.merge(previousIndex, previousTerm, entries);
  if (outcome === 'conflict') {
    // One of the two logs is damaged. Ours holds entries that were committed: keep it and be seen to be stuck.
    state.logger.error('append would replace committed entries: refused', {
      leader: message.from,
      previousIndex,
      commit: log.commit,
    });
    return;
  }
  if (outcome === 'mismatch') {
    reject(state, message.from, previousIndex, previousTerm);
    return;
  }
  const last = previousIndex + entries.length;
  assert(last <= log.lastIndex, 'merged entries are missing');
  state.commitTo(Math.min(message.commit, last));
  accept(state, message.from, previousIndex, last);
}

function takeHeartbeat(state: RaftState, message: Of<'heartbeat'>): void {
  const {log} = state;
  const {from, commit, readContext} = message;
  if (commit > log.lastIndex) {
    // The leader's commit for us is bounded by what we acknowledged: some of that is gone from our disk.
    if (commit > state.probation) {
      state.logger.warn('acknowledged entries are missing: on probation', {last: log.lastIndex, commit});
      state.probation = commit;
      state.knownCommit = Math.max(state.knownCommit, commit);
    }
    reject(state, from, commit, message.term);
  } else {
    state.commitTo(commit);
  }
  state.send({type: 'heartbeatResponse', from: state.id, to: from, term: state.term, readContext});
}

function takeSnapshot(state: RaftState, message: Of<'snapshot'>): void {
  const {log} = state;
  const {meta, from} = message;
  const fields = {index: meta.index, term: meta.term, commit: log.commit};
  const members = [meta.confState.voters, meta.confState.votersOutgoing, meta.confState.learners];
  if (!members.some((ids) => ids.includes(state.id))) {
    state.logger.warn('ignored a snapshot of a configuration without this member', fields);
    return;
  }
  if (meta.index <= log.commit) {
    state.logger.info('ignored an old snapshot', fields);
    accept(state, from, meta.index, log.commit);
    return;
  }
  if (log.term(meta.index) === meta.term) {
    state.logger.info('the log has what the snapshot has: kept it', fields);
    state.commitTo(meta.index);
    accept(state, from, meta.index, log.commit);
    return;
  }
  assert(meta.term <= state.term, 'a snapshot of a term to come');
  log.restore(meta);
  state.commitTo(meta.index);
  state.pendingSnapshot = meta;
  state.newSnapshot = meta;
  state.logger.info('took in a snapshot', fields);
  state.setConf(meta.confState);
  accept(state, from, meta.index, meta.index);
}

/** `index`: up to where our log agrees with the leader's. The answer waits for the disk. */
function accept(state: RaftState, to: MemberId, previousIndex: Index, index: Index): void {
  const {id, term} = state;
  assert(index <= state.log.lastIndex, 'acknowledging what is not there');
  assert(term >= state.log.lastTerm, 'the log is newer than the term');
  if (index < state.probation) {
    // Not an acknowledgement, but the leader must learn where to go on: "refused, though we agree up to index".
    const hintTerm = state.log.term(index) ?? 0;
    const held = {rejected: true, index: previousIndex, hintIndex: index, hintTerm};
    state.send({type: 'appendResponse', from: id, to, term, ...held});
    return;
  }
  if (isCovered(state.messagesAfterSync.at(-1), to, term, index)) state.messagesAfterSync.pop();
  // Spelled out: on the path of every write, a spread cost as much as all else of an append.
  state.send({type: 'appendResponse', from: id, to, term, index, rejected: false, hintIndex: 0, hintTerm: 0});
}

/** Whether the last message is an acknowledgement that a new one says again: of a batch of appends only one is due. */
function isCovered(last: Message | undefined, to: MemberId, term: Term, index: Index): boolean {
  return (
    last?.type === 'appendResponse' &&
    !last.rejected &&
    last.to === to &&
    last.term === term &&
    last.index <= index
  );
}

/**
 * The hint skips what cannot agree: our entries newer than the leader's at that place. With the leader doing the
 * same from its side, finding the point takes a message per term and not per entry.
 */
function reject(state: RaftState, to: MemberId, index: Index, leaderTerm: number): void {
  const {id, term, log} = state;
  const hintIndex = log.lastWithTermAtMost(index, leaderTerm);
  const hintTerm = log.term(hintIndex) ?? 0;
  assert(hintIndex <= index, 'a hint beyond what was refused');
  state.logger.debug('rejected append', {previousIndex: index, last: log.lastIndex, hintIndex, hintTerm});
  state.send({type: 'appendResponse', from: id, to, term, rejected: true, index, hintIndex, hintTerm});
}
