/** What `snapshot status` says of a file. Reads all of it, and so checks its structure on the way. */

import {EngineError} from '../../errors.ts';
import {toLatin1} from '../../lib/bytes.ts';
import {decodeKeyValue} from '../../state-machine/mvcc/key-value-record.ts';
import {decodeRevision, isTombstone} from '../../state-machine/mvcc/revision.ts';
import type {TableRecord} from '../../types.ts';
import {LiveKeys} from './live-keys.ts';
import {invalid} from './page-reader.ts';
import {RecordHash} from './record-hash.ts';
import {STORAGE_VERSION_KEY} from './snapshot-buckets.ts';
import type {SnapshotFile} from './snapshot-file.ts';

export interface SnapshotStatus {
  /** CRC-32C over all buckets, unsigned. */
  readonly hash: number;
  /** Of the last change, 0 in an empty store. */
  readonly revision: number;
  /** Keys that exist at that revision: what etcd 3.6 and later count. */
  readonly totalKeys: number;
  /** Records of all buckets: what etcd up to 3.5 counts. */
  readonly totalRecords: number;
  /** Bytes, without the digest. */
  readonly totalSize: number;
  /** The version of etcd whose layout the store has; empty when it does not say. */
  readonly version: string;
}

/** @throws EngineError `snapshotInvalid` */
export async function readSnapshotStatus(file: SnapshotFile): Promise<SnapshotStatus> {
  const hash = new RecordHash();
  const keys = new LiveKeys();
  let totalRecords = 0;
  let revision = 0;
  let version = '';
  for (const bucket of file.bucketNames()) {
    hash.bucket(bucket);
    for await (const records of file.records(bucket)) {
      totalRecords += records.length;
      for (const record of records) {
        hash.record(record[0], record[1]);
        if (bucket === 'key') revision = countKey(record, keys);
        else if (bucket === 'meta' && toLatin1(record[0]) === STORAGE_VERSION_KEY)
          version = toLatin1(record[1]);
      }
    }
  }
  return {
    hash: hash.value,
    revision,
    totalKeys: keys.count,
    totalRecords,
    totalSize: file.totalSize,
    version,
  };
}

/** @returns the record's revision */
function countKey([key, value]: TableRecord, keys: LiveKeys): number {
  try {
    const {main} = decodeRevision(key);
    const userKey = decodeKeyValue(value).key;
    if (isTombstone(key)) keys.delete(userKey);
    // A bumped revision is a record without a key.
    else if (userKey.length > 0) keys.put(userKey);
    return main;
  } catch (error) {
    if (!(error instanceof EngineError) || error.failure.code !== 'storeCorrupt') throw error;
    throw invalid(`a record of the bucket "key" cannot be read: ${error.failure.detail}`, error);
  }
}
