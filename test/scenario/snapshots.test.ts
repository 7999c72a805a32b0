/** Members that fell behind the log: images that come twice, too late, or into a crash. */

import {describe, expect, it} from 'vitest';
import {readStateImage, writeStateImage} from '../../src/engine/storage/state-image.ts';
import {keepUnsynced, loseUnsynced} from '../simulator/memory-disk.ts';
import {Scenario, serverOf} from '../simulator/scenario.ts';
import type {SimulatedMember} from '../simulator/simulated-member.ts';

function storeOf(member: SimulatedMember) {
  const opened = member.life?.opened;
  if (opened === undefined) throw new Error(`${member.name} has not opened its store`);
  return opened.store;
}

const SHORT_LOG = {snapshotCount: 20, catchupEntries: 1};

/** A follower that has missed more than the log keeps, still cut off. */
async function leaveBehind(world: Scenario, entries = 60) {
  const [lagging] = world.followers;
  world.isolate(lagging);
  await world.puts(world.leader, entries);
  // Until the link is given up: what is on it would arrive after all.
  await world.cluster.pass(3_000);
  return lagging;
}

describe('a member behind the log', () => {
  it('Ensure that it catches up by an image, and by another one right behind it.', async () => {
    await Scenario.play(SHORT_LOG, async (world) => {
      const lagging = await leaveBehind(world);
      lagging.weather.operationMsMax = 400;
      world.cluster.network.heal();
      await world.until(() => world.hasSaid(lagging, 'snapshot arrived'), 'the first image');
      // While it is being put in its place ...
      world.isolate(lagging);
      await world.puts(world.leader, 60);
      await world.cluster.pass(3_000);
      world.cluster.network.heal();
      await world.puts(world.leader, 60);
      lagging.weather.operationMsMax = 0.05;
    });
  });

  it('Ensure that images from two leaders at once do it no harm.', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      await Scenario.play(
        {...SHORT_LOG, members: 5},
        async (world) => {
          const lagging = await leaveBehind(world);
          lagging.weather.operationMsMax = 500;
          world.cluster.network.heal();
          await world.until(
            () => world.hasSaid(world.leader, 'snapshot to a member begins'),
            'an image on its way',
          );
          const old = world.leader;
          const target = world.followers.find((member) => member !== lagging) ?? old;
          await world.cluster.drive(serverOf(old).moveLeader(target.life?.opened?.identity.memberId ?? 0n));
          await world.puts(target, 60);
          lagging.weather.operationMsMax = 0.05;
        },
        seed,
      );
    }
  });

  it('Ensure that a leader that dies over an image leaves nothing that stops the next.', async () => {
    await Scenario.play(SHORT_LOG, async (world) => {
      const lagging = await leaveBehind(world);
      lagging.weather.operationMsMax = 300;
      world.cluster.network.heal();
      const old = world.leader;
      await world.until(() => world.hasSaid(old, 'snapshot to a member begins'), 'an image on its way');
      old.losePower(loseUnsynced, {landed: false});
      lagging.weather.operationMsMax = 0.05;
      const next = await world.newLeader(old);
      await world.puts(next, 10);
      old.start();
      await world.puts(next, 40);
    });
  });

  it('Ensure that a crash before each operation between image and log marker leaves a member that starts.', async () => {
    for (let after = 0; after < 14; after++) {
      for (const isPower of [false, true]) {
        await Scenario.play(
          SHORT_LOG,
          async (world) => {
            const lagging = await leaveBehind(world);
            world.cluster.network.heal();
            await world.until(() => world.hasSaid(lagging, 'snapshot arrived'), 'the image');
            lagging.crashAfterOperations = after;
            lagging.onArmedCrash = () => {
              if (isPower) lagging.losePower(after % 2 === 0 ? loseUnsynced : keepUnsynced, {landed: true});
              else lagging.kill({landed: false});
            };
            const hasCrashed = () => !lagging.isUp || lagging.crashAfterOperations === undefined;
            for (let more = 0; more < 40 && !hasCrashed(); more++) await world.puts(world.leader, 1);
            await world.until(hasCrashed, 'the crash');
            if (!lagging.isUp) lagging.start();
            await world.published(lagging);
          },
          after + 1,
        );
      }
    }
  });

  it('Ensure that an image that raft does not want is gone, and a restart goes on with the newer store.', async () => {
    await Scenario.play(SHORT_LOG, async (world) => {
      const {leader} = world;
      const [member] = world.followers;
      await world.puts(leader, 30);
      const {reader, mark} = await world.cluster.drive(storeOf(leader).view());
      // An image of before, brought again by a link that was slow: it arrives whole, behind the log.
      await world.puts(leader, 60);
      const folder = 'store/9';
      await world.cluster.drive(member.disk.makeFolder(folder));
      await world.cluster.drive(member.disk.syncFolder('store'));
      const backend = await world.cluster.drive(member.images.open(folder));
      const clock = member.life?.clock;
      expect(clock).toBeDefined();
      if (clock === undefined) return;
      await world.cluster.drive(readStateImage(writeStateImage(reader, {clock}), backend));
      expect(backend.applied()).toEqual(mark);
      member.kill({landed: false});
      member.start();
      await world.published(member);
    });
  });

  it('Ensure that alarms, members and hashes are read from one state or the other, not while an image takes its place.', async () => {
    await Scenario.play(SHORT_LOG, async (world) => {
      const lagging = await leaveBehind(world);
      const store = storeOf(lagging);
      const server = serverOf(lagging);
      const {revision} = server.header();
      let isReplaced = false;
      let finish = () => {};
      const replaceBackend = store.replaceBackend.bind(store);
      store.replaceBackend = async (backend) => {
        const old = await replaceBackend(backend);
        isReplaced = true;
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        return old;
      };
      world.cluster.network.heal();
      await world.until(() => isReplaced, 'an image in the place of the store');
      const answered: string[] = [];
      const reads = [
        server.alarms(),
        server.members({linearizable: false}),
        server.hashKv(revision),
        server.members({linearizable: true}),
        server.leases(),
        server.leaseTimeToLive({id: 1n, keys: true}),
      ].map((read) => read.then(({header}) => answered.push(String(header.revision > revision))));
      await world.cluster.pass(1_000);
      expect(answered).toEqual([]);
      finish();
      await world.cluster.drive(Promise.all(reads));
      expect(answered).toEqual(reads.map(() => 'true'));
    });
  });
});
