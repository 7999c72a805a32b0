/** `npm run fuzz -- [--minutes M] [--target T] [--seed N]`: broken inputs for every decoder, or for one. */

import {runFlags} from '../runners/run-flags.ts';
import {allTargets} from './all-targets.ts';
import {fuzzTarget} from './fuzz-run.ts';
import {portTarget} from './port-target.ts';

const port = await portTarget();
const all = [...(await allTargets()), port.target];
const values = runFlags('fuzz', 'broken input for every decoder, or for one.', {
  minutes: {kind: 'number', default: 1, help: 'for all of them together'},
  target: {kind: 'text', choices: all.map(({name}) => name), help: 'this decoder alone'},
  seed: {kind: 'whole', default: 1, help: 'of the first input'},
});
const targets = all.filter(({name}) => values.target === undefined || name === values.target);
const forMs = (values.minutes * 60_000) / targets.length;
for (const target of targets) {
  const options = {seed: values.seed, forMs, inputsMax: Number.POSITIVE_INFINITY};
  const {inputs, refused, slowestMs, failure} = await fuzzTarget(target, options);
  console.log(`${target.name}: ${inputs} inputs, ${refused} refused, the slowest ${slowestMs.toFixed(1)} ms`);
  if (failure === undefined) continue;
  console.log(`FAILED ${failure}`);
  process.exitCode = 1;
}
port.stop();
