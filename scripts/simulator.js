/**
 * `npm run sim` and `npm run sim:campaign`: compiles engine and simulator, plain and without a loader, because that
 * runs faster, and starts one of them. What was compiled is kept by the hash of its sources. Campaigns add up under
 * the hash of what they load of `src`: a change elsewhere leaves their sums alone.
 */

import {spawn, spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync} from 'node:fs';
import {createRequire} from 'node:module';
import {constants} from 'node:os';
import {dirname, join, relative, resolve} from 'node:path';

const root = resolve(import.meta.dirname, '..');
const folder = join(root, '.sim-campaign');
const DAY_MS = 86_400_000;
const PROGRAMS = {
  campaign: ['test/simulator/campaign/campaign.ts', 'test/simulator/campaign/worker.ts'],
  run: ['test/simulator/run.ts'],
};

const [program, ...args] = process.argv.slice(2);
const loaded = sourcesOf(Object.values(PROGRAMS).flat());
const engine = hashOf(loaded.filter((path) => path.startsWith('src/')));
const simulator = hashOf(loaded.filter((path) => !path.startsWith('src/')));
const compiled = join(folder, `build-${engine}-${simulator}`);
if (!existsSync(compiled)) compile();

const own =
  program === 'campaign'
    ? ['--engine', engine, '--simulator', simulator, '--results', join(folder, `${engine}.json`)]
    : [];
const script = `${PROGRAMS[program][0].slice(0, -3)}.js`;
// The last one counts where a flag comes twice.
const child = spawn(process.execPath, [join(compiled, script), ...own, ...args], {
  cwd: root,
  stdio: 'inherit',
});
// A campaign that is broken off still has sums to keep and to tell: this process ends when it has.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.once('exit', (code, signal) => {
  // As a shell tells it.
  process.exitCode = code ?? 128 + constants.signals[signal];
});

/** The files, from the root on, that these import, and those that they import; sorted. */
function sourcesOf(entries) {
  const known = new Set(entries);
  for (const path of known) {
    const text = readFileSync(join(root, path), 'utf8');
    for (const [, imported] of text.matchAll(/\bfrom '(\.[^']*\.ts)'/g))
      known.add(relative(root, resolve(root, dirname(path), imported)));
  }
  return [...known].sort();
}

function hashOf(paths) {
  const sum = createHash('sha256');
  for (const path of paths) {
    sum
      .update(`${path}\n`)
      .update(readFileSync(join(root, path)))
      .update('\n');
  }
  return sum.digest('hex').slice(0, 16);
}

function compile() {
  console.error('compiles engine and simulator, once for these sources ...');
  const fresh = `${compiled}.${process.pid}.tmp`;
  mkdirSync(folder, {recursive: true});
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
  const flags = ['-p', join(root, 'tsconfig.simulator.json'), '--outDir', fresh];
  const done = spawnSync(process.execPath, [join(typescript, 'bin/tsc'), ...flags], {
    cwd: root,
    stdio: 'inherit',
  });
  if (done.status !== 0) {
    rmSync(fresh, {recursive: true, force: true});
    throw new Error('the simulator does not compile');
  }
  for (const name of readdirSync(folder).filter((one) => one.startsWith('build-'))) {
    const path = join(folder, name);
    // A campaign on other sources may still run from its own.
    if (Date.now() - statSync(path).mtimeMs > DAY_MS) rmSync(path, {recursive: true, force: true});
  }
  try {
    renameSync(fresh, compiled);
  } catch (error) {
    // Another one has compiled the same meanwhile.
    if (!existsSync(compiled)) throw error;
    rmSync(fresh, {recursive: true, force: true});
  }
}
