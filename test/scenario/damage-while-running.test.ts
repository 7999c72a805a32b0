/** Damage of the store that a member meets while it runs. */

import {describe, expect, it} from 'vitest';
import {EngineError} from '../../src/engine/errors.ts';
import {bytesOf} from '../simulator/requests.ts';
import {Scenario, serverOf} from '../simulator/scenario.ts';

describe('a damaged record', () => {
  it('Ensure that one that a watch meets ends the member by its own word.', async () => {
    await Scenario.play({}, async (world) => {
      const {cluster} = world;
      const [member] = world.followers;
      await world.puts(world.leader, 20);
      await cluster.pass(3_000);
      const {backend} = member.life?.opened?.store ?? {};
      const [[key]] = backend?.range('key', {}) ?? [];
      member.images.damage(member.images.paths().at(-1) ?? '', 'key', key);
      cluster.expectsEnds = true;
      const server = serverOf(member);
      member.life?.clock.enter(() => {
        const stream = server.watchHub.openStream({readable: () => undefined, fragmentBytes: 1_000_000});
        stream.create({
          key: bytesOf('k'),
          rangeEnd: bytesOf('l'),
          startRevision: 2,
          progressNotify: false,
          filters: [],
          prevKv: false,
          watchId: 0n,
          fragment: false,
        });
      });
      await world.until(() => !member.isUp, 'it ends');
      const {error} = cluster.ends.at(-1) ?? {};
      expect(error).toBeInstanceOf(EngineError);
      expect((error as EngineError).code).toBe('storeCorrupt');
      void cluster.admin.repair(member);
      await world.until(() => cluster.admin.isIdle, 'it may join anew');
    });
  });
});
