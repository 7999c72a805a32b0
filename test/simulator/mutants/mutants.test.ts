/** The mutants fit the sources as they are, and those that are found within few seeds are found. */

import {readFileSync} from 'node:fs';
import {describe, expect, it} from 'vitest';
import {MUTANTS} from './all-mutants.ts';
import {HUNT_OPERATIONS, hunt} from './hunt.ts';
import {mutatedSources} from './mutant.ts';

const FAST = MUTANTS.filter(({fastSeeds}) => fastSeeds !== undefined);

describe('mutants', () => {
  it('Ensure that every mutant fits into the engine as it is.', () => {
    for (const mutant of MUTANTS) expect(mutatedSources(mutant).size, mutant.id).toBeGreaterThan(0);
    expect(new Set(MUTANTS.map(({id}) => id)).size).toBe(MUTANTS.length);
    expect(MUTANTS.length).toBeGreaterThanOrEqual(25);
  });

  it('Ensure that every text that a mutant changes is one that the simulator loads.', () => {
    const loaded = new Set([new URL('../simulated-cluster.ts', import.meta.url).href]);
    for (const url of loaded)
      for (const [, imported] of readFileSync(new URL(url), 'utf8').matchAll(/\bfrom '(\.[^']*\.ts)'/g))
        loaded.add(new URL(imported, url).href);
    for (const mutant of MUTANTS)
      for (const url of mutatedSources(mutant).keys()) expect(loaded, mutant.id).toContain(url);
  });

  it('Ensure that a change that fits nowhere, or twice, is an error.', () => {
    const file = 'raft/voter.ts';
    for (const find of ['what nobody wrote', 'assert(']) {
      const change = {file, find, replace: 'void 0;'};
      expect(() => mutatedSources({id: 'rotten', changes: [change]})).toThrow('mutant rotten fits');
    }
  });

  it('Ensure that an engine that cannot be loaded is an error, not a find.', {timeout: 600_000}, async () => {
    const change = {
      file: 'raft/quorum.ts',
      find: 'export function agreedIndex(',
      replace: 'function agreedIndex(',
    };
    const options = {from: 1, to: 1, operations: 10, cpuSeconds: 10};
    await expect(hunt({id: 'unloadable', changes: [change]}, options)).rejects.toThrow('unloadable');
  });

  it('Ensure that nothing is found where nothing is changed.', {timeout: 600_000}, async () => {
    const {seeds, found} = await hunt(undefined, {
      from: 1,
      to: 3,
      operations: HUNT_OPERATIONS,
      cpuSeconds: 60,
    });
    expect(found).toBeUndefined();
    expect(seeds).toBe(3);
  });

  it.each(FAST)('Ensure that $id is found.', {timeout: 600_000}, async (mutant) => {
    const to = mutant.fastSeeds ?? 0;
    const options = {from: 1, to, operations: HUNT_OPERATIONS, cpuSeconds: 60, swarm: mutant.swarm};
    const {found} = await hunt(mutant, options);
    expect(found, mutant.what).toBeDefined();
    expect(mutant.by).toContain(found?.invariant);
  });
});
