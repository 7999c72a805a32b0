/** LMDB's own files: flipped bits, power failures under it, killed processes. A share of what `npm run crash` does. */

import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import type * as LmdbBackend from '../../../src/engine/io/lmdb-backend.ts';
import type {BackendOpener} from '../../../src/engine/ports.ts';
import {compiled, removeCompiled} from '../../compiled.ts';
import {describeBackend} from '../../contract/backend.contract.ts';
import {SeededRandom} from '../../simulator/seeded-random.ts';
import type {DiskEvent} from '../disk-event.ts';
import {makeKilledWorld} from './backend-killed.ts';
import {crashProcess} from './crash-process.ts';
import {failProcess} from './fail-process.ts';
import {flipStore} from './flip-store.ts';

const SEED = Number(process.env.KVD_CRASH_SEED ?? 1);
/** Of the store's whole contract; 40 are a thousand kills. */
const CONTRACT_ROUNDS = Number(process.env.KVD_CONTRACT_ROUNDS ?? 1);
const IMAGES = {length: 1, seed: SEED, piecesMax: 4, drawn: 4, tearStep: 1_024, tearEdge: 0};

afterAll(removeCompiled);

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

  it.each([
    ['the store', /\.mdb$/],
    ['the log', /^wal\//],
  ])('Ensure that a sync of %s that does nothing is found out.', async (_, name) => {
    const lies = ({kind}: DiskEvent, path: string) => kind === 'sync' && name.test(path);
    const work = crashProcess({...IMAGES, workload: 3, checkEvery: 7, lies});
    await expect(work).rejects.toThrow(/event \d+/);
  });
});

describe('failing calls of a real process', () => {
  it('Ensure that it ends or goes on, and keeps what it promised.', async () => {
    const report = await failProcess({workload: 3, length: 1, seed: SEED, every: 13});
    expect(report.injected).toBeGreaterThan(3);
    expect(report.ended).toBeGreaterThan(0);
  });
});

describe('killed processes', () => {
  const random = new SeededRandom(SEED);
  let program: string;
  let openerOf: (root: string) => BackendOpener;
  const batches: number[] = [];
  const onKilled = (number: number) => batches.push(number);

  beforeAll(async () => {
    program = compiled('test/contract/backend-kill-child.ts');
    const module = (await import(compiled('src/engine/io/lmdb-backend.ts'))) as typeof LmdbBackend;
    openerOf = (root) => new module.LmdbBackendOpener(root);
  });

  for (let round = 1; round <= CONTRACT_ROUNDS; round++) {
    describeBackend(`LMDB, behind a killed process, ${round}`, () =>
      makeKilledWorld({random, program, openerOf, onKilled}),
    );
  }

  it('Ensure that some were killed while they opened the store, and others behind a commit.', () => {
    console.log(`${batches.length} processes killed, at up to ${Math.max(...batches)} commits`);
    expect(batches.length).toBeGreaterThan(20 * CONTRACT_ROUNDS);
    expect(batches).toContain(0);
    expect(Math.max(...batches)).toBeGreaterThan(1);
  });
});
