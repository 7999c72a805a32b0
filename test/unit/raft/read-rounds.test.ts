/** Who is asked whether the leader still leads: a quorum, the swift ones; then everybody. */

import {describe, expect, it} from 'vitest';
import type {Message} from '../../../src/engine/raft/message.ts';
import {NOTHING_POSTPONED, type Raft} from '../../../src/engine/raft/raft.ts';
import {SmallCluster} from './small-cluster.ts';

function leaderOf(size: number): Raft {
  const cluster = new SmallCluster(Array.from({length: size}, () => []));
  cluster.elect(1);
  return cluster.raft(1);
}

/** The read round that each heartbeat carries, by receiver. */
function asked(raft: Raft): {rounds: Record<string, number>; may: number[]} {
  const messages: Message[] = [];
  const may: number[] = [];
  while (raft.hasReady()) {
    const {messagesNow, readStates} = raft.ready();
    messages.push(...messagesNow);
    may.push(...readStates.map(({context}) => context));
  }
  const beats = messages.filter((message) => message.type === 'heartbeat');
  return {rounds: Object.fromEntries(beats.map(({to, readContext}) => [String(to), readContext])), may};
}

function answer(raft: Raft, from: bigint, readContext: number): void {
  raft.step({type: 'heartbeatResponse', from, to: 1n, term: raft.status().term, readContext});
}

describe('a read round', () => {
  it.each([
    {size: 2, quorum: ['2']},
    {size: 3, quorum: ['2']},
    {size: 4, quorum: ['2', '3']},
    {size: 5, quorum: ['2', '3']},
  ])('Ensure that of $size members no more than a quorum is asked first.', ({size, quorum}) => {
    const raft = leaderOf(size);
    raft.readIndex(7);
    expect(Object.keys(asked(raft).rounds)).toEqual(quorum);
    for (const id of quorum) answer(raft, BigInt(id), 1);
    expect(asked(raft).may).toEqual([7]);
    expect(raft.postponed()).toBe(NOTHING_POSTPONED);
  });

  it('Ensure that the others are asked when the first do not answer at once, and then come first.', () => {
    const raft = leaderOf(3);
    raft.readIndex(7);
    expect(asked(raft).rounds).toEqual({2: 1});
    raft.catchUpOn(raft.postponed());
    expect(asked(raft).rounds).toEqual({3: 1});
    raft.catchUpOn(raft.postponed());
    expect(asked(raft).rounds).toEqual({});
    answer(raft, 3n, 1);
    expect(asked(raft).may).toEqual([7]);

    raft.readIndex(8);
    expect(asked(raft).rounds).toEqual({3: 2});
    answer(raft, 2n, 1);
    expect(asked(raft).may).toEqual([]);
    answer(raft, 3n, 2);
    expect(asked(raft).may).toEqual([8]);
  });

  it('Ensure that what was put off for one round is not done for the next.', () => {
    const raft = leaderOf(3);
    raft.readIndex(7);
    asked(raft);
    const old = raft.postponed();
    raft.readIndex(8);
    answer(raft, 2n, 1);
    expect(asked(raft)).toEqual({rounds: {2: 2}, may: [7]});
    raft.catchUpOn(old);
    expect(asked(raft).rounds).toEqual({});
  });

  it('Ensure that a heartbeat carries an open round to everybody.', () => {
    const raft = leaderOf(3);
    raft.readIndex(7);
    asked(raft);
    raft.tick();
    expect(asked(raft).rounds).toEqual({2: 1, 3: 1});
    expect(raft.postponed()).toBe(NOTHING_POSTPONED);
  });

  it('Ensure that in a joint configuration everybody is asked.', () => {
    const raft = leaderOf(3);
    const steps = [{type: 'remove', memberId: 2n}] as const;
    raft.applyConfChange({steps, joint: 'explicit', context: new Uint8Array()});
    raft.readIndex(7);
    expect(Object.keys(asked(raft).rounds)).toEqual(['2', '3']);
    answer(raft, 2n, 1);
    expect(asked(raft).may).toEqual([]);
    answer(raft, 3n, 1);
    expect(asked(raft).may).toEqual([7]);
  });
});
