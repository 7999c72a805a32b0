/**
 * A revision as record key of the table `key`: main (u64 BE), '_', sub (u64 BE), and 't' behind a tombstone, as
 * in etcd's bucket of the same name. Their byte order is their order.
 */

import {assert, EngineError} from '../../errors.ts';
import type {Revision} from '../../types.ts';

export const REVISION_BYTES = 17;
export const TOMBSTONE_BYTES = 18;
const UNDERSCORE = 0x5f;
const LETTER_T = 0x74;
const HIGH = 0x100000000;

export function encodeRevision(main: number, sub: number): Uint8Array {
  return fillRevision(Buffer.allocUnsafe(REVISION_BYTES), main, sub);
}

export function encodeTombstoneRevision(main: number, sub: number): Uint8Array {
  const bytes = fillRevision(Buffer.allocUnsafe(TOMBSTONE_BYTES), main, sub);
  bytes[REVISION_BYTES] = LETTER_T;
  return bytes;
}

/** Writes the first 17 bytes of `target`, which may be used again as soon as whoever gets it has returned. */
export function fillRevision(target: Uint8Array, main: number, sub: number): Uint8Array {
  assert(target.length >= REVISION_BYTES, 'there is room for a revision');
  assert(main >= 0 && main <= Number.MAX_SAFE_INTEGER, 'a revision is a safe integer');
  assert(sub >= 0 && sub <= Number.MAX_SAFE_INTEGER, 'a sub-revision is a safe integer');
  fillUint64(target, 0, main);
  target[8] = UNDERSCORE;
  fillUint64(target, 9, sub);
  return target;
}

/** Whether the record under this key marks a deletion. */
export function isTombstone(key: Uint8Array): boolean {
  return key.length === TOMBSTONE_BYTES;
}

/** @throws EngineError storeCorrupt */
export function decodeRevision(key: Uint8Array): Revision {
  const isSound =
    key[8] === UNDERSCORE &&
    (key.length === REVISION_BYTES || (key.length === TOMBSTONE_BYTES && key[REVISION_BYTES] === LETTER_T)) &&
    key[0] === 0 &&
    key[1] < 0x20 &&
    key[9] === 0 &&
    key[10] < 0x20;
  if (!isSound) throw corruptRecord(`a key of ${key.length} bytes is no revision`);
  return {main: readUint53(key, 0), sub: readUint53(key, 9)};
}

export function corruptRecord(detail: string): EngineError {
  return new EngineError({code: 'storeCorrupt', path: 'key', detail});
}

function fillUint64(target: Uint8Array, at: number, value: number): void {
  const low = value >>> 0;
  const high = value < HIGH ? 0 : Math.floor(value / HIGH);
  target[at] = high >>> 24;
  target[at + 1] = high >>> 16;
  target[at + 2] = high >>> 8;
  target[at + 3] = high;
  target[at + 4] = low >>> 24;
  target[at + 5] = low >>> 16;
  target[at + 6] = low >>> 8;
  target[at + 7] = low;
}

function readUint53(bytes: Uint8Array, at: number): number {
  const high = bytes[at + 1] * 0x10000 + (bytes[at + 2] << 8) + bytes[at + 3];
  const low = ((bytes[at + 4] << 24) | (bytes[at + 5] << 16) | (bytes[at + 6] << 8) | bytes[at + 7]) >>> 0;
  return high * HIGH + low;
}
