import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {IntervalTree} from '../../../src/engine/lib/interval-tree.ts';

const text = fc.constantFrom('', 'a', 'aa', 'b', 'c', 'd', 'e');
const step = fc.record({
  isDelete: fc.boolean(),
  from: text,
  to: fc.option(text, {nil: undefined}),
  value: fc.nat({max: 3}),
});

describe('interval tree', () => {
  it('Ensure that it finds exactly the values whose intervals hold a point, whatever was added and deleted.', () => {
    const property = fc.property(fc.array(step, {maxLength: 80}), (steps) => {
      const tree = new IntervalTree<number>();
      const naive = new Map<string, {from: string; to: string | undefined; value: number}>();
      for (const {isDelete, from, to, value} of steps) {
        const name = JSON.stringify([from, to ?? null, value]);
        if (isDelete) {
          tree.delete({from, to}, value);
          naive.delete(name);
        } else {
          tree.add({from, to}, value);
          naive.set(name, {from, to, value});
        }
        expect(tree.size).toBe(naive.size);
      }
      for (const point of ['', 'a', 'aaa', 'b', 'c', 'z']) {
        const found: number[] = [];
        tree.visit(point, (value) => found.push(value));
        const expected = [...naive.values()].filter(
          ({from, to}) => from <= point && (to === undefined || point < to),
        );
        expect(found.sort()).toEqual(expected.map(({value}) => value).sort());
      }
    });
    fc.assert(property, {numRuns: 300});
  });

  it('Ensure that ascending intervals stay cheap to search.', () => {
    const tree = new IntervalTree<number>();
    const name = (i: number) => String(i).padStart(6, '0');
    for (let i = 0; i < 20_000; i++) tree.add({from: name(i), to: name(i + 1)}, i);
    let visited = 0;
    for (let i = 0; i < 20_000; i++) tree.visit(name(i), () => visited++);
    expect(visited).toBe(20_000);
  });
});
