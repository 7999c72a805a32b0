/** `npm run build`: protobuf codecs, then TypeScript into dist/. */

import {spawnSync} from 'node:child_process';
import {rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join, resolve} from 'node:path';

const root = resolve(import.meta.dirname, '..');

/** Runs a script of this project or of a package; its failure is ours. */
function run(...command) {
  const {status} = spawnSync(process.execPath, command, {cwd: root, stdio: 'inherit'});
  if (status !== 0) process.exit(status ?? 1);
}

run('scripts/generate-proto.js');
// What was deleted or renamed in src must not live on in dist.
rmSync(join(root, 'dist'), {recursive: true, force: true});
const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
run(join(typescript, 'bin/tsc'), '-p', 'tsconfig.json');
