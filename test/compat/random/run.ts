/**
 * `npm run differential -- [--seed N] [--operations M] [--members 1|3] [--shrink-seconds S]`: random operations to
 * Debian's etcd and to kvd; says what differs, and how few operations show it.
 */

import {Progress} from '../../runners/progress.ts';
import {runFlags} from '../../runners/run-flags.ts';
import {type Difference, runDifferential} from './differential-run.ts';
import {shrink} from './shrink.ts';

const values = runFlags('differential', 'random operations to etcd and to kvd; says what differs.', {
  seed: {kind: 'whole', default: 1, help: 'of the operations'},
  operations: {kind: 'whole', default: 200_000, least: 1, help: 'how many'},
  members: {kind: 'whole', default: 1, choices: [1, 3], help: 'of each of the two'},
  'shrink-seconds': {
    kind: 'number',
    default: 300,
    help: 'how long to look for fewer operations that differ, too',
  },
});
const {seed, operations} = values;
const members = values.members === 3 ? 3 : 1;

const startedMs = performance.now();
const progress = new Progress();
const rate = (played: number) => Math.round((played / (performance.now() - startedMs)) * 1_000);
const all = Array.from({length: operations}, (_, number) => number);
const difference = await runDifferential({
  seed,
  members,
  numbers: all,
  onCheckpoint: (played) =>
    progress.at(() => `${played} of ${operations} operations alike, ${rate(played)} per second`),
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
  const untilMs = performance.now() + values['shrink-seconds'] * 1_000;
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
