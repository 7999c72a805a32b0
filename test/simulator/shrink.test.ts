/** A run that fails for a known reason has to become small, and the fault that is the reason has to stay. */

import {describe, expect, it} from 'vitest';
import {explain} from './explain.ts';
import {optionsOf, type Recipe, Shrinker} from './shrink.ts';
import {SimulatedCluster, type SimulationOptions} from './simulated-cluster.ts';

const RECIPE: Recipe = {
  seed: 5,
  operations: 150,
  swarm: {
    members: 3,
    kinds: ['kill', 'linkBreak', 'defragment'],
    clients: 4,
    watchers: 3,
    faultPauseMsMax: 300,
  },
  skippedFaults: [],
};

/** Calls it wrong that a member was killed. */
async function run(options: SimulationOptions) {
  const lines: string[] = [];
  const cluster = new SimulatedCluster({
    ...options,
    listener: (line) => {
      lines.push(line);
      if (/ m\d+ is killed$/.test(line)) cluster.violate('nobody is killed', 'c1.1 saw it');
    },
  });
  return {report: await cluster.run(), lines};
}

describe('shrinking', () => {
  it('Ensure that what a failure does not need is left out, and that it fails the same way again.', {
    timeout: 120_000,
  }, async () => {
    const {report} = await run(optionsOf(RECIPE));
    expect(report.violation?.invariant).toBe('nobody is killed');
    const shrunk = await new Shrinker(RECIPE, report, {
      run: async (options) => (await run(options)).report,
      isOver: () => false,
      tell: () => undefined,
    }).run();
    const {recipe} = shrunk;
    expect(recipe.swarm).toMatchObject({kinds: ['kill'], clients: 1, watchers: 0, members: 1});
    expect(recipe.operations).toBeLessThanOrEqual(2);
    const again = await run(optionsOf(recipe));
    expect(again.report.hash).toBe(shrunk.report.hash);
    const {violation, faults} = again.report;
    expect([...faults.counts]).toEqual([['kill', 1]]);
    expect(violation).toEqual(shrunk.report.violation);
    if (violation === undefined) return;
    const told = explain(again.lines, violation);
    expect(told.length).toBeLessThan(again.lines.length);
    expect(told.some((line) => line.includes('fault kill'))).toBe(true);
  });

  it('Ensure that a fault that is left out changes none of the others.', {timeout: 60_000}, async () => {
    const kindsOf = (lines: readonly string[]) =>
      lines.flatMap((line) => line.match(/fault (\w+ m\d)/)?.[1] ?? []);
    const all = kindsOf(
      (await run({...optionsOf(RECIPE), overrides: {...RECIPE.swarm, kinds: ['linkBreak', 'slowDisk']}}))
        .lines,
    );
    const less = kindsOf(
      (
        await run({
          ...optionsOf({...RECIPE, skippedFaults: [0, 2]}),
          overrides: {...RECIPE.swarm, kinds: ['linkBreak', 'slowDisk']},
        })
      ).lines,
    );
    expect(less.length).toBeGreaterThan(10);
    const wanted = all.filter((_, place) => place !== 0 && place !== 2);
    const shared = Math.min(wanted.length, less.length);
    expect(less.slice(0, shared)).toEqual(wanted.slice(0, shared));
  });
});
