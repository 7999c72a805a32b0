/** `npm run fuzz -- [--minutes M] [--target T] [--seed N]`: broken inputs for every decoder, or for one. */

import {parseArgs} from 'node:util';
import {allTargets} from './all-targets.ts';
import {fuzzTarget} from './fuzz-run.ts';
import {portTarget} from './port-target.ts';

const {values} = parseArgs({
  options: {
    minutes: {type: 'string', default: '1'},
    target: {type: 'string'},
    seed: {type: 'string', default: '1'},
  },
});
const port = await portTarget();
const targets = [...(await allTargets()), port.target].filter(
  ({name}) => values.target === undefined || name === values.target,
);
if (targets.length === 0) throw new Error(`no target ${values.target}`);
const forMs = (Number(values.minutes) * 60_000) / targets.length;
for (const target of targets) {
  const options = {seed: Number(values.seed), forMs, inputsMax: Number.POSITIVE_INFINITY};
  const {inputs, refused, slowestMs, failure} = await fuzzTarget(target, options);
  console.log(`${target.name}: ${inputs} inputs, ${refused} refused, the slowest ${slowestMs.toFixed(1)} ms`);
  if (failure === undefined) continue;
  console.log(`FAILED ${failure}`);
  process.exitCode = 1;
}
port.stop();
