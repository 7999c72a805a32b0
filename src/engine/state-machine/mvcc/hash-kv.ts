/**
 * etcd's HashKV: CRC-32C over the word "key" and all records up to a revision, as a finished compaction leaves
 * them. Members agree on it however far each has come with deleting.
 *
 * etcd hashes, of the records at or before the compact revision, those that still show at the hashed revision; if
 * nothing shows there at all, all that the compaction left. A deletion at the compact revision is never hashed:
 * older releases delete it, newer keep it.
 */

import {assert, EngineError} from '../../errors.ts';
import {toLatin1} from '../../lib/bytes.ts';
import {crc32c} from '../../lib/crc32c.ts';
import type {Revision} from '../../types.ts';
import {SliceBudget} from '../slice-budget.ts';
import type {KeyValueReader} from './key-value-reader.ts';
import {decodeKeyValue} from './key-value-record.ts';
import {decodeRevision, encodeRevision, isTombstone} from './revision.ts';

const BUCKET_NAME = Buffer.from('key', 'latin1');
/** What etcd answers for a revision below any. */
export const HASH_OF_NOTHING = crc32c(BUCKET_NAME);

/**
 * @throws EngineError compacted when that happens between two slices; timeoutWaitingForApply while tombstones at or
 * before `at` are still to be written
 */
export function* hashKvSlices(reader: KeyValueReader, at: number): Generator<undefined, number> {
  const {compactRevision} = reader;
  assert(at >= compactRevision, 'a hashed revision stands');
  requireSettled(reader, at);
  const budget = new SliceBudget();
  const keptAt = (yield* hasAnyKey(reader, at)) ? at : compactRevision;
  const to = encodeRevision(at + 1, 0);
  let hash = crc32c(BUCKET_NAME);
  let from: Uint8Array | undefined = encodeRevision(0, 0);
  while (from !== undefined) {
    // The walk starts anew in every slice: no cursor stands while the loop runs other things.
    let last: Revision | undefined;
    for (const [key, value] of reader.records.range('key', {from, to})) {
      const revision = decodeRevision(key);
      if (isHashed(reader, {revision, compactRevision, keptAt}, key, value))
        hash = crc32c(value, crc32c(key, hash));
      budget.spend(1, value.length);
      if (budget.isSpent) {
        last = revision;
        break;
      }
    }
    from = last && encodeRevision(last.main, last.sub + 1);
    if (from !== undefined) {
      yield;
      budget.renew();
      reader.requireReadable(at);
      requireSettled(reader, at);
    }
  }
  return hash;
}

function requireSettled({index}: KeyValueReader, at: number): void {
  const first = index.deletions.from(0);
  if (first !== undefined && first.revision <= at) throw new EngineError({code: 'timeoutWaitingForApply'});
}

function isHashed(
  reader: KeyValueReader,
  {revision, compactRevision, keptAt}: {revision: Revision; compactRevision: number; keptAt: number},
  key: Uint8Array,
  value: Uint8Array,
): boolean {
  if (revision.main > compactRevision) return true;
  if (isTombstone(key)) return false;
  const shown = reader.index.find(toLatin1(decodeKeyValue(value).key), keptAt);
  return shown !== undefined && shown.main === revision.main && shown.sub === revision.sub;
}

function* hasAnyKey(reader: KeyValueReader, at: number): Generator<undefined, boolean> {
  const budget = new SliceBudget();
  let from: string | undefined = '';
  while (from !== undefined) {
    let isFound = false;
    from = reader.index.walk({from, to: undefined, at, countMax: budget.keys}, () => {
      isFound = true;
      return true;
    });
    if (isFound) return true;
    if (from !== undefined) yield;
    reader.requireReadable(at);
  }
  return false;
}
