/** What a process to be killed commits, batch after batch, and what its store must hold at each of them. */

import {assert} from '../../src/engine/errors.ts';
import type {Backend, BackendBatch} from '../../src/engine/ports.ts';
import {type AppliedMark, TABLES, type Table} from '../../src/engine/types.ts';

const BATCH_RECORDS = 50;
/** Batches whose records are still there; the one before is deleted. */
const BATCHES_KEPT = 10;
const COUNTER_KEY = Buffer.from('counter');
/** What a store without a mark is committed under. */
const NO_MARK: AppliedMark = {index: 0, term: 0, hash: 0};

interface NumberedRecord {
  readonly table: Table;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** @param options isMarked: the batch's number is the store's mark; else the store has none */
export function numberedBatch(number: number, {isMarked}: {readonly isMarked: boolean}): BackendBatch {
  return {
    puts: [...recordsOf(number), counterAt(number)],
    deletes: recordsOf(number - BATCHES_KEPT),
    applied: isMarked ? {index: number, term: 1, hash: number} : NO_MARK,
  };
}

/**
 * @returns the batch that the store is at, 0 when it is fresh
 * @throws AssertionError when it is not exactly what that batch left
 */
export function checkNumberedImage(backend: Backend, {isMarked}: {readonly isMarked: boolean}): number {
  const counter = backend.get('lease', COUNTER_KEY);
  const number = counter === undefined ? 0 : Number(Buffer.from(counter).toString());
  const mark = backend.applied()?.index;
  assert(mark === (isMarked && number > 0 ? number : undefined), `the mark is ${mark} at batch ${number}`);
  const expected = expectedAt(number);
  for (const table of TABLES) {
    const wanted = expected.filter((record) => record.table === table);
    const found = [...backend.range(table, {})];
    const reversed = [...backend.range(table, {reverse: true})].reverse();
    const place = `table ${table} at batch ${number}`;
    assert(found.length === wanted.length, `${found.length} records, not ${wanted.length}: ${place}`);
    assert(reversed.length === wanted.length, `${reversed.length} records from behind: ${place}`);
    assert(backend.count(table) === wanted.length, `the stored count is wrong: ${place}`);
    for (const [i, {key, value}] of wanted.entries()) {
      for (const [foundKey, foundValue] of [found[i], reversed[i]]) {
        const isEqual = Buffer.compare(foundKey, key) === 0 && Buffer.compare(foundValue, value) === 0;
        assert(isEqual, `record ${i} is another: ${place}`);
      }
      const got = backend.get(table, key);
      assert(got !== undefined && Buffer.compare(got, value) === 0, `record ${i} is not got: ${place}`);
    }
  }
  return number;
}

/** Takes out what the batches left, so that the store has nothing in it but its past. */
export async function clearNumbered(backend: Backend, number: number): Promise<void> {
  await backend.commit({puts: [], deletes: expectedAt(number), applied: NO_MARK});
}

function expectedAt(number: number): NumberedRecord[] {
  const kept = Array.from({length: BATCHES_KEPT}, (_, i) => recordsOf(number - BATCHES_KEPT + 1 + i)).flat();
  return number === 0 ? [] : [...kept, counterAt(number)];
}

function recordsOf(batch: number): NumberedRecord[] {
  if (batch < 1) return [];
  return Array.from({length: BATCH_RECORDS}, (_, place) => {
    const key = Buffer.alloc(17);
    key.writeUInt32BE(batch, 4);
    key[8] = 0x5f;
    key.writeUInt32BE(place, 13);
    return {table: 'key', key, value: Buffer.alloc(100 + ((batch * 31 + place) % 400), `${batch}/${place} `)};
  });
}

const counterAt = (number: number): NumberedRecord => ({
  table: 'lease',
  key: COUNTER_KEY,
  value: Buffer.from(String(number)),
});
