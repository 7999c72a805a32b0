import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {EventType} from '../../../src/engine/types.ts';
import {deleteOf, failure, Machine, plain, putOf, rangeOf, run, text} from './machine.ts';
import {ModelStore} from './model.ts';

const key = fc.constantFrom('a', 'a\0', 'ab', 'b', 'ba', 'c', '\xff', '\0');
const rangeEnd = fc.oneof({weight: 3, arbitrary: fc.constant('')}, key, fc.constant('\0'));
const value = fc.constantFrom('', '1', '2', 'x\0y');

const put = fc.record({type: fc.constant('put' as const), key, value});
const del = fc.record({type: fc.constant('delete' as const), key, rangeEnd});
const txn = fc.record({
  type: fc.constant('txn' as const),
  changes: fc.array(fc.oneof(put, del), {maxLength: 5}),
});
const compact = fc.record({
  type: fc.constant('compact' as const),
  part: fc.double({min: 0, max: 1, noNaN: true}),
});
const restart = fc.record({type: fc.constant('restart' as const)});
const steps = fc.array(
  fc.oneof(
    {weight: 4, arbitrary: put},
    {weight: 2, arbitrary: del},
    {weight: 2, arbitrary: txn},
    compact,
    restart,
  ),
  {minLength: 1, maxLength: 40},
);

const revisionPart = fc.double({min: 0, max: 1, noNaN: true});
const small = fc.nat({max: 8});
const query = fc.record({
  key,
  rangeEnd,
  part: fc.option(revisionPart, {nil: undefined}),
  limit: fc.nat({max: 4}),
  sortOrder: fc.nat({max: 2}),
  sortTarget: fc.nat({max: 4}),
  keysOnly: fc.boolean(),
  countOnly: fc.boolean(),
  minModRevision: fc.oneof(fc.constant(0), small),
  maxModRevision: fc.oneof(fc.constant(0), small),
  minCreateRevision: fc.oneof(fc.constant(0), small),
  maxCreateRevision: fc.oneof(fc.constant(0), small),
});

type Step = typeof steps extends fc.Arbitrary<(infer One)[]> ? One : never;

/** Drives store and model side by side. */
class Pair {
  machine = new Machine();
  readonly model = new ModelStore();
  compactRevision = -1;
  readonly events: string[] = [];

  do(step: Step): void {
    if (step.type === 'put' || step.type === 'delete' || step.type === 'txn') this.write(step);
    else if (step.type === 'compact') this.compact(Math.ceil(step.part * this.model.revision));
    else this.machine = new Machine(this.machine.records);
    expect(this.machine.mvcc.currentRevision()).toBe(this.model.revision);
  }

  write(step: Exclude<Step, {type: 'compact' | 'restart'}>): void {
    const changes = step.type === 'txn' ? step.changes : [step];
    const success = changes.map((change) =>
      change.type === 'put'
        ? {requestPut: putOf(change.key, change.value)}
        : {requestDeleteRange: deleteOf(change.key, change.rangeEnd)},
    );
    this.model.write(() => {
      for (const change of changes) {
        if (change.type === 'put') this.model.put(change.key, change.value);
        else this.model.delete(change.key, change.rangeEnd);
      }
    });
    const {events} = this.machine.apply({type: 'txn', request: {compare: [], success, failure: []}});
    for (const {type, kv} of events) {
      const isPut = type === EventType.put;
      this.events.push(
        isPut
          ? `put ${text(kv.key)}=${text(kv.value)}@${kv.modRevision}`
          : `del ${text(kv.key)}@${kv.modRevision}`,
      );
    }
  }

  compact(revision: number): void {
    if (revision <= this.compactRevision) return;
    this.machine.compact(revision);
    this.compactRevision = revision;
    const before = this.machine.hashKv();
    this.machine.reclaim();
    expect(this.machine.hashKv()).toEqual(before);
  }
}

describe('store', () => {
  it('Ensure that any range at any revision that stands is that of a store which keeps whole copies.', () => {
    const property = fc.property(
      steps,
      fc.array(query, {minLength: 5, maxLength: 15}),
      (sequence, queries) => {
        const pair = new Pair();
        for (const step of sequence) pair.do(step);
        for (const {key: from, rangeEnd: to, part, ...options} of queries) {
          const oldest = Math.max(1, pair.compactRevision);
          const revision =
            part === undefined ? 0 : oldest + Math.floor(part * (pair.model.revision - oldest));
          const request = rangeOf(from, to, {...options, revision});
          const {kvs, more, count} = pair.machine.mvcc.range(request);
          const expected = pair.model.range(request);
          expect({kvs: kvs.map((kv) => plain(kv)), more, count}).toEqual(expected);
          expect(run(pair.machine.mvcc.rangeSlices(request)).count).toBe(count);
        }
        const {compactRevision} = pair;
        if (compactRevision > 1) {
          expect(
            failure(() => pair.machine.mvcc.range(rangeOf('a', '', {revision: compactRevision - 1}))),
          ).toBe('compacted');
        }
        const future = rangeOf('a', '', {revision: pair.model.revision + 1});
        expect(failure(() => pair.machine.mvcc.range(future))).toBe('futureRevision');
      },
    );
    fc.assert(property, {numRuns: 400});
  });

  it('Ensure that events and history tell every change once, in order.', () => {
    const property = fc.property(steps, fc.nat({max: 5}), (sequence, recordsMax) => {
      const pair = new Pair();
      for (const step of sequence) if (step.type !== 'compact') pair.do(step);
      expect(pair.events).toEqual(pair.model.changes);
      const told: string[] = [];
      let next = {main: 1, sub: 0};
      while (next.main <= pair.model.revision) {
        const slice = pair.machine.mvcc.history(next, {recordsMax: recordsMax + 1, bytesMax: 1_000_000});
        for (const {type, kv} of slice.events) {
          told.push(
            type === EventType.put
              ? `put ${text(kv.key)}=${text(kv.value)}@${kv.modRevision}`
              : `del ${text(kv.key)}@${kv.modRevision}`,
          );
        }
        next = slice.next;
      }
      expect(told).toEqual(pair.model.changes);
    });
    fc.assert(property, {numRuns: 150});
  });

  it('Ensure that compaction leaves the newest put of each living key, deletions at the mark, and all that is newer.', () => {
    const machine = new Machine();
    machine.put('a', '1');
    machine.put('a', '2');
    machine.delete('a');
    machine.put('b', '1');
    machine.put('b', '2');
    machine.delete('b');
    machine.compact(7);
    machine.reclaim();
    const kept = () =>
      [...machine.records.range('key', {})].map(([name]) => `${name[7]}${name.length === 18 ? 't' : ''}`);
    expect(kept()).toEqual(['7t']);
    expect(machine.mvcc.keysTotal()).toBe(1);
    machine.put('c', '1');
    machine.compact(8);
    machine.reclaim();
    expect(kept()).toEqual(['8']);
    expect(machine.mvcc.compactionSlices()).toBeUndefined();
    expect(new Machine(machine.records).mvcc.currentRevision()).toBe(8);
  });

  it('Ensure that an unfinished compaction goes on after a restart and shows nothing it deleted.', () => {
    const machine = new Machine();
    for (let i = 0; i < 3000; i++) machine.put(`k${i % 1500}`, String(i));
    machine.delete('k', 'l');
    machine.put('z', '1');
    machine.compact(3002);
    const slices = machine.mvcc.compactionSlices();
    slices?.next();
    slices?.next();
    const restarted = new Machine(machine.records);
    expect(restarted.mvcc.currentRevision()).toBe(3003);
    expect(restarted.get('\0', '\0').map((kv) => kv?.key)).toEqual(['z']);
    restarted.reclaim();
    expect([...restarted.records.range('key', {})].length).toBe(1501);
    restarted.put('y', '1');
    restarted.compact(3004);
    restarted.reclaim();
    expect([...restarted.records.range('key', {})].length).toBe(2);
    expect(restarted.mvcc.finishedCompactRevision()).toBe(3004);
  });

  it('Ensure that parts of a streamed range are one range, whatever is written between them.', () => {
    const machine = new Machine();
    for (let i = 0; i < 2500; i++) machine.put(`k${String(i).padStart(5, '0')}`, 'v');
    for (const limit of [0, 1, 1000, 1700, 2500, 9000]) {
      const expected = machine.mvcc.range(rangeOf('k', 'l', {limit}));
      const keys: string[] = [];
      let last = {count: 0, more: false};
      for (const part of machine.mvcc.rangeParts(rangeOf('k', 'l', {limit}))) {
        for (const kv of part.kvs) keys.push(text(kv.key));
        last = part;
        machine.put('k00000x', String(limit));
        machine.delete('k00000x');
      }
      expect(keys).toEqual(expected.kvs.map((kv) => text(kv.key)));
      expect([last.count, last.more]).toEqual([expected.count, expected.more]);
    }
  });

  it('Ensure that a sliced range ends with compacted when its revision goes while it takes breath.', () => {
    const machine = new Machine();
    for (let i = 0; i < 2500; i++) machine.put(`k${i}`, 'v');
    const slices = machine.mvcc.rangeSlices(rangeOf('k', 'l'));
    expect(slices.next().done).toBe(false);
    machine.put('x');
    machine.compact(machine.mvcc.currentRevision());
    expect(failure(() => run(slices))).toBe('compacted');
  });
});
