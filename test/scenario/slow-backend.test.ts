/** A member whose disk takes the log but not the store: what it may hold in memory is bounded. */

import {describe, expect, it} from 'vitest';
import {rangeOf} from '../simulator/requests.ts';
import {Scenario, serverOf} from '../simulator/scenario.ts';
import type {SimulatedMember} from '../simulator/simulated-member.ts';

const OVERLAY_BYTES_MAX = 100_000;
const VALUE = 'x'.repeat(2_000);

function partsOf(member: SimulatedMember) {
  const {opened, replica} = member.life ?? {};
  if (opened === undefined || replica === undefined) throw new Error(`${member.name} does not run`);
  return {store: opened.store, raft: opened.raft, replica};
}

/** Commits of its backend do not return until the function that this gives is called. */
function hangBackend(member: SimulatedMember): () => void {
  const {backend} = partsOf(member).store;
  const commit = backend.commit.bind(backend);
  let goOn = () => {};
  const hanging = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  backend.commit = async (batch) => {
    await hanging;
    await commit(batch);
  };
  return () => goOn();
}

describe('a backend that hangs', () => {
  it('Ensure that a follower stops applying at its bound, writes its log on, and catches up when it goes on.', async () => {
    await Scenario.play({overlayBytesMax: OVERLAY_BYTES_MAX}, async (world) => {
      const {leader} = world;
      const [slow] = world.followers;
      const {store, raft, replica} = partsOf(slow);
      await world.put(leader, 'k0', 'first');
      await world.until(() => replica.applier.index === partsOf(leader).replica.applier.index, 'in step');
      const {term} = replica.loop;
      const goOn = hangBackend(slow);
      for (let i = 0; i < 150; i++) await world.put(leader, `k${i}`, VALUE);
      await world.cluster.pass(5_000);
      expect(store.overlayBytes()).toBeGreaterThan(OVERLAY_BYTES_MAX / 2);
      expect(store.overlayBytes()).toBeLessThan(OVERLAY_BYTES_MAX + 2 * VALUE.length);
      const atLeader = partsOf(leader).raft.status();
      expect(raft.status().lastIndex).toBe(atLeader.lastIndex);
      expect(raft.status().commit).toBe(atLeader.commit);
      expect(replica.applier.index).toBeLessThan(atLeader.commit);
      // Heartbeats are answered and heard: nobody has campaigned, and what is applied can be read.
      expect([world.leader, replica.loop.term]).toEqual([leader, term]);
      const read = serverOf(slow).range({...rangeOf('k0'), serializable: true});
      expect((await world.cluster.drive(read)).result.kvs).toHaveLength(1);
      goOn();
      await world.until(() => replica.applier.index === partsOf(leader).replica.applier.index, 'caught up');
    });
  });

  it('Ensure that a member that waits for its backend takes an image in, and stops.', async () => {
    const swarm = {overlayBytesMax: OVERLAY_BYTES_MAX, snapshotCount: 20, catchupEntries: 1};
    await Scenario.play(swarm, async (world) => {
      const {leader} = world;
      const [slow] = world.followers;
      const goOn = hangBackend(slow);
      for (let i = 0; i < 80; i++) await world.put(leader, `k${i}`, VALUE);
      world.isolate(slow);
      for (let i = 0; i < 80; i++) await world.put(leader, `k${i}`, VALUE);
      await world.cluster.pass(3_000);
      world.cluster.network.heal();
      await world.until(() => world.hasSaid(slow, 'snapshot arrived'), 'the image');
      goOn();
      await world.until(() => world.hasSaid(slow, 'snapshot installed'), 'the image in its place');
      const hangAgain = hangBackend(slow);
      for (let i = 0; i < 80; i++) await world.put(leader, `k${i}`, VALUE);
      const stopped = slow.stop();
      await world.cluster.pass(1_000);
      hangAgain();
      await world.cluster.drive(stopped);
      slow.start();
      await world.published(slow);
    });
  });
});
