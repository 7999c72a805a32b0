/** When followers hear of a commit: with the next entries, at once where their own clients wait, or when told to. */

import {describe, expect, it} from 'vitest';
import {RAFT_INFLIGHT_MESSAGES_MAX} from '../../../src/engine/limits.ts';
import type {Message} from '../../../src/engine/raft/message.ts';
import {NOTHING_POSTPONED, type Raft} from '../../../src/engine/raft/raft.ts';
import {SmallCluster} from './small-cluster.ts';

/** A leader of three that has one more entry than was committed when its cluster came to rest. */
function leaderWithProposal(propose: (cluster: SmallCluster) => void): {leader: Raft; cluster: SmallCluster} {
  const cluster = new SmallCluster([[], [], []]);
  cluster.elect(1);
  cluster.sent.length = 0;
  propose(cluster);
  return {leader: cluster.raft(1), cluster};
}

/** Takes out what the leader sends, with all disks quick and without telling anybody of a commit alone. */
function sentBy(raft: Raft): Message[] {
  const messages: Message[] = [];
  while (raft.hasReady()) {
    const {entries, committed, messagesNow, messagesAfterSync} = raft.ready();
    const last = entries.at(-1);
    if (last !== undefined) raft.stored(last);
    const applied = committed.at(-1);
    if (applied !== undefined) raft.applied(applied.index);
    messages.push(...messagesNow, ...messagesAfterSync);
  }
  return messages;
}

/** One follower has everything: a quorum. */
function acknowledge(raft: Raft, from: bigint): void {
  const {term, lastIndex: index} = raft.status();
  raft.step({type: 'appendResponse', from, to: 1n, term, rejected: false, index, hintIndex: 0, hintTerm: 0});
}

const appends = (messages: readonly Message[]) =>
  messages.flatMap((message) =>
    message.type === 'append'
      ? [{to: message.to, entries: message.entries.length, commit: message.commit}]
      : [],
  );

describe('the notice of a commit', () => {
  it('Ensure that a commit costs no message while entries may still carry it.', () => {
    const {leader} = leaderWithProposal((cluster) => cluster.raft(1).propose(Buffer.from('one')));
    sentBy(leader);
    acknowledge(leader, 2n);
    expect(sentBy(leader)).toEqual([]);
    const {commit, lastIndex} = leader.status();
    expect(commit).toBe(lastIndex);
    expect(leader.postponed().commit).toBe(commit);

    leader.propose(Buffer.from('two'));
    expect(appends(sentBy(leader))).toEqual([
      {to: 2n, entries: 1, commit},
      {to: 3n, entries: 1, commit},
    ]);
    expect(leader.postponed().commit).toBe(0);
  });

  it('Ensure that everybody who has the entry hears of its commit when the leader is told to tell.', () => {
    const {leader} = leaderWithProposal((cluster) => cluster.raft(1).propose(Buffer.from('one')));
    sentBy(leader);
    acknowledge(leader, 2n);
    sentBy(leader);
    const {commit} = leader.status();
    leader.catchUpOn(leader.postponed());
    expect(appends(sentBy(leader))).toEqual([
      {to: 2n, entries: 0, commit},
      {to: 3n, entries: 0, commit},
    ]);
    leader.catchUpOn({commit, readRound: 0});
    expect(sentBy(leader)).toEqual([]);
  });

  it('Ensure that a newer commit than the one to be told of waits for its own time.', () => {
    const {leader} = leaderWithProposal((cluster) => cluster.raft(1).propose(Buffer.from('one')));
    sentBy(leader);
    acknowledge(leader, 2n);
    sentBy(leader);
    const first = leader.postponed().commit;
    leader.propose(Buffer.from('two'));
    sentBy(leader);
    acknowledge(leader, 2n);
    sentBy(leader);
    // The second entry has told of the first.
    leader.catchUpOn({commit: first, readRound: 0});
    expect(sentBy(leader)).toEqual([]);
    expect(leader.postponed().commit).toBe(first + 1);
  });

  it('Ensure that the member whose client proposed hears of the commit at once, and only that one.', () => {
    const {leader} = leaderWithProposal(() => {});
    const entries = [{type: 0 as const, payload: Buffer.from('forwarded')}];
    leader.step({type: 'propose', from: 3n, to: 1n, term: 0, entries});
    sentBy(leader);
    acknowledge(leader, 2n);
    expect(appends(sentBy(leader))).toEqual([{to: 3n, entries: 0, commit: leader.status().commit}]);
  });

  it("Ensure that it does so, too, where the leader's own disk was the last to be waited for.", () => {
    const {leader} = leaderWithProposal(() => {});
    const entries = [{type: 0 as const, payload: Buffer.from('forwarded')}];
    leader.step({type: 'propose', from: 3n, to: 1n, term: 0, entries});
    const {entries: written} = leader.ready();
    acknowledge(leader, 2n);
    expect(sentBy(leader)).toEqual([]);
    leader.stored(written[0]);
    expect(appends(sentBy(leader))).toEqual([{to: 3n, entries: 0, commit: written[0].index}]);
  });

  it('Ensure that a change of the configuration is told of at once: its leader may be gone when it is applied.', () => {
    const {leader} = leaderWithProposal(({members}) => {
      const context = new Uint8Array();
      const steps = [{type: 'remove', memberId: 1n}] as const;
      members[0].raft?.proposeConfChange({steps, joint: 'auto', context});
    });
    sentBy(leader);
    acknowledge(leader, 2n);
    const {commit} = leader.status();
    expect(appends(sentBy(leader))).toContainEqual({to: 2n, entries: 0, commit});
  });

  it('Ensure that a member that asked for a read index hears that it is committed.', () => {
    const {leader} = leaderWithProposal((cluster) => cluster.raft(1).propose(Buffer.from('one')));
    sentBy(leader);
    acknowledge(leader, 2n);
    sentBy(leader);
    const {term, commit} = leader.status();
    leader.step({type: 'readIndex', from: 3n, to: 1n, term: 0, context: 7});
    const round = sentBy(leader).find(({type}) => type === 'heartbeat');
    if (round?.type !== 'heartbeat') throw new Error('no heartbeat');
    const {readContext} = round;
    leader.step({type: 'heartbeatResponse', from: 2n, to: 1n, term, readContext});
    const sent = sentBy(leader);
    expect(sent).toContainEqual(expect.objectContaining({type: 'readIndexResponse', to: 3n, index: commit}));
    expect(appends(sent)).toContainEqual({to: 3n, entries: 0, commit});
  });

  it('Ensure that what a member with a full window was to be told is not asked for again and again.', () => {
    const {leader} = leaderWithProposal(() => {});
    for (let i = 0; i <= RAFT_INFLIGHT_MESSAGES_MAX; i++) {
      leader.propose(Buffer.from(`${i}`));
      sentBy(leader);
      acknowledge(leader, 2n);
      sentBy(leader);
    }
    const {commit} = leader.status();
    expect(leader.postponed().commit).toBe(commit);
    leader.catchUpOn(leader.postponed());
    expect(appends(sentBy(leader))).toEqual([{to: 2n, entries: 0, commit}]);
    expect(leader.postponed()).toBe(NOTHING_POSTPONED);

    // It hears of the commit with what its window has room for again.
    acknowledge(leader, 3n);
    expect(appends(sentBy(leader))).toContainEqual(expect.objectContaining({to: 3n, commit}));
  });

  it('Ensure that a follower has nothing to tell.', () => {
    const {cluster} = leaderWithProposal(() => {});
    const follower = cluster.raft(2);
    expect(follower.postponed()).toBe(NOTHING_POSTPONED);
    follower.catchUpOn({commit: 1, readRound: 1});
    expect(follower.hasReady()).toBe(false);
  });
});
