import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {
  PENDING_DELETE_KEYS_MIN,
  PENDING_DELETES_MAX,
  RECLAIM_SLICE_KEYS,
} from '../../../src/engine/limits.ts';
import type {ApplyResult} from '../../../src/engine/state-machine/apply-result.ts';
import {type Event, EventType} from '../../../src/engine/types.ts';
import {MemoryRecords} from '../../simulator/memory-records.ts';
import {command} from './commands.ts';
import {deleteOf, failure, Machine, rangeOf, run, text} from './machine.ts';

/** Every deletion of a range that holds at least so many keys is one that is written late. */
const FEW = {pendingDeleteKeysMin: 1};
/** The same, but nothing is ever written late. */
function eager(records?: MemoryRecords): Machine {
  const machine = new Machine(records, FEW);
  machine.mvcc.wantSettled();
  return machine;
}

function settle(machine: Machine): void {
  const slices = machine.mvcc.settleSlices();
  if (slices !== undefined) run(slices);
}

function tell({type, kv}: Event): string {
  return type === EventType.put
    ? `put ${text(kv.key)}=${text(kv.value)}@${kv.modRevision}`
    : `del ${text(kv.key)}@${kv.modRevision}`;
}

/** All changes that the history tells. */
function history(machine: Machine): string[] {
  const {mvcc} = machine;
  const told: string[] = [];
  let next = {main: Math.max(1, mvcc.compactRevision()), sub: 0};
  while (next.main <= mvcc.currentRevision()) {
    const {events, next: following} = mvcc.history(next, {recordsMax: 2, bytesMax: 1_000});
    if (following.main === next.main && following.sub === next.sub) break;
    told.push(...events.map(tell));
    next = following;
  }
  return told;
}

function outcome({response, revision, leaseChanges}: ApplyResult): unknown {
  return {response: response instanceof EngineError ? response.failure : response, revision, leaseChanges};
}

/** Everything that clients can ask for. */
function shown(machine: Machine): unknown {
  const {mvcc} = machine;
  const oldest = Math.max(1, mvcc.compactRevision());
  const revisions = Array.from({length: mvcc.currentRevision() - oldest + 1}, (_, i) => oldest + i);
  return revisions.map((revision) => [
    revision,
    ...['a', 'b', 'ba', 'c', 'd', '\xff'].map((key) => machine.get(key, '', {revision})),
    machine.get('a', 'c', {revision, limit: 1}),
    machine.get('\0', '\0', {revision, sortOrder: 2, sortTarget: 3}),
    mvcc.range(rangeOf('b', '\0', {revision, countOnly: true})).count,
    machine.leases().map(({id}) => machine.keysOfLease(id)),
  ]);
}

/** What is the same for all members once all is written; what is stored for pending deletions goes with them. */
const mood = fc.constantFrom('', '', '', 'restart', 'reclaim', 'settle', 'slice', 'slice', 'image');

describe('pending deletions', () => {
  it('Ensure that whenever tombstones are written, members show the same, and in the end store the same.', () => {
    const steps = fc.array(fc.tuple(command, mood), {minLength: 1, maxLength: 50});
    const property = fc.property(steps, (log) => {
      const steady = eager();
      let moody = new Machine(undefined, FEW);
      let slices: Generator<undefined, void> | undefined;
      for (const [one, then] of log) {
        const expected = steady.apply(one);
        expect(outcome(moody.apply(one))).toEqual(outcome(expected));
        expect(moody.records.applied()).toEqual(steady.records.applied());
        expect(shown(moody)).toEqual(shown(steady));
        if (then === 'restart') moody = new Machine(moody.records, FEW);
        else if (then === 'image') {
          const records = new MemoryRecords();
          records.replaceBy(moody.records);
          moody.records.replaceBy(records);
          run(moody.stateMachine.load());
        } else if (then === 'reclaim') moody.reclaim();
        else if (then === 'settle') settle(moody);
        else if (then === 'slice') {
          slices ??= moody.mvcc.settleSlices() ?? moody.mvcc.compactionSlices();
          if (slices?.next().done !== false) slices = undefined;
        }
        if (then === 'restart') slices = undefined;
        expect(shown(moody)).toEqual(shown(steady));
        const told = history(moody);
        expect(history(steady).slice(0, told.length)).toEqual(told);
        if (moody.mvcc.isSettled(Number.POSITIVE_INFINITY)) {
          expect(history(steady).length).toBe(told.length);
          expect(moody.hashKv()).toEqual(steady.hashKv());
        }
      }
      settle(moody);
      expect(history(moody)).toEqual(history(steady));
      expect(moody.hashKv()).toEqual(steady.hashKv());
      for (const machine of [steady, moody]) machine.reclaim();
      expect(moody.records.dump()).toEqual(steady.records.dump());
      expect([...moody.records.range('kvd', {})]).toEqual([]);
    });
    fc.assert(property, {numRuns: 400});
  });

  it('Ensure that records, events and revisions are those of a deletion in the ordinary way.', () => {
    const steps = fc.array(command, {minLength: 1, maxLength: 40});
    const property = fc.property(steps, (log) => {
      const ordinary = new Machine();
      const late = new Machine(undefined, FEW);
      for (const one of log) {
        expect(outcome(late.apply(one))).toEqual(outcome(ordinary.apply(one)));
        expect(shown(late)).toEqual(shown(ordinary));
      }
      for (const machine of [ordinary, late]) {
        settle(machine);
        expect(history(machine)).toEqual(history(ordinary));
        expect(machine.hashKv()).toEqual(ordinary.hashKv());
        machine.reclaim();
      }
      expect(late.records.dump()).toEqual(ordinary.records.dump());
    });
    fc.assert(property, {numRuns: 300});
  });

  const MANY = PENDING_DELETE_KEYS_MIN;
  const name = (i: number) => `k${String(i).padStart(6, '0')}`;

  function filled(machine: Machine, keys: number): Machine {
    for (let i = 0; i < keys; i += 100) {
      const success = Array.from({length: Math.min(100, keys - i)}, (_, j) => ({
        requestPut: {
          key: Buffer.from(name(i + j)),
          value: Buffer.from('v'),
          lease: 0n,
          prevKv: false,
          ignoreValue: false,
          ignoreLease: false,
        },
      }));
      machine.txn({success});
    }
    return machine;
  }

  it('Ensure that only standalone deletions of many keys that ask for no values are written late.', () => {
    const machine = filled(new Machine(), MANY);
    const {mvcc} = machine;
    expect(machine.delete(name(0), '').deleted).toBe(1);
    expect(machine.delete('k', 'l', true).deleted).toBe(MANY - 1);
    expect(mvcc.settleSlices()).toBeUndefined();
    filled(machine, MANY - 1);
    expect(machine.delete('k', 'l').deleted).toBe(MANY - 1);
    expect(mvcc.settleSlices()).toBeUndefined();
    filled(machine, MANY);
    const result = machine.apply({type: 'deleteRange', request: deleteOf('k', 'l')});
    expect(result).toMatchObject({
      response: {result: {deleted: MANY, prevKvs: []}},
      events: [],
      deletedRange: {from: 'k', to: 'l'},
    });
    expect(mvcc.range(rangeOf('k', 'l', {countOnly: true})).count).toBe(0);
    const before = result.revision - 1;
    expect(mvcc.range(rangeOf('k', 'l', {countOnly: true, revision: before})).count).toBe(MANY);
    expect(mvcc.unsettledFrom(0)?.revision).toBe(result.revision);
    expect(failure(() => machine.hashKv())).toBe('timeoutWaitingForApply');
    expect(failure(() => machine.hashKv(before))).toBe('none');
  });

  it('Ensure that a slice writes few tombstones, and that a restart in the midst goes on where it was.', () => {
    const machine = filled(new Machine(), MANY);
    machine.delete('k', 'l');
    const tombstones = () =>
      [...machine.records.range('key', {})].filter(([key]) => key.length === 18).length;
    const slices = machine.mvcc.settleSlices();
    // First the keys are listed.
    while (tombstones() === 0) slices?.next();
    for (let i = 1; i <= 10; i++, slices?.next()) expect(tombstones()).toBe(i * RECLAIM_SLICE_KEYS);
    machine.put(name(MANY - 1), 'again');
    expect(tombstones()).toBe(11 * RECLAIM_SLICE_KEYS + 1);
    const restarted = new Machine(machine.records);
    expect(restarted.mvcc.currentRevision()).toBe(machine.mvcc.currentRevision());
    expect(restarted.get('k', 'l').map((kv) => kv?.value)).toEqual(['again']);
    settle(restarted);
    expect(tombstones()).toBe(MANY);
    expect(restarted.get('k', 'l').map((kv) => kv?.value)).toEqual(['again']);
    // The walk of the life before finds its deletion done.
    run(restarted.stateMachine.load());
    if (slices !== undefined) run(slices);
    expect(tombstones()).toBe(MANY);
  });

  it('Ensure that a put in the midst of the listing of the keys finds its place among them.', () => {
    for (const slicesBefore of [0, 1, 2]) {
      const [late, steady] = [filled(new Machine(), MANY), filled(new Machine(), MANY)];
      steady.mvcc.wantSettled();
      for (const machine of [late, steady]) machine.delete('k', 'l');
      const slices = late.mvcc.settleSlices();
      for (let i = 0; i < slicesBefore; i++) slices?.next();
      for (const machine of [late, steady]) {
        machine.put('k', 'new');
        machine.put(name(MANY - 2), 'again');
        machine.put('kz', 'new');
      }
      if (slices !== undefined) run(slices);
      expect(late.records.dump()).toEqual(steady.records.dump());
    }
  });

  it('Ensure that a compaction writes first what it then deletes.', () => {
    const machine = filled(new Machine(), MANY);
    machine.delete('k', 'l');
    machine.put('z', '1');
    machine.compact(machine.mvcc.currentRevision());
    expect(failure(() => machine.get('k', '', {revision: 5}))).toBe('compacted');
    machine.reclaim();
    expect([...machine.records.range('key', {})].length).toBe(1);
    expect([...machine.records.range('kvd', {})].length).toBe(0);
    expect(machine.mvcc.keysTotal()).toBe(1);
    expect(new Machine(machine.records).hashKv()).toEqual(machine.hashKv());
  });

  it('Ensure that a lease whose keys were deleted lets go of them, written or not.', () => {
    const machine = new Machine(undefined, FEW);
    machine.apply({type: 'leaseGrant', id: 7n, ttlSeconds: 10});
    for (const key of ['a', 'b', 'c']) machine.put(key, '', {lease: 7n});
    machine.delete('a', 'c');
    expect(machine.keysOfLease(7n)).toEqual(['c']);
    const {events, revision} = machine.apply({type: 'leaseRevoke', id: 7n, proposerTerm: 0});
    expect(events.map(tell)).toEqual([`del c@${revision}`]);
    settle(machine);
    expect(history(machine).slice(3)).toEqual([
      `del a@${revision - 1}`,
      `del b@${revision - 1}`,
      `del c@${revision}`,
    ]);
  });

  it('Ensure that a bounded number of them is pending at a time.', () => {
    const machine = new Machine(undefined, FEW);
    for (let i = 0; i < PENDING_DELETES_MAX + 5; i++) {
      machine.put('a', String(i));
      machine.put('b', String(i));
      machine.delete('b', 'c');
      machine.delete('a', '\0');
      expect(machine.get('\0', '\0')).toEqual([]);
      expect(machine.mvcc.reader.index.deletions.count).toBeLessThanOrEqual(PENDING_DELETES_MAX);
    }
    settle(machine);
    expect(machine.mvcc.isSettled(machine.mvcc.currentRevision())).toBe(true);
  });

  it('Ensure that a damaged record of one is found when it is loaded.', () => {
    for (const damage of [
      (value: Buffer) => value.subarray(0, 2),
      (value: Buffer) => Buffer.concat([Buffer.from([9]), value.subarray(1)]),
      (value: Buffer) => Buffer.concat([value.subarray(0, 1), Buffer.from([2]), value.subarray(2)]),
    ]) {
      const machine = new Machine(undefined, FEW);
      machine.put('a');
      machine.delete('a', 'b');
      const [[key, value]] = [...machine.records.range('kvd', {})];
      machine.records.put('kvd', key, damage(Buffer.from(value)));
      expect(failure(() => new Machine(machine.records, FEW))).toBe('storeCorrupt');
    }
  });
});
