/** That what a start finds is held against what was promised, entry by entry. */

import {beforeEach, describe, expect, it} from 'vitest';
import type {MemberReading} from './process/member-starter.ts';
import type {PromiseLine} from './process/member-writer.ts';
import {Promises} from './process/promises.ts';

const LINE: PromiseLine = {
  isMade: true,
  lastIndex: 2,
  committed: 1,
  stored: 0,
  entries: [
    [1, ['1/0/11']],
    [2, ['1/0/12', '2/0/22']],
    [3, ['2/0/23']],
  ],
  votes: ['1/7', '2/0'],
  hashes: [[0, 0]],
};
const READING: MemberReading & {kind: 'started'} = {
  kind: 'started',
  applied: 0,
  hash: 0,
  compacted: 0,
  lastIndex: 2,
  entries: [
    [1, '1/0/11'],
    [2, '1/0/12'],
  ],
  term: 1,
  vote: '7',
};

let promises: Promises;
const wrongWith = (change: Partial<typeof READING>) => promises.wrongWith({...READING, ...change});

beforeEach(() => {
  promises = new Promises();
  promises.take(LINE);
});

describe('what a process promised', () => {
  it('Ensure that each log that may have become durable is right.', () => {
    expect(wrongWith({})).toBeUndefined();
    const newer = [
      [1, '1/0/11'],
      [2, '2/0/22'],
      [3, '2/0/23'],
    ] as const;
    expect(wrongWith({entries: newer, lastIndex: 3, term: 2, vote: '0'})).toBeUndefined();
  });

  it('Ensure that another entry, an invented one, and one that was replaced for good are noticed.', () => {
    const other = [
      [1, '1/0/11'],
      [2, '1/0/99'],
    ] as const;
    expect(wrongWith({entries: other})).toContain('entry 2 is 1/0/99, not 1/0/12 or 2/0/22');
    expect(wrongWith({entries: [[4, '2/0/24']]})).toContain('entry 4 is 2/0/24, not none');
    promises.take({...LINE, lastIndex: 3, entries: [[2, ['2/0/22']]], votes: ['2/0'], hashes: []});
    expect(wrongWith({lastIndex: 3, term: 2, vote: '0'})).toContain('entry 2 is 1/0/12, not 2/0/22');
  });

  it('Ensure that a data dir that was not made yet may be founded by the start.', () => {
    const founded = [[1, '1/1/99']] as const;
    expect(wrongWith({entries: founded})).toContain('entry 1 is 1/1/99');
    promises.take({...LINE, isMade: false, lastIndex: 0, committed: 0, entries: [], hashes: []});
    expect(wrongWith({entries: founded, lastIndex: 1, term: 1, vote: '0'})).toBeUndefined();
  });

  it('Ensure that another vote, and a term that went back, are noticed.', () => {
    expect(wrongWith({vote: '8'})).toContain('are 1/8, not 1/7 or 2/0');
    expect(wrongWith({vote: '0'})).toContain('are 1/0');
    expect(wrongWith({term: 0, vote: '0'})).toContain('are 0/0');
    // Of a store that is ahead of the log.
    expect(wrongWith({term: 5, vote: '0'})).toBeUndefined();
  });
});
