/**
 * A process to be killed: it checks that the image is exactly what its mark says, then commits numbered batches for
 * ever, defragmenting now and then, and writes each number when its commit has resolved.
 */

import {writeSync} from 'node:fs';
import {assert} from '../../src/engine/errors.ts';
import {LmdbBackendOpener} from '../../src/engine/io/lmdb-backend.ts';
import type {Backend, BackendBatch} from '../../src/engine/ports.ts';

const BATCH_RECORDS = 50;
/** Batches whose records are still there; the one before is deleted. */
const BATCHES_KEPT = 10;
const COMMITS_PER_DEFRAGMENTATION = 25;

function recordOf(batch: number, place: number): {table: 'key'; key: Uint8Array; value: Uint8Array} {
  const key = Buffer.alloc(17);
  key.writeUInt32BE(batch, 4);
  key[8] = 0x5f;
  key.writeUInt32BE(place, 13);
  return {table: 'key', key, value: Buffer.alloc(100 + ((batch * 31 + place) % 400), `${batch}/${place} `)};
}

function records(batch: number): ReturnType<typeof recordOf>[] {
  return batch < 1 ? [] : Array.from({length: BATCH_RECORDS}, (_, place) => recordOf(batch, place));
}

const counterOf = (index: number) => ({
  table: 'lease' as const,
  key: Buffer.from('counter'),
  value: Buffer.from(String(index)),
});

function batchOf(index: number): BackendBatch {
  return {
    puts: [...records(index), counterOf(index)],
    deletes: records(index - BATCHES_KEPT),
    applied: {index, term: 1, hash: index},
  };
}

function checkImage(backend: Backend): number {
  const index = backend.applied()?.index ?? 0;
  const expected = Array.from({length: BATCHES_KEPT}, (_, i) => records(index - BATCHES_KEPT + 1 + i)).flat();
  const found = [...backend.range('key', {})];
  assert(found.length === expected.length, `${found.length} records at ${index}, not ${expected.length}`);
  assert(backend.count('key') === expected.length, 'the stored count is wrong');
  for (const [i, {key, value}] of expected.entries()) {
    const isEqual = Buffer.compare(found[i][0], key) === 0 && Buffer.compare(found[i][1], value) === 0;
    assert(isEqual, `record ${i} at ${index} is another`);
  }
  const counter = backend.get('lease', Buffer.from('counter'));
  assert(
    Number(counter === undefined ? 0 : Buffer.from(counter).toString()) === index,
    'the counter is not the mark',
  );
  return index;
}

const backend = await new LmdbBackendOpener(process.argv[2]).open('store');
let index = checkImage(backend);
writeSync(1, `${index}\n`);
for (;;) {
  index++;
  if (index % COMMITS_PER_DEFRAGMENTATION === 0) void backend.defragment();
  await backend.commit(batchOf(index));
  writeSync(1, `${index}\n`);
}
