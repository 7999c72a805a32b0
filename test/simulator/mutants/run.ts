/**
 * `npm run sim:mutants [-- --only id,id --seeds N --operations O --cpu-seconds S]`: hunts every mutant from seed 1 on,
 * and prints the table of docs/TESTING.md. A seed that fails without the mutant, too, does not count.
 */

import {runFlags} from '../../runners/run-flags.ts';
import {MUTANTS} from './all-mutants.ts';
import {HUNT_OPERATIONS, type HuntResult, hunt} from './hunt.ts';
import {type Mutant, mutatedSources} from './mutant.ts';

const IDS = new Set(MUTANTS.map(({id}) => id));
const values = runFlags(
  'sim:mutants',
  'hunts every mutant of the engine; prints the table of docs/TESTING.md.',
  {
    only: {
      kind: 'text',
      default: '',
      form: {name: 'names of mutants', fits: (text) => text.split(',').every((id) => IDS.has(id))},
      help: 'these mutants, by their names with commas between',
    },
    seeds: {kind: 'whole', default: 10_000, least: 1, help: 'the last seed for each'},
    operations: {
      kind: 'whole',
      default: HUNT_OPERATIONS,
      least: 1,
      help: 'of all clients together, in each run',
    },
    'cpu-seconds': {kind: 'number', default: 300, above: 0, help: 'of the processor for each mutant'},
    jobs: {kind: 'whole', default: 2, least: 1, help: 'mutants at a time'},
    detail: {kind: 'switch', help: 'tells what was noticed'},
  },
);

const operations = values.operations;
const only = values.only.split(',').filter((id) => id !== '');
const queue = MUTANTS.filter(({id}) => only.length === 0 || only.includes(id));
// Before anything runs for long: whether all of them fit.
for (const mutant of queue) mutatedSources(mutant);
const rows = new Map<string, string>();
const missed: string[] = [];
await Promise.all(Array.from({length: values.jobs}, () => work()));
console.log(
  '\n| mutant | historic bug | what it does wrong | seeds | operations | noticed by |\n|---|---|---|---|---|---|',
);
for (const {id} of MUTANTS) if (rows.has(id)) console.log(rows.get(id));
console.log(`\n${rows.size - missed.length} of ${rows.size} found; missed: ${missed.join(', ') || 'none'}`);
process.exitCode = missed.length === 0 ? 0 : 1;

function number(value: number): string {
  return value.toLocaleString('en-US');
}

async function work(): Promise<void> {
  for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
    const result = await huntFor(mutant);
    const {seeds, found, cpuMs} = result;
    const isExpected = found !== undefined && mutant.by.includes(found.invariant);
    if (!isExpected) missed.push(mutant.id);
    const by =
      found === undefined ? 'not found' : isExpected ? found.invariant : `BROKEN: ${found.invariant}`;
    rows.set(
      mutant.id,
      `| \`${mutant.id}\` | ${mutant.bug} | ${mutant.what} | ${seeds} | ${number(result.operations)} | ${by} |`,
    );
    console.log(
      `${mutant.id}: ${by}; seeds: ${seeds}, operations: ${number(result.operations)}, ${Math.round(cpuMs / 1_000)} s of CPU`,
    );
    if (found !== undefined && (values.detail || !isExpected)) console.log(`  ${found.detail.slice(0, 600)}`);
  }
}

async function huntFor(mutant: Mutant): Promise<HuntResult> {
  const options = {operations, cpuSeconds: values['cpu-seconds'], swarm: mutant.swarm};
  const result = await hunt(mutant, {...options, from: 1, to: values.seeds});
  if (result.found === undefined) return result;
  const {seed} = result.found;
  const original = await hunt(undefined, {...options, from: seed, to: seed});
  if (original.found === undefined) return result;
  const {invariant, detail} = original.found;
  return {
    ...result,
    found: {...result.found, invariant: `seed ${seed} WITHOUT A MUTANT`, detail: `${invariant}: ${detail}`},
  };
}
