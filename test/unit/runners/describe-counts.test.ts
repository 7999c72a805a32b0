import {describe, expect, it} from 'vitest';
import {describeCounts} from '../../runners/describe-counts.ts';

describe('counts in words', () => {
  it('Ensure that numbers stand before their names, texts alone, lists as their length, and what is counted by name behind.', () => {
    const counts = {
      workload: 'steady puts',
      storeWrites: 12_345,
      died: {SIGBUS: 2, SIGSEGV: 1},
      wrong: [],
      lost: {},
    };
    expect(describeCounts(counts)).toBe(
      'steady puts, 12,345 store writes, died: SIGBUS 2, SIGSEGV 1, 0 wrong, 0 lost',
    );
  });
});
