/**
 * `npm run chaos -- [--minutes M] [--members 3|5] [--seed N]`: real members under faults; says what was broken. A long
 * time is several clusters, one after the other, with a seed each.
 */

import {Progress} from '../../runners/progress.ts';
import {runFlags} from '../../runners/run-flags.ts';
import {runChaos} from './chaos-run.ts';
import {describeReport} from './describe-report.ts';

/** Of one cluster: its whole history lies in memory until it is checked. */
const RUN_MINUTES_MAX = 5;

const {
  minutes,
  members,
  seed: firstSeed,
} = runFlags('chaos', 'real members under faults, and clients; says what was broken.', {
  minutes: {
    kind: 'number',
    default: 1,
    above: 0,
    help: `how long; beyond ${RUN_MINUTES_MAX}, several clusters one by one`,
  },
  members: {kind: 'whole', default: 3, choices: [3, 5], help: 'of each cluster'},
  seed: {kind: 'whole', default: 1, help: 'of the first cluster'},
});

const progress = new Progress();
const secondsSince = (startedMs: number) => Math.round((performance.now() - startedMs) / 1_000);
const runs = Math.ceil(minutes / RUN_MINUTES_MAX);
for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
  const startedMs = performance.now();
  const onSecond = (answered: number) =>
    progress.at(() => `... seed ${seed}: ${answered} operations answered in ${secondsSince(startedMs)} s`);
  const report = await runChaos({seed, members, lastsMs: (minutes / runs) * 60_000, onSecond});
  console.log(`seed ${seed}: ${describeReport(members, report)}`);
  for (const violation of report.violations) console.log(`VIOLATION ${violation}`);
  // Sets of keys that nobody could decide on have not been shown to be right.
  if (report.violations.length > 0 || report.undecidedParts > 0) process.exitCode = 1;
}
