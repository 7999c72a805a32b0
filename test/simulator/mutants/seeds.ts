/**
 * Runs seeds in this process, whose engine may be a mutant (see loader.js), until one fails; tells the outcome as one
 * line of JSON. The CPU budget is looked at between seeds.
 */

import {parseArgs} from 'node:util';
import {SimulatedCluster} from '../simulated-cluster.ts';
import type {Swarm} from '../swarm.ts';
import type {HuntResult} from './hunt.ts';

const {values} = parseArgs({
  options: {
    seeds: {type: 'string', default: '1-10'},
    operations: {type: 'string', default: '1000'},
    'cpu-seconds': {type: 'string', default: '600'},
    /** As JSON. */
    swarm: {type: 'string', default: '{}'},
  },
});
const [from, to] = values.seeds.split('-').map(Number);
const overrides: Partial<Swarm> = JSON.parse(values.swarm);
const cpuMsMax = Number(values['cpu-seconds']) * 1_000;
const cpuMs = () => {
  const {user, system} = process.cpuUsage();
  return (user + system) / 1_000;
};

let seeds = 0;
let operations = 0;
let found: HuntResult['found'];
for (let seed = from; seed <= to && cpuMs() < cpuMsMax; seed++) {
  const {violation, ...report} = await new SimulatedCluster({
    seed,
    operations: Number(values.operations),
    overrides,
  }).run();
  seeds++;
  operations += report.operations;
  if (violation === undefined) continue;
  found = {
    seed,
    step: violation.step,
    invariant: violation.invariant,
    detail: violation.detail.slice(0, 1_000),
  };
  break;
}
const result: HuntResult = {seeds, operations, cpuMs: Math.round(cpuMs()), found};
process.stdout.write(`${JSON.stringify(result)}\n`);
// What a run left behind is of no more interest.
process.exit(0);
