/**
 * `npm run sim` and `npm run sim:campaign`: compiles engine and simulator, plain and without a loader, because that
 * runs faster, and starts one of them. What was compiled is kept by the hash of its sources, which is also the name
 * under which campaigns add up.
 */

import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join, relative, resolve} from 'node:path';

const root = resolve(import.meta.dirname, '..');
const folder = join(root, '.sim-campaign');
const DAY_MS = 86_400_000;
const SOURCES = ['src/engine', 'src/transport/peer', 'test/simulator', 'test/runners'];

const [program, ...args] = process.argv.slice(2);
const engine = hash();
const compiled = join(folder, `build-${engine}`);
if (!existsSync(compiled)) compile();

const own =
  program === 'campaign'
    ? ['test/simulator/campaign/campaign.js', '--engine', engine, '--results', join(folder, `${engine}.json`)]
    : ['test/simulator/run.js'];
const [script, ...first] = own;
// The last one counts where a flag comes twice.
const {status} = spawnSync(process.execPath, [join(compiled, script), ...first, ...args], {
  cwd: root,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;

function hash() {
  const sum = createHash('sha256');
  for (const source of SOURCES) {
    const names = readdirSync(join(root, source), {recursive: true, encoding: 'utf8'});
    const files = names.filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts')).sort();
    for (const name of files) {
      const path = join(root, source, name);
      sum
        .update(`${relative(root, path)}\n`)
        .update(readFileSync(path))
        .update('\n');
    }
  }
  return sum.digest('hex').slice(0, 16);
}

function compile() {
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
