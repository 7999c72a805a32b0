/** What a leader that was left behind must not do, and what happens when a leader is taken away. */

import {describe, expect, it} from 'vitest';
import {putOf as putRequest, rangeOf} from '../simulator/requests.ts';
import {codeOf, Scenario, serverOf} from '../simulator/scenario.ts';

describe('a leader that was left behind', () => {
  it('Ensure that it answers no linearizable read, and answers rightly when it is back.', async () => {
    await Scenario.play({}, async (world) => {
      const old = world.leader;
      await world.put(old, 'k1', 'before');
      world.isolate(old);
      const stale = codeOf(serverOf(old).range(rangeOf('k1')));
      const next = await world.newLeader(old);
      await world.put(next, 'k1', 'after');
      expect(await world.cluster.drive(stale)).toMatch(/^timeout/);
      world.cluster.network.heal();
      await world.until(
        () => old.replica?.loop.leader === next.life?.opened?.identity.memberId,
        'one leader',
      );
      const {result} = await world.get(old, 'k1');
      expect(Buffer.from(result.kvs[0].value).toString()).toBe('after');
    });
  });

  it('Ensure that a read it was asked while it stood still sees what was written meanwhile.', async () => {
    await Scenario.play({}, async (world) => {
      const old = world.leader;
      await world.put(old, 'k1', 'before');
      old.life?.clock.pause();
      const next = await world.newLeader(old);
      await world.put(next, 'k1', 'after');
      let read: ReturnType<typeof world.get> | undefined;
      old.life?.clock.enter(() => {
        read = serverOf(old).range(rangeOf('k1'));
      });
      old.life?.clock.resume();
      await world.until(() => read !== undefined, 'the question');
      const {result} = await world.cluster.drive(read as ReturnType<typeof world.get>);
      expect(Buffer.from(result.kvs[0].value).toString()).toBe('after');
    });
  });

  it('Ensure that it revokes no lease that its successor renews.', async () => {
    await Scenario.play({}, async (world) => {
      const old = world.leader;
      const {leases} = world.cluster;
      const asked = leases.ask();
      const granted = await world.cluster.drive(serverOf(old).leaseGrant({id: 7n, ttlSeconds: 4}));
      leases.granted(7n, {ttlSeconds: granted.result.ttlSeconds, asked, isShared: true});
      old.life?.clock.pause();
      const next = await world.newLeader(old);
      for (let i = 0; i < 5; i++) {
        const renewal = leases.ask();
        const {result} = await world.cluster.drive(serverOf(next).leaseRenew(7n));
        leases.renewed(7n, {...result, asked: renewal});
        await world.cluster.pass(1_500);
      }
      old.life?.clock.resume();
      await world.cluster.pass(2_000);
      expect(world.cluster.model.leases.has(7n)).toBe(true);
    });
  });

  it('Ensure that a lease lives its whole TTL after a renewal, though its leader is lost with the answer.', async () => {
    await Scenario.play({}, async (world) => {
      const old = world.leader;
      const {leases} = world.cluster;
      const asked = leases.ask();
      await world.cluster.drive(serverOf(old).leaseGrant({id: 7n, ttlSeconds: 8}));
      leases.granted(7n, {ttlSeconds: 8, asked, isShared: true});
      // By now what is left has been noted in the log.
      await world.cluster.pass(7_000);
      const renewal = leases.ask();
      const {result} = await world.cluster.drive(serverOf(old).leaseRenew(7n));
      old.kill({landed: false});
      leases.renewed(7n, {...result, asked: renewal});
      await world.newLeader(old);
      await world.cluster.pass(5_000);
      expect(world.cluster.model.leases.has(7n)).toBe(true);
    });
  });
});

describe('leaders that go', () => {
  it('Ensure that leadership moves where it is asked to, under load, and nothing is lost.', async () => {
    await Scenario.play({clients: 0}, async (world) => {
      for (let i = 0; i < 6; i++) {
        const {leader, followers} = world;
        const [target] = followers;
        const id = target.life?.opened?.identity.memberId ?? 0n;
        const writes = [1, 2, 3].map((n) => serverOf(followers[1]).put(putRequest(`k${n}`, `${i}.${n}`)));
        await world.cluster.drive(serverOf(leader).moveLeader(id));
        expect(world.leader).toBe(target);
        await world.cluster.drive(Promise.allSettled(writes));
      }
    });
  });

  it('Ensure that a stop hands leadership over, and that a disk that fails meanwhile does not hold it up.', async () => {
    await Scenario.play({}, async (world) => {
      const first = world.leader;
      await world.cluster.drive(first.stop());
      const second = await world.newLeader(first);
      second.weather.isHung = true;
      void codeOf(serverOf(second).put(putRequest('k1', 'lost or not')));
      const stopping = second.stop();
      await world.cluster.pass(2_500);
      second.weather.syncErrors = 1;
      second.weather.isHung = false;
      await world.cluster.drive(stopping);
      expect(second.isUp).toBe(false);
    });
  });

  it('Ensure that a leader with a hung disk makes room for another within three election timeouts.', async () => {
    await Scenario.play({}, async (world) => {
      const old = world.leader;
      old.weather.isHung = true;
      void codeOf(serverOf(old).put(putRequest('k1', 'v')));
      const startedMs = world.cluster.queue.nowMs;
      const next = await world.newLeader(old);
      await world.put(next, 'k2', 'v');
      expect(world.cluster.queue.nowMs - startedMs).toBeLessThan(6_000);
      old.weather.isHung = false;
    });
  });
});
