/** Members that come and go: refused, passed on, removed while they lead, wiped, and come back. */

import {describe, expect, it} from 'vitest';
import type {Member} from '../../src/engine/types.ts';
import {codeOf, Scenario, serverOf} from '../simulator/scenario.ts';
import type {SimulatedMember} from '../simulator/simulated-member.ts';

const idOf = (member: SimulatedMember) => member.life?.opened?.identity.memberId ?? 0n;

async function listAt(world: Scenario, member: SimulatedMember): Promise<readonly Member[]> {
  const {result} = await world.cluster.drive(serverOf(member).members({linearizable: true}));
  return result;
}

function joining(world: Scenario, member: SimulatedMember): void {
  const cluster = new Map(world.cluster.members.map(({name, url}) => [name, [url]]));
  member.config = {...member.config, initialCluster: cluster, initialClusterState: 'existing'};
}

/** Its machine gets an empty disk, and joins as another member. */
async function comesAnew(
  world: Scenario,
  member: SimulatedMember,
  {by, isLearner = false}: {readonly by: SimulatedMember; readonly isLearner?: boolean},
): Promise<void> {
  member.wipe();
  await world.cluster.pass(6_000);
  await world.cluster.drive(serverOf(by).memberAdd({peerURLs: [member.url], isLearner}));
  joining(world, member);
  member.start();
  await world.published(member);
}

describe('changes of the member list', () => {
  it('Ensure that a follower passes a change on to its leader, and answers when it knows it itself.', async () => {
    await Scenario.play({}, async (world) => {
      await world.cluster.pass(6_000);
      const [follower] = world.followers;
      const peerURLs = ['http://m9:2380'];
      const {result} = await world.cluster.drive(serverOf(follower).memberAdd({peerURLs, isLearner: true}));
      expect(result.member.isLearner).toBe(true);
      expect(await listAt(world, follower)).toHaveLength(4);
      const promoted = codeOf(serverOf(follower).memberPromote(result.member.id));
      expect(await world.cluster.drive(promoted)).toBe('learnerNotReady');
      await world.cluster.drive(serverOf(follower).memberRemove(result.member.id));
      expect(await listAt(world, world.leader)).toHaveLength(3);
    });
  });

  it("Ensure that the leader's bound of learners counts, whatever the members that apply the change have.", async () => {
    await Scenario.play({}, async (world) => {
      const [generous, ...others] = world.cluster.members;
      generous.kill({landed: false});
      generous.config = {...generous.config, maxLearners: 2};
      generous.start();
      await world.published(generous);
      const lead = async (member: SimulatedMember) => {
        if (world.leader === member) return;
        await world.cluster.drive(serverOf(world.leader).moveLeader(idOf(member)));
      };
      const add = (place: number) =>
        codeOf(serverOf(others[0]).memberAdd({peerURLs: [`http://m${place}:2380`], isLearner: true}));
      await lead(generous);
      await world.cluster.pass(6_000);
      expect(await world.cluster.drive(add(8))).toBe('ok');
      // Side by side: the second of them finds the first in its way.
      const both = [add(9), add(10)];
      expect((await world.cluster.drive(Promise.all(both))).sort()).toEqual(['ok', 'tooManyLearners']);
      for (const member of world.cluster.members) expect(await listAt(world, member)).toHaveLength(5);
      const [learner] = (await listAt(world, generous)).filter(({isLearner}) => isLearner);
      await world.cluster.drive(serverOf(generous).memberRemove(learner.id));
      await lead(others[1]);
      await world.cluster.pass(6_000);
      expect(await world.cluster.drive(add(11))).toBe('tooManyLearners');
    });
  });

  it('Ensure that the strict check refuses to add a voter while one is away.', async () => {
    await Scenario.play({}, async (world) => {
      const strict = world.cluster.members[1];
      if (world.leader !== strict) await world.cluster.drive(serverOf(world.leader).moveLeader(idOf(strict)));
      await world.cluster.pass(6_000);
      const [away] = world.followers;
      away.kill({landed: false});
      await world.cluster.pass(3_000);
      const added = codeOf(serverOf(strict).memberAdd({peerURLs: ['http://m9:2380'], isLearner: false}));
      expect(await world.cluster.drive(added)).toBe('unhealthy');
    });
  });

  it('Ensure that a leader can remove itself: it answers or ends, and the others go on.', async () => {
    await Scenario.play({}, async (world) => {
      const old = world.leader;
      const [other] = world.followers;
      await world.isHealthy();
      // Its answer may still be on the way when its links end with it.
      const removal = serverOf(other).memberRemove(idOf(old));
      const outcome = await world.cluster.drive(removal.catch((error: unknown) => error));
      if (outcome instanceof Error) expect(outcome).toMatchObject({code: 'timeoutConnectionLost'});
      await world.until(() => !old.isUp, 'the removed member ends');
      expect(world.cluster.ends.map(({error}) => error)).toEqual([undefined]);
      const next = await world.newLeader(old);
      await world.puts(next, 5);
      // ... and comes back with an empty disk, as another member.
      await comesAnew(world, old, {by: next});
      expect(await listAt(world, old)).toHaveLength(3);
    });
  });

  it('Ensure that whoever has applied the removal of the only other voter leads alone after a power failure.', async () => {
    await Scenario.play({members: 2}, async (world) => {
      const [left] = world.followers;
      const {leader} = world;
      await world.isHealthy();
      await world.cluster.drive(serverOf(leader).memberRemove(idOf(left)));
      leader.kill({landed: false});
      if (left.isUp) left.kill({landed: false});
      leader.start();
      await world.published(leader);
      expect(await listAt(world, leader)).toHaveLength(1);
      await comesAnew(world, left, {by: leader});
    });
  });

  it('Ensure that a leader that removed itself votes for the other one, which does not know of it yet.', async () => {
    await Scenario.play({members: 2}, async (world) => {
      const [left] = world.followers;
      const {leader} = world;
      await world.isHealthy();
      const removal = serverOf(leader).memberRemove(idOf(leader));
      const hasIt = () => {
        const {commit = 0, lastIndex = 0} = left.life?.opened?.raft.status() ?? {};
        return lastIndex > commit;
      };
      await world.until(hasIt, 'the removal in its log');
      world.cluster.network.cut(leader.name, left.name);
      await world.cluster.drive(removal);
      left.kill({landed: false});
      world.cluster.network.heal();
      left.start();
      await world.published(left);
      await world.until(() => !leader.isUp, 'the removed member ends');
      expect(await listAt(world, left)).toHaveLength(1);
      await comesAnew(world, leader, {by: left});
    });
  });

  it('Ensure that a member that was cut off while it was removed learns of it when it comes back.', async () => {
    await Scenario.play({}, async (world) => {
      const [away] = world.followers;
      await world.isHealthy();
      world.isolate(away);
      const id = idOf(away);
      await world.cluster.drive(serverOf(world.leader).memberRemove(id));
      await world.cluster.pass(4_000);
      world.cluster.network.heal();
      await world.until(() => !away.isUp, 'it ends');
      await comesAnew(world, away, {by: world.leader, isLearner: true});
      await world.cluster.drive(serverOf(world.leader).memberPromote(idOf(away)));
    });
  });
});

describe('an added member', () => {
  it('Ensure that one that is started as a founder by mistake is told how to join, and joins then.', async () => {
    await Scenario.play({}, async (world) => {
      const [added] = world.followers;
      await world.isHealthy();
      await world.cluster.drive(serverOf(world.leader).memberRemove(idOf(added)));
      await world.until(() => !added.isUp, 'the removed member ends');
      added.wipe();
      await world.cluster.pass(6_000);
      const {leader} = world;
      await world.cluster.drive(serverOf(leader).memberAdd({peerURLs: [added.url], isLearner: false}));
      world.cluster.expectsEnds = true;
      const founding = added.config;
      // With the founders' own list, and with flags that make ids of another cluster.
      for (const initialClusterToken of [founding.initialClusterToken, 'another']) {
        added.config = {...founding, initialClusterToken};
        added.start();
        await world.until(() => !added.isUp, 'its end');
        expect(world.cluster.ends.at(-1)?.error).toMatchObject({
          failure: {
            code: 'configInvalid',
            detail: expect.stringMatching(/--initial-cluster-state=existing$/),
          },
        });
      }
      joining(world, added);
      added.start();
      await world.published(added);
    });
  });
});

describe('a member that joins', () => {
  it.each([
    ['still lists who it was', false],
    ['does not list it yet', true],
  ])(
    'Ensure that it finds its place although the first peer that it asks %s.',
    async (_what, knowsOfRemoval) => {
      await Scenario.play({members: 5}, async (world) => {
        const {network} = world.cluster;
        // Without the strict check, which lets nobody in while one is away.
        const leader = world.cluster.members[0];
        if (world.leader !== leader) {
          await world.cluster.drive(serverOf(world.leader).moveLeader(idOf(leader)));
          await world.until(() => leader.replica?.loop.isLeader === true, 'it leads');
        }
        const [behind, joiner] = world.followers;
        await world.isHealthy();
        if (!knowsOfRemoval) world.isolate(behind);
        await world.cluster.drive(serverOf(leader).memberRemove(idOf(joiner)));
        await world.until(() => !joiner.isUp, 'the removed member ends');
        joiner.wipe();
        await world.cluster.pass(6_000);
        if (knowsOfRemoval) world.isolate(behind);
        await world.cluster.drive(serverOf(leader).memberAdd({peerURLs: [joiner.url], isLearner: false}));
        network.restore([
          [behind.name, joiner.name],
          [joiner.name, behind.name],
        ]);
        joining(world, joiner);
        const {initialCluster} = joiner.config;
        const first = [behind.name, [behind.url]] as const;
        joiner.config = {...joiner.config, initialCluster: new Map([first, ...initialCluster])};
        joiner.start();
        await world.published(joiner);
      });
    },
  );
});

describe('a wiped member', () => {
  it('Ensure that a founder whose disk is empty is refused while the others remember it.', async () => {
    await Scenario.play({}, async (world) => {
      const [wiped] = world.followers;
      await world.puts(world.leader, 5);
      wiped.kill({landed: false});
      wiped.wipe();
      world.cluster.expectsEnds = true;
      wiped.start();
      await world.until(() => !wiped.isUp, 'its end');
      expect(world.cluster.ends.at(-1)?.error).toMatchObject({failure: {code: 'clusterMismatch'}});
      await rejoin(world, wiped);
    });
  });

  it('Ensure that one that says it joins cannot elect who lacks what it once acknowledged.', async () => {
    await Scenario.play({}, async (world) => {
      const {leader} = world;
      const [wiped, behind] = world.followers;
      await world.puts(leader, 5);
      world.isolate(behind);
      await world.cluster.pass(3_000);
      await world.put(leader, 'k1', 'acknowledged by the one that is wiped');
      leader.kill({landed: false});
      wiped.kill({landed: false});
      wiped.wipe();
      joining(world, wiped);
      world.cluster.network.heal();
      world.cluster.expectsEnds = true;
      wiped.start();
      await world.cluster.pass(20_000);
      expect(world.cluster.leader()).toBeUndefined();
      leader.start();
      await world.published(leader);
      await rejoin(world, wiped);
    });
  });
});

describe('a wiped founder that nobody answers', () => {
  it('Ensure that it cannot elect who lacks what it once acknowledged.', async () => {
    await Scenario.play({}, async (world) => {
      const {leader} = world;
      const [wiped, behind] = world.followers;
      // The checkers are told that what it had is gone.
      const opens = async (member: SimulatedMember) => {
        member.isDamaged = true;
        member.start();
        await world.until(() => member.replica !== undefined, 'it opens');
        member.isDamaged = false;
      };
      await world.puts(leader, 5);
      world.isolate(behind);
      await world.cluster.pass(3_000);
      await world.put(leader, 'k1', 'acknowledged by the one that is wiped');
      for (const member of [leader, wiped, behind]) member.kill({landed: false});
      world.cluster.network.heal();
      wiped.wipe();
      await opens(wiped);
      await world.cluster.pass(5_000);
      expect(wiped.isUp).toBe(true);
      expect(wiped.replica?.loop.takesPart).toBe(false);
      world.cluster.expectsEnds = true;
      behind.start();
      await world.until(() => !wiped.isUp, 'its end');
      expect(world.cluster.ends.at(-1)?.error).toMatchObject({failure: {code: 'clusterMismatch'}});
      expect(world.cluster.leader()).toBeUndefined();
      // It has a data dir by now, and knows no more than before.
      await opens(wiped);
      await world.until(() => !wiped.isUp, 'its end');
      leader.start();
      await world.until(() => world.cluster.leader() !== undefined, 'a leader');
      await rejoin(world, wiped);
    });
  });
});

/** As the refusal says: out, and in again. */
async function rejoin(world: Scenario, member: SimulatedMember): Promise<void> {
  const {leader} = world;
  await world.until(() => world.cluster.leader() !== undefined, 'a leader');
  const known = (await listAt(world, leader)).find(({peerURLs}) => peerURLs.includes(member.url));
  if (member.isUp) member.kill({landed: false});
  if (known !== undefined) await world.cluster.drive(serverOf(leader).memberRemove(known.id));
  await comesAnew(world, member, {by: leader});
}
