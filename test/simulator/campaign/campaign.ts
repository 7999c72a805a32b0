/**
 * `npm run sim:campaign -- --minutes M`: seeds on every core, one after the other, until the time is over. Sums are
 * kept in a file by the hash of the engine, and the next campaign on the same goes on behind the last seed, whatever
 * has become of the simulator.
 *
 * Each campaign begins with the canary, a run that must fail. A share of the seeds runs a second time in another
 * process and must go the same way there, step by step. Seeds that failed under another version of the simulator run
 * again first: what that one saw may have been its own mistake.
 */

import {mkdirSync, readFileSync, renameSync, writeFileSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import {dirname} from 'node:path';
import {runFlags} from '../../runners/run-flags.ts';
import {reportOf} from './campaign-report.ts';
import {
  addResult,
  type CampaignSums,
  emptySums,
  type FoundViolation,
  isClean,
  judgeAgain,
} from './campaign-sums.ts';
import type {SeedResult} from './seed-result.ts';
import type {Answer, Order} from './worker.ts';
import {WorkerPool} from './worker-pool.ts';

/** One of so many seeds runs twice. */
const REPEATED_EACH = 50;
const SAVE_EACH_MS = 20_000;
/** Beyond, the engine is broken enough. */
const VIOLATIONS_MAX = 20;

const values = runFlags('sim:campaign', 'runs seeds on every core until the time is over; adds up.', {
  minutes: {kind: 'number', above: 0, help: 'how long; this or --seeds'},
  seeds: {kind: 'whole', least: 1, help: 'how many'},
  first: {kind: 'whole', help: 'the seed to begin with, where nothing has been added up yet'},
  operations: {kind: 'whole', default: 1_000, least: 1, help: 'of all clients together, in each run'},
  workers: {kind: 'whole', default: availableParallelism(), least: 1, help: 'how many processes'},
  report: {kind: 'switch', help: 'prints the sums and runs nothing'},
  engine: {kind: 'text', default: 'unknown', help: 'the name of this version; npm run gives it'},
  simulator: {kind: 'text', default: 'unknown', help: 'the name of its version; npm run gives it'},
  results: {kind: 'text', help: 'the file of the sums; npm run gives it'},
});
if (!values.report && values.minutes === undefined && values.seeds === undefined) {
  console.error('Error: say --minutes or --seeds, or --report for the sums so far');
  process.exit(2);
}

const sums = load();
const operations = values.operations;
const startedMs = performance.now();
const untilMs = startedMs + (values.minutes ?? Number.POSITIVE_INFINITY) * 60_000;
const lastSeed = values.seeds === undefined ? Number.POSITIVE_INFINITY : sums.nextSeed + values.seeds - 1;
/** What a second process has to repeat, and which worker it must not be. */
const unrepeated: {readonly result: SeedResult; readonly by: number}[] = [];
const repeating = new Map<number, SeedResult>();
const doubtful = sums.violations.filter(({simulator}) => simulator !== values.simulator);
const judging = new Map<number, FoundViolation>();
const before = {seeds: sums.seeds, operations: sums.operations};
let isCanaryDue = true;
let isStopping = false;
let savedMs = startedMs;

if (values.report) console.log(reportOf(sums));
else await run();

async function run(): Promise<void> {
  // A terminal's Ctrl-C comes here twice: from itself, and by way of npm.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  sums.campaigns++;
  await new WorkerPool({size: values.workers, next, answered, died}).run();
  save();
  console.log(reportOf(sums));
  const minutes = (performance.now() - startedMs) / 60_000;
  console.log(
    `this campaign: ${sums.seeds - before.seeds} seeds, ${(sums.operations - before.operations).toLocaleString('en-US')} operations in ` +
      `${minutes.toFixed(1)} minutes (${Math.round((sums.seeds - before.seeds) / minutes)} seeds a minute)`,
  );
  process.exitCode = isClean(sums) ? 0 : 1;
}

function stop(): void {
  if (!isStopping) console.log('broken off: ends with the seeds that are under way');
  isStopping = true;
}

function next(id: number): Order | undefined {
  if (isCanaryDue) {
    isCanaryDue = false;
    return {kind: 'canary'};
  }
  const doubt = doubtful.shift();
  if (doubt !== undefined) {
    judging.set(id, doubt);
    return {kind: 'seed', seed: doubt.seed, operations};
  }
  const place = unrepeated.findIndex(({by}) => by !== id);
  if (place >= 0) {
    const [{result}] = unrepeated.splice(place, 1);
    repeating.set(id, result);
    return {kind: 'seed', seed: result.seed, operations};
  }
  const isOver = isStopping || performance.now() > untilMs || sums.nextSeed > lastSeed;
  if (isOver || sums.violations.length >= VIOLATIONS_MAX) return undefined;
  return {kind: 'seed', seed: sums.nextSeed++, operations};
}

function answered(id: number, _order: Order, answer: Answer): void {
  if (answer.kind === 'canary') {
    if (answer.isCaught) sums.canariesCaught++;
    else sums.canariesMissed++;
    console.log(
      answer.isCaught
        ? 'the canary was caught'
        : `THE CANARY WAS MISSED: ${answer.invariant ?? 'no violation'}`,
    );
    return;
  }
  const {result} = answer;
  const doubt = judging.get(id);
  if (doubt !== undefined) {
    judging.delete(id);
    judgeAgain(sums, doubt, {result, simulator: values.simulator});
    tell(result);
    return;
  }
  const first = repeating.get(id);
  if (first !== undefined) {
    repeating.delete(id);
    compare(first, result);
    return;
  }
  addResult(sums, result, values.simulator);
  tell(result);
  if (result.seed % REPEATED_EACH === 0 && result.violation === undefined) unrepeated.push({result, by: id});
  if (performance.now() - savedMs < SAVE_EACH_MS) return;
  savedMs = performance.now();
  save();
  const minutes = (savedMs - startedMs) / 60_000;
  console.log(
    `after ${minutes.toFixed(1)} minutes: ${sums.seeds} seeds, ${sums.operations.toLocaleString('en-US')} operations, ` +
      `${sums.violations.length} violations, earlier campaigns on this engine included`,
  );
}

function compare(first: SeedResult, second: SeedResult): void {
  sums.repeated++;
  if (first.hash === second.hash && first.steps === second.steps) return;
  sums.differing++;
  console.log(`seed ${first.seed} went another way in a second process: ${first.hash}, ${second.hash}`);
}

function died(id: number, order: Order, how: string): void {
  repeating.delete(id);
  // One that is judged again stays as it was seen before.
  if (judging.delete(id)) {
    console.log(`seed ${order.kind === 'seed' ? order.seed : ''}: ${how}`);
    return;
  }
  if (order.kind === 'canary') {
    sums.canariesMissed++;
    console.log(`the canary's process ${how}`);
    return;
  }
  const {simulator} = values;
  const invariant = 'the process lives';
  sums.violations.push({seed: order.seed, operations, step: 0, invariant, detail: how, simulator});
  console.log(`seed ${order.seed}: ${how}`);
}

function tell({seed, violation}: SeedResult): void {
  if (violation === undefined) return;
  const {step, invariant, detail} = violation;
  console.log(`seed ${seed}, step ${step}: ${invariant} does not hold: ${detail.slice(0, 500)}`);
  console.log(`  npm run sim -- --seed ${seed} --operations ${operations} --shrink`);
}

function load(): CampaignSums {
  const fresh = emptySums(values.engine);
  if (values.first !== undefined) fresh.nextSeed = values.first;
  if (values.results === undefined) return fresh;
  try {
    const known = JSON.parse(readFileSync(values.results, 'utf8')) as CampaignSums;
    if (known.engine !== values.engine) throw new Error(`${values.results} is of another engine`);
    if (values.first !== undefined) {
      console.error(
        `Error: --first ${values.first} comes too late: ${known.seeds} seeds of this engine have run, the next is ${known.nextSeed}`,
      );
      process.exit(2);
    }
    return {...fresh, ...known};
  } catch (error) {
    if ((error as {code?: string}).code === 'ENOENT') return fresh;
    throw error;
  }
}

/** As a whole or not at all: a campaign may be killed at any time. */
function save(): void {
  if (values.results === undefined) return;
  mkdirSync(dirname(values.results), {recursive: true});
  const path = `${values.results}.tmp`;
  writeFileSync(path, `${JSON.stringify(sums, undefined, 1)}\n`);
  renameSync(path, values.results);
}
