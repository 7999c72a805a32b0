import {describe, expect, it} from 'vitest';
import {PENDING_DELETE_KEYS_MIN, RECLAIM_SLICE_KEYS, SLICE_KEYS} from '../../../src/engine/limits.ts';
import type {Command} from '../../../src/engine/state-machine/command.ts';
import {INDEX_STEPS_PER_KEY} from '../../../src/engine/state-machine/mvcc/range.ts';
import {EventType} from '../../../src/engine/types.ts';
import {failure, Machine, putOf, run, text} from './machine.ts';

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

describe('leases', () => {
  it('Ensure that a revoke deletes all keys of the lease in one revision, in key order.', () => {
    const machine = new Machine();
    machine.response({type: 'leaseGrant', id: 7n, ttlSeconds: 10});
    for (const key of ['c', 'a', 'b', 'd']) machine.put(key, key, {lease: 7n});
    machine.put('b', 'free');
    machine.delete('d');
    const {events, revision, leaseChanges} = machine.apply({type: 'leaseRevoke', id: 7n, proposerTerm: 0});
    expect(events.map(({type, kv}) => [type, text(kv.key), kv.modRevision])).toEqual([
      [EventType.delete, 'a', 8],
      [EventType.delete, 'c', 8],
    ]);
    expect(revision).toBe(8);
    expect(leaseChanges).toEqual([{id: 7n, kind: 'revoked'}]);
    expect(machine.get('\0', '\0').map((kv) => kv?.key)).toEqual(['b']);
    expect([...machine.records.range('lease', {})]).toEqual([]);
  });

  it('Ensure that a revoke without keys makes no revision.', () => {
    const machine = new Machine();
    machine.response({type: 'leaseGrant', id: 7n, ttlSeconds: 10});
    expect(machine.apply({type: 'leaseRevoke', id: 7n, proposerTerm: 0}).revision).toBe(1);
    expect(failure(() => machine.response({type: 'leaseRevoke', id: 7n, proposerTerm: 0}))).toBe(
      'leaseNotFound',
    );
  });

  it('Ensure that a revoke proposed under another term than it is logged in does nothing.', () => {
    const machine = new Machine();
    machine.response({type: 'leaseGrant', id: 7n, ttlSeconds: 10});
    machine.put('a', '', {lease: 7n});
    machine.term = 5;
    const before = machine.records.dump();
    expect(machine.response({type: 'leaseRevoke', id: 7n, proposerTerm: 4})).toEqual({
      type: 'leaseRevoke',
      isStale: true,
    });
    expect(machine.records.dump()).toEqual(before);
    expect(machine.response({type: 'leaseRevoke', id: 7n, proposerTerm: 5})).toEqual({
      type: 'leaseRevoke',
      isStale: false,
    });
    expect(machine.get('a')).toEqual([]);
  });

  it('Ensure that a checkpoint proposed under another term than it is logged in does nothing.', () => {
    const machine = new Machine();
    machine.response({type: 'leaseGrant', id: 7n, ttlSeconds: 60});
    const leases = [{id: 7n, remainingTtlSeconds: 25}];
    machine.term = 5;
    const before = machine.records.dump();
    const late = machine.response({type: 'leaseCheckpoint', proposerTerm: 4, leases});
    expect(late).toEqual({type: 'leaseCheckpoint', isStale: true});
    expect(machine.records.dump()).toEqual(before);
    const own = machine.response({type: 'leaseCheckpoint', proposerTerm: 5, leases});
    expect(own).toEqual({type: 'leaseCheckpoint', isStale: false});
    expect(machine.stateMachine.lessor.lease(7n)?.remainingTtlSeconds).toBe(25);
  });

  it('Ensure that ids at both ends of int64 are stored, told in order, and survive a restart.', () => {
    const machine = new Machine();
    for (const id of [MAX, 1n, -7n, MIN]) machine.response({type: 'leaseGrant', id, ttlSeconds: 10});
    machine.put('a', '', {lease: MIN});
    machine.put('b', '', {lease: -7n});
    expect(failure(() => machine.response({type: 'leaseGrant', id: MIN, ttlSeconds: 5}))).toBe('leaseExists');
    expect(failure(() => machine.response({type: 'leaseGrant', id: 0n, ttlSeconds: 5}))).toBe(
      'leaseNotFound',
    );
    expect(failure(() => machine.response({type: 'leaseGrant', id: 3n, ttlSeconds: 9e9 + 1}))).toBe(
      'leaseTtlTooLarge',
    );
    const again = new Machine(machine.records);
    expect(run(again.stateMachine.lessor.idSlices())).toEqual([MIN, -7n, 1n, MAX]);
    expect(again.keysOfLease(MIN)).toEqual(['a']);
    expect(again.keysOfLease(-7n)).toEqual(['b']);
    expect(again.keysOfLease(3n)).toEqual([]);
  });

  it('Ensure that checkpoints keep what is left of a TTL, bounded by it, over restarts.', () => {
    const machine = new Machine();
    machine.response({type: 'leaseGrant', id: 7n, ttlSeconds: 60});
    const {leaseChanges} = machine.apply({
      type: 'leaseCheckpoint',
      proposerTerm: 1,
      leases: [
        {id: 7n, remainingTtlSeconds: 25},
        {id: 8n, remainingTtlSeconds: 25},
      ],
    });
    expect(leaseChanges).toEqual([]);
    const stored = () => new Machine(machine.records).stateMachine.lessor.lease(7n);
    expect(stored()).toEqual({id: 7n, ttlSeconds: 60, remainingTtlSeconds: 25});
    machine.apply({type: 'leaseCheckpoint', proposerTerm: 1, leases: [{id: 7n, remainingTtlSeconds: 99}]});
    expect(stored()?.remainingTtlSeconds).toBe(60);
    machine.apply({type: 'leaseCheckpoint', proposerTerm: 1, leases: [{id: 7n, remainingTtlSeconds: 0}]});
    expect(stored()?.remainingTtlSeconds).toBe(0);
  });

  it('Ensure that a put moves a key between leases, and that a key may outlive a lease that is not there.', () => {
    const machine = new Machine();
    for (const id of [7n, 8n]) machine.response({type: 'leaseGrant', id, ttlSeconds: 10});
    machine.put('a', '', {lease: 7n});
    machine.put('a', '', {lease: 8n});
    expect(machine.keysOfLease(7n)).toEqual([]);
    machine.apply({type: 'leaseRevoke', id: 7n, proposerTerm: 0});
    expect(machine.get('a').length).toBe(1);
    expect(machine.keysOfLease(8n)).toEqual(['a']);
    // A store from elsewhere may name a lease that is gone.
    for (const [key] of [...machine.records.range('lease', {})]) machine.records.delete('lease', key);
    const loaded = new Machine(machine.records);
    expect(loaded.get('a')[0]?.lease).toBe(8n);
    expect(failure(() => loaded.put('b', '', {lease: 8n}))).toBe('leaseNotFound');
    loaded.put('a', '2', {ignoreLease: true});
    expect(loaded.get('a')[0]).toMatchObject({value: '2', lease: 8n});
  });

  it('Ensure that a lease of a hundred thousand keys goes in slices, in one revision that nobody sees half of.', {
    timeout: 90_000,
  }, () => {
    const {machine, most} = counting();
    fill(machine, 100_000);
    const revision = machine.mvcc.currentRevision();
    most.begin();
    const slices = machine.start({type: 'leaseRevoke', id: 7n, proposerTerm: 0});
    if (!('next' in slices)) throw new Error('all at once');
    let step = slices.next();
    for (; !step.done; step = slices.next()) {
      most.next();
      expect(machine.mvcc.currentRevision()).toBe(revision);
    }
    const {events, leaseChanges} = step.value;
    expect(most.changes).toBe(SLICE_KEYS);
    expect(machine.mvcc.currentRevision()).toBe(revision + 1);
    expect(leaseChanges).toEqual([{id: 7n, kind: 'revoked'}]);
    const keys = events.map(({kv}) => text(kv.key));
    expect(keys).toEqual([...keys].sort());
    expect(keys).toHaveLength(100_000);
    expect(machine.stateMachine.lessor.has(7n)).toBe(false);
  });

  it('Ensure that the end of a lease, or a put, lists in slices what was deleted with its keys.', () => {
    const ends: readonly Command[] = [
      {type: 'leaseRevoke', id: 7n, proposerTerm: 0},
      {type: 'put', request: putOf('key/000000')},
      {type: 'txn', request: {compare: [], success: [{requestPut: putOf('key/000000')}], failure: []}},
    ];
    for (const end of ends) {
      const {machine} = counting();
      fill(machine, PENDING_DELETE_KEYS_MIN);
      expect(machine.delete('key/', 'key0').deleted).toBe(PENDING_DELETE_KEYS_MIN);
      const [{keys}] = machine.mvcc.reader.index.deletions.list();
      const slices = machine.start(end);
      if (!('next' in slices)) throw new Error(`${end.type}: all at once`);
      let [listed, most] = [keys.length, keys.length];
      let step = slices.next();
      for (; !step.done; step = slices.next()) {
        most = Math.max(most, keys.length - listed);
        listed = keys.length;
      }
      expect(step.value.response).toMatchObject({type: end.type});
      expect(keys).toHaveLength(PENDING_DELETE_KEYS_MIN);
      expect(most).toBeLessThanOrEqual(RECLAIM_SLICE_KEYS * INDEX_STEPS_PER_KEY);
      expect(machine.get('key/', 'key0')).toHaveLength(end.type === 'leaseRevoke' ? 0 : 1);
    }
  });

  it('Ensure that the keys of a huge lease are told in slices.', () => {
    const {machine} = counting();
    fill(machine, 20_000);
    const slices = machine.mvcc.keysOfLeaseSlices(7n);
    let count = 0;
    let step = slices.next();
    for (; !step.done; step = slices.next()) count++;
    expect(step.value.map(text)).toEqual(Array.from({length: 20_000}, (_, i) => keyOf(i)));
    // Sorted in runs, merged four times, and looked up.
    expect(count).toBeGreaterThanOrEqual(5 * 9 + 20_000 / SLICE_KEYS);
  });
});

const keyOf = (i: number): string => `key/${String(i).padStart(6, '0')}`;

/** Puts so many keys on lease 7, in no order. */
function fill(machine: Machine, count: number): void {
  machine.response({type: 'leaseGrant', id: 7n, ttlSeconds: 10});
  const put = (i: number) => ({requestPut: putOf(keyOf((i * 7_919) % count), '', {lease: 7n})});
  machine.txn({success: Array.from({length: count}, (_, i) => put(i))});
}

interface Most {
  changes: number;
  begin(): void;
  next(): void;
}

/** A machine, and the most records that it changed between two calls of `next`. */
function counting(): {machine: Machine; most: Most} {
  const machine = new Machine();
  let changes = 0;
  const most: Most = {
    changes: 0,
    begin() {
      most.changes = 0;
      changes = 0;
    },
    next() {
      most.changes = Math.max(most.changes, changes);
      changes = 0;
    },
  };
  const put = machine.records.put.bind(machine.records);
  machine.records.put = (...change) => {
    changes++;
    put(...change);
  };
  return {machine, most};
}
