/**
 * `npm run sim -- --seed N [--count C] [--operations O]`: runs seeds and says what broke, when, and how. `--log`
 * prints every line of a run, `--shrink` makes a failing one as small as it can and prints the command for that.
 */

import {runFlags} from '../runners/run-flags.ts';
import {runCanary} from './campaign/canary.ts';
import {explain} from './explain.ts';
import {optionsOf, type Recipe, Shrinker} from './shrink.ts';
import {SimulatedCluster, type SimulationReport} from './simulated-cluster.ts';
import {isPartOfSwarm} from './swarm.ts';

const TAIL_LINES = 60;
const SHRINK_MINUTES = 10;

const values = runFlags('sim', 'runs seeds of the simulator; says what broke, when, and how.', {
  seed: {kind: 'whole', default: 1, help: 'the first seed'},
  count: {kind: 'whole', default: 1, least: 1, help: 'how many seeds'},
  operations: {kind: 'whole', default: 1_000, least: 1, help: 'of all clients together, in each run'},
  log: {kind: 'switch', help: 'prints every line of a run; times are simulated milliseconds'},
  shrink: {
    kind: 'switch',
    help: 'makes a failing seed as small as it can, and prints the command that repeats it',
  },
  minutes: {kind: 'number', default: SHRINK_MINUTES, help: 'how long --shrink may take'},
  keep: {kind: 'switch', help: 'goes on after a seed that failed, and tells it in one line'},
  quiet: {kind: 'switch', help: 'tells only seeds that failed'},
  tail: {kind: 'whole', default: TAIL_LINES, help: 'lines of the log that a failure shows'},
  swarm: {
    kind: 'text',
    default: '{}',
    form: {name: 'an object in JSON of what seeds draw (see swarm.ts)', fits: isSwarm},
    help: 'what the seed would draw otherwise, as --shrink prints it',
  },
  'skip-faults': {
    kind: 'text',
    default: '',
    form: {name: 'numbers and ranges such as 0-3,7', fits: (text) => /^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)},
    help: 'faults to leave out by their numbers, as --shrink prints them',
  },
  canary: {kind: 'switch', help: 'runs the one that must fail'},
});

if (values.canary && (values.shrink || values.log)) {
  console.error('Error: --canary goes with neither --shrink nor --log: no seed repeats what it breaks');
  process.exit(2);
}
if (values.canary) await runTheCanary();
else if (values.shrink) await shrink();
else await runAll();

async function runAll(): Promise<void> {
  const first = values.seed;
  let failed = 0;
  let operations = 0;
  const before = process.cpuUsage();
  for (let seed = first; seed < first + values.count; seed++) {
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
    `${operations} operations in ${seconds.toFixed(1)} s of the processor (${Math.round(operations / seconds)} per second), seeds failed: ${failed}`,
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
  const recipe = recipeOf(values.seed);
  const report = await new SimulatedCluster(optionsOf(recipe)).run();
  if (report.violation === undefined) {
    tell(report);
    return;
  }
  const untilMs = performance.now() + values.minutes * 60_000;
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
    operations: values.operations,
    swarm: JSON.parse(values.swarm),
    skippedFaults: parseRanges(values['skip-faults']),
  };
}

function commandOf({seed, operations, swarm, skippedFaults}: Recipe): string {
  const skips = skippedFaults.length === 0 ? '' : ` --skip-faults ${formatRanges(skippedFaults)}`;
  return `npm run sim -- --seed ${seed} --operations ${operations} --swarm '${JSON.stringify(swarm)}'${skips}`;
}

function isSwarm(text: string): boolean {
  try {
    return isPartOfSwarm(JSON.parse(text));
  } catch {
    return false;
  }
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
  for (const line of explain(report.tail(values.tail), violation)) console.log(`  ${line}`);
  tellViolation(report);
}

function tellViolation({seed, violation, swarm}: SimulationReport): void {
  if (violation === undefined) return;
  const {step, atMs, invariant, detail} = violation;
  console.log(`seed ${seed}, step ${step}, at ${atMs.toFixed(3)} ms: ${invariant} does not hold`);
  console.log(detail);
  console.log(JSON.stringify(swarm));
}
