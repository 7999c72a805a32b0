import {describe, expect, it} from 'vitest';
import {codeOf, Scenario} from '../../simulator/scenario.ts';

describe('the stop of a member', () => {
  it('Ensure that a change of the configuration that raft was not asked for yet is answered.', async () => {
    await Scenario.play({}, async (world) => {
      const [member] = world.followers;
      const {replica, opened} = member.life ?? {};
      if (replica === undefined || opened === undefined) throw new Error('it does not run');
      const steps = [{type: 'update', memberId: replica.loop.leader}] as const;
      const change = replica.loop.proposeConfChange({steps, joint: 'auto', context: new Uint8Array()});
      const stopped = replica.loop.stop();
      expect(await world.cluster.drive(change)).toBe(false);
      await world.cluster.drive(stopped);
      await world.cluster.drive(codeOf(replica.stop()));
      await world.cluster.drive(opened.close());
      member.kill({landed: false});
      member.start();
      await world.published(member);
    });
  });

  it('Ensure that a step that fails keeps none of the others from being done, and is told.', async () => {
    await Scenario.play({}, async (world) => {
      const [member] = world.followers;
      const {replica, opened} = member.life ?? {};
      if (replica === undefined || opened === undefined) throw new Error('it does not run');
      const stopLoop = replica.loop.stop.bind(replica.loop);
      replica.loop.stop = async () => {
        await stopLoop();
        throw new Error('half way');
      };
      let isStoreStopped = false;
      const stopStore = opened.store.stop.bind(opened.store);
      opened.store.stop = async () => {
        isStoreStopped = true;
        await stopStore();
      };
      expect(await world.cluster.drive(codeOf(replica.stop()))).toBe('Error: half way');
      expect(isStoreStopped).toBe(true);
      await world.cluster.drive(opened.close());
      member.kill({landed: false});
      member.start();
      await world.published(member);
    });
  });
});
