/**
 * Bugs that others had (docs: what a re-implementer repeats), where no golden file already tells the story.
 * Numbers in brackets are issues of etcd-io/etcd.
 */

import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import type {ConfChange, Message, MessageType} from '../../../src/engine/raft/message.ts';
import {confStateOf, RaftMember} from './raft-member.ts';
import {diskOf, entriesOf, FIRST, fixedRandom, memberOf, quietLogger, SmallCluster} from './small-cluster.ts';

const change = (steps: ConfChange['steps']): ConfChange => ({steps, joint: 'auto', context: Buffer.alloc(0)});

function leaderOfThree(): SmallCluster {
  const cluster = new SmallCluster([[], [], []]);
  cluster.elect(1);
  return cluster;
}

describe('bugs of others', () => {
  it('Ensure that a new leader refuses a membership change until it has committed in its own term.', () => {
    const cluster = leaderOfThree();
    cluster.cut.add(1n);
    const second = cluster.raft(2);
    for (let i = 0; i < 10; i++) cluster.raft(3).tick();
    second.stepDown();
    second.campaign();
    // Votes arrive, the first entry of the term does not.
    const until = (type: MessageType) => {
      for (let round = 0; round < 6; round++) {
        for (const member of cluster.members.slice(1)) {
          const ready = member.takeReady();
          const messages = [...(ready?.messagesNow ?? []), ...member.sync()];
          for (const message of messages) {
            if (message.type !== type) cluster.members.find(({id}) => id === message.to)?.raft?.step(message);
          }
        }
      }
    };
    until('append');
    expect(second.status()).toMatchObject({role: 'leader', commit: 2});
    expect(second.proposeConfChange(change([{type: 'addVoter', memberId: 4n}]))).toBe(false);
  });

  it('Ensure that a bridge between two halves brings no election storm (one member sees both sides).', () => {
    // 1 and 2 cannot hear each other, both hear 3: whoever leads keeps leading.
    const cluster = leaderOfThree();
    const terms = new Set<number>();
    for (let round = 0; round < 200; round++) {
      for (const member of cluster.members) member.raft!.tick();
      for (const member of cluster.members) {
        const ready = member.takeReady();
        const messages = [...(ready?.messagesNow ?? []), ...member.sync()];
        member.apply();
        for (const message of messages) {
          const isCut = [message.from, message.to].includes(1n) && [message.from, message.to].includes(2n);
          if (!isCut) cluster.members.find(({id}) => id === message.to)?.raft?.step(message);
        }
      }
      terms.add(cluster.raft(3).status().term);
    }
    expect(terms.size).toBeLessThanOrEqual(2);
    expect(cluster.raft(3).status().leader).not.toBe(0n);
  });

  it('Ensure that only so many reads wait, and that the others are refused at once.', () => {
    const cluster = leaderOfThree();
    cluster.cut.add(2n).add(3n);
    const asked = Array.from({length: 5_000}, (_, i) => cluster.raft(1).readIndex(i + 1));
    expect(asked.filter((isTaken) => isTaken).length).toBe(4_096);
    cluster.cut.clear();
    cluster.settle();
    expect(cluster.raft(1).readIndex(9_999)).toBe(true);
  });

  it('Ensure that a commit index beyond the log after a restart is no crash but a probation [10219].', () => {
    const disk = diskOf([1n, 2n, 3n], {terms: [1]});
    disk.hardState = {term: 2, vote: 0n, commit: 9};
    const lines: string[] = [];
    const member = memberOf(1n, disk, {logger: quietLogger(lines)});
    expect(member.raft!.status()).toMatchObject({commit: 2, lastIndex: 2, probation: 9});
    expect(lines).toContain('the log ends before its commit index: on probation');
    for (let i = 0; i < 100; i++) member.raft!.tick();
    expect(member.raft!.status().role).toBe('follower');
    // A second crash finds the mark still there.
    member.raft!.step({type: 'heartbeat', from: 2n, to: 1n, term: 3, commit: 0, readContext: 0});
    while (member.takeReady() !== undefined) member.sync();
    expect(member.disk.hardState).toMatchObject({term: 3, commit: 9});
    member.crash();
    member.restart();
    expect(member.raft!.status()).toMatchObject({commit: 2, probation: 9});
  });

  it('Ensure that messages for another member, and those that claim to be our own, are dropped.', () => {
    const member = memberOf(1n, diskOf([1n, 2n, 3n]));
    const beat = {type: 'heartbeat', term: 7, commit: 1, readContext: 0} as const;
    member.raft!.step({...beat, from: 2n, to: 9n});
    member.raft!.step({...beat, from: 1n, to: 1n});
    expect(member.raft!.status().term).toBe(1);
  });

  it('Ensure that a member rewound by a restored backup of its disk, without any mark, puts itself on probation.', () => {
    const cluster = leaderOfThree();
    cluster.raft(1).propose(Buffer.from('x'));
    cluster.settle();
    cluster.raft(1).tick();
    cluster.settle();
    const [, second] = cluster.members;
    second.crash();
    second.disk.entries = [];
    second.disk.hardState = {term: 1, vote: 0n, commit: 1};
    second.disk.image = {...FIRST, confState: confStateOf({voters: [1n, 2n, 3n]})};
    second.restart();
    second.raft!.step({type: 'heartbeat', from: 1n, to: 2n, term: 2, commit: 3, readContext: 0});
    expect(second.raft!.status().probation).toBe(3);
    while (second.takeReady() !== undefined) second.sync();
    expect(second.disk.hardState.commit).toBe(3);
    second.raft!.step({
      type: 'vote',
      from: 3n,
      to: 2n,
      term: 3,
      lastIndex: 1,
      lastTerm: 1,
      isTransfer: true,
      commit: 1,
      commitTerm: 1,
    });
    const sent = second.takeReady()!.messagesNow;
    expect(sent.find(({type}) => type === 'voteResponse')).toMatchObject({rejected: true});
    cluster.settle();
    cluster.raft(1).tick();
    cluster.settle();
  });

  it('Ensure that a snapshot whose image is newer than announced releases the member all the same.', () => {
    const cluster = leaderOfThree();
    cluster.members[2].crash();
    for (const text of ['a', 'b', 'c']) cluster.raft(1).propose(Buffer.from(text));
    cluster.settle();
    cluster.members[0].compact(4);
    cluster.members[2].restart();
    const leader = cluster.members[0];
    const third = cluster.members[2];
    leader.raft!.tick();
    let announcement: Message | undefined;
    for (let round = 0; round < 8 && announcement === undefined; round++) {
      for (const member of [leader, third]) {
        const ready = member.takeReady();
        const messages = [...(ready?.messagesNow ?? []), ...member.sync()];
        member.apply();
        for (const message of messages) {
          if (message.type === 'snapshot') announcement = message;
          else if (message.to === 1n) leader.raft!.step(message);
          else if (message.to === 3n) third.raft!.step(message);
        }
      }
    }
    if (announcement?.type !== 'snapshot') throw new Error('no snapshot was announced');
    expect(announcement.meta.index).toBe(5);
    // Meanwhile the image went on.
    leader.raft!.propose(Buffer.from('d'));
    cluster.cut.add(3n);
    cluster.settle();
    leader.compact(6);
    cluster.cut.clear();
    third.raft!.step({...announcement, meta: {...announcement.meta, index: 6}});
    leader.raft!.snapshotFinished(3n, true);
    cluster.settle();
    leader.raft!.tick();
    cluster.settle();
    expect(leader.raft!.status().progress[2]).toMatchObject({match: 6, next: 7, state: 'replicate'});
  });

  it('Ensure that whatever bytes a peer makes of a message, no invariant breaks.', () => {
    const number = fc.oneof(
      fc.nat(8),
      fc.constantFrom(-1, 0.5, Number.NaN, 2 ** 53, Number.MAX_SAFE_INTEGER - 1),
    );
    const index = fc.oneof({weight: 5, arbitrary: fc.nat(8)}, {weight: 1, arbitrary: number});
    const id = fc.bigInt({min: 0n, max: 5n});
    const entry = fc.record({
      index: fc.nat(9),
      term: fc.nat(6),
      type: fc.constantFrom(0, 1),
      payload: fc.uint8Array({maxLength: 14}),
    });
    const run = fc.tuple(fc.nat(6), fc.array(fc.nat(2), {maxLength: 4})).map(([from, steps]) => {
      let term = 1;
      return steps.map((step, i) => {
        term += step;
        return {index: from + 1 + i, term, type: 0, payload: Buffer.from('p')};
      });
    });
    const ids = fc.array(id, {maxLength: 4});
    const confState = fc.record({
      voters: ids,
      votersOutgoing: fc.constant([]),
      learners: fc.constant([]),
      learnersNext: fc.constant([]),
      autoLeave: fc.boolean(),
    });
    const types: MessageType[] = [
      'append',
      'append',
      'append',
      'appendResponse',
      'heartbeat',
      'heartbeatResponse',
      'vote',
      'preVote',
      'voteResponse',
      'preVoteResponse',
      'snapshot',
      'timeoutNow',
      'propose',
      'readIndex',
      'readIndexResponse',
      'transferLeader',
    ];
    const message = fc.record({
      type: fc.constantFrom(...types),
      from: id,
      to: fc.constant(1n),
      term: index,
      index,
      previousIndex: index,
      previousTerm: index,
      entries: fc.oneof(run, fc.array(entry, {maxLength: 3})),
      commit: index,
      commitTerm: index,
      rejected: fc.boolean(),
      hintIndex: index,
      hintTerm: index,
      readContext: index,
      context: index,
      lastIndex: index,
      lastTerm: index,
      isTransfer: fc.boolean(),
      transferee: id,
      meta: fc.record({index, term: index, confState}),
    });
    const action = fc.oneof(
      {weight: 8, arbitrary: message},
      {weight: 2, arbitrary: fc.constantFrom('tick', 'ready', 'propose', 'campaign')},
    );
    const roles = new Set<string>();
    fc.assert(
      fc.property(fc.array(action, {maxLength: 50}), fc.boolean(), (actions, isLeader) => {
        const member = new RaftMember({
          id: 1n,
          electionTicks: 3,
          heartbeatTicks: 1,
          random: fixedRandom(1),
          logger: quietLogger(),
          disk: {
            ...diskOf([1n, 2n, 3n]),
            entries: entriesOf([1, 1, 2]),
            hardState: {term: 2, vote: 0n, commit: 2},
          },
        });
        const raft = member.raft!;
        if (isLeader) {
          raft.campaign();
          for (const type of ['preVoteResponse', 'voteResponse'] as const) {
            raft.step({type, from: 2n, to: 1n, term: 3, rejected: false, commit: 2, commitTerm: 1});
          }
        }
        raft.ready();
        for (const one of actions) {
          if (typeof one !== 'string') raft.step(one as unknown as Message);
          else if (one === 'tick') raft.tick();
          else if (one === 'propose') raft.propose(Buffer.from('x'));
          else if (one === 'campaign') raft.campaign();
          else {
            const ready = raft.ready();
            if (ready.snapshot !== undefined) raft.snapshotInstalled(ready.snapshot);
            const last = ready.entries.at(-1);
            if (last !== undefined) raft.stored(last);
            const applied = ready.committed.at(-1);
            if (applied !== undefined) raft.applied(applied.index);
          }
          roles.add(raft.status().role);
          const {commit, applied, firstIndex, lastIndex, term} = raft.status();
          expect(commit).toBeLessThanOrEqual(lastIndex);
          expect(applied).toBeLessThanOrEqual(commit);
          expect(firstIndex - 1).toBeLessThanOrEqual(commit);
          expect(Number.isSafeInteger(term)).toBe(true);
        }
      }),
      {numRuns: 1_500},
    );
    expect(roles.size).toBe(4);
  });
});
