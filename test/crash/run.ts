/**
 * `npm run crash [-- --part NAME] [--length L] [--seed S]`: all of what the tests in this folder do a share of. One
 * line of counts for each workload; it ends at the first thing that is wrong, with the place.
 *
 * Parts: images (power failures on the recorded disk), errors (failing calls of the disk), system (of the system
 * below it), bits (flipped in log and marker), snapshots (flipped in a snapshot file), store (flipped in LMDB's file), process (power failures under a real
 * process), calls (failing calls of a real process), kills (the backend under kill -9).
 */

import {spawnSync} from 'node:child_process';
import {join, resolve} from 'node:path';
import {removeCompiled} from '../compiled.ts';
import {atExit} from '../process/at-exit.ts';
import {describeCounts} from '../runners/describe-counts.ts';
import {Progress} from '../runners/progress.ts';
import {runFlags} from '../runners/run-flags.ts';
import {crashEverywhere} from './enumerate.ts';
import {failEverywhere} from './fail-everywhere.ts';
import {flipEverywhere} from './flip-everywhere.ts';
import {flipSnapshots} from './flip-snapshots.ts';
import {crashProcess} from './process/crash-process.ts';
import {failProcess} from './process/fail-process.ts';
import {flipStore} from './process/flip-store.ts';
import {failSystemEverywhere} from './system-errors.ts';
import {WORKLOADS} from './workloads.ts';

/** Stores that the backend's contract opens for the first time. */
const CONTRACT_KILLS = 22;
const projectRoot = resolve(import.meta.dirname, '../..');
const PARTS: Readonly<Record<string, () => AsyncGenerator<object>>> = {
  async *images() {
    const all = {seed, length, piecesMax: 10, drawn: 256, tearStep: 7, tearEdge: 128, checkEvery: 1};
    for (const workload of WORKLOADS)
      yield crashEverywhere(workload, {...all, recoverEvery: 400, depth: 2, onStep});
  },
  async *errors() {
    for (const workload of WORKLOADS) yield failEverywhere(workload, {length, seed, every: 1, onStep});
  },
  async *system() {
    for (const workload of WORKLOADS)
      yield failSystemEverywhere(workload, {length: 1, seed, every: 1, onStep});
  },
  async *bits() {
    for (const workload of WORKLOADS)
      yield flipEverywhere(workload, {length, seed, every: 1, zeroStep: 1, startEvery: 100, onStep});
  },
  async *snapshots() {
    yield flipSnapshots({seed, every: 1, onStep});
  },
  async *store() {
    const report = await flipStore({flips: values.flips, seed, onStep});
    yield report;
    if (report.wrong.length > 0) throw new Error('a store was read as another');
  },
  async *process() {
    const all = {length: 1, seed, piecesMax: 6, drawn: 8, tearStep: 1_024, tearEdge: 0, checkEvery: 1};
    for (const [workload] of WORKLOADS.entries()) yield crashProcess({...all, workload, onStep});
  },
  async *calls() {
    for (const [workload] of WORKLOADS.entries())
      yield failProcess({length: 1, seed, every: 1, workload, onStep});
  },
  async *kills() {
    runTests('code', ['test/contract/backend-disk.test.ts', '-t', 'kills in the middle']);
    runTests('process', ['test/crash/process/store-files.test.ts', '-t', 'killed process']);
    yield {kills: values.kills};
  },
};

const values = runFlags('crash', 'crashes and failures at every place of the workloads.', {
  part: {kind: 'text', choices: Object.keys(PARTS), help: 'this one alone'},
  length: {kind: 'whole', default: 2, least: 1, help: 'of a workload, in units of what the tests do'},
  seed: {kind: 'whole', default: 1, help: 'of what is drawn'},
  flips: {kind: 'whole', default: 5_000, least: 1, help: "bits of LMDB's file, for the part store"},
  kills: {kind: 'whole', default: 1_000, least: 1, help: 'for the part kills'},
});
const {length, seed} = values;
const progress = new Progress();
const onStep = (report: object) => progress.at(() => `... ${describeCounts(report)}`);
atExit(removeCompiled);
for (const [name, part] of Object.entries(PARTS)) {
  if (values.part !== undefined && values.part !== name) continue;
  let before = process.cpuUsage();
  for await (const report of part()) {
    const {user, system} = process.cpuUsage(before);
    before = process.cpuUsage();
    const seconds = ((user + system) / 1_000_000).toFixed(1);
    console.log(`${name}: ${describeCounts(report)}, ${seconds} s of CPU`);
  }
  console.log(`${name}: nothing was wrong`);
}

function runTests(project: string, args: readonly string[]): void {
  const {status} = spawnSync(
    join(projectRoot, 'node_modules/.bin/vitest'),
    ['run', '--project', project, ...args],
    {
      cwd: projectRoot,
      env: {
        ...process.env,
        KVD_TEST_KILLS: String(values.kills),
        KVD_CONTRACT_ROUNDS: String(Math.ceil(values.kills / CONTRACT_KILLS)),
        KVD_CRASH_SEED: String(seed),
      },
      stdio: 'inherit',
    },
  );
  if (status !== 0) throw new Error('a killed store was not what it should be');
}
