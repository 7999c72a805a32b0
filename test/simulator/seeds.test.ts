/** CI's share of the simulator: some seeds of every day, those that once found a bug, and that a seed is a seed. */

import {describe, expect, it} from 'vitest';
import {SimulatedCluster} from './simulated-cluster.ts';

/** Seeds that once failed, on the engine as it was then. */
const ONCE_FAILED = [5, 10, 27, 35, 42, 99, 1303, 1339];

async function run(seed: number, operations: number) {
  const report = await new SimulatedCluster({seed, operations}).run();
  const {violation} = report;
  if (violation !== undefined) {
    const tail = report.tail(30).join('\n');
    throw new Error(
      `seed ${seed}, step ${violation.step}: ${violation.invariant}: ${violation.detail}\n${tail}`,
    );
  }
  return report;
}

describe('simulated clusters', () => {
  it('Ensure that the same seed gives the same run.', {timeout: 900_000}, async () => {
    for (const seed of [1, 2, 3]) {
      const [a, b] = [await run(seed, 300), await run(seed, 300)];
      expect(a.hash).toBe(b.hash);
      expect(a.steps).toBe(b.steps);
    }
  });

  it('Ensure that a run ends in time, whatever its clients got done.', async () => {
    const overrides = {members: 1, clients: 1, lockers: 0, watchers: 0, clientPauseMsMax: 20_000, kinds: []};
    const operations = Number.POSITIVE_INFINITY;
    const {violation, virtualMs} = await new SimulatedCluster({seed: 1, operations, overrides}).run();
    expect(violation).toBeUndefined();
    expect(virtualMs).toBeGreaterThan(600_000);
  });

  it('Ensure that no seed breaks a promise.', {timeout: 900_000}, async () => {
    let answered = 0;
    let faults = 0;
    for (const seed of ONCE_FAILED) await run(seed, 500);
    for (let seed = 20_001; seed <= 20_025; seed++) {
      const report = await run(seed, 500);
      answered += report.answered;
      for (const count of report.faults.counts.values()) faults += count;
    }
    expect(answered).toBeGreaterThan(5_000);
    expect(faults).toBeGreaterThan(500);
  });
});
