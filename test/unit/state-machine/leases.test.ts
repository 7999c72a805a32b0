import {describe, expect, it} from 'vitest';
import {EventType} from '../../../src/engine/types.ts';
import {failure, Machine, run, text} from './machine.ts';

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
});
