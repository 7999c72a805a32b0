import {beforeEach, describe, expect, it} from 'vitest';
import {LeaseExpirer, type LeaseRecord} from '../../../src/engine/server/lease-expirer.ts';
import type {Command} from '../../../src/engine/state-machine/command.ts';
import {SimulatedClock} from '../../simulator/simulated-clock.ts';

let clock: SimulatedClock;
let leases: Map<bigint, LeaseRecord>;
let proposed: Command[];
let fails: boolean;
let expirer: LeaseExpirer;

beforeEach(() => {
  clock = new SimulatedClock();
  leases = new Map();
  proposed = [];
  fails = false;
  expirer = new LeaseExpirer({
    clock,
    leases: () => leases.values(),
    lease: (id) => leases.get(id),
    propose: async (command) => {
      proposed.push(command);
      if (fails) throw new Error('no leader');
    },
  });
});

function grant(id: bigint, ttlSeconds: number, remainingTtlSeconds = 0): void {
  leases.set(id, {id, ttlSeconds, remainingTtlSeconds});
  expirer.changed([{id, kind: 'granted'}]);
}

const revokes = () => proposed.filter(({type}) => type === 'leaseRevoke');
const checkpoints = () => proposed.filter(({type}) => type === 'leaseCheckpoint');

describe('lease expirer', () => {
  it('Ensure that a lease is revoked within half a second after its TTL, and never before.', async () => {
    expirer.lead(3);
    grant(1n, 10);
    await clock.advance(9_999);
    expect(revokes()).toEqual([]);
    await clock.advance(1);
    expect(revokes()).toEqual([{type: 'leaseRevoke', id: 1n, proposerTerm: 3}]);
  });

  it('Ensure that a renewal starts the TTL anew.', async () => {
    expirer.lead(3);
    grant(1n, 10);
    await clock.advance(9_000);
    expect(await expirer.renew(1n)).toBe(10);
    await clock.advance(9_500);
    expect(revokes()).toEqual([]);
    expect(expirer.remainingSeconds(1n)).toBe(0);
    await clock.advance(500);
    expect(revokes()).toHaveLength(1);
  });

  it('Ensure that a new leader goes on from the checkpoint, and from the full TTL without one.', async () => {
    leases.set(1n, {id: 1n, ttlSeconds: 100, remainingTtlSeconds: 20});
    leases.set(2n, {id: 2n, ttlSeconds: 100, remainingTtlSeconds: 0});
    expirer.lead(4);
    expect(expirer.remainingSeconds(1n)).toBe(20);
    expect(expirer.remainingSeconds(2n)).toBe(100);
  });

  it('Ensure that what is left is checkpointed at least every quarter of the TTL.', async () => {
    expirer.lead(3);
    grant(1n, 100);
    await clock.advance(26_000);
    expect(checkpoints()).toHaveLength(1);
    await clock.advance(25_000);
    expect(checkpoints()).toHaveLength(2);
    expect(checkpoints()[1]).toMatchObject({leases: [{id: 1n}]});
  });

  it('Ensure that a renewal after a checkpoint takes the checkpoint back.', async () => {
    expirer.lead(3);
    grant(1n, 100);
    await clock.advance(30_000);
    proposed.length = 0;
    await expirer.renew(1n);
    expect(proposed).toEqual([
      {type: 'leaseCheckpoint', proposerTerm: 3, leases: [{id: 1n, remainingTtlSeconds: 0}]},
    ]);
    await expirer.renew(1n);
    expect(proposed).toHaveLength(1);
  });

  it('Ensure that a failed revoke is tried again, and one under way is not doubled.', async () => {
    fails = true;
    expirer.lead(3);
    grant(1n, 2);
    await clock.advance(2_000);
    expect(revokes()).toHaveLength(1);
    await clock.advance(500);
    expect(revokes()).toHaveLength(2);
  });

  it('Ensure that a lease whose revoke is under way cannot be renewed.', async () => {
    let finish: () => void = () => {};
    expirer = new LeaseExpirer({
      clock,
      leases: () => leases.values(),
      lease: (id) => leases.get(id),
      propose: () => new Promise<void>((resolve) => (finish = resolve)),
    });
    expirer.lead(3);
    grant(1n, 2);
    await clock.advance(2_500);
    expect(await expirer.renew(1n)).toBe(0);
    finish();
  });

  it('Ensure that a revoke whose fate is unknown is not taken back by a renewal.', async () => {
    fails = true;
    expirer.lead(3);
    grant(1n, 2);
    await clock.advance(2_000);
    expect(await expirer.renew(1n)).toBe(0);
  });

  it('Ensure that who does not lead revokes nothing.', async () => {
    expirer.lead(3);
    grant(1n, 2);
    expirer.resign();
    await clock.advance(60_000);
    expect(proposed).toEqual([]);
    expect(await expirer.renew(1n)).toBe(0);
  });

  it('Ensure that a hundred thousand leases that expire at once are all revoked, a bounded number at a time.', async () => {
    let inFlight = 0;
    let inFlightMax = 0;
    expirer = new LeaseExpirer({
      clock,
      leases: () => leases.values(),
      lease: (id) => leases.get(id),
      propose: async (command) => {
        inFlightMax = Math.max(inFlightMax, ++inFlight);
        await Promise.resolve();
        inFlight--;
        if (command.type !== 'leaseRevoke') return;
        leases.delete(command.id);
        expirer.changed([{id: command.id, kind: 'revoked'}]);
      },
    });
    for (let id = 1n; id <= 100_000n; id++) leases.set(id, {id, ttlSeconds: 2, remainingTtlSeconds: 0});
    expirer.lead(3);
    await clock.advance(2_000 + 110 * 500);
    expect(leases.size).toBe(0);
    expect(inFlightMax).toBeLessThanOrEqual(1_000);
  });
});
