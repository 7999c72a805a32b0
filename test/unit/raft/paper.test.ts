/** Sentences of "In Search of an Understandable Consensus Algorithm" (extended version), section by section. */

import {describe, expect, it} from 'vitest';
import type {Message, Ready} from '../../../src/engine/raft/message.ts';
import type {Raft} from '../../../src/engine/raft/raft.ts';
import type {RaftMember} from './raft-member.ts';
import {diskOf, ELECTION_TICKS, entriesOf, fixedRandom, memberOf, SmallCluster} from './small-cluster.ts';

const NO_HINT = {hintIndex: 0, hintTerm: 0};
const COMMITTED = {commit: 1, commitTerm: 1};

function drain(member: RaftMember): Message[] {
  const messages: Message[] = [];
  for (let ready: Ready | undefined = member.takeReady(); ready !== undefined; ready = member.takeReady()) {
    messages.push(...ready.messagesNow, ...member.sync());
    member.apply();
  }
  return messages;
}

function single(options: {terms?: readonly number[]; term?: number; voters?: bigint[]} = {}): RaftMember {
  return memberOf(1n, diskOf(options.voters ?? [1n, 2n, 3n], options));
}

function vote(from: bigint, term: number, last: {lastIndex: number; lastTerm: number}): Message {
  return {type: 'vote', from, to: 1n, term, ...last, isTransfer: false, ...COMMITTED};
}

function append(
  from: bigint,
  term: number,
  previous: readonly [number, number],
  terms: readonly number[] = [],
  commit = 1,
): Message {
  const [previousIndex, previousTerm] = previous;
  const entries = entriesOf(terms).map((entry, i) => ({...entry, index: previousIndex + 1 + i}));
  return {type: 'append', from, to: 1n, term, previousIndex, previousTerm, entries, commit};
}

function leaderOfThree(): SmallCluster {
  const cluster = new SmallCluster([[], [], []]);
  cluster.elect(1);
  return cluster;
}

const termsOf = (raft: Raft) => {
  const {firstIndex, lastIndex} = raft.status();
  return lastIndex < firstIndex ? [] : raft.entries(firstIndex, lastIndex).map(({term}) => term);
};

describe('section 5.1: Raft basics', () => {
  it('Ensure that "if one server\'s current term is smaller than the other\'s, then it updates its current term to the larger value".', () => {
    const member = single();
    member.raft!.step(append(2n, 5, [1, 1]));
    expect(member.raft!.status().term).toBe(5);
  });

  it('Ensure that "if a candidate or leader discovers that its term is out of date, it immediately reverts to follower state".', () => {
    const cluster = leaderOfThree();
    const leader = cluster.raft(1);
    leader.step({type: 'appendResponse', from: 2n, to: 1n, term: 9, rejected: true, index: 0, ...NO_HINT});
    expect(leader.status()).toMatchObject({role: 'follower', term: 9, leader: 0n});
  });

  it('Ensure that "if a server receives a request with a stale term number, it rejects the request".', () => {
    const member = single({term: 4});
    member.raft!.step(append(2n, 3, [1, 1], [3]));
    expect(termsOf(member.raft!)).toEqual([]);
    expect(drain(member)).toMatchObject([{type: 'appendResponse', to: 2n, term: 4, rejected: true}]);
  });
});

describe('section 5.2: leader election', () => {
  it('Ensure that "when servers start up, they begin as followers".', () => {
    expect(single().raft!.status()).toMatchObject({role: 'follower', leader: 0n});
  });

  it('Ensure that "leaders send periodic heartbeats to all followers in order to maintain their authority".', () => {
    const cluster = leaderOfThree();
    cluster.sent.length = 0;
    cluster.raft(1).tick();
    cluster.settle();
    const beats = cluster.sent.filter(({type}) => type === 'heartbeat');
    expect(beats.map(({to}) => to)).toEqual([2n, 3n]);
  });

  it('Ensure that "if a follower receives no communication over a period of time called the election timeout, it begins an election".', () => {
    for (const random of [0, 4, ELECTION_TICKS - 1]) {
      const member = memberOf(1n, diskOf([1n, 2n, 3n]), {random: fixedRandom(random)});
      for (let tick = 1; tick < ELECTION_TICKS + random; tick++) member.raft!.tick();
      expect(member.raft!.status().role).toBe('follower');
      member.raft!.tick();
      expect(member.raft!.status().role).toBe('preCandidate');
    }
  });

  it('Ensure that "to begin an election, a follower increments its current term, votes for itself and issues RequestVote RPCs to each of the other servers".', () => {
    const member = single();
    member.raft!.campaign();
    drain(member);
    member.raft!.step({type: 'preVoteResponse', from: 2n, to: 1n, term: 2, rejected: false, ...COMMITTED});
    expect(member.raft!.status()).toMatchObject({role: 'candidate', term: 2, vote: 1n});
    expect(drain(member)).toMatchObject([
      {type: 'vote', to: 2n, term: 2},
      {type: 'vote', to: 3n, term: 2},
    ]);
  });

  it('Ensure that "a candidate wins an election if it receives votes from a majority of the servers in the full cluster for the same term".', () => {
    for (const [size, answers, role] of [
      [1, [], 'leader'],
      [3, [true], 'leader'],
      [3, [false, false], 'follower'],
      [5, [true], 'candidate'],
      [5, [true, true], 'leader'],
      [5, [true, false, false, false], 'follower'],
    ] as const) {
      const voters = Array.from({length: size}, (_, i) => BigInt(i + 1));
      const member = single({voters});
      member.raft!.campaign();
      const answer = (type: 'preVoteResponse' | 'voteResponse', i: number, granted: boolean) =>
        member.raft!.step({type, from: BigInt(i + 2), to: 1n, term: 2, rejected: !granted, ...COMMITTED});
      for (let i = 0; i < size - 1 && member.raft!.status().role === 'preCandidate'; i++) {
        answer('preVoteResponse', i, true);
      }
      answers.forEach((granted, i) => {
        answer('voteResponse', i, granted);
      });
      expect(member.raft!.status().role).toBe(role);
    }
  });

  it('Ensure that "each server will vote for at most one candidate in a given term, on a first-come-first-served basis".', () => {
    const member = single();
    member.raft!.step(vote(2n, 2, {lastIndex: 1, lastTerm: 1}));
    member.raft!.step(vote(3n, 2, {lastIndex: 1, lastTerm: 1}));
    member.raft!.step(vote(2n, 2, {lastIndex: 1, lastTerm: 1}));
    const answers = drain(member).filter(({type}) => type === 'voteResponse');
    expect(answers.map((one) => [one.to, 'rejected' in one && one.rejected])).toEqual(
      expect.arrayContaining([
        [2n, false],
        [3n, true],
      ]),
    );
    expect(member.raft!.status().vote).toBe(2n);
  });

  it('Ensure that "if the leader\'s term is at least as large as the candidate\'s current term, then the candidate returns to follower state".', () => {
    for (const term of [2, 3]) {
      const member = single();
      member.raft!.campaign();
      member.raft!.step({type: 'preVoteResponse', from: 2n, to: 1n, term: 2, rejected: false, ...COMMITTED});
      member.raft!.step(append(3n, term, [1, 1]));
      expect(member.raft!.status()).toMatchObject({role: 'follower', term, leader: 3n});
    }
  });

  it('Ensure that "election timeouts are chosen randomly from a fixed interval" anew for each election.', () => {
    const drawn: number[] = [];
    let draws = 0;
    const member = memberOf(1n, diskOf([1n, 2n, 3n]), {
      random: {
        below: (bound) => {
          drawn.push(bound);
          return draws++ % bound;
        },
        uint64: () => 0n,
      },
    });
    const before = drawn.length;
    for (let i = 0; i < 5 * ELECTION_TICKS; i++) member.raft!.tick();
    expect(drawn.length).toBeGreaterThan(before + 2);
    expect(new Set(drawn)).toEqual(new Set([ELECTION_TICKS]));
  });
});

describe('section 5.3: log replication', () => {
  it('Ensure that "the leader appends the command to its log as a new entry, then issues AppendEntries RPCs in parallel to each of the other servers".', () => {
    const {members} = leaderOfThree();
    const [leader] = members;
    leader.raft!.propose(Buffer.from('x'));
    const ready = leader.takeReady()!;
    expect(ready.entries).toMatchObject([{index: 3, term: 2}]);
    expect(ready.messagesNow).toMatchObject([
      {type: 'append', to: 2n, previousIndex: 2, previousTerm: 2, commit: 2, entries: [{index: 3}]},
      {type: 'append', to: 3n, previousIndex: 2, previousTerm: 2, commit: 2, entries: [{index: 3}]},
    ]);
  });

  it('Ensure that "a log entry is committed once the leader that created the entry has replicated it on a majority of the servers".', () => {
    for (const [size, acknowledging, isCommitted] of [
      [1, [], true],
      [3, [], false],
      [3, [2], true],
      [5, [2], false],
      [5, [2, 4], true],
    ] as const) {
      const cluster = new SmallCluster(Array.from({length: size}, () => []));
      cluster.elect(1);
      for (const {id} of cluster.members) {
        if (id !== 1n && !(acknowledging as readonly number[]).includes(Number(id))) cluster.cut.add(id);
      }
      cluster.raft(1).propose(Buffer.from('x'));
      cluster.settle();
      expect(cluster.raft(1).status().commit).toBe(isCommitted ? 3 : 2);
    }
  });

  it('Ensure that "this also commits all preceding entries in the leader\'s log, including entries created by previous leaders".', () => {
    const cluster = new SmallCluster([[1, 2], [1, 2], [1]], 2);
    cluster.elect(1);
    expect(cluster.raft(1).status()).toMatchObject({commit: 4, applied: 4});
    expect(termsOf(cluster.raft(3))).toEqual([1, 2, 3]);
  });

  it('Ensure that "if the follower does not find an entry in its log with the same index and term, then it refuses the new entries".', () => {
    const member = single({terms: [1, 2]});
    member.raft!.step(append(2n, 3, [3, 1], [3]));
    member.raft!.step(append(2n, 3, [4, 2], [3]));
    expect(drain(member)).toMatchObject([
      {type: 'appendResponse', rejected: true, index: 3},
      {type: 'appendResponse', rejected: true, index: 4},
    ]);
    expect(termsOf(member.raft!)).toEqual([1, 2]);
  });

  it('Ensure that "conflicting entries in follower logs will be overwritten with entries from the leader\'s log".', () => {
    for (const [previous, terms, expected] of [
      [[3, 2], [3], [1, 2, 3]],
      [
        [2, 1],
        [3, 4],
        [1, 3, 4],
      ],
      [[1, 1], [1], [1, 2]],
      [[1, 1], [3], [3]],
    ] as const) {
      const member = single({terms: [1, 2]});
      member.raft!.step(append(2n, 4, previous, terms));
      expect(termsOf(member.raft!)).toEqual(expected);
      drain(member);
      expect(member.disk.entries.map(({term}) => term)).toEqual(expected);
    }
  });

  it('Ensure that "a leader never overwrites or deletes entries in its own log".', () => {
    const cluster = leaderOfThree();
    const before = termsOf(cluster.raft(1));
    cluster.raft(1).step(append(2n, 2, [1, 1], []));
    expect(termsOf(cluster.raft(1))).toEqual(before);
  });

  it('Ensure that "once a follower learns that a log entry is committed, it applies the entry to its local state machine (in log order)".', () => {
    const member = single({terms: [1, 1]});
    member.raft!.step(append(2n, 2, [3, 1], [2], 4));
    drain(member);
    expect(member.image.index).toBe(4);
  });
});

describe('section 5.4: safety', () => {
  it('Ensure that "the voter denies its vote if its own log is more up-to-date than that of the candidate".', () => {
    for (const [own, lastIndex, lastTerm, granted] of [
      [[1], 2, 1, true],
      [[1], 3, 1, true],
      [[1, 1], 2, 1, false],
      [[2], 3, 1, false],
      [[1, 1, 1], 2, 2, true],
    ] as const) {
      const member = single({terms: own});
      member.raft!.step(vote(2n, 5, {lastIndex, lastTerm}));
      expect(drain(member)).toMatchObject([{type: 'voteResponse', rejected: !granted}]);
    }
  });

  it('Ensure that "only log entries from the leader\'s current term are committed by counting replicas".', () => {
    const member = single({terms: [1, 2], term: 2});
    member.raft!.campaign();
    member.raft!.step({type: 'preVoteResponse', from: 2n, to: 1n, term: 3, rejected: false, ...COMMITTED});
    drain(member);
    member.raft!.step({type: 'voteResponse', from: 2n, to: 1n, term: 3, rejected: false, ...COMMITTED});
    drain(member);
    const acknowledge = (index: number) =>
      member.raft!.step({
        type: 'appendResponse',
        from: 2n,
        to: 1n,
        term: 3,
        rejected: false,
        index,
        ...NO_HINT,
      });
    acknowledge(3);
    expect(member.raft!.status().commit).toBe(1);
    acknowledge(4);
    expect(member.raft!.status().commit).toBe(4);
  });
});

describe('section 6: cluster membership changes', () => {
  it('Ensure that "servers disregard RequestVote RPCs when they believe a current leader exists".', () => {
    const cluster = leaderOfThree();
    const follower = cluster.raft(2);
    const request = vote(3n, 9, {lastIndex: 99, lastTerm: 9});
    follower.step({...request, to: 2n});
    expect(follower.status()).toMatchObject({term: 2, leader: 1n});
    for (let i = 0; i < ELECTION_TICKS; i++) follower.tick();
    follower.step({...request, to: 2n});
    expect(follower.status()).toMatchObject({term: 9, vote: 3n});
  });
});

describe('section 8: client interaction', () => {
  it('Ensure that "each leader commits a blank no-op entry into the log at the start of its term".', () => {
    const cluster = leaderOfThree();
    expect(cluster.raft(1).entries(2, 2)).toMatchObject([{term: 2, type: 0, payload: {length: 0}}]);
    expect(cluster.raft(1).status().commit).toBe(2);
  });

  it('Ensure that "a leader must check whether it has been deposed before processing a read-only request".', () => {
    const cluster = leaderOfThree();
    const [leader] = cluster.members;
    leader.raft!.readIndex(7);
    const ready = leader.takeReady()!;
    expect(ready.readStates).toEqual([]);
    expect(ready.messagesNow.map(({type}) => type)).toEqual(['heartbeat']);
    leader.raft!.step({type: 'heartbeatResponse', from: 2n, to: 1n, term: 2, readContext: 1});
    expect(leader.takeReady()!.readStates).toEqual([{context: 7, index: 2}]);
  });
});
