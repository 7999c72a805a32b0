import {describe, expect, it} from 'vitest';
import {describeCounts} from '../../runners/describe-counts.ts';

describe('counts in words', () => {
  it('Ensure that numbers stand before their names, texts alone, and what is counted by name behind.', () => {
    const counts = {workload: 'steady puts', storeWrites: 12_345, died: {SIGBUS: 2, SIGSEGV: 1}, wrong: []};
    expect(describeCounts(counts)).toBe(
      'steady puts, 12,345 store writes, died: SIGBUS 2, SIGSEGV 1, no wrong',
    );
  });
});
