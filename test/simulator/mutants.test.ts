/** The checkers themselves: a cluster with one promise broken on purpose has to be found out, and by the right one. */

import {describe, expect, it} from 'vitest';
import {SimulatedCluster, type SimulationOptions} from './simulated-cluster.ts';
import type {Life} from './simulated-member.ts';

/** Breaks every life of every member as soon as it serves, and runs seeds until somebody notices. */
async function noticed(
  overrides: SimulationOptions['overrides'],
  breakIt: (life: Life) => void,
  seeds = 12,
): Promise<string | undefined> {
  for (let seed = 1; seed <= seeds; seed++) {
    const cluster = new SimulatedCluster({seed, operations: 1_500, overrides: {members: 3, ...overrides}});
    const broken = new Set<Life>();
    const look = () => {
      for (const {life} of cluster.members) {
        if (life?.replica === undefined || broken.has(life)) continue;
        broken.add(life);
        breakIt(life);
      }
      cluster.queue.after(5, look);
    };
    cluster.queue.after(1, look);
    const {violation} = await cluster.run();
    if (violation !== undefined) return violation.invariant;
  }
  return undefined;
}

describe('broken promises', () => {
  it('Ensure that reads without a proof of leadership are noticed.', {timeout: 60_000}, async () => {
    const found = await noticed(
      {kinds: ['isolate', 'slowNetwork'], clients: 6, faultPauseMsMax: 300},
      (life) => {
        if (life.replica !== undefined) life.replica.reads.confirm = async () => {};
      },
    );
    expect(found).toBe('linearizability');
  });

  it('Ensure that a log that forgets to sync is noticed.', {timeout: 60_000}, async () => {
    const found = await noticed({kinds: ['power'], faultPauseMsMax: 300, snapshotCount: 10_000}, (life) => {
      const wal = life.opened?.wal;
      if (wal !== undefined) wal.append = async () => {};
    });
    expect(found).toBeDefined();
  });

  it('Ensure that a watch that loses an event is noticed.', {timeout: 60_000}, async () => {
    const found = await noticed({kinds: [], watchers: 5, keyCount: 2}, (life) => {
      const hub = life.replica?.watchHub;
      if (hub === undefined) return;
      const publish = hub.publish.bind(hub);
      let count = 0;
      hub.publish = (revision, events) => publish(revision, ++count % 50 === 0 ? [] : events);
    });
    expect(found).toBe('watch');
  });

  it('Ensure that a proposal that is made twice is noticed.', {timeout: 60_000}, async () => {
    const found = await noticed({kinds: []}, (life) => {
      const proposals = life.replica?.proposals;
      if (proposals === undefined) return;
      const take = proposals.takeWaiting.bind(proposals);
      let count = 0;
      proposals.takeWaiting = () => {
        const taken = take();
        return ++count % 20 === 0 ? [...taken, ...taken] : taken;
      };
    });
    expect(found).toBe('exactly once');
  });

  it('Ensure that leases that a deposed leader takes, or that go early, are noticed.', {
    timeout: 60_000,
  }, async () => {
    const found = await noticed({kinds: [], clockRateMax: 1.0001, clientPauseMsMax: 200}, (life) => {
      const leases = life.replica?.leases;
      if (leases !== undefined) leases.renewHere = async () => 5;
    });
    expect(found).toBe('leases');
  });

  it('Ensure that members that part are noticed.', {timeout: 60_000}, async () => {
    const found = await noticed({kinds: []}, (life) => {
      const stateMachine = life.opened?.stateMachine;
      if (stateMachine === undefined || life.number !== 1) return;
      const apply = stateMachine.apply.bind(stateMachine);
      stateMachine.apply = (entry) => {
        const isHit = entry.index === 100 && life.network.host === 'm2';
        return apply(isHit ? {...entry, proposal: undefined} : entry);
      };
    });
    expect(['state hash', 'state', 'assertion']).toContain(found);
  });
});
