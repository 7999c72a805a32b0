/** Each rule is broken once, and has to be found out; what stays within the rules may not be. */

import {beforeEach, describe, expect, it} from 'vitest';
import {type ConfState, type Entry, EntryType, type Message} from '../../../src/engine/raft/message.ts';
import type {RaftStatus} from '../../../src/engine/raft/status.ts';
import type {Recovered} from './durable-log.ts';
import {RaftRules} from './raft-rules.ts';

const confOf = (voters: readonly bigint[], rest: Partial<ConfState> = {}): ConfState => ({
  voters,
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
  ...rest,
});

const entryOf = (index: number, term: number, rest: Partial<Entry> = {}): Entry => ({
  index,
  term,
  type: EntryType.normal,
  payload: Buffer.from(`${index}`),
  ...rest,
});

const hardStateOf = (term: number, vote = 0n) => ({term, vote, commit: 0});

function viewOf(status: Partial<RaftStatus>, log: readonly Entry[] = []) {
  const whole = {
    id: 1n,
    term: 1,
    vote: 0n,
    commit: 0,
    applied: 0,
    firstIndex: 1,
    lastIndex: log.length,
    leader: 0n,
    role: 'follower',
    confState: confOf([1n, 2n, 3n]),
    transferee: 0n,
    probation: 0,
    progress: [],
    ...status,
  } as RaftStatus;
  return {
    status: () => whole,
    term: (index: number) => log[index - 1]?.term,
    entries: (from: number, to: number) => log.slice(from - 1, to),
  };
}

const PROGRESS = {
  next: 3,
  state: 'replicate',
  recentActive: true,
  isLearner: false,
  pendingSnapshot: 0,
} as const;

const recoveredOf = (term: number, vote: bigint, terms: readonly number[], base = 0): Recovered => ({
  term,
  vote,
  lastIndex: base + terms.length,
  commit: base,
  termAt: (index) => terms[index - base - 1],
});

const vote = {
  type: 'vote',
  from: 1n,
  to: 2n,
  term: 2,
  lastIndex: 0,
  lastTerm: 0,
  isTransfer: false,
  commit: 0,
  commitTerm: 0,
} as const;
const voteResponse = {
  type: 'voteResponse',
  from: 1n,
  to: 2n,
  term: 2,
  rejected: false,
  commit: 0,
  commitTerm: 0,
} as const;
const acknowledgement = (index: number, term = 1): Message => ({
  type: 'appendResponse',
  from: 1n,
  to: 2n,
  term,
  index,
  rejected: false,
  hintIndex: 0,
  hintTerm: 0,
});

describe('the rules of raft', () => {
  let found: string[];
  let rules: RaftRules;
  const send = (message: Message, raft = viewOf({})) => rules.sending('m1', 1n, raft, [message]);

  beforeEach(() => {
    found = [];
    rules = new RaftRules({violate: (invariant) => found.push(invariant), founders: 0});
    for (const id of [1n, 2n, 3n])
      rules.appended(id, {entries: [entryOf(1, 1), entryOf(2, 1)], hardState: hardStateOf(1)});
  });

  it('Ensure that what is acknowledged beyond the disk is noticed.', () => {
    send(acknowledgement(2));
    expect(found).toEqual([]);
    send(acknowledgement(3));
    send(acknowledgement(2, 2));
    expect(found).toEqual(['durability', 'durability']);
  });

  it('Ensure that one of an older term may tell of what a newer leader replaced on its way to the disk.', () => {
    rules.appended(1n, {entries: [], hardState: hardStateOf(2)});
    send(acknowledgement(3), viewOf({term: 2}));
    expect(found).toEqual([]);
    send(acknowledgement(3, 2), viewOf({term: 2}));
    expect(found).toEqual(['durability']);
  });

  it('Ensure that an acknowledgement ahead of the entry that replaces a durable one is noticed.', () => {
    rules.appended(1n, {entries: [], hardState: hardStateOf(2)});
    const log = [entryOf(1, 1), entryOf(2, 2)];
    // One of the term before was on its way when the entry was replaced.
    send(acknowledgement(2), viewOf({term: 2}, log));
    send(acknowledgement(1, 2), viewOf({term: 2}, log));
    expect(found).toEqual([]);
    send(acknowledgement(2, 2), viewOf({term: 2}, log));
    expect(found).toEqual(['durability']);
    rules.appended(1n, {entries: [log[1]]});
    send(acknowledgement(2, 2), viewOf({term: 2}, log));
    expect(found).toHaveLength(1);
  });

  it('Ensure that two that speak as leaders of one term are noticed, though neither is seen to lead.', () => {
    const heartbeat: Message = {type: 'heartbeat', from: 1n, to: 3n, term: 1, commit: 0, readContext: 0};
    send(heartbeat);
    send(heartbeat);
    expect(found).toEqual([]);
    rules.sending('m2', 2n, viewOf({id: 2n}), [{...heartbeat, from: 2n}]);
    expect(found).toEqual(['election safety']);
  });

  it('Ensure that a vote that is not on the disk, or another one, is noticed.', () => {
    send(voteResponse);
    rules.appended(1n, {entries: [], hardState: hardStateOf(2, 3n)});
    send(voteResponse);
    send(vote);
    expect(found).toEqual(['durability', 'durability', 'durability']);
    rules.appended(1n, {entries: [], hardState: hardStateOf(3, 1n)});
    send(voteResponse);
    send({...vote, term: 3});
    expect(found.length).toBe(3);
  });

  it.each([
    ['a lower term', hardStateOf(1, 3n), 5],
    ['another vote in its term', hardStateOf(2, 1n), 5],
    ['a vote taken back', hardStateOf(2), 5],
    ['a lower commit index', hardStateOf(3), 4],
  ])('Ensure that a batch with %s than is durable already is noticed.', (_what, hardState, commit) => {
    rules.appended(1n, {entries: [], hardState: {...hardStateOf(2), commit: 5}});
    rules.appended(1n, {entries: [], hardState: {...hardStateOf(2, 3n), commit: 5}});
    rules.appended(1n, {entries: [], hardState: {...hardStateOf(2, 3n), commit: 5}});
    expect(found).toEqual([]);
    rules.appended(1n, {entries: [], hardState: {...hardState, commit}});
    expect(found).toEqual(['durability']);
  });

  it('Ensure that batches are held against what a start of a damaged member has found.', () => {
    rules.appended(1n, {entries: [], hardState: {...hardStateOf(2, 3n), commit: 2}});
    rules.opened('m1', 1n, recoveredOf(1, 0n, []), {isDamaged: true});
    rules.appended(1n, {entries: [], hardState: hardStateOf(1, 2n)});
    rules.appended(1n, {entries: [], hardState: hardStateOf(3)});
    expect(found).toEqual([]);
  });

  it.each([
    ['a term that goes back', recoveredOf(0, 0n, [1, 1])],
    ['a lost entry', recoveredOf(1, 0n, [1])],
    ['an older entry', recoveredOf(1, 0n, [1, 0])],
  ])('Ensure that a start with %s is noticed, but for damaged files.', (_what, recovered) => {
    rules.opened('m1', 1n, recovered, {isDamaged: false});
    rules.opened('m2', 2n, recovered, {isDamaged: true});
    expect(found).toEqual(['durability']);
  });

  it('Ensure that a newer batch that was under way to the disk may replace the end of a log.', () => {
    rules.opened('m1', 1n, recoveredOf(2, 0n, [1, 2]), {isDamaged: false});
    rules.opened('m2', 2n, recoveredOf(2, 0n, [2]), {isDamaged: false});
    expect(found).toEqual([]);
  });

  it('Ensure that a member restarts in the latest configuration as soon as it is durable that it is committed.', () => {
    rules.configured(3, confOf([1n, 2n]));
    rules.appended(1n, {entries: [entryOf(3, 1)], hardState: {...hardStateOf(1), commit: 2}});
    expect(rules.restartsInLatest(1n)).toBe(false);
    rules.appended(1n, {entries: [], hardState: {...hardStateOf(1), commit: 3}});
    rules.appended(2n, {entries: [], snapshot: {index: 3, term: 1}});
    expect([1n, 2n, 3n].map((id) => rules.restartsInLatest(id))).toEqual([true, true, false]);
    rules.opened('m1', 1n, recoveredOf(1, 0n, [1], 2), {isDamaged: false});
    rules.opened('m3', 3n, recoveredOf(1, 0n, [1], 3), {isDamaged: false});
    expect([1n, 3n].map((id) => rules.restartsInLatest(id))).toEqual([false, true]);
  });

  it('Ensure that a start that changes a vote is noticed, and one that finds more is not.', () => {
    rules.appended(1n, {entries: [], hardState: hardStateOf(2, 3n)});
    rules.opened('m1', 1n, recoveredOf(2, 3n, [1, 1, 2]), {isDamaged: false});
    rules.opened('m1', 1n, recoveredOf(2, 3n, [1, 2], 1), {isDamaged: false});
    expect(found).toEqual([]);
    rules.opened('m1', 1n, recoveredOf(2, 2n, [1, 2], 1), {isDamaged: false});
    expect(found).toEqual(['durability']);
  });

  it('Ensure that an entry that is applied before it is durable is noticed.', () => {
    rules.applying('m1', 1n, {index: 2, term: 1});
    expect(found).toEqual([]);
    rules.applying('m1', 1n, {index: 3, term: 1});
    rules.applying('m1', 1n, {index: 2, term: 2});
    expect(found).toEqual(['durability', 'durability']);
  });

  it('Ensure that what is committed without a majority of either half is noticed.', () => {
    rules.configured(1, confOf([1n, 2n, 3n]));
    rules.appended(1n, {entries: [entryOf(3, 1)]});
    rules.appended(2n, {entries: [entryOf(3, 1)]});
    rules.applying('m1', 1n, {index: 3, term: 1});
    expect(found).toEqual([]);
    // A learner's copy does not count, nor does one half alone.
    rules.configured(4, confOf([1n, 2n, 4n], {votersOutgoing: [1n, 3n, 4n], learners: [5n]}));
    rules.configured(5, confOf([1n, 2n, 4n], {votersOutgoing: [1n, 3n, 4n], learners: [5n]}));
    for (const id of [1n, 2n, 5n]) rules.appended(id, {entries: [entryOf(4, 1)]});
    rules.applying('m1', 1n, {index: 4, term: 1});
    expect(found).toEqual(['commit']);
  });

  it('Ensure that a leader without a committed entry is noticed.', () => {
    rules.applying('m1', 1n, {index: 1, term: 1});
    rules.applying('m1', 1n, {index: 2, term: 1});
    rules.leads('m2', viewOf({term: 2}, [entryOf(1, 1), entryOf(2, 1), entryOf(3, 2)]));
    expect(found).toEqual([]);
    rules.leads('m2', viewOf({term: 2}, [entryOf(1, 1)]));
    rules.leads('m2', viewOf({term: 3}, [entryOf(1, 1), entryOf(2, 2)]));
    expect(found).toEqual(['leader completeness', 'leader completeness']);
  });

  it('Ensure that a leader whose votes came late need not have what a later one has committed.', () => {
    const log = [entryOf(1, 1), entryOf(2, 1), entryOf(3, 3)];
    rules.applying('m1', 1n, {index: 1, term: 1});
    rules.leads('m1', viewOf({term: 3, role: 'leader'}, log));
    rules.applying('m1', 1n, {index: 2, term: 1});
    rules.appended(1n, {entries: [entryOf(3, 3)], hardState: hardStateOf(3)});
    rules.applying('m1', 1n, {index: 3, term: 3});
    rules.leads('m2', viewOf({term: 2, role: 'leader', id: 2n}, [entryOf(1, 1), entryOf(2, 2)]));
    expect(found).toEqual([]);
    rules.leads('m2', viewOf({term: 2, role: 'leader', id: 2n}, [entryOf(1, 2)]));
    rules.leads('m2', viewOf({term: 4, role: 'leader', id: 2n}, log.slice(0, 2)));
    expect(found).toEqual(['leader completeness', 'leader completeness']);
  });

  it('Ensure that logs that do not match are noticed.', () => {
    const raft = viewOf({});
    rules.appending('m1', raft, [entryOf(3, 1), entryOf(4, 2)]);
    rules.appending('m2', raft, [entryOf(3, 1), entryOf(4, 2)]);
    expect(found).toEqual([]);
    rules.appending('m2', raft, [entryOf(4, 2, {payload: Buffer.from('other')})]);
    rules.appending('m3', raft, [entryOf(3, 2), entryOf(4, 2)]);
    expect(found).toEqual(['log matching', 'log matching']);
  });

  it('Ensure that a lone leader whose term a crash made undone may lead it again with other entries.', () => {
    const raft = viewOf({role: 'leader', term: 2});
    const other = entryOf(3, 2, {payload: Buffer.from('other')});
    rules.appending('m1', raft, [entryOf(3, 2)]);
    rules.opened('m1', 1n, recoveredOf(1, 0n, [1, 1]), {isDamaged: false});
    rules.appending('m1', raft, [other]);
    expect(found).toEqual([]);
    // What is durable stays, and so does what another member leads.
    rules.appended(1n, {entries: [other], hardState: hardStateOf(2, 1n)});
    rules.opened('m1', 1n, recoveredOf(2, 1n, [1, 1, 2]), {isDamaged: false});
    rules.opened('m2', 2n, recoveredOf(1, 0n, [1, 1]), {isDamaged: false});
    rules.appending('m1', raft, [entryOf(3, 2)]);
    expect(found).toEqual(['log matching']);
  });

  it('Ensure that a leader that speaks before its term is durable is noticed.', () => {
    const heartbeat: Message = {type: 'heartbeat', from: 1n, to: 2n, term: 2, commit: 0, readContext: 0};
    send(heartbeat);
    expect(found).toEqual(['durability']);
    rules.appended(1n, {entries: [], hardState: hardStateOf(2, 1n)});
    send(heartbeat);
    expect(found).toHaveLength(1);
  });

  it('Ensure that a second change before the first is applied is noticed.', () => {
    const change = entryOf(3, 1, {type: EntryType.confChange});
    const log = [entryOf(1, 1), entryOf(2, 1), change, entryOf(4, 1, {type: EntryType.confChange})];
    rules.appending('m1', viewOf({role: 'leader', applied: 3}, log), [log[3]]);
    expect(found).toEqual([]);
    rules.appending('m1', viewOf({role: 'leader', applied: 2}, log), [{...log[3], index: 5}]);
    expect(found).toEqual(['one change']);
  });

  it('Ensure that a leader that counts the copies of an older term is noticed.', () => {
    const log = [entryOf(1, 1), entryOf(2, 1), entryOf(3, 2)];
    const leader = {role: 'leader', term: 2} as const;
    for (const id of [1n, 2n]) rules.appended(id, {entries: [log[2]], hardState: hardStateOf(2)});
    rules.led('m1', viewOf({...leader, commit: 1}, log), 1);
    rules.led('m1', viewOf({...leader, commit: 3}, log), 1);
    expect(found).toEqual([]);
    rules.led('m1', viewOf({...leader, commit: 2}, log), 1);
    expect(found).toEqual(['commit']);
  });

  it('Ensure that a leader that commits without a majority of the configuration that it goes by is noticed.', () => {
    const log = [1, 2, 3, 4, 5].map((index) => entryOf(index, 1));
    const old = confOf([1n, 2n, 3n]);
    const joint = confOf([1n, 4n, 5n], {votersOutgoing: [1n, 2n, 3n]});
    const leads = (commit: number, confState: ConfState) =>
      rules.led('m1', viewOf({role: 'leader', commit, confState}, log), commit - 1);
    rules.leads('m1', viewOf({role: 'leader', confState: old}, log));
    for (const id of [1n, 2n]) rules.appended(id, {entries: log.slice(2)});
    leads(3, old);
    // It has come to go by the other in the same step.
    leads(4, joint);
    expect(found).toEqual([]);
    // The older half alone, though another member may apply it by that.
    leads(5, joint);
    expect(found).toEqual(['commit']);
    for (const index of [1, 4]) rules.configured(index, index === 1 ? old : joint);
    rules.applying('m1', 1n, {index: 5, term: 1});
    expect(found).toHaveLength(1);
    rules.appended(4n, {entries: log});
    leads(5, joint);
    expect(found).toHaveLength(1);
  });

  it('Ensure that a damaged disk may have lost what a leader was told to be there.', () => {
    const log = [entryOf(1, 1), entryOf(2, 1), entryOf(3, 1)];
    const leads = () => rules.led('m1', viewOf({role: 'leader', commit: 3}, log), 2);
    for (const id of [1n, 2n]) rules.appended(id, {entries: log.slice(2)});
    rules.opened('m2', 2n, recoveredOf(1, 0n, [1]), {isDamaged: true});
    leads();
    expect(found).toEqual([]);
    rules.recovered(2n);
    leads();
    expect(found).toEqual(['commit']);
  });

  it('Ensure that a leader that takes another to have what it has not is noticed, but for damaged files.', () => {
    const log = [entryOf(1, 1), entryOf(2, 2)];
    const leads = (id: bigint, match: number) => {
      const progress = {...PROGRESS, id, match};
      rules.led('m1', viewOf({role: 'leader', term: 2, commit: 2, progress: [progress]}, log), 2);
    };
    leads(2n, 1);
    leads(2n, 7);
    expect(found).toEqual([]);
    leads(2n, 2);
    expect(found).toEqual(['match']);
    // A leader of a later term may have replaced it.
    rules.appended(2n, {entries: [], hardState: hardStateOf(3, 0n)});
    leads(2n, 2);
    expect(found).toEqual(['match']);
    rules.opened('m2', 2n, recoveredOf(2, 0n, []), {isDamaged: true});
    leads(2n, 1);
    expect(found).toEqual(['match']);
    // Until it has made up for what it had lost.
    rules.recovered(2n);
    leads(2n, 1);
    expect(found).toEqual(['match', 'match']);
  });

  it('Ensure that a campaign of a learner, or over an unapplied change, is noticed.', () => {
    rules.appended(1n, {entries: [], hardState: hardStateOf(2, 1n)});
    const log = [entryOf(1, 1), entryOf(2, 1, {type: EntryType.confChange})];
    const candidate = {role: 'candidate', term: 2} as const;
    send(vote, viewOf({...candidate, commit: 1, applied: 1}, log));
    send({...vote, type: 'preVote'}, viewOf({role: 'preCandidate', commit: 2, applied: 2}, log));
    expect(found).toEqual([]);
    send(vote, viewOf({...candidate, commit: 2, applied: 1}, log));
    const preVote = {...vote, type: 'preVote'} as const;
    send(preVote, viewOf({role: 'follower', commit: 2, applied: 1}, log));
    send(preVote, viewOf({role: 'preCandidate', commit: 2, applied: 1}, log));
    send(vote, viewOf({...candidate, confState: confOf([2n, 3n], {learners: [1n]})}));
    expect(found).toEqual(['campaign', 'campaign', 'learner']);
  });

  it('Ensure that a vote request that outlives its candidacy on a slow disk is no campaign.', () => {
    rules.appended(1n, {entries: [], hardState: hardStateOf(3, 1n)});
    const log = [entryOf(1, 1), entryOf(2, 1, {type: EntryType.confChange})];
    send(vote, viewOf({role: 'follower', term: 2, commit: 2, applied: 1}, log));
    send(vote, viewOf({role: 'candidate', term: 3, commit: 2, applied: 1}, log));
    expect(found).toEqual([]);
  });

  it('Ensure that a promotion of a learner that lacks much of the log is noticed, when it is carried out.', () => {
    const leader = viewOf({role: 'leader', term: 2, progress: [{...PROGRESS, id: 1n, match: 20}]});
    const logOf = (length: number) => Array.from({length}, (_, place) => entryOf(place + 1, 1));
    rules.appended(4n, {entries: logOf(17), hardState: hardStateOf(1)});
    const promoted = rules.promoting('m1', leader, 4n);
    rules.appended(4n, {entries: logOf(18), hardState: hardStateOf(1)});
    rules.promoting('m1', leader, 4n)();
    expect(found).toEqual([]);
    promoted();
    expect(found).toEqual(['learner']);
  });

  it('Ensure that a read index before the first commit of a term, or beyond the commit, is noticed.', () => {
    const answer = {type: 'readIndexResponse', from: 1n, to: 2n, term: 0, context: 1, index: 2} as const;
    const log = [entryOf(1, 1), entryOf(2, 2)];
    send(answer, viewOf({role: 'leader', term: 2, commit: 2}, log));
    expect(found).toEqual([]);
    send(answer, viewOf({role: 'leader', term: 3, commit: 2}, log));
    send(answer, viewOf({role: 'leader', term: 1, commit: 1}, log));
    expect(found).toEqual(['read index', 'read index']);
  });

  it('Ensure that an image of another log, or with another configuration, is noticed.', () => {
    rules.appended(1n, {entries: [], hardState: hardStateOf(3)});
    rules.configured(1, confOf([1n, 2n, 3n]));
    rules.applying('m1', 1n, {index: 1, term: 1});
    const image = (term: number, conf: ConfState) =>
      ({type: 'snapshot', from: 1n, to: 2n, term: 3, meta: {index: 1, term, confState: conf}}) as const;
    send(image(1, confOf([1n, 2n, 3n])));
    expect(found).toEqual([]);
    send(image(2, confOf([1n, 2n, 3n])));
    send(image(1, confOf([1n, 2n])));
    expect(found).toEqual(['snapshot', 'snapshot']);
    const early = image(1, confOf([1n, 2n, 3n]));
    send({...early, meta: {...early.meta, index: 2}});
    expect(found).toHaveLength(3);
  });
});
