/**
 * A process to be killed: it checks that the image is exactly what its number says, then commits numbered batches
 * for ever, defragmenting now and then, and writes each number when its commit has resolved.
 *
 * Arguments: the folder of the store, and whether its batches are marked.
 */

import {writeSync} from 'node:fs';
import {LmdbBackendOpener} from '../../src/engine/io/lmdb-backend.ts';
import {checkNumberedImage, numberedBatch} from './numbered-batches.ts';

const COMMITS_PER_DEFRAGMENTATION = 25;

const [, , folder, marked] = process.argv;
const isMarked = marked === 'marked';
writeSync(1, 'opens\n');
const backend = await new LmdbBackendOpener(folder).open('.');
let number = checkNumberedImage(backend, {isMarked});
writeSync(1, `${number}\n`);
for (;;) {
  number++;
  if (number % COMMITS_PER_DEFRAGMENTATION === 0) void backend.defragment();
  await backend.commit(numberedBatch(number, {isMarked}));
  writeSync(1, `${number}\n`);
}
