/** Ranges larger than what their answers keep in memory. */

import {describe, expect, it} from 'vitest';
import {DistantKeyValue} from '../../../src/engine/state-machine/mvcc/distant-key-value.ts';
import {StoredKeyValue} from '../../../src/engine/state-machine/mvcc/key-value-record.ts';
import {runSlices} from '../../../src/engine/state-machine/slice-budget.ts';
import type {KeyValue, RangeRequest} from '../../../src/engine/types.ts';
import {failure, Machine, plain, rangeOf} from './machine.ts';

function machineWith(count: number, valueBytes: number): Machine {
  const machine = new Machine();
  for (let i = 0; i < count; i++) {
    machine.put(`k${String(i).padStart(3, '0')}`, String(i % 10).repeat(valueBytes));
  }
  return machine;
}

function read(machine: Machine, keptBytes: number, options: Partial<RangeRequest> = {}) {
  return runSlices(machine.mvcc.rangeSlices(rangeOf('k', 'l', options), {keptBytes}));
}

const keptOf = (kvs: readonly KeyValue[]) => kvs.filter((kv) => kv instanceof StoredKeyValue).length;

describe('large range', () => {
  it('Ensure that it is the same whatever of it is kept.', () => {
    const machine = machineWith(50, 1_000);
    for (const options of [
      {},
      {limit: 20},
      {sortOrder: 2},
      {sortTarget: 3, sortOrder: 1},
      {keysOnly: true},
      {revision: 30},
    ]) {
      const whole = read(machine, Number.POSITIVE_INFINITY, options);
      const partly = read(machine, 5_000, options);
      expect(partly.kvs.map(plain)).toEqual(whole.kvs.map(plain));
      expect([partly.count, partly.more]).toEqual([whole.count, whole.more]);
      for (const [i, kv] of partly.kvs.entries()) expect(kv.encoded).toEqual(whole.kvs[i].encoded);
    }
  });

  it('Ensure that no more is kept than was asked for, but small values.', () => {
    expect(keptOf(read(machineWith(50, 1_000), 5_000).kvs)).toBe(4);
    expect(keptOf(read(machineWith(50, 10), 100).kvs)).toBe(50);
    const [first] = read(machineWith(1, 1_000), 0).kvs;
    expect(first).toBeInstanceOf(DistantKeyValue);
    expect(first.distantBytes).toBe(first.encoded?.length);
  });

  it('Ensure that later changes do not show, and a compaction past the answer is told.', () => {
    const machine = machineWith(10, 1_000);
    const before = read(machine, Number.POSITIVE_INFINITY).kvs.map(plain);
    const {kvs} = read(machine, 0);
    machine.put('k003', 'new');
    machine.put('k003', 'newer');
    expect(kvs.map(plain)).toEqual(before);
    machine.compact(machine.mvcc.currentRevision() - 2);
    machine.reclaim();
    expect(kvs.map(plain)).toEqual(before);
    machine.compact(machine.mvcc.currentRevision());
    machine.reclaim();
    expect(plain(kvs[0])).toEqual(before[0]);
    expect(failure(() => kvs[3].value)).toBe('compacted');
  });
});
