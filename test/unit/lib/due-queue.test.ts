import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {DueEntry, DueQueue} from '../../../src/engine/lib/due-queue.ts';

const BUCKET_MS = 10;

function filled(dues: readonly number[]): {queue: DueQueue<number>; entries: DueEntry<number>[]} {
  const queue = new DueQueue<number>({bucketMs: BUCKET_MS, nowMs: 0});
  const entries = dues.map((_, item) => new DueEntry(item));
  for (const entry of entries) queue.set(entry, dues[entry.item]);
  return {queue, entries};
}

/** @returns what a whole walk takes off, ascending */
function taken(queue: DueQueue<number>, nowMs: number): number[] {
  const items: number[] = [];
  expect(queue.walk({nowMs, stepsMax: 1e9}, (item) => items.push(item))).toBe(true);
  return items.sort((a, b) => a - b);
}

describe('due queue', () => {
  it('Ensure that entries are met once, when they are due or up to a bucket later, whatever was set meanwhile.', () => {
    const step = fc.oneof(
      fc.record({kind: fc.constant('set' as const), item: fc.nat({max: 9}), inMs: fc.nat({max: 60})}),
      fc.record({kind: fc.constant('remove' as const), item: fc.nat({max: 9})}),
      fc.record({kind: fc.constant('walk' as const), passMs: fc.nat({max: 25}), stepsMax: fc.nat({max: 4})}),
    );
    const property = fc.property(fc.array(step, {maxLength: 60}), (steps) => {
      const {queue, entries} = filled([]);
      const dueOf = new Map<number, number>();
      for (let item = 0; item < 10; item++) entries.push(new DueEntry(item));
      let nowMs = 0;
      for (const one of steps) {
        if (one.kind === 'set') {
          queue.set(entries[one.item], nowMs + one.inMs);
          dueOf.set(one.item, nowMs + one.inMs);
        } else if (one.kind === 'remove') {
          queue.remove(entries[one.item]);
          dueOf.delete(one.item);
        } else {
          nowMs += one.passMs;
          const isEnd = queue.walk({nowMs, stepsMax: one.stepsMax}, (item) => {
            expect(dueOf.get(item)).toBeLessThanOrEqual(nowMs);
            dueOf.delete(item);
          });
          if (isEnd) for (const due of dueOf.values()) expect(due).toBeGreaterThan(nowMs - 2 * BUCKET_MS);
        }
      }
      const left = [...dueOf.keys()].sort((a, b) => a - b);
      expect(taken(queue, nowMs + 1_000)).toEqual(left);
      expect(taken(queue, nowMs + 2_000)).toEqual([]);
    });
    fc.assert(property, {numRuns: 500});
  });

  it('Ensure that a walk looks at nothing that is not due, and at no more entries than it may.', () => {
    const {queue, entries} = filled(Array.from({length: 100_000}, (_, item) => (item < 1_000 ? 95 : 1_000)));
    let looked = 0;
    for (const entry of entries) {
      let dueMs = entry.dueMs;
      Object.defineProperty(entry, 'dueMs', {
        get: () => {
          looked++;
          return dueMs;
        },
        set: (value: number) => {
          dueMs = value;
        },
      });
    }
    expect(taken(queue, 99)).toEqual([]);
    expect(looked).toBe(0);
    expect(queue.walk({nowMs: 100, stepsMax: 300}, () => {})).toBe(false);
    expect(looked).toBe(300);
    expect(taken(queue, 500)).toHaveLength(700);
    expect(looked).toBe(1_000);
    // Put off any number of times, it is moved once.
    for (let ms = 1_000; ms < 1_500; ms++) queue.set(entries[5_000], ms);
    looked = 0;
    expect(taken(queue, 1_010)).toHaveLength(98_999);
    expect(looked).toBeLessThanOrEqual(99_001 + 2);
    expect(taken(queue, 1_500)).toEqual([5_000]);
  });
});
