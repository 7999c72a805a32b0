import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {Turns} from '../../../src/transport/http2/turns.ts';

describe('turns', () => {
  it('Ensure that they are taken in the order in which they were asked for, in whatever rhythm.', () => {
    const steps = fc.array(fc.record({adds: fc.nat(3_000), takes: fc.nat(3_000)}), {maxLength: 8});
    fc.assert(
      fc.property(steps, (rhythm) => {
        const turns = new Turns<number>();
        let added = 0;
        let taken = 0;
        for (const {adds, takes} of rhythm) {
          for (let i = 0; i < adds; i++) turns.add(added++);
          for (let i = 0; i < takes; i++) expect(turns.take()).toBe(taken < added ? taken++ : undefined);
          expect(turns.length).toBe(added - taken);
        }
        turns.clear();
        expect(turns.take()).toBeUndefined();
      }),
      {numRuns: 20},
    );
  });

  it('Ensure that a turn costs the same however many wait: an array’s shift takes seconds here.', () => {
    const turns = new Turns<object>();
    for (let i = 0; i < 65_000; i++) turns.add({});
    const before = process.cpuUsage();
    for (let i = 0; i < 130_000; i++) turns.add(turns.take()!);
    const {user, system} = process.cpuUsage(before);
    expect(turns.length).toBe(65_000);
    expect((user + system) / 1000).toBeLessThan(1_000);
  });
});
