/** `npm run chaos -- [--minutes M] [--members 3|5] [--seed N]`: real members under faults; says what was broken. */

import {parseArgs} from 'node:util';
import {runChaos} from './chaos-run.ts';

const {values} = parseArgs({
  options: {
    minutes: {type: 'string', default: '1'},
    members: {type: 'string', default: '3'},
    seed: {type: 'string', default: '1'},
  },
});
const [minutes, members, seed] = [values.minutes, values.members, values.seed].map(Number);

const report = await runChaos({seed, members, lastsMs: minutes * 60_000});
const faults = [...report.faults].map(([kind, count]) => `${kind} ${count}`).join(', ');
console.log(
  `${members} members: ${report.answered} operations answered (${report.perSecond} per second), ${report.unknown} given up, ` +
    `revision ${report.revision}, ${report.watchEvents} events of watches resumed ${report.resumed} times, ` +
    `${report.leases} leases, ${report.expired} expired, ${report.undecidedParts} sets of keys undecided; faults: ${faults}` +
    `${report.hasSmallDisks ? '' : '; no small file systems: mounting is not permitted here'}`,
);
for (const violation of report.violations) console.log(`VIOLATION ${violation}`);
process.exitCode = report.violations.length === 0 ? 0 : 1;
