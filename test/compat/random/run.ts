/**
 * `npm run differential -- [--seed N] [--operations M] [--members 1|3] [--shrink-seconds S]`: random operations to
 * Debian's etcd and to kvd; says what differs, and how few operations show it.
 */

import {parseArgs} from 'node:util';
import {type Difference, runDifferential} from './differential-run.ts';
import {shrink} from './shrink.ts';

const {values} = parseArgs({
  options: {
    seed: {type: 'string', default: '1'},
    operations: {type: 'string', default: '200000'},
    members: {type: 'string', default: '1'},
    'shrink-seconds': {type: 'string', default: '300'},
  },
});
const seed = Number(values.seed);
const operations = Number(values.operations);
const members = Number(values.members) === 3 ? 3 : 1;

const startedMs = performance.now();
const rate = (played: number) => Math.round((played / (performance.now() - startedMs)) * 1_000);
const all = Array.from({length: operations}, (_, number) => number);
const difference = await runDifferential({
  seed,
  members,
  numbers: all,
  onCheckpoint: (played) => {
    if (played % 20_000 === 0) console.log(`${played} operations alike, ${rate(played)} per second`);
  },
});
if (difference === undefined) {
  const {user, system} = process.cpuUsage();
  console.log(
    `seed ${seed}: ${operations} operations alike, ${rate(operations)} per second, ` +
      `${((user + system) / 1_000_000).toFixed(1)} s of the processor for the clients alone`,
  );
} else {
  process.exitCode = 1;
  tell(difference);
  await tellShortest(difference);
}

function tell({number, operation, etcd, kvd}: Difference): void {
  console.log(`seed ${seed}, operation ${number}: ${operation}\n  etcd: ${etcd}\n  kvd:  ${kvd}`);
}

async function tellShortest({number}: Difference): Promise<void> {
  const untilMs = performance.now() + Number(values['shrink-seconds']) * 1_000;
  let last: Difference | undefined;
  const fails = async (numbers: readonly number[]) => {
    const found = await runDifferential({seed, members, numbers});
    last = found ?? last;
    return found !== undefined;
  };
  const shortest = await shrink(all.slice(0, number + 1), {fails, untilMs});
  console.log(`${shortest.length} operations are enough: ${shortest.slice(0, 200).join(' ')}`);
  if (last !== undefined) tell(last);
}
