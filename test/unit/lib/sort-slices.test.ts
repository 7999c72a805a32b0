import {describe, expect, it} from 'vitest';
import {sortSlices} from '../../../src/engine/lib/sort-slices.ts';
import {SeededRandom} from '../../simulator/seeded-random.ts';

function sorted<Item extends string | bigint>(items: Item[]): {items: Item[]; slices: number} {
  const walk = sortSlices(items);
  for (let slices = 1; ; slices++) {
    const step = walk.next();
    if (step.done) return {items: step.value, slices};
  }
}

describe('sorting in slices', () => {
  it('Ensure that any number of ids and keys come out in order.', () => {
    const random = new SeededRandom(7);
    for (const count of [0, 1, 2, 2_048, 2_049, 4_096, 6_145, 10_000]) {
      const ids = Array.from({length: count}, () => BigInt.asIntN(64, random.uint64()));
      const keys = ids.map(
        (id) => (id % 100n).toString() + String.fromCharCode(Number(BigInt.asUintN(8, id))),
      );
      expect(sorted([...ids]).items).toEqual([...ids].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
      expect(sorted([...keys]).items).toEqual([...keys].sort());
    }
  });

  it('Ensure that few are sorted at once, and many in slices of a few thousand.', () => {
    const random = new SeededRandom(7);
    const ids = (count: number) => Array.from({length: count}, () => random.uint64());
    expect(sorted(ids(1_000)).slices).toBe(1);
    // 49 runs, and 6 times merged.
    expect(sorted(ids(100_000)).slices).toBeGreaterThanOrEqual(7 * (100_000 / 2_048));
  });
});
