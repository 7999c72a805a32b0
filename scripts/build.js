/** `npm run build`: protobuf codecs, then TypeScript into dist/. */

import {spawnSync} from 'node:child_process';
import {renameSync, rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join, resolve} from 'node:path';

const root = resolve(import.meta.dirname, '..');
const dist = join(root, 'dist');
// A fresh folder, so that what was deleted in src does not live on, swapped in at the end: a program that runs from
// dist meanwhile finds its modules, and a build that fails leaves the last good one.
const fresh = join(root, `dist.${process.pid}.tmp`);
const old = `${fresh}.old.tmp`;

try {
  run('scripts/generate-proto.js');
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
  run(join(typescript, 'bin/tsc'), '-p', 'tsconfig.json', '--outDir', fresh);
  rename(dist, old);
  renameSync(fresh, dist);
} finally {
  rmSync(fresh, {recursive: true, force: true});
  rmSync(old, {recursive: true, force: true});
}

/** Runs a script of this project or of a package. @param {...string} command */
function run(...command) {
  const {status} = spawnSync(process.execPath, command, {cwd: root, stdio: 'inherit'});
  if (status === 0) return;
  process.exitCode = status ?? 1;
  throw new Error(`${command[0]} failed`);
}

/** The first build has nothing to move away. @param {string} from @param {string} to */
function rename(from, to) {
  try {
    renameSync(from, to);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}
