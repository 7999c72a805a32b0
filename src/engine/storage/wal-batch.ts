/**
 * A batch as bytes: header, records, trailer.
 *
 * Zeros must prove that a sector was never written, so no whole sector of a batch may look like zeros, whatever
 * users store: where the records would make one, all of them are XORed with a mask byte that avoids it.
 */

import {assert} from '../errors.ts';
import {crc32c} from '../lib/crc32c.ts';
import {WAL_BATCH_BYTES_MAX, WAL_BUFFER_BYTES_KEPT} from '../limits.ts';
import type {Index, Term} from '../types.ts';
import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  BATCH_TRAILER_BYTES,
  batchStart,
  readSafeInteger,
  SECTOR_BYTES,
  TRAILER_END,
  TRAILER_MAGIC,
  writeSafeInteger,
} from './wal-format.ts';
import {type BatchContents, recordsBytes, writeRecords} from './wal-record.ts';

/** What header and trailer both tell. */
export interface BatchSummary {
  /** Of the whole log, after this batch. */
  readonly lastIndex: Index;
  readonly term: Term;
  /** It holds entries or a snapshot marker: losing it loses more than a vote. */
  readonly carriesLog: boolean;
}

export interface BatchHeader extends BatchSummary {
  readonly bodyBytes: number;
  readonly bodyCrc: number;
  readonly mask: number;
  /** No whole sector of the body reads as zeros, so zeros prove that it was not written. */
  readonly isZeroProof: boolean;
  /** All of this segment below this position was synced when the batch was written. */
  readonly syncedOffset: number;
  /** Behind the trailer. */
  readonly end: number;
}

const FLAG_CARRIES_LOG = 1;
const FLAG_NOT_ZERO_PROOF = 2;

/** A sector with fewer bytes unlike zero counts as zeros: a few flipped bits could make it so. */
const SPARSE_BYTES = 16;
const MASKS = [0x00, 0x5a, 0xa5, 0x33, 0xcc, 0x0f, 0xf0, 0x96];

export function batchBytes(contents: BatchContents): number {
  return BATCH_HEADER_BYTES + recordsBytes(contents) + BATCH_TRAILER_BYTES;
}

export interface BatchPlace {
  /** Where in the segment the batch begins. */
  readonly offset: number;
  readonly syncedOffset: number;
  /** Of the segment. */
  readonly seed: number;
  /** The records' checksum before this batch. */
  readonly chain: number;
}

/** Encodes into one buffer that is used again by the next batch. */
export class BatchEncoder {
  #kept: Buffer = Buffer.allocUnsafeSlow(4096);

  /** @returns bytes that stay valid until the next call, and the records' checksum behind the batch */
  encode(
    contents: BatchContents,
    summary: BatchSummary,
    place: BatchPlace,
  ): {readonly bytes: Buffer; readonly chain: number} {
    const {offset} = place;
    assert(offset === batchStart(offset), 'a batch begins at a multiple of 8, its header within one sector');
    assert(place.syncedOffset <= offset, 'nothing is synced that is not yet written');
    const length = batchBytes(contents);
    assert(length <= WAL_BATCH_BYTES_MAX, 'a batch is larger than the log takes');
    const bytes = this.#take(length);
    const bodyEnd = writeRecords(bytes, BATCH_HEADER_BYTES, contents);
    assert(bodyEnd === length - BATCH_TRAILER_BYTES, 'the records fill the place that was counted for them');
    const body = bytes.subarray(BATCH_HEADER_BYTES, bodyEnd);
    const mask = chooseMask(body, place.offset + BATCH_HEADER_BYTES);
    if (mask !== undefined) applyMask(body, mask);
    const chain = crc32c(body, place.chain);
    const flags =
      (summary.carriesLog ? FLAG_CARRIES_LOG : 0) | (mask === undefined ? FLAG_NOT_ZERO_PROOF : 0);
    writeHeader(bytes, place, summary, {flags, mask: mask ?? 0, bodyBytes: body.length, bodyCrc: chain});
    writeTrailer(bytes, bodyEnd, place, summary, flags);
    return {bytes, chain};
  }

  #take(length: number): Buffer {
    if (length <= this.#kept.length) return this.#kept.subarray(0, length);
    const grown = Buffer.allocUnsafeSlow(
      Math.max(length, Math.min(this.#kept.length * 2, WAL_BUFFER_BYTES_KEPT)),
    );
    if (grown.length <= WAL_BUFFER_BYTES_KEPT) this.#kept = grown;
    return grown.subarray(0, length);
  }
}

function writeHeader(
  bytes: Buffer,
  place: BatchPlace,
  summary: BatchSummary,
  fields: {flags: number; mask: number; bodyBytes: number; bodyCrc: number},
): void {
  bytes.writeUInt32LE(BATCH_MAGIC, 0);
  bytes.writeUInt32LE(fields.flags | (fields.mask << 8), 4);
  bytes.writeUInt32LE(place.offset, 8);
  bytes.writeUInt32LE(fields.bodyBytes, 12);
  bytes.writeUInt32LE(place.syncedOffset, 16);
  bytes.writeUInt32LE(fields.bodyCrc, 20);
  writeSafeInteger(bytes, 24, summary.lastIndex);
  writeSafeInteger(bytes, 32, summary.term);
  bytes.writeUInt32LE(0, 40);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 44), place.seed), 44);
}

function writeTrailer(
  bytes: Buffer,
  at: number,
  place: BatchPlace,
  summary: BatchSummary,
  flags: number,
): void {
  bytes.writeUInt32LE(TRAILER_MAGIC, at);
  bytes.writeUInt32LE(place.offset, at + 4);
  bytes.writeUInt32LE(flags, at + 8);
  bytes.writeUInt32LE(0, at + 12);
  writeSafeInteger(bytes, at + 16, summary.lastIndex);
  writeSafeInteger(bytes, at + 24, summary.term);
  bytes.writeUInt32LE(crc32c(bytes.subarray(at, at + 32), place.seed), at + 32);
  bytes.writeUInt32LE(TRAILER_END, at + 36);
}

/**
 * The header of the batch at `offset` of the segment, which lies at `at` of `bytes`.
 * @returns undefined unless all of it is as it was written for this place
 */
export function readBatchHeader(
  bytes: Buffer,
  at: number,
  offset: number,
  seed: number,
): BatchHeader | undefined {
  if (bytes.length - at < BATCH_HEADER_BYTES || bytes.readUInt32LE(at) !== BATCH_MAGIC) return undefined;
  if (bytes.readUInt32LE(at + 44) !== crc32c(bytes.subarray(at, at + 44), seed)) return undefined;
  const bodyBytes = bytes.readUInt32LE(at + 12);
  if (bytes.readUInt32LE(at + 8) !== offset || bodyBytes > WAL_BATCH_BYTES_MAX) return undefined;
  return {
    bodyBytes,
    bodyCrc: bytes.readUInt32LE(at + 20),
    mask: bytes[at + 5],
    isZeroProof: (bytes[at + 4] & FLAG_NOT_ZERO_PROOF) === 0,
    syncedOffset: bytes.readUInt32LE(at + 16),
    lastIndex: readSafeInteger(bytes, at + 24),
    term: readSafeInteger(bytes, at + 32),
    carriesLog: (bytes[at + 4] & FLAG_CARRIES_LOG) !== 0,
    end: offset + BATCH_HEADER_BYTES + bodyBytes + BATCH_TRAILER_BYTES,
  };
}

/** The trailer at `at` of the batch that began at `offset`; undefined unless it is one, undamaged. */
export function readBatchTrailer(
  bytes: Buffer,
  at: number,
  offset: number,
  seed: number,
): BatchSummary | undefined {
  if (bytes.length - at < BATCH_TRAILER_BYTES || bytes.readUInt32LE(at) !== TRAILER_MAGIC) return undefined;
  if (bytes.readUInt32LE(at + 4) !== offset) return undefined;
  if (bytes.readUInt32LE(at + 32) !== crc32c(bytes.subarray(at, at + 32), seed)) return undefined;
  return {
    lastIndex: readSafeInteger(bytes, at + 16),
    term: readSafeInteger(bytes, at + 24),
    carriesLog: (bytes[at + 8] & FLAG_CARRIES_LOG) !== 0,
  };
}

/** The whole sectors of a segment that lie within `length` bytes from `offset`, as positions from `offset`. */
export function* wholeSectors(offset: number, length: number): Generator<number> {
  const first = Math.ceil(offset / SECTOR_BYTES) * SECTOR_BYTES - offset;
  for (let at = first; at + SECTOR_BYTES <= length; at += SECTOR_BYTES) yield at;
}

/** @returns undefined when no mask helps: only bytes made for that purpose get there */
function chooseMask(body: Buffer, offset: number): number | undefined {
  return MASKS.find((mask) => isDense(body, offset, mask));
}

function isDense(body: Buffer, offset: number, mask: number): boolean {
  const first = Math.ceil(offset / SECTOR_BYTES) * SECTOR_BYTES - offset;
  for (let start = first; start + SECTOR_BYTES <= body.length; start += SECTOR_BYTES) {
    let different = 0;
    for (let at = start; different < SPARSE_BYTES; at++) {
      if (at === start + SECTOR_BYTES) return false;
      if (body[at] !== mask) different += 1;
    }
  }
  return true;
}

/** Masks and unmasks in place. */
export function applyMask(body: Buffer, mask: number): void {
  if (mask === 0) return;
  for (let at = 0; at < body.length; at++) body[at] ^= mask;
}
