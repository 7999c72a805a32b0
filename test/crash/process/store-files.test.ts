/** LMDB's own files: flipped bits, power failures under it, killed processes. A share of what `npm run crash` does. */

import {describe, expect, it} from 'vitest';
import {describeBackend} from '../../contract/backend.contract.ts';
import {SeededRandom} from '../../simulator/seeded-random.ts';
import {makeKilledWorld} from './backend-killed.ts';
import {crashProcess} from './crash-process.ts';
import {failProcess} from './fail-process.ts';
import {flipStore} from './flip-store.ts';

const SEED = Number(process.env.KVD_CRASH_SEED ?? 1);
const IMAGES = {length: 1, seed: SEED, piecesMax: 4, drawn: 4, tearStep: 1_024, tearEdge: 0};

describe('a flipped bit in the file of a store', () => {
  it('Ensure that it is never read as anything else, and that the start after a death names the file.', async () => {
    const report = await flipStore({flips: Number(process.env.KVD_CRASH_FLIPS ?? 30), seed: SEED});
    expect(report.wrong).toEqual([]);
    expect(report.refused).toBeGreaterThan(2);
    expect(report.whole).toBeGreaterThan(5);
  });
});

describe('power failures under a real process', () => {
  it('Ensure that on every image the store is whole, and at or above where the log begins.', async () => {
    const report = await crashProcess({...IMAGES, workload: 3, checkEvery: 23});
    expect(report.storeWrites).toBeGreaterThan(20);
    expect(report.checked).toBeGreaterThan(20);
  });

  it('Ensure that a sync of the store that does nothing is found out.', async () => {
    const work = crashProcess({...IMAGES, workload: 3, checkEvery: 7, hidesStoreSyncs: true});
    await expect(work).rejects.toThrow(/event \d+/);
  });
});

describe('failing calls of a real process', () => {
  it('Ensure that it ends or goes on, and keeps what it promised.', async () => {
    const report = await failProcess({workload: 3, length: 1, seed: SEED, callsMax: 16, every: 19});
    expect(report.runs).toBeGreaterThan(4);
    expect(report.ended).toBeGreaterThan(0);
  });
});

const random = new SeededRandom(SEED);
describeBackend('LMDB, opened behind a killed process', () => makeKilledWorld(random));
