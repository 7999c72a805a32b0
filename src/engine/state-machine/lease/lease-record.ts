/** Records of the table `lease`: the id (i64 BE) → leasepb.Lease {1 id, 2 granted TTL, 3 remaining TTL}. */

import {assert, EngineError} from '../../errors.ts';
import {
  ByteReader,
  DamagedBytesError,
  varint64Size,
  varintSize,
  writeVarint,
  writeVarint64,
} from '../../lib/varint.ts';
import type {LeaseId} from '../../types.ts';

export interface LeaseRecord {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  /** As of the last checkpoint; 0: the full TTL. */
  readonly remainingTtlSeconds: number;
}

export function encodeLeaseKey(id: LeaseId): Uint8Array {
  const key = Buffer.allocUnsafe(8);
  key.writeBigInt64BE(id);
  return key;
}

export function encodeLease({id, ttlSeconds, remainingTtlSeconds}: LeaseRecord): Uint8Array {
  assert(id !== 0n, 'no lease is stored under the id that means none');
  assert(ttlSeconds >= 0 && remainingTtlSeconds <= ttlSeconds, 'what is left of a TTL is not more than it');
  let size = 1 + varint64Size(id);
  if (ttlSeconds > 0) size += 1 + varintSize(ttlSeconds);
  if (remainingTtlSeconds > 0) size += 1 + varintSize(remainingTtlSeconds);
  const bytes = Buffer.allocUnsafe(size);
  bytes[0] = 0x08;
  let at = writeVarint64(bytes, 1, id);
  if (ttlSeconds > 0) {
    bytes[at] = 0x10;
    at = writeVarint(bytes, at + 1, ttlSeconds);
  }
  if (remainingTtlSeconds > 0) {
    bytes[at] = 0x18;
    at = writeVarint(bytes, at + 1, remainingTtlSeconds);
  }
  assert(at === size, 'a record is as long as was counted');
  return bytes;
}

/** @throws EngineError storeCorrupt */
export function decodeLease(key: Uint8Array, value: Uint8Array): LeaseRecord {
  const reader = new ByteReader(value);
  let id = 0n;
  let ttlSeconds = 0;
  let remainingTtlSeconds = 0;
  try {
    while (reader.remaining > 0) {
      const tag = reader.varint();
      if (tag === 0x08) id = BigInt.asIntN(64, reader.varint64());
      else if (tag === 0x10) ttlSeconds = reader.varint();
      else if (tag === 0x18) remainingTtlSeconds = reader.varint();
      else reader.skipField(tag & 7);
    }
  } catch (error) {
    if (error instanceof DamagedBytesError) throw corruptLease(error.message);
    throw error;
  }
  if (key.length !== 8 || new ByteReader(key).uint64() !== BigInt.asUintN(64, id)) {
    throw corruptLease(`lease ${id} stands under another key`);
  }
  if (id === 0n) throw corruptLease('a lease has the id that means none');
  // Of other programs' stores: no more is left than there was.
  return {id, ttlSeconds, remainingTtlSeconds: Math.min(remainingTtlSeconds, ttlSeconds)};
}

function corruptLease(detail: string): EngineError {
  return new EngineError({code: 'storeCorrupt', path: 'lease', detail});
}
