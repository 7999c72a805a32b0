/** `npm run size`: test/process/size.test.ts with a million keys and a gigabyte to save. */

import {spawnSync} from 'node:child_process';
import {resolve} from 'node:path';

const {status} = spawnSync('npx', ['vitest', 'run', '--project', 'process', 'test/process/size.test.ts'], {
  cwd: resolve(import.meta.dirname, '..'),
  stdio: 'inherit',
  env: {KVD_SIZE_KEYS: '1000000', KVD_SIZE_SAVE_BYTES: '1000000000', ...process.env},
});
process.exitCode = status ?? 1;
