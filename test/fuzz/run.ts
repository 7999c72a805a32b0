/** `npm run fuzz -- [--minutes M] [--target T] [--seed N] [--coverage]`: broken inputs for every decoder, or for one. */

import {Progress} from '../runners/progress.ts';
import {runFlags} from '../runners/run-flags.ts';
import {BranchCoverage} from './branch-coverage.ts';

// Begun before what it counts is loaded.
const coverage = process.argv.includes('--coverage') ? new BranchCoverage() : undefined;
const {allTargets} = await import('./all-targets.ts');
const {fuzzTarget} = await import('./fuzz-run.ts');
const {portTargets} = await import('./port-targets.ts');

const ports = await portTargets();
const all = [...(await allTargets()), ...ports.targets];
const values = runFlags('fuzz', 'broken input for every decoder, or for one.', {
  minutes: {kind: 'number', default: 1, above: 0, help: 'of CPU, for all of them together'},
  target: {kind: 'text', choices: all.map(({name}) => name), help: 'this decoder alone'},
  seed: {kind: 'whole', default: 1, help: 'of the first input'},
  coverage: {kind: 'switch', help: 'tell how many branches of each file were taken'},
});
const chosen = all.filter(({name}) => values.target === undefined || name === values.target);
const forCpuMs = (values.minutes * 60_000) / chosen.length;
const progress = new Progress();
for (const [place, target] of chosen.entries()) {
  const onInput = (count: number) =>
    progress.at(() => `... ${target.name} (${place + 1} of ${chosen.length}): ${count} inputs`);
  const options = {seed: values.seed, forCpuMs, inputsMax: Number.POSITIVE_INFINITY, onInput};
  const {inputs, refused, cpuMs, slowestCpuMs, failure} = await fuzzTarget(target, options);
  const seconds = `${(cpuMs / 1000).toFixed(1)} s of CPU`;
  console.log(
    `${target.name}: ${inputs} inputs, ${refused} refused, ${seconds}, the slowest ${slowestCpuMs.toFixed(1)} ms`,
  );
  if (failure === undefined) continue;
  console.log(`FAILED ${failure}`);
  process.exitCode = 1;
}
await ports.stop();
for (const {path, branches, taken} of coverage?.take() ?? []) {
  console.log(`${Math.round((100 * taken) / Math.max(1, branches))} % of ${branches} branches: ${path}`);
}
