/** That faults do what they say: a fault that strikes nothing would prove nothing. */

import {describe, expect, it} from 'vitest';
import {callMember} from '../client-call.ts';
import {putOf} from '../requests.ts';
import {codeOf, Scenario, serverOf} from '../scenario.ts';
import {SeededRandom} from '../seeded-random.ts';
import type {SimulatedMember} from '../simulated-member.ts';
import {type FaultScene, NETWORK_FAULTS, type NetworkFault} from './fault-kinds.ts';
import {strikeNetwork} from './network-faults.ts';
import {strikeAsOperator} from './operator-faults.ts';
import {strikeProcess} from './process-faults.ts';

function sceneOf(world: Scenario, clients: readonly string[] = []): FaultScene {
  const {network, members} = world.cluster;
  return {
    random: new SeededRandom(3),
    network,
    members,
    clients,
    clockRateMax: 1,
    casualties: world.cluster.casualties,
    askHashes: () => undefined,
    note: () => undefined,
    reach: () => undefined,
    struck: () => undefined,
    changesMembers: false,
    later: () => undefined,
    onAssertion: (error) => {
      throw error;
    },
    violate: (invariant, detail) => world.cluster.violate(invariant, detail),
  };
}

/** For each member, how many others it exchanges messages with, both ways. */
function neighbours(world: Scenario): number[] {
  const {network, members} = world.cluster;
  const isJoined = (a: string, b: string) => !network.isCut(a, b) && !network.isCut(b, a);
  return members.map(
    ({name}) => members.filter((one) => one.name !== name && isJoined(name, one.name)).length,
  );
}

/** Every draw is the largest there is. */
class LargestDraws extends SeededRandom {
  override below(bound: number): number {
    return bound - 1;
  }
}

describe('a member that is down', () => {
  it('Ensure that what is done to it is not counted, as is what is done to one that runs.', async () => {
    await Scenario.play({}, async (world) => {
      const scene = sceneOf(world);
      const stroke = {member: world.leader, ms: 1};
      expect(strikeAsOperator('defragment', scene, stroke)).toBe(true);
      expect(strikeProcess('kill', scene, stroke)).toBe(true);
      for (const kind of ['kill', 'power', 'pause', 'stop'] as const)
        expect(strikeProcess(kind, scene, stroke), kind).toBe(false);
      for (const kind of ['campaign', 'defragment', 'noSpace'] as const)
        expect(strikeAsOperator(kind, scene, stroke), kind).toBe(false);
      for (const kind of ['linkBreak', 'halfOpen'] as const)
        expect(strikeNetwork(kind, scene, stroke), kind).toBe(false);
    });
  });
});

describe('partitions', () => {
  it.each([
    ['isolate', [0, 3, 3, 3, 3]],
    ['star', [1, 1, 1, 1, 4]],
    ['bridge', [2, 2, 2, 2, 4]],
    ['ring', [2, 2, 2, 2, 2]],
    ['oneWay', [0, 3, 3, 3, 3]],
  ] as const)(
    'Ensure that %s leaves each of five members as many neighbours as it should.',
    async (kind, wanted) => {
      await Scenario.play({members: 5}, async (world) => {
        strikeNetwork(kind, sceneOf(world), {member: world.leader, ms: 1});
        expect(neighbours(world).sort()).toEqual([...wanted]);
      });
    },
  );

  it('Ensure that one that ends leaves what another cuts.', async () => {
    await Scenario.play({}, async ({cluster: {network}}) => {
      network.cutAll([['m1', 'm2']]);
      network.cutAll([
        ['m1', 'm2'],
        ['m2', 'm1'],
      ]);
      network.restore([
        ['m1', 'm2'],
        ['m2', 'm1'],
      ]);
      expect(network.isCut('m1', 'm2')).toBe(true);
      expect(network.isCut('m2', 'm1')).toBe(false);
    });
  });

  it('Ensure that a client whose answers are cut off does not know, though its request was carried out.', async () => {
    await Scenario.play({}, async (world) => {
      const {network} = world.cluster;
      const call = (from: string) =>
        world.cluster.drive(
          callMember(
            {from, network, member: world.leader, timeoutMs: 500, onAssertion: () => undefined},
            (server) => server.leaseGrant({id: from === 'c1' ? 1n : 2n, ttlSeconds: 60}),
          ),
        );
      network.cut(world.leader.name, 'c1');
      network.cut('c2', world.leader.name);
      expect(await call('c1')).toEqual({kind: 'unknown', code: 'cut'});
      expect(await call('c2')).toEqual({kind: 'unknown', code: 'cut'});
      expect([...world.cluster.model.leases.keys()]).toEqual([1n]);
      world.cluster.model.leases.clear();
    });
  });

  it('Ensure that one that cuts nothing is not counted.', async () => {
    await Scenario.play({members: 3}, async (world) => {
      const strike = (kind: NetworkFault) =>
        strikeNetwork(kind, sceneOf(world), {member: world.leader, ms: 1});
      // Of three members each sees both neighbours in a ring.
      expect([strike('ring'), strike('isolate')]).toEqual([false, true]);
      world.cluster.network.heal();
    });
  });

  it('Ensure that every kind of them can strike.', async () => {
    await Scenario.play({}, async (world) => {
      for (const kind of NETWORK_FAULTS)
        expect(() =>
          strikeNetwork(kind, sceneOf(world, ['c1']), {member: world.leader, ms: 1}),
        ).not.toThrow();
    });
  });
});

describe('slow members', () => {
  it('Ensure that what one says and hears takes longer, until all is well, and nothing between others.', async () => {
    await Scenario.play({}, async ({cluster: {network}}) => {
      network.setLag('m1', 500);
      expect(network.wayMs('m1', 'm2')).toBeGreaterThanOrEqual(500);
      expect(network.wayMs('m3', 'm1')).toBeGreaterThanOrEqual(500);
      expect(network.wayMs('m2', 'm3')).toBeLessThan(100);
      network.heal();
      expect(network.wayMs('m1', 'm2')).toBeLessThan(100);
    });
  });

  it('Ensure that the others go on without one.', async () => {
    await Scenario.play({}, async (world) => {
      const {leader} = world;
      const [member, other] = world.followers;
      strikeNetwork('slowMember', {...sceneOf(world), random: new LargestDraws(1)}, {member, ms: 1});
      await world.put(leader, 'k', 'v');
      const index = leader.replica?.applier.index ?? 0;
      await world.until(() => other.replica?.applier.index === index, 'the other has it');
      expect(member.replica?.applier.index).toBeLessThan(index);
      world.cluster.network.heal();
      await world.until(() => member.replica?.applier.index === index, 'the slow one has it');
    });
  });
});

describe('late work', () => {
  it('Ensure that a member that applies late knows what is committed, and catches up at its next life at the latest.', async () => {
    await Scenario.play({}, async (world) => {
      const {leader} = world;
      const [member] = world.followers;
      await world.put(leader, 'k', 'v');
      const statusOf = () => member.replica?.loop.status() ?? {applied: 0, commit: 0, term: 0};
      const {term} = statusOf();
      strikeProcess('lateApply', sceneOf(world), {member, ms: 1});
      await world.puts(leader, 5);
      await world.cluster.pass(3_000);
      expect(statusOf().commit).toBe(leader.replica?.loop.status().commit);
      expect(statusOf().applied).toBeLessThan(statusOf().commit);
      expect(statusOf().term).toBe(term);
      member.kill({landed: false});
      member.start();
      member.lateWork.isApplyingLate = false;
      await world.published(member);
    });
  });

  it('Ensure that one that deletes late gives the hashes of those that have deleted.', async () => {
    await Scenario.play({}, async (world) => {
      const {leader} = world;
      const [member] = world.followers;
      await world.puts(leader, 20);
      const isFinished = (one: SimulatedMember) => {
        const mvcc = one.replica?.mvcc;
        return mvcc !== undefined && mvcc.compactRevision() > 0 && mvcc.finishedCompactRevision() > 0;
      };
      const due: (() => void)[] = [];
      const scene = {...sceneOf(world), later: (_ms: number, action: () => void) => due.push(action)};
      strikeProcess('lateSweep', scene, {member, ms: 1});
      await world.until(() => isFinished(leader), 'the leader has deleted');
      await world.cluster.pass(1_000);
      expect(isFinished(member)).toBe(false);
      const {revision} = serverOf(leader).header();
      const hashOf = async (one: SimulatedMember) =>
        (await world.cluster.drive(serverOf(one).hashKv(revision))).result;
      expect(await hashOf(member)).toEqual(await hashOf(leader));
      for (const action of due) action();
      await world.until(() => isFinished(member), 'it has deleted, too');
    });
  });
});

describe('connections', () => {
  it('Ensure that a half-open one loses what is sent, and breaks when nobody answers its pings.', async () => {
    await Scenario.play({}, async (world) => {
      const {leader} = world;
      const [follower] = world.followers;
      const id = follower.life?.opened?.identity.memberId ?? 0n;
      const network = leader.life?.network;
      const since = network?.connectedSinceMs(id);
      expect(since).toBeDefined();
      network?.deafenLink(id);
      const index = follower.replica?.applier.index ?? 0;
      await world.put(leader, 'k', 'v');
      await world.cluster.pass(100);
      expect(follower.replica?.applier.index).toBe(index);
      await world.until(() => network?.connectedSinceMs(id) !== since, 'the link breaks');
      await world.until(() => (follower.replica?.applier.index ?? 0) > index, 'and is made anew');
    });
  });
});

describe('processes', () => {
  it('Ensure that a second one of the same member is refused, at any time of the first.', async () => {
    await Scenario.play({}, async (world) => {
      const [member] = world.followers;
      expect(await world.cluster.drive(member.startSecond())).toBe('refused');
      member.kill({landed: false});
      expect(await world.cluster.drive(member.startSecond())).toBe('moot');
      member.start();
      await world.published(member);
      expect(await world.cluster.drive(member.startSecond())).toBe('refused');
      await world.puts(world.leader, 2);
    });
  });

  it('Ensure that a calendar that jumps leaves the monotonic clock alone.', async () => {
    await Scenario.play({}, async (world) => {
      const {leader} = world;
      const clock = leader.life?.clock;
      const [wall, monotonic] = [clock?.wallMs() ?? 0, clock?.monotonicMs() ?? 0];
      strikeProcess('clockJump', sceneOf(world), {member: leader, ms: 1});
      expect(Math.abs((clock?.wallMs() ?? 0) - wall)).toBeGreaterThan(1_000);
      expect(clock?.monotonicMs()).toBe(monotonic);
      await world.puts(leader, 2);
    });
  });
});

describe('disks', () => {
  it('Ensure that an error of any operation ends a process by its own word, and it starts again.', async () => {
    await Scenario.play({}, async (world) => {
      const [member] = world.followers;
      member.weather.ioErrors = 1;
      const life = member.life;
      await world.puts(world.leader, 5);
      await world.until(() => life?.isAlive === false, 'it ends');
      expect(String(world.cluster.ends.at(-1)?.error)).toContain('EIO');
      member.start();
      await world.published(member);
    });
  });

  it('Ensure that a full one ends a process when its log needs room, and it starts when there is some.', async () => {
    await Scenario.play({walSegmentBytes: 4_096}, async (world) => {
      const [member] = world.followers;
      member.setDiskFull(true);
      const life = member.life;
      for (let i = 0; life?.isAlive === true && i < 200; i++) await world.puts(world.leader, 10);
      expect(life?.isAlive).toBe(false);
      member.setDiskFull(false);
      member.start();
      await world.published(member);
    });
  });
});

describe('operators', () => {
  it('Ensure that one who moves leadership mostly asks the member that leads.', async () => {
    await Scenario.play({}, async (world) => {
      const [target] = world.followers;
      const id = target.life?.opened?.identity.memberId;
      const random = new LargestDraws(1);
      const members = [...world.followers.filter((one) => one !== target), world.leader, target];
      strikeAsOperator('moveLeader', {...sceneOf(world), members, random}, {member: target, ms: 1});
      await world.until(() => world.cluster.leader()?.life?.opened?.identity.memberId === id, 'it leads');
    });
  });

  it('Ensure that a full cluster refuses what grows, until somebody makes room.', async () => {
    await Scenario.play({}, async (world) => {
      const {leader} = world;
      const due: (() => void)[] = [];
      const scene = {...sceneOf(world), later: (_ms: number, action: () => void) => due.push(action)};
      strikeAsOperator('noSpace', scene, {member: leader, ms: 1});
      await world.until(() => world.cluster.model.isFull, 'the alarm');
      const put = () => world.cluster.drive(codeOf(serverOf(leader).put(putOf('k', 'v'))));
      expect(await put()).toBe('noSpace');
      for (let tries = 0; world.cluster.model.isFull && tries < 50; tries++) {
        for (const action of due.splice(0)) action();
        await world.cluster.pass(500);
      }
      expect(await put()).toBe('ok');
    });
  });

  it('Ensure that members become learners and voters again, several in one change.', async () => {
    await Scenario.play({members: 5}, async (world) => {
      // The leader may be among those that become learners.
      const confState = () => world.cluster.leader()?.replica?.loop.status().confState;
      const strike = () => strikeAsOperator('jointChange', sceneOf(world), {member: world.leader, ms: 1});
      strike();
      await world.until(() => confState()?.learners.length === 2, 'two learners');
      await world.until(() => confState()?.votersOutgoing.length === 0, 'the joint configuration is left');
      await world.until(() => world.cluster.leader() !== undefined, 'a leader');
      await world.puts(world.leader, 3);
      strike();
      await world.until(() => confState()?.voters.length === 5, 'five voters');
    });
  });
});
