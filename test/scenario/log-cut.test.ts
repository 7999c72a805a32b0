/** What the cut of the log meets after a restart. */

import {describe, it} from 'vitest';
import {loseUnsynced} from '../simulator/memory-disk.ts';
import {Scenario} from '../simulator/scenario.ts';

describe('cutting the log after a restart', () => {
  it('Ensure that a member that is to keep more entries than before runs on and starts again.', async () => {
    await Scenario.play({snapshotCount: 20, catchupEntries: 1}, async (world) => {
      await world.puts(world.leader, 60);
      const [member] = world.followers;
      for (let start = 0; start < 2; start++) {
        member.losePower(loseUnsynced, {landed: true});
        member.config = {...member.config, snapshotCatchupEntries: 35};
        member.start();
        await world.published(member);
        await world.puts(world.leader, 30);
        await world.until(
          () => member.replica?.applier.index === world.leader.replica?.applier.index,
          'the entries',
        );
      }
    });
  });
});
