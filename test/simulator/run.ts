/**
 * `npm run sim -- --seed N [--count C] [--operations O]`: runs seeds and says what broke, when, and how. `--log`
 * prints every line of a run, `--shrink` makes a failing one as small as it can and prints the command for that.
 */

import {parseArgs} from 'node:util';
import {runCanary} from './campaign/canary.ts';
import {explain} from './explain.ts';
import {optionsOf, type Recipe, Shrinker} from './shrink.ts';
import {SimulatedCluster, type SimulationReport} from './simulated-cluster.ts';

const TAIL_LINES = 60;
const SHRINK_MINUTES = 10;

const {values} = parseArgs({
  options: {
    seed: {type: 'string', default: '1'},
    count: {type: 'string', default: '1'},
    operations: {type: 'string', default: '1000'},
    swarm: {type: 'string', default: '{}'},
    'skip-faults': {type: 'string', default: ''},
    tail: {type: 'string', default: String(TAIL_LINES)},
    minutes: {type: 'string', default: String(SHRINK_MINUTES)},
    log: {type: 'boolean', default: false},
    quiet: {type: 'boolean', default: false},
    keep: {type: 'boolean', default: false},
    shrink: {type: 'boolean', default: false},
    canary: {type: 'boolean', default: false},
  },
});

if (values.canary) await runTheCanary();
else if (values.shrink) await shrink();
else await runAll();

async function runAll(): Promise<void> {
  const first = Number(values.seed);
  let failed = 0;
  let operations = 0;
  const before = process.cpuUsage();
  for (let seed = first; seed < first + Number(values.count); seed++) {
    const listener = values.log ? (line: string) => console.log(line) : undefined;
    const report = await new SimulatedCluster({...optionsOf(recipeOf(seed)), listener}).run();
    operations += report.operations;
    if (!values.quiet || report.violation !== undefined) tell(report);
    if (report.violation === undefined) continue;
    failed++;
    if (!values.keep) break;
  }
  const {user, system} = process.cpuUsage(before);
  const seconds = (user + system) / 1_000_000;
  console.log(
    `${operations} operations in ${seconds.toFixed(1)} s of the processor (${Math.round(operations / seconds)} per second), ${failed} seeds failed`,
  );
  process.exitCode = failed === 0 ? 0 : 1;
}

async function runTheCanary(): Promise<void> {
  const {report, isCaught} = await runCanary();
  tell(report);
  console.log(isCaught ? 'the canary was caught' : 'THE CANARY WAS MISSED');
  process.exitCode = isCaught ? 0 : 1;
}

async function shrink(): Promise<void> {
  const recipe = recipeOf(Number(values.seed));
  const report = await new SimulatedCluster(optionsOf(recipe)).run();
  if (report.violation === undefined) {
    tell(report);
    return;
  }
  const untilMs = performance.now() + Number(values.minutes) * 60_000;
  const shrunk = await new Shrinker(recipe, report, {
    run: (options) => new SimulatedCluster(options).run(),
    isOver: () => performance.now() > untilMs,
    tell: (line) => console.log(line),
  }).run();
  // Once more, this time to listen: the whole log is never kept otherwise.
  const lines: string[] = [];
  const last = await new SimulatedCluster({
    ...optionsOf(shrunk.recipe),
    listener: (line) => lines.push(line),
  }).run();
  if (last.violation === undefined) throw new Error('the shrunk run holds when it is repeated');
  for (const line of explain(lines, last.violation)) console.log(`  ${line}`);
  tellViolation(last);
  console.log(`repeat with: ${commandOf(shrunk.recipe)}`);
  process.exitCode = 1;
}

function recipeOf(seed: number): Recipe {
  return {
    seed,
    operations: Number(values.operations),
    swarm: JSON.parse(values.swarm),
    skippedFaults: parseRanges(values['skip-faults']),
  };
}

function commandOf({seed, operations, swarm, skippedFaults}: Recipe): string {
  const skips = skippedFaults.length === 0 ? '' : ` --skip-faults ${formatRanges(skippedFaults)}`;
  return `npm run sim -- --seed ${seed} --operations ${operations} --swarm '${JSON.stringify(swarm)}'${skips}`;
}

/** `0-3,7`: 0, 1, 2, 3 and 7. */
function parseRanges(text: string): number[] {
  if (text === '') return [];
  return text.split(',').flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number);
    return Array.from({length: to - from + 1}, (_, i) => from + i);
  });
}

function formatRanges(ascending: readonly number[]): string {
  const parts: [from: number, to: number][] = [];
  for (const number of ascending) {
    const last = parts.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(',');
}

function tell(report: SimulationReport): void {
  const {seed, violation, swarm} = report;
  const faults = [...report.faults.counts].map(([kind, count]) => `${kind} ${count}`).join(', ');
  console.log(
    `seed ${seed}: ${violation === undefined ? 'ok' : 'FAILED'}, ${swarm.members} members, ${report.operations} operations, ` +
      `${report.answered} checked answers, revision ${report.revision}, ${report.elections} elections, ${report.watchEvents} watch events, ` +
      `${report.expiredLeases} leases expired, ${report.memberChanges} member changes, ${(report.virtualMs / 1_000).toFixed(1)} virtual s, ` +
      `${report.steps} steps, trace ${report.hash.slice(0, 16)}; faults: ${faults || 'none'}`,
  );
  if (violation === undefined) return;
  if (values.keep) {
    console.log(`  ${violation.invariant}: ${violation.detail.slice(0, 700)}`);
    return;
  }
  for (const line of explain(report.tail(Number(values.tail)), violation)) console.log(`  ${line}`);
  tellViolation(report);
}

function tellViolation({seed, violation, swarm}: SimulationReport): void {
  if (violation === undefined) return;
  const {step, atMs, invariant, detail} = violation;
  console.log(`seed ${seed}, step ${step}, at ${atMs.toFixed(3)} ms: ${invariant} does not hold`);
  console.log(detail);
  console.log(JSON.stringify(swarm));
}
