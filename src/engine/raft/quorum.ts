/**
 * Majorities, single and joint: the only arithmetic that decides elections, commits and reads. Knows nothing but
 * ids and numbers. In a joint configuration a decision needs a majority of both halves; the half that is empty
 * agrees with everything.
 */

import {assert} from '../errors.ts';
import type {Index, MemberId} from '../types.ts';

/** The two halves of a configuration; `votersOutgoing` is empty outside a joint change. */
export interface Voters {
  readonly voters: readonly MemberId[];
  readonly votersOutgoing: readonly MemberId[];
}

export type VoteResult = 'won' | 'lost' | 'pending';

/** The smallest number of members that overlaps with itself. */
export function majority(memberCount: number): number {
  return Math.floor(memberCount / 2) + 1;
}

/**
 * The largest number that a majority of both halves has reached, where `reached` tells how far a member is.
 * Infinity when there are no voters at all.
 */
export function agreedIndex(config: Voters, reached: (id: MemberId) => Index): Index {
  const incoming = agreedIndexOfHalf(config.voters, reached);
  if (config.votersOutgoing.length === 0) return incoming;
  return Math.min(incoming, agreedIndexOfHalf(config.votersOutgoing, reached));
}

/** How an election stands, where `vote` is undefined for members that have not answered. */
export function voteResult(config: Voters, vote: (id: MemberId) => boolean | undefined): VoteResult {
  const incoming = voteResultOfHalf(config.voters, vote);
  const outgoing = voteResultOfHalf(config.votersOutgoing, vote);
  if (incoming === 'lost' || outgoing === 'lost') return 'lost';
  return incoming === 'won' && outgoing === 'won' ? 'won' : 'pending';
}

/** Scratch of {@link agreedIndexOfHalf}: the function runs on every acknowledgement and allocates nothing. */
const sorted: number[] = [];

function agreedIndexOfHalf(voters: readonly MemberId[], reached: (id: MemberId) => Index): Index {
  const count = voters.length;
  if (count === 0) return Number.POSITIVE_INFINITY;
  // Insertion sort, descending: clusters have three to seven voters.
  for (let i = 0; i < count; i++) {
    const value = reached(voters[i]);
    let place = i;
    while (place > 0 && sorted[place - 1] < value) {
      sorted[place] = sorted[place - 1];
      place--;
    }
    sorted[place] = value;
  }
  const agreed = sorted[majority(count) - 1];
  assert(agreed >= 0, 'a voter has reached a negative index');
  return agreed;
}

function voteResultOfHalf(
  voters: readonly MemberId[],
  vote: (id: MemberId) => boolean | undefined,
): VoteResult {
  if (voters.length === 0) return 'won';
  let granted = 0;
  let missing = 0;
  for (const id of voters) {
    const answer = vote(id);
    if (answer === undefined) missing++;
    else if (answer) granted++;
  }
  const needed = majority(voters.length);
  assert(granted + missing <= voters.length, 'more votes than voters');
  if (granted >= needed) return 'won';
  return granted + missing >= needed ? 'pending' : 'lost';
}
