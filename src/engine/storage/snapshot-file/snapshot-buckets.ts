/**
 * What of a store goes into a snapshot file, bucket by bucket in the order of their names.
 *
 * All ten buckets of etcd are there, each record as the store holds it, with these exceptions, so that what is
 * restored from the file is a clean new cluster, under any version of etcd:
 *
 * - `kvd` stays behind: nobody else knows it, and etcd's own hash would take it in.
 * - `members`, `members_removed`, `cluster` and `alarm` are empty. They speak of the old cluster, and restoring
 *   (in etcd 3.4 even of members) keeps what it finds there: an alarm would refuse all writes.
 * - of `meta` go the compact revisions alone, and a `consistent_index` that is never 0.
 */

import {fromLatin1, toLatin1} from '../../lib/bytes.ts';
import type {BackendReader} from '../../ports.ts';
import {TABLES, type Table, type TableRecord} from '../../types.ts';

export const CONSISTENT_INDEX_KEY = 'consistent_index';
export const FINISHED_COMPACT_KEY = 'finishedCompactRev';
export const SCHEDULED_COMPACT_KEY = 'scheduledCompactRev';
export const STORAGE_VERSION_KEY = 'storageVersion';
export const TERM_KEY = 'term';

export type Bucket = Exclude<Table, 'kvd'>;

export const BUCKETS: readonly Bucket[] = TABLES.filter((table) => table !== 'kvd');

const LEFT_EMPTY: readonly Bucket[] = ['alarm', 'cluster', 'members', 'members_removed'];

/** The records of one bucket of the file, in key order. */
export function* snapshotRecords(reader: BackendReader, bucket: Bucket): IterableIterator<TableRecord> {
  if (LEFT_EMPTY.includes(bucket)) return;
  if (bucket !== 'meta') {
    yield* reader.range(bucket, {});
    return;
  }
  // "consistent_index" comes first, then "finished…", then "scheduled…".
  const index = Buffer.alloc(8);
  index.writeBigUInt64BE(BigInt(Math.max(1, reader.applied()?.index ?? 0)));
  yield [fromLatin1(CONSISTENT_INDEX_KEY), index];
  for (const record of reader.range('meta', {})) {
    const key = toLatin1(record[0]);
    if (key === FINISHED_COMPACT_KEY || key === SCHEDULED_COMPACT_KEY) yield record;
  }
}
