/**
 * `npm run chaos -- [--minutes M] [--members 3|5] [--seed N]`: real members under faults; says what was broken. A long
 * time is several clusters, one after the other, with a seed each.
 */

import {parseArgs} from 'node:util';
import {runChaos} from './chaos-run.ts';
import {describeReport} from './describe-report.ts';

/** Of one cluster: its whole history lies in memory until it is checked. */
const RUN_MINUTES_MAX = 5;

const {values} = parseArgs({
  options: {
    minutes: {type: 'string', default: '1'},
    members: {type: 'string', default: '3'},
    seed: {type: 'string', default: '1'},
  },
});
const [minutes, members, firstSeed] = [values.minutes, values.members, values.seed].map(Number);

const runs = Math.ceil(minutes / RUN_MINUTES_MAX);
for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
  const report = await runChaos({seed, members, lastsMs: (minutes / runs) * 60_000});
  console.log(`seed ${seed}: ${describeReport(members, report)}`);
  for (const violation of report.violations) console.log(`VIOLATION ${violation}`);
  if (report.violations.length > 0) process.exitCode = 1;
}
