/** A process that holds a folder's lock until it is killed; says so on stdout. For folder-lock.test.ts. */

import {lockFolder} from '../../../src/engine/io/folder-lock.ts';

const folder = process.argv[2];
await lockFolder(folder);
process.stdout.write('held\n');
setInterval(() => {}, 60_000);
