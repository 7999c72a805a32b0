/**
 * What the backend's two threads agree on: how a record is sealed against damage, what the image says of itself,
 * and how a commit's changes are packed on their way to the writer.
 *
 * A stored value is the record's value and, behind it, four bytes of CRC-32C (little-endian) over the table's name,
 * the key and the value: LMDB has no checksums of its own.
 *
 * Packed changes, one behind the other (little-endian):
 *
 *     operation u8 | table u8 | key length u16 | value length u32 | key | value | room for the CRC (a put's only)
 */

import {assert} from '../errors.ts';
import {crc32c} from '../lib/crc32c.ts';
import {isCount, isObject} from '../lib/plain-data.ts';
import {BACKEND_KEY_BYTES_MAX, BACKEND_VALUE_BYTES_MAX} from '../limits.ts';
import {type AppliedMark, TABLES} from '../types.ts';

/** The LMDB database (beside one per table) with the single record that describes the image. */
export const IMAGE_DATABASE = '_image';
export const IMAGE_KEY: Uint8Array = Buffer.from('image');
export const IMAGE_FORMAT = 1;

export const CHECKSUM_BYTES = 4;
const CHANGE_HEAD_BYTES = 8;
const OPERATION_PUT = 1;
const OPERATION_DELETE = 2;

/** By table number: the checksum of the table's name, which the record's checksum goes on from. */
export const TABLE_SEEDS: readonly number[] = TABLES.map((table) => crc32c(Buffer.from(table)));
const IMAGE_SEED = crc32c(Buffer.from(IMAGE_DATABASE));

/** @returns an unsigned 32-bit number */
export function recordChecksum(seed: number, key: Uint8Array, value: Uint8Array): number {
  return crc32c(value, crc32c(key, seed));
}

/** What an image says of itself, written in the transaction that it describes. */
export interface ImageState {
  readonly applied: AppliedMark;
  /** Records by table number. */
  readonly counts: readonly number[];
}

export function encodeImageState(state: ImageState): Uint8Array {
  const {applied, counts} = state;
  const countsByName = Object.fromEntries(TABLES.map((table, number) => [table, counts[number]]));
  const {index, term, hash} = applied;
  const text = Buffer.from(JSON.stringify({format: IMAGE_FORMAT, index, term, hash, counts: countsByName}));
  const sealed = Buffer.alloc(text.length + CHECKSUM_BYTES);
  sealed.set(text);
  sealed.writeUInt32LE(recordChecksum(IMAGE_SEED, IMAGE_KEY, text), text.length);
  return sealed;
}

/** @returns a description of the damage instead, if there is any */
export function decodeImageState(
  sealed: Uint8Array,
): ImageState | {readonly damage: string} | {format: number} {
  const length = sealed.length - CHECKSUM_BYTES;
  if (length < 0) return {damage: 'the image record is too short'};
  const text = Buffer.from(sealed.subarray(0, length));
  const checksum = Buffer.from(sealed.subarray(length)).readUInt32LE(0);
  if (recordChecksum(IMAGE_SEED, IMAGE_KEY, text) !== checksum)
    return {damage: 'the image record has a wrong checksum'};
  const fields = parsed(text.toString());
  if (!isObject(fields) || typeof fields.format !== 'number')
    return {damage: 'the image record has no format'};
  const {format, index, term, hash, counts} = fields;
  if (format !== IMAGE_FORMAT) return {format};
  const found = isObject(counts) ? TABLES.map((table) => counts[table] ?? 0) : [];
  if (!isCount(index) || !isCount(term) || !isCount(hash) || found.length === 0 || !found.every(isCount)) {
    return {damage: 'the image record does not say what the image holds'};
  }
  return {applied: {index, term, hash}, counts: found};
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // The caller says that it is damaged.
    return undefined;
  }
}

/** Bytes that a change takes up packed. */
export function packedBytes(keyBytes: number, valueBytes: number | undefined): number {
  return CHANGE_HEAD_BYTES + keyBytes + (valueBytes === undefined ? 0 : valueBytes + CHECKSUM_BYTES);
}

/** Writes one change (a delete when `value` is absent). @returns the position behind it */
export function packChange(
  pack: Uint8Array,
  position: number,
  change: {readonly tableNumber: number; readonly key: Uint8Array; readonly value: Uint8Array | undefined},
): number {
  const {tableNumber, key, value} = change;
  const keyBytes = key.length;
  const valueBytes = value === undefined ? 0 : value.length;
  assert(keyBytes > 0 && keyBytes <= BACKEND_KEY_BYTES_MAX, `record key of ${keyBytes} bytes`);
  assert(valueBytes <= BACKEND_VALUE_BYTES_MAX, `record value of ${valueBytes} bytes`);
  let at = position;
  pack[at++] = value === undefined ? OPERATION_DELETE : OPERATION_PUT;
  pack[at++] = tableNumber;
  pack[at++] = keyBytes;
  pack[at++] = keyBytes >>> 8;
  pack[at++] = valueBytes;
  pack[at++] = valueBytes >>> 8;
  pack[at++] = valueBytes >>> 16;
  pack[at++] = valueBytes >>> 24;
  // A typed array's set() costs as much as a loop over 30 bytes does.
  if (keyBytes < 32) for (let i = 0; i < keyBytes; i++) pack[at + i] = key[i];
  else pack.set(key, at);
  at += keyBytes;
  if (value === undefined) return at;
  pack.set(value, at);
  return at + valueBytes + CHECKSUM_BYTES;
}

/** A packed change; `sealed` (absent for a delete) is the value with its checksum, in the pack's own memory. */
export interface PackedChange {
  readonly tableNumber: number;
  readonly key: Uint8Array;
  readonly sealed: Uint8Array | undefined;
}

/** Reads the changes in `bytes`, writing each put's checksum into the room left for it. */
export function* unpackChanges(bytes: Uint8Array): Generator<PackedChange, void> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < buffer.length; ) {
    const operation = buffer[at];
    const tableNumber = buffer[at + 1];
    const keyBytes = buffer[at + 2] | (buffer[at + 3] << 8);
    const valueBytes = buffer.readUInt32LE(at + 4);
    const keyFrom = at + CHANGE_HEAD_BYTES;
    const valueFrom = keyFrom + keyBytes;
    const key = buffer.subarray(keyFrom, valueFrom);
    assert(tableNumber < TABLES.length && valueFrom <= buffer.length, 'packed change out of bounds');
    if (operation === OPERATION_DELETE) {
      at = valueFrom;
      yield {tableNumber, key, sealed: undefined};
      continue;
    }
    assert(operation === OPERATION_PUT, `packed operation ${operation}`);
    const valueTo = valueFrom + valueBytes;
    at = valueTo + CHECKSUM_BYTES;
    assert(at <= buffer.length, 'packed value out of bounds');
    const checksum = recordChecksum(TABLE_SEEDS[tableNumber], key, buffer.subarray(valueFrom, valueTo));
    buffer.writeUInt32LE(checksum, valueTo);
    yield {tableNumber, key, sealed: buffer.subarray(valueFrom, at)};
  }
}
