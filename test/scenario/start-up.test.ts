/** Starts that are cut short, and starts after damage. */

import {describe, expect, it} from 'vitest';
import {anyCrash, loseUnsynced} from '../simulator/memory-disk.ts';
import {Scenario} from '../simulator/scenario.ts';
import {SeededRandom} from '../simulator/seeded-random.ts';
import type {SimulatedMember} from '../simulator/simulated-member.ts';

describe('a start that is cut short', () => {
  it('Ensure that the founding of a cluster survives a crash before each operation of the disk.', async () => {
    for (let after = 0; after < 36; after++) {
      for (const isPower of [false, true]) {
        const world = new Scenario({}, after + 1);
        const member = world.cluster.members[2];
        member.crashAfterOperations = after;
        member.onArmedCrash = () => {
          if (isPower) member.losePower(loseUnsynced, {landed: false});
          else member.kill({landed: false});
          world.cluster.queue.after(20, () => member.start());
        };
        await world.cluster.play(() => world.puts(world.leader, 3));
      }
    }
  });

  it('Ensure that a restart survives a crash before each operation of the disk, again and again.', async () => {
    await Scenario.play({snapshotCount: 20, walSegmentBytes: 4_096}, async (world) => {
      const [member] = world.followers;
      const random = new SeededRandom(5);
      await world.puts(world.leader, 50);
      let isUp = false;
      for (let after = 0; !isUp; after++) {
        if (member.isUp) member.kill({landed: false});
        member.crashAfterOperations = after;
        member.onArmedCrash = () => {
          if (after % 2 === 0) member.losePower(anyCrash(random), {landed: false});
          else member.kill({landed: false});
        };
        const life = member.start();
        await world.until(() => !life.isAlive || life.isPublished, 'the crash or the end of start-up');
        isUp = life.isPublished;
        if (after % 5 === 0) await world.puts(world.leader, 3);
      }
      member.crashAfterOperations = undefined;
    });
  });
});

describe('the first start of a cluster', () => {
  /** Starts a founder later than the others. */
  const late = ({cluster}: Scenario, place: number, afterMs: number): SimulatedMember => {
    const member = cluster.members[place];
    member.crashAfterOperations = 0;
    member.onArmedCrash = () => {
      member.kill({landed: false});
      cluster.queue.after(afterMs, () => member.start());
    };
    return member;
  };

  it('Ensure that a founder waits for a second one, and the two of them for no third.', async () => {
    const world = new Scenario();
    const {cluster} = world;
    const [first] = cluster.members;
    late(world, 1, 8_000);
    const third = late(world, 2, 16_000);
    const seen: unknown[] = [];
    const note = () => seen.push([first.replica?.loop.takesPart, cluster.leader() !== undefined]);
    const watch = () => {
      cluster.queue.after(4_000, note);
      // Its data dir is made by now; it still has to ask.
      cluster.queue.after(4_100, () => {
        first.kill({landed: false});
        first.start();
      });
      cluster.queue.after(7_900, note);
      cluster.queue.after(12_000, note);
    };
    cluster.queue.after(1, watch);
    await cluster.play(async () => {
      expect(third.isUp).toBe(true);
      await world.puts(world.leader, 3);
    });
    expect(seen).toEqual([
      [false, false],
      [false, false],
      [true, true],
    ]);
  });

  it('Ensure that a founder that came late is asked nothing more once it has taken part.', async () => {
    await Scenario.play({}, async (world) => {
      const [one, other] = world.followers;
      expect(one.life?.opened?.strangersMin).toBe(1);
      for (const member of [one, other]) member.kill({landed: false});
      one.start();
      await world.until(() => one.replica !== undefined, 'it opens');
      expect(one.life?.opened?.strangersMin).toBe(0);
      other.start();
      for (const member of [one, other]) await world.published(member);
    });
  });
});

describe('a start after damage', () => {
  it('Ensure that a member whose last batch is damaged keeps quiet until it has caught up.', async () => {
    await Scenario.play({}, async (world) => {
      await world.puts(world.leader, 20);
      const [member] = world.followers;
      member.kill({landed: false});
      const path = 'wal/0000000000000001.wal';
      const bytes = member.disk.bytesOf(path);
      let end = bytes.length;
      while (end > 0 && bytes[end - 1] === 0) end--;
      // Not zeros, not a torn end: it may have been acknowledged.
      member.disk.tamper(path, end - 60, Buffer.alloc(8, 0x5a));
      member.isDamaged = true;
      member.start();
      await world.until(() => member.replica !== undefined, 'it opens');
      expect(member.replica?.loop.status().probation).toBeGreaterThan(0);
      await world.puts(world.leader, 3);
      await world.published(member);
      expect(member.replica?.loop.status().probation).toBe(0);
    });
  });

  it('Ensure that a second process is kept off the data dir of a first.', async () => {
    await Scenario.play({}, async (world) => {
      const [member] = world.followers;
      expect(() => member.start()).toThrow('runs already');
      await world.puts(world.leader, 1);
    });
  });

  it('Ensure that a cluster that loses power as a whole has every acknowledged write.', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      await Scenario.play(
        {snapshotCount: 10, members: seed % 3 === 0 ? 1 : 3},
        async (world) => {
          const random = new SeededRandom(seed);
          await world.puts(world.leader, 25);
          await world.put(world.leader, 'k1', `last ${seed}`);
          for (const member of world.cluster.members) member.losePower(anyCrash(random), {landed: false});
          for (const member of world.cluster.members) member.start();
          await world.until(() => world.cluster.leader() !== undefined, 'a leader');
          const {result} = await world.get(world.leader, 'k1');
          expect(Buffer.from(result.kvs[0].value).toString()).toBe(`last ${seed}`);
        },
        seed,
      );
    }
  });
});
