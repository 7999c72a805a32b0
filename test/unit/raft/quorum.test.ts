import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {agreedIndex, majority, voteResult} from '../../../src/engine/raft/quorum.ts';
import type {MemberId} from '../../../src/engine/types.ts';

const ids = fc.uniqueArray(fc.bigInt({min: 1n, max: 9n}), {maxLength: 7});
const reached = fc.array(fc.nat(12), {minLength: 10, maxLength: 10});

/** The definition itself: an index is agreed on if more than half have reached it. */
function naiveAgreed(voters: readonly MemberId[], at: (id: MemberId) => number): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY;
  let agreed = 0;
  for (let index = 0; index <= 12; index++) {
    if (voters.filter((id) => at(id) >= index).length * 2 > voters.length) agreed = index;
  }
  return agreed;
}

describe('quorum', () => {
  it('Ensure that the agreed index is the largest that more than half of each half has reached.', () => {
    fc.assert(
      fc.property(ids, ids, reached, (voters, votersOutgoing, marks) => {
        const at = (id: MemberId) => marks[Number(id)];
        const expected = Math.min(naiveAgreed(voters, at), naiveAgreed(votersOutgoing, at));
        expect(agreedIndex({voters, votersOutgoing}, at)).toBe(expected);
      }),
    );
  });

  it('Ensure that a vote is won by more than half, lost when that cannot be any more, and else pending.', () => {
    const answers = fc.array(fc.option(fc.boolean(), {nil: undefined}), {minLength: 10, maxLength: 10});
    const naive = (voters: readonly MemberId[], votes: readonly (boolean | undefined)[]) => {
      if (voters.length === 0) return 'won';
      const count = (wanted: boolean | undefined) =>
        voters.filter((id) => votes[Number(id)] === wanted).length;
      if (count(true) * 2 > voters.length) return 'won';
      return (count(true) + count(undefined)) * 2 > voters.length ? 'pending' : 'lost';
    };
    fc.assert(
      fc.property(ids, ids, answers, (voters, votersOutgoing, votes) => {
        const halves = [naive(voters, votes), naive(votersOutgoing, votes)];
        const expected = halves.includes('lost') ? 'lost' : halves.includes('pending') ? 'pending' : 'won';
        expect(voteResult({voters, votersOutgoing}, (id) => votes[Number(id)])).toBe(expected);
      }),
    );
  });

  it('Ensure that any two majorities have a member in common.', () => {
    for (let count = 1; count < 20; count++) expect(2 * majority(count)).toBeGreaterThan(count);
  });
});
