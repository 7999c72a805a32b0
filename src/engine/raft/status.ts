/** What raft tells of itself, for humans, metrics and whoever decides on more than one message. */

import type {Index, MemberId, Term} from '../types.ts';
import type {ConfState, Role} from './message.ts';
import type {ProgressState} from './progress.ts';
import type {RaftState} from './raft-state.ts';

export interface ProgressStatus {
  readonly id: MemberId;
  readonly match: Index;
  readonly next: Index;
  readonly state: ProgressState;
  readonly recentActive: boolean;
  readonly isLearner: boolean;
  readonly pendingSnapshot: Index;
}

export interface RaftStatus {
  readonly id: MemberId;
  readonly term: Term;
  readonly vote: MemberId;
  readonly commit: Index;
  readonly applied: Index;
  readonly firstIndex: Index;
  readonly lastIndex: Index;
  readonly leader: MemberId;
  readonly role: Role;
  readonly confState: ConfState;
  /** 0n: nobody. */
  readonly transferee: MemberId;
  /** 0: not on probation. */
  readonly probation: Index;
  /** Of a leader: all members, itself included, ascending by id. Else empty. */
  readonly progress: readonly ProgressStatus[];
}

export function statusOf(state: RaftState): RaftStatus {
  const {id, term, vote, leader, role, transferee, probation, log, tracker} = state;
  const {commit, applied, firstIndex, lastIndex} = log;
  const progress =
    role !== 'leader'
      ? []
      : tracker.all.map((one) => ({
          id: one.id,
          match: one.match,
          next: one.next,
          state: one.state,
          recentActive: one.recentActive,
          isLearner: one.isLearner,
          pendingSnapshot: one.pendingSnapshot,
        }));
  const confState = tracker.conf;
  return {
    id,
    term,
    vote,
    leader,
    role,
    transferee,
    probation,
    commit,
    applied,
    firstIndex,
    lastIndex,
    confState,
    progress,
  };
}
