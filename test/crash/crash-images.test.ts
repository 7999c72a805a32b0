/**
 * Power failures at every place of six workloads: a share of what `npm run crash` does, over the same code.
 */

import {describe, expect, it, vi} from 'vitest';
import type {DiskEvent} from './disk-event.ts';
import {crashEverywhere, recordWorkload} from './enumerate.ts';
import {WORKLOADS} from './workloads.ts';

const SHARE = {
  seed: 1,
  length: 1,
  piecesMax: 5,
  drawn: 10,
  tearStep: 41,
  tearEdge: 0,
  checkEvery: 1,
  recoverEvery: 120,
  depth: 2,
};

const everySync = (event: DiskEvent) => event.kind === 'sync';
const everyFolderSync = (event: DiskEvent) => event.kind === 'syncFolder';
const everyCommit = (event: DiskEvent) => event.kind === 'committed';

// Seconds of work, on a machine that may be busy.
vi.setConfig({testTimeout: 120_000});

describe('power failures', () => {
  for (const workload of WORKLOADS) {
    it(`Ensure that every image recovers, loses nothing promised and invents nothing: ${workload.name}.`, async () => {
      const report = await crashEverywhere(workload, SHARE);
      expect(report.boundaries).toBe(report.events);
      expect(report.distinct).toBeGreaterThan(100);
      expect(report.checked).toBeGreaterThanOrEqual(report.distinct);
      expect(report.recoveries).toBeGreaterThan(0);
      expect(report.starts).toBeGreaterThan(30);
    });
  }

  it('Ensure that a sync of a file or of a folder that does nothing is found out, as is a commit that is lost.', async () => {
    for (const [lies, workload] of [
      [everySync, WORKLOADS[0]],
      [everySync, WORKLOADS[2]],
      [everyFolderSync, WORKLOADS[3]],
      [everyFolderSync, WORKLOADS[5]],
      [everyCommit, WORKLOADS[3]],
      [everyCommit, WORKLOADS[4]],
    ] as const) {
      const work = crashEverywhere(workload, {...SHARE, depth: 0, lies});
      await expect(work, workload.name).rejects.toThrow(/event \d+/);
    }
  });

  it('Ensure that the record of a workload is the same each time: an image can be found again.', async () => {
    for (const workload of WORKLOADS) {
      const [first, second] = [await recordWorkload(workload, 1), await recordWorkload(workload, 1)];
      expect(second.map(({kind}) => kind)).toEqual(first.map(({kind}) => kind));
    }
  });
});
