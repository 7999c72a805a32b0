/** Every call of the disk fails once, in every way: a share of what `npm run crash` does. */

import {describe, expect, it, vi} from 'vitest';
import {failEverywhere} from './fail-everywhere.ts';
import {failSystemEverywhere} from './system-errors.ts';
import {WORKLOADS} from './workloads.ts';

// Seconds of work, on a machine that may be busy.
vi.setConfig({testTimeout: 120_000});

describe('failing calls of the disk', () => {
  for (const workload of WORKLOADS) {
    it(`Ensure that the member ends or goes on, and keeps what it acknowledged: ${workload.name}.`, async () => {
      const report = await failEverywhere(workload, {length: 1, seed: 1, every: 17});
      expect(report.runs).toBeGreaterThan(30);
      expect(report.images).toBe(3 * report.runs);
      // Not every failure is the end: the next segment may be made later, an old one removed later.
      expect(report.ended).toBeGreaterThan(report.runs / 2);
      expect(report.wentOn).toBeGreaterThan(0);
    });
  }

  it('Ensure that a member that goes on after a sync that failed would be found out.', async () => {
    const work = failEverywhere(WORKLOADS[0], {length: 1, seed: 1, every: 3, hidesSyncErrors: true});
    await expect(work).rejects.toThrow(/fails with .* then a power failure/);
  });
});

describe('failing calls of the system', () => {
  it('Ensure that the real disk tells each of them, and writes on behind a short write.', async () => {
    const report = await failSystemEverywhere(WORKLOADS[3], {length: 1, seed: 5, every: 31});
    expect(report.runs).toBeGreaterThan(30);
    expect(report.ended).toBeGreaterThan(report.runs / 2);
    expect(report.ended).toBeLessThan(report.runs);
  });
});
