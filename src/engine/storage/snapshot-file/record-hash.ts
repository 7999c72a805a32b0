/**
 * CRC-32C over every bucket: its name, then each key and value, buckets in the order of their names. With nothing
 * left out it is the hash that `snapshot status` prints; without what differs between members that hold the same
 * (the position in the log) it is the answer of Maintenance.Hash.
 */

import {fromLatin1, toLatin1} from '../../lib/bytes.ts';
import {crc32c} from '../../lib/crc32c.ts';
import type {BackendReader, Clock} from '../../ports.ts';
import {Pace} from './pace.ts';
import {BUCKETS, CONSISTENT_INDEX_KEY, STORAGE_VERSION_KEY, TERM_KEY} from './snapshot-buckets.ts';

/** As etcd 3.6 does: not compared between members of different progress. */
const LEFT_OUT_OF_META: readonly string[] = [CONSISTENT_INDEX_KEY, TERM_KEY, STORAGE_VERSION_KEY];

export class RecordHash {
  #crc = 0;

  bucket(name: string): void {
    this.#crc = crc32c(fromLatin1(name), this.#crc);
  }

  record(key: Uint8Array, value: Uint8Array): void {
    this.#crc = crc32c(value, crc32c(key, this.#crc));
  }

  /** An unsigned 32-bit number. */
  get value(): number {
    return this.#crc;
  }
}

/** Maintenance.Hash of a store. */
export async function hashRecords(reader: BackendReader, clock: Clock): Promise<number> {
  const hash = new RecordHash();
  const pace = new Pace(clock);
  for (const bucket of BUCKETS) {
    hash.bucket(bucket);
    for (const [key, value] of reader.range(bucket, {})) {
      if (pace.isDue(value.length)) await pace.rest();
      if (bucket === 'meta' && LEFT_OUT_OF_META.includes(toLatin1(key))) continue;
      hash.record(key, value);
    }
  }
  return hash.value;
}
