/**
 * What lies behind the last valid batch of the log: nothing, a batch that a crash cut short, or damage.
 *
 * - A valid batch further on says that what is damaged here was synced: corruption, whatever it looks like.
 * - A batch that is provably incomplete was never acknowledged: it is cut off ("torn"). Proofs: its end was not
 *   written, or a whole sector of it still holds the zeros that were there before it.
 * - Any other damage of the last batch may be rot of something acknowledged ("doubtful"): only other members can
 *   tell. Header or trailer says up to where, and of which term.
 *
 * Pure: it looks at bytes, the caller acts.
 */

import {assert} from '../errors.ts';
import type {Index, Term} from '../types.ts';
import {type BatchHeader, readBatchHeader, readBatchTrailer, wholeSectors} from './wal-batch.ts';
import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  BATCH_TRAILER_BYTES,
  batchStart,
  SECTOR_BYTES,
  TRAILER_MAGIC,
} from './wal-format.ts';

export type TailVerdict =
  | {readonly kind: 'end'}
  /** Zeros belong from the tail's beginning on, for `bytes` bytes. */
  | {readonly kind: 'torn'; readonly bytes: number}
  | {
      readonly kind: 'doubtful';
      readonly lastIndex: Index;
      readonly term: Term;
      readonly carriesLog: boolean;
      readonly detail: string;
    }
  | {readonly kind: 'corrupt'; readonly detail: string};

export interface Tail {
  /** The segment from the place where the next batch would start, up to its end. */
  readonly bytes: Buffer;
  /** That place in the segment. */
  readonly offset: number;
  readonly seed: number;
  /** The batch at this place was synced before the segment got its name, so it cannot be torn. */
  readonly isFirstBatch: boolean;
}

export function judgeTail(tail: Tail): TailVerdict {
  assert(
    tail.bytes.length === 0 || tail.offset === batchStart(tail.offset),
    'the tail begins where a batch would',
  );
  const writtenBytes = lengthWithoutZeros(tail.bytes);
  if (writtenBytes === 0) {
    if (tail.isFirstBatch) return {kind: 'corrupt', detail: 'the first batch of the segment is gone'};
    return {kind: 'end'};
  }
  if (isSyncedHere(tail, writtenBytes)) {
    return {kind: 'corrupt', detail: 'a batch is damaged that was synced: a valid one follows it'};
  }
  const header = readBatchHeader(tail.bytes, 0, tail.offset, tail.seed);
  if (!tail.isFirstBatch && isIncomplete(tail, header, writtenBytes)) {
    return {kind: 'torn', bytes: writtenBytes};
  }
  const summary = header ?? findTrailer(tail, writtenBytes);
  if (summary === undefined) {
    return {kind: 'corrupt', detail: 'the last batch is damaged at both ends: what it held cannot be told'};
  }
  const {lastIndex, term, carriesLog} = summary;
  return {kind: 'doubtful', lastIndex, term, carriesLog, detail: 'the last batch is damaged'};
}

/** Whether a later batch says that it was written after this place had been synced. */
function isSyncedHere(tail: Tail, writtenBytes: number): boolean {
  const {bytes, offset, seed} = tail;
  for (let at = nextAligned(offset, 0); at + BATCH_HEADER_BYTES <= writtenBytes; at += 8) {
    if (bytes.readUInt32LE(at) !== BATCH_MAGIC) continue;
    const header = readBatchHeader(bytes, at, offset + at, seed);
    if (header !== undefined && header.syncedOffset > offset) return true;
  }
  return false;
}

function isIncomplete(tail: Tail, header: BatchHeader | undefined, writtenBytes: number): boolean {
  const {bytes, offset} = tail;
  if (header === undefined) {
    const sectorLeft = SECTOR_BYTES - (offset % SECTOR_BYTES);
    // The sector of the header, which a device writes as a whole, was not written ...
    if (isZero(bytes.subarray(0, sectorLeft))) return true;
    // ... or nothing follows the header's place, where every whole batch has a trailer.
    return writtenBytes <= BATCH_HEADER_BYTES;
  }
  const length = header.end - offset;
  // No batch is written that its segment cannot hold: this proves nothing.
  if (length > bytes.length) return false;
  if (isZero(bytes.subarray(length - 8, length))) return true;
  if (!header.isZeroProof) return false;
  for (const at of wholeSectors(offset, length)) {
    if (isZero(bytes.subarray(at, at + SECTOR_BYTES))) return true;
  }
  return false;
}

function findTrailer(tail: Tail, writtenBytes: number) {
  const {bytes, offset, seed} = tail;
  for (let at = nextAligned(offset, BATCH_HEADER_BYTES); at + BATCH_TRAILER_BYTES <= writtenBytes; at += 8) {
    if (bytes.readUInt32LE(at) !== TRAILER_MAGIC) continue;
    const summary = readBatchTrailer(bytes, at, offset, seed);
    if (summary !== undefined) return summary;
  }
  return undefined;
}

/** Batches and trailers lie at multiples of 8 in the segment; `offset` is one. */
function nextAligned(offset: number, atLeast: number): number {
  const at = Math.max(8, atLeast);
  return at + ((8 - ((offset + at) % 8)) % 8);
}

const ZEROS = Buffer.alloc(4096);

function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (Buffer.compare(part, ZEROS.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}

/** The bytes up to and including the last that is not zero. */
function lengthWithoutZeros(bytes: Buffer): number {
  let end = bytes.length;
  while (end >= ZEROS.length && bytes.compare(ZEROS, 0, ZEROS.length, end - ZEROS.length, end) === 0) {
    end -= ZEROS.length;
  }
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}
