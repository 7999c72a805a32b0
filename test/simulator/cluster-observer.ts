/** Tells the checkers what members do. */

import type {ConfState} from '../../src/engine/raft/message.ts';
import type {OpenedMember} from '../../src/engine/server/open-member.ts';
import type {RaftRules} from './checkers/raft-rules.ts';
import type {Invariants} from './invariants.ts';
import type {LeaderWork} from './leader-work.ts';
import type {LeaseBound} from './lease-bound.ts';
import type {MemberObserver} from './member-observer.ts';

const idOf = ({identity}: OpenedMember) => identity.memberId;

export function observeBy(
  {
    invariants,
    rules,
    work,
    bound,
    reach,
    opened,
  }: {
    readonly invariants: Invariants;
    readonly rules: RaftRules;
    readonly work: LeaderWork;
    readonly bound: LeaseBound;
    /** A point is reached that not every run reaches. */
    readonly reach: (point: string) => void;
    readonly opened: MemberObserver['opened'];
  },
  ended: MemberObserver['ended'],
): MemberObserver {
  return {
    applying: (member, life, entry) => {
      work.applying(life, entry);
      if (life.opened !== undefined) rules.applying(member.name, idOf(life.opened), entry);
      invariants.applying(member, entry);
    },
    marked: (member, life, mark) => invariants.marked(member, life, mark),
    opened: (member, found) => {
      const {term, vote, lastIndex, commit} = found.raft.status();
      const recovered = {term, vote, lastIndex, commit, termAt: (index: number) => found.raft.term(index)};
      rules.opened(member.name, idOf(found), recovered, {isDamaged: member.isDamaged});
      opened(member, found);
    },
    appending: (member, opened, {entries}) => {
      rules.appending(member.name, opened.raft, entries);
      if (member.life !== undefined) work.logging(member.life, entries);
    },
    appended: (_member, opened, batch) => rules.appended(idOf(opened), batch),
    sending: (member, opened, messages) => rules.sending(member.name, idOf(opened), opened.raft, messages),
    configured: (index, confState) => {
      rules.configured(index, confState);
      for (const point of pointsOf(confState)) reach(point);
    },
    promoting: (member, {raft}, learner) => rules.promoting(member.name, raft, learner),
    renewing: (life, lease) => bound.renewing(life, lease),
    ended,
  };
}

/** What is special about a configuration. */
function pointsOf({voters, votersOutgoing, learners}: ConfState): string[] {
  const points = [`configuration of ${voters.length} voters`];
  if (learners.length > 0) points.push('configuration with learners');
  if (votersOutgoing.length === 0) return points;
  const coming = voters.filter((id) => !votersOutgoing.includes(id)).length;
  const going = votersOutgoing.filter((id) => !voters.includes(id)).length;
  points.push(`joint configuration, ${coming + going} voters come or go`);
  return points;
}
