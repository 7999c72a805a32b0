/** `npm run sim -- --seed N [--count C] [--operations O] [--log]`: runs seeds and says what broke, when, and how. */

import {parseArgs} from 'node:util';
import {SimulatedCluster, type SimulationReport} from './simulated-cluster.ts';

const TAIL_LINES = 60;

const {values} = parseArgs({
  options: {
    seed: {type: 'string', default: '1'},
    count: {type: 'string', default: '1'},
    operations: {type: 'string', default: '1000'},
    tail: {type: 'string', default: String(TAIL_LINES)},
    log: {type: 'boolean', default: false},
    quiet: {type: 'boolean', default: false},
    keep: {type: 'boolean', default: false},
  },
});

const first = Number(values.seed);
let failed = 0;
let operations = 0;
const cpuBefore = process.cpuUsage();
for (let seed = first; seed < first + Number(values.count); seed++) {
  const listener = values.log ? (line: string) => console.log(line) : undefined;
  const report = await new SimulatedCluster({seed, operations: Number(values.operations), listener}).run();
  operations += report.operations;
  if (!values.quiet || report.violation !== undefined) tell(report);
  if (report.violation === undefined) continue;
  failed++;
  if (!values.keep) break;
}
const cpu = process.cpuUsage(cpuBefore);
const seconds = (cpu.user + cpu.system) / 1_000_000;
console.log(
  `${operations} operations in ${seconds.toFixed(1)} s of the processor (${Math.round(operations / seconds)} per second), ${failed} seeds failed`,
);
process.exitCode = failed === 0 ? 0 : 1;

function tell(report: SimulationReport): void {
  const {seed, violation, swarm} = report;
  const faults = [...report.faults].map(([kind, count]) => `${kind} ${count}`).join(', ');
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
  for (const line of report.tail(Number(values.tail))) console.log(`  ${line}`);
  console.log(
    `seed ${seed}, step ${violation.step}, at ${violation.atMs.toFixed(3)} ms: ${violation.invariant} does not hold`,
  );
  console.log(violation.detail);
  console.log(JSON.stringify(swarm));
}
