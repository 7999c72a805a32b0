/**
 * The log on disk, version 1. All numbers are little-endian.
 *
 *     segment   ┌────────┬─────────┬─────────┬───┬─────────────────────────────┐
 *     00…01.wal │ header │ batch   │ batch   │ … │ zeros up to the file's end  │
 *               └────────┴─────────┴─────────┴───┴─────────────────────────────┘
 *     batch     ┌────────┬────────┬────────┬───┬─────────┐
 *               │ header │ record │ record │ … │ trailer │   one append, one sync
 *               └────────┴────────┴────────┴───┴─────────┘
 *
 * A segment is filled with zeros before it gets its name, so appending changes no metadata. It gets its name only
 * when its header and its first batch are synced: that a segment exists proves that all before it is synced.
 *
 * A batch is one write and one sync, and the next one starts only after the sync. So at a crash at most the last
 * batch is unsynced, and a valid batch proves that all before it is synced (it says so in `syncedOffset`). Batch
 * headers lie within one sector (512 bytes, what a device writes as a whole) and repeat what a reader needs to
 * judge a damaged batch; the trailer repeats it again. The records' checksum goes on from batch to batch and from
 * segment to segment. How a damaged end is judged stands in wal-tail.ts.
 */

import {assert} from '../errors.ts';

export const SECTOR_BYTES = 512;

export const WAL_VERSION = 1;

/** "kvd-wal\n" */
export const SEGMENT_MAGIC = Buffer.from('kvd-wal\n', 'latin1');
export const SEGMENT_HEADER_BYTES = SECTOR_BYTES;

export const BATCH_MAGIC = 0xb47c_4e01;
export const BATCH_HEADER_BYTES = 48;
export const TRAILER_MAGIC = 0x7a11_e401;
/** Ends the trailer: its last eight bytes are zero only where nothing was written. */
export const TRAILER_END = 0xe0d0_b47c;
export const BATCH_TRAILER_BYTES = 40;

export const RECORD_HEADER_BYTES = 24;
/** Header, trailer and one record. */
export const BATCH_BYTES_MIN = BATCH_HEADER_BYTES + RECORD_HEADER_BYTES + BATCH_TRAILER_BYTES;

const SEGMENT_NAME = /^[0-9a-f]{16}\.wal$/;
/** The next segment while it is being filled with zeros. */
export const PREPARED_NAME = 'next.tmp';

export function segmentName(sequence: number): string {
  return `${sequence.toString(16).padStart(16, '0')}.wal`;
}

/** The sequence number in a segment's name; undefined for other files. */
export function sequenceOf(name: string): number | undefined {
  if (!SEGMENT_NAME.test(name)) return undefined;
  const sequence = Number.parseInt(name.slice(0, 16), 16);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

export function align8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** Where a batch behind `end` starts: a header must not cross into another sector. */
export function batchStart(end: number): number {
  const aligned = align8(end);
  const left = SECTOR_BYTES - (aligned % SECTOR_BYTES);
  return left < BATCH_HEADER_BYTES ? aligned + left : aligned;
}

export function writeSafeInteger(target: Buffer, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'only whole numbers from 0 to 2^53 go into the log');
  target.writeUInt32LE(value >>> 0, at);
  target.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

/** May give an unsafe number from damaged bytes; what passes a checksum was written by the function above. */
export function readSafeInteger(source: Buffer, at: number): number {
  return source.readUInt32LE(at) + source.readUInt32LE(at + 4) * 2 ** 32;
}
