/** `npm run golden:rewrite`: runs the golden tests and takes what they print for right. Inspect the diff. */

import {spawnSync} from 'node:child_process';
import {resolve} from 'node:path';

const {status} = spawnSync(
  'npx',
  ['vitest', 'run', '--project', 'code', 'test/golden', ...process.argv.slice(2)],
  {
    cwd: resolve(import.meta.dirname, '..'),
    stdio: 'inherit',
    env: {...process.env, KVD_GOLDEN_REWRITE: '1'},
  },
);
process.exitCode = status ?? 1;
