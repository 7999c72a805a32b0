/**
 * How a leader brings every member's log to its own: what it sends, and what it makes of the answers. Appends are
 * not sent where they become due but once per Ready, so that a batch of proposals is one message per member.
 */

import {assert} from '../errors.ts';
import type {Index, MemberId} from '../types.ts';
import type {Entry, Message} from './message.ts';
import type {Progress} from './progress.ts';
import type {RaftState} from './raft-state.ts';

type AppendResponse = Extract<Message, {type: 'appendResponse'}>;

const NO_ENTRIES: readonly Entry[] = [];

/** Sends whatever windows and pauses allow to every member that lacks something. */
export function sendDueAppends(state: RaftState): void {
  assert(state.role === 'leader', 'only a leader appends to others');
  state.appendsDue = false;
  for (const progress of state.tracker.all) {
    if (progress.id === state.id) continue;
    while (sendAppend(state, progress)) {
      // One message after the other, until the window is full or everything is on its way.
    }
    progress.check();
  }
}

/** @returns whether entries were sent, so that more may follow */
function sendAppend(state: RaftState, progress: Progress): boolean {
  const {log} = state;
  const isPaused = progress.isPaused();
  if (isPaused && !(progress.probeDue && progress.state === 'replicate')) return false;
  const hasEntries = !isPaused && progress.next <= log.lastIndex;
  const isNoticeDue =
    Math.max(state.noticeUpTo, progress.awaitedCommit) > progress.sentCommit &&
    progress.owesCommit(log.commit);
  if (!hasEntries && !progress.probeDue && (isPaused || !isNoticeDue)) return false;

  const previousIndex = progress.next - 1;
  const previousTerm = log.term(previousIndex);
  if (previousTerm === undefined) {
    sendSnapshot(state, progress);
    return false;
  }
  const entries = hasEntries
    ? log.slice(progress.next, log.lastIndex, state.limits.appendBytesMax)
    : NO_ENTRIES;
  const {id, term} = state;
  const {commit} = log;
  assert(previousTerm <= term, 'an entry of a term to come');
  assert(entries.length === 0 || entries[0].index === progress.next, 'an append with a gap');
  state.send({type: 'append', from: id, to: progress.id, term, previousIndex, previousTerm, entries, commit});
  progress.sent(previousIndex + entries.length, payloadBytes(entries), commit);
  return entries.length > 0;
}

export function sendHeartbeat(state: RaftState, progress: Progress): void {
  const {id: from, term} = state;
  const {id: to, match} = progress;
  const readContext = state.reads.openRound;
  assert(readContext === 0 || state.isCommittedInTerm, 'a read round before a commit in the term');
  // Never beyond what the member acknowledged: its log may differ above.
  const commit = Math.min(match, state.log.commit);
  progress.readAsked = readContext;
  state.send({type: 'heartbeat', from, to, term, commit, readContext});
}

/**
 * The highest commit index that somebody does not know of, though it has the entry; 0: nobody, or whoever does not is
 * told as soon as its window has room.
 */
export function untoldCommit(state: RaftState): Index {
  const {commit} = state.log;
  if (commit <= state.noticeUpTo) return 0;
  for (const progress of state.tracker.all) {
    if (progress.id !== state.id && progress.owesCommit(commit)) return commit;
  }
  return 0;
}

/** Whoever was not told of this commit by entries that followed it is told now. */
export function tellCommit(state: RaftState, index: Index): void {
  assert(index <= state.log.commit, 'told of a commit that is none');
  if (index <= state.noticeUpTo) return;
  state.noticeUpTo = index;
  state.appendsDue = true;
}

/** A member's client waits until the member has applied this index: it must hear of the commit at once. */
export function awaitsCommit(state: RaftState, from: MemberId, index: Index): void {
  const progress = state.tracker.get(from);
  if (progress === undefined || progress.awaitedCommit >= index) return;
  progress.awaitedCommit = index;
  state.appendsDue = true;
}

function sendSnapshot(state: RaftState, progress: Progress): void {
  const {id, term, log} = state;
  progress.probeDue = false;
  if (!progress.recentActive) {
    state.logger.debug('no snapshot for a member that is not heard of', {member: progress.id});
    return;
  }
  const index = log.applied;
  if (index === 0 || index <= progress.match) return;
  const meta = {index, term: log.term(index) as number, confState: state.appliedConf};
  state.logger.info('sends a snapshot', {
    member: progress.id,
    index,
    first: log.firstIndex,
    next: progress.next,
  });
  assert(index >= log.firstIndex - 1, 'a snapshot below the log');
  progress.becomeSnapshot(index);
  state.send({type: 'snapshot', from: id, to: progress.id, term, meta});
}

/** @returns whether the member's match went up: commit may follow */
export function takeAppendResponse(state: RaftState, progress: Progress, message: AppendResponse): boolean {
  progress.recentActive = true;
  if (message.rejected) {
    takeRejection(state, progress, message);
    progress.check();
    return false;
  }
  const {index} = message;
  if (index > state.log.lastIndex) {
    state.logger.error('a member acknowledges entries that do not exist', {member: progress.id, index});
    return false;
  }
  const isNews = progress.accepted(index);
  if (!isNews && !(index === progress.match && progress.state === 'probe')) return false;
  if (progress.state === 'probe') {
    progress.becomeReplicate();
  } else if (progress.state === 'snapshot') {
    // Any match that connects to the log will do: the image that arrived may be newer than the one announced.
    if (progress.match + 1 >= state.log.firstIndex) {
      state.logger.info('a member has caught up past its snapshot', {member: progress.id, match: index});
      progress.becomeReplicate();
    }
  } else {
    progress.inflights.freeTo(index);
  }
  state.appendsDue = true;
  progress.check();
  return isNews;
}

function takeRejection(state: RaftState, progress: Progress, message: AppendResponse): void {
  const {log} = state;
  const {index, hintIndex, hintTerm} = message;
  const isAgreed = log.term(hintIndex) === hintTerm;
  const isHeld = isAgreed && hintIndex >= index;
  const hint = isAgreed || hintTerm === 0 ? hintIndex : log.lastWithTermAtMost(hintIndex, hintTerm);
  if (hintIndex < progress.match && index >= Math.min(progress.match, log.commit)) {
    state.logger.warn('a member has lost entries it acknowledged', {
      member: progress.id,
      match: progress.match,
      hint: hintIndex,
    });
    progress.lost(Math.min(hint, hintIndex));
    state.appendsDue = true;
    return;
  }
  if (isHeld) {
    takeHeld(state, progress, index, hintIndex);
    return;
  }
  if (!progress.rejected(index, hint)) {
    state.logger.debug('ignored a stale rejection', {member: progress.id, index, match: progress.match});
    return;
  }
  state.logger.debug('a member rejected an append', {member: progress.id, index, hint, next: progress.next});
  state.appendsDue = true;
}

/**
 * A member on probation: it has the entries up to `index`, but they do not count yet. Feed it further.
 */
function takeHeld(state: RaftState, progress: Progress, refused: Index, index: Index): void {
  if (refused !== progress.next - 1 && index < progress.next) return;
  if (progress.state !== 'probe') progress.becomeProbe();
  progress.next = Math.max(progress.match, index) + 1;
  progress.probeSent = progress.next > state.log.lastIndex;
  state.logger.debug('a member on probation takes entries', {member: progress.id, next: progress.next});
  state.appendsDue = true;
}

function payloadBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entry.payload.length;
  return bytes;
}
