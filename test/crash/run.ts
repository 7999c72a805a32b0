/**
 * `npm run crash [-- --part NAME] [--length L] [--seed S]`: all of what the tests in this folder do a share of. One
 * line of counts for each workload; it ends at the first thing that is wrong, with the place.
 *
 * Parts: images (power failures on the recorded disk), errors (failing calls of the disk), system (of the system
 * below it), bits (flipped in log and marker), store (flipped in LMDB's file), process (power failures under a real
 * process), calls (failing calls of a real process), kills (the backend under kill -9).
 */

import {spawnSync} from 'node:child_process';
import {join, resolve} from 'node:path';
import {parseArgs} from 'node:util';
import {crashEverywhere} from './enumerate.ts';
import {failEverywhere} from './fail-everywhere.ts';
import {flipEverywhere} from './flip-everywhere.ts';
import {crashProcess} from './process/crash-process.ts';
import {failProcess} from './process/fail-process.ts';
import {flipStore} from './process/flip-store.ts';
import {failSystemEverywhere} from './system-errors.ts';
import {WORKLOADS} from './workloads.ts';

const projectRoot = resolve(import.meta.dirname, '../..');
const {values} = parseArgs({
  options: {
    part: {type: 'string'},
    length: {type: 'string', default: '2'},
    seed: {type: 'string', default: '1'},
    flips: {type: 'string', default: '5000'},
    kills: {type: 'string', default: '1000'},
  },
});
const length = Number(values.length);
const seed = Number(values.seed);

const PARTS: Readonly<Record<string, () => AsyncGenerator<unknown>>> = {
  async *images() {
    const all = {seed, length, piecesMax: 10, drawn: 256, tearStep: 7, tearEdge: 128, checkEvery: 1};
    for (const workload of WORKLOADS) yield crashEverywhere(workload, {...all, recoverEvery: 400, depth: 2});
  },
  async *errors() {
    for (const workload of WORKLOADS) yield failEverywhere(workload, {length, seed, every: 1});
  },
  async *system() {
    for (const workload of WORKLOADS) yield failSystemEverywhere(workload, {length: 1, seed, every: 1});
  },
  async *bits() {
    for (const workload of WORKLOADS)
      yield flipEverywhere(workload, {length, seed, zeroStep: 1, startEvery: 100});
  },
  async *store() {
    const report = await flipStore({flips: Number(values.flips), seed});
    yield report;
    if (report.wrong.length > 0) throw new Error('a store was read as another');
  },
  async *process() {
    const all = {length: 1, seed, piecesMax: 6, drawn: 8, tearStep: 1_024, tearEdge: 0, checkEvery: 1};
    for (const [workload] of WORKLOADS.entries()) yield crashProcess({...all, workload});
  },
  async *calls() {
    const all = {length: 1, seed, callsMax: 30, every: 1};
    for (const workload of [3, 4]) yield failProcess({...all, workload});
  },
  async *kills() {
    runTests('code', ['test/contract/backend-disk.test.ts', '-t', 'kills in the middle']);
    runTests('process', ['test/crash/process/store-files.test.ts', '-t', 'opened behind a killed process']);
    yield {kills: Number(values.kills)};
  },
};

const names = values.part === undefined ? Object.keys(PARTS) : [values.part];
for (const name of names) {
  const part = PARTS[name];
  if (part === undefined) throw new Error(`there is no part ${name}, only ${Object.keys(PARTS).join(', ')}`);
  let before = process.cpuUsage();
  for await (const report of part()) {
    const {user, system} = process.cpuUsage(before);
    before = process.cpuUsage();
    console.log(name, JSON.stringify(report), `${((user + system) / 1_000_000).toFixed(1)} s`);
  }
}

function runTests(project: string, args: readonly string[]): void {
  const {status} = spawnSync(
    join(projectRoot, 'node_modules/.bin/vitest'),
    ['run', '--project', project, ...args],
    {
      cwd: projectRoot,
      env: {...process.env, KVD_TEST_KILLS: values.kills, KVD_CRASH_SEED: values.seed},
      stdio: 'inherit',
    },
  );
  if (status !== 0) throw new Error('a killed store was not what it should be');
}
