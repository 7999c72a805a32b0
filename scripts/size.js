/** `npm run size`: test/process/size.test.ts with a million keys and a gigabyte to save. */

import {spawnSync} from 'node:child_process';
import {resolve} from 'node:path';

const ABOUT =
  'npm run size: a million keys and a gigabyte to save, against the limits. It takes no flags; the variables ' +
  'KVD_SIZE_KEYS and KVD_SIZE_SAVE_BYTES say other sizes.';
if (process.argv.length > 2) {
  const isAsked = process.argv[2] === '--help';
  console[isAsked ? 'log' : 'error'](ABOUT);
  process.exit(isAsked ? 0 : 2);
}
const {status} = spawnSync('npx', ['vitest', 'run', '--project', 'process', 'test/process/size.test.ts'], {
  cwd: resolve(import.meta.dirname, '..'),
  stdio: 'inherit',
  env: {KVD_SIZE_KEYS: '1000000', KVD_SIZE_SAVE_BYTES: '1000000000', ...process.env},
});
process.exitCode = status ?? 1;
