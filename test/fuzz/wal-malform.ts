/** Logs whose checksums are right and whose contents are not. */

import {crc32c} from '../../src/engine/lib/crc32c.ts';
import type {Entry} from '../../src/engine/raft/message.ts';
import {BatchEncoder} from '../../src/engine/storage/wal-batch.ts';
import {
  BATCH_BYTES_MIN,
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  BATCH_TRAILER_BYTES,
  batchStart,
  SEGMENT_HEADER_BYTES,
} from '../../src/engine/storage/wal-format.ts';
import {encodeSegmentHeader} from '../../src/engine/storage/wal-header.ts';
import type {BatchContents} from '../../src/engine/storage/wal-record.ts';
import type {SeededRandom} from '../simulator/seeded-random.ts';
import {METADATA} from '../unit/storage/wal-fixture.ts';
import {changedInPlace, oneOf} from './mutate.ts';

const SEED_AT = SEGMENT_HEADER_BYTES - 4;
const SEGMENT_BYTES = 4096;

/** Bytes of a segment changed where they lie, with the checksums that then belong there. */
export function malformedSegment(random: SeededRandom, segment: Uint8Array): Buffer {
  const bytes = Buffer.from(segment);
  const end = lastBatchEnd(bytes);
  for (let n = random.below(4); n >= 0; n--) {
    // Headers are small beside what they head, and decide more.
    if (random.below(3) === 0) changedInPlace(random, bytes, 8, 128);
    else changedInPlace(random, bytes, SEGMENT_HEADER_BYTES, end);
  }
  return mended(bytes);
}

function* batches(bytes: Buffer): Generator<{offset: number; bodyBytes: number}> {
  for (let end = SEGMENT_HEADER_BYTES; ; ) {
    const offset = batchStart(end);
    if (offset + BATCH_BYTES_MIN > bytes.length || bytes.readUInt32LE(offset) !== BATCH_MAGIC) return;
    const bodyBytes = bytes.readUInt32LE(offset + 12);
    end = offset + BATCH_HEADER_BYTES + bodyBytes + BATCH_TRAILER_BYTES;
    if (end > bytes.length) return;
    yield {offset, bodyBytes};
  }
}

function lastBatchEnd(bytes: Buffer): number {
  let end = SEGMENT_HEADER_BYTES;
  for (const {offset, bodyBytes} of batches(bytes)) {
    end = offset + BATCH_HEADER_BYTES + bodyBytes + BATCH_TRAILER_BYTES;
  }
  return end;
}

/** As far as one batch leads to the next. */
function mended(bytes: Buffer): Buffer {
  if (bytes.length < SEGMENT_HEADER_BYTES) return bytes;
  const seed = crc32c(bytes.subarray(0, SEED_AT));
  bytes.writeUInt32LE(seed, SEED_AT);
  let chain = seed;
  for (const {offset, bodyBytes} of batches(bytes)) {
    const bodyAt = offset + BATCH_HEADER_BYTES;
    const trailerAt = bodyAt + bodyBytes;
    chain = crc32c(bytes.subarray(bodyAt, trailerAt), chain);
    bytes.writeUInt32LE(chain, offset + 20);
    bytes.writeUInt32LE(crc32c(bytes.subarray(offset, offset + 44), seed), offset + 44);
    bytes.writeUInt32LE(crc32c(bytes.subarray(trailerAt, trailerAt + 32), seed), trailerAt + 32);
  }
  return bytes;
}

/** One segment of batches that were never appended to one log: gaps, overlaps, markers anywhere, terms that fall. */
export function unrelatedBatches(random: SeededRandom): Buffer {
  const small = () => random.below(12);
  const snapshot = {index: random.below(3), term: random.below(2)};
  const {bytes: header, seed} = encodeSegmentHeader({
    sequence: 1,
    segmentBytes: SEGMENT_BYTES,
    metadata: METADATA,
    previousEnd: 0,
    previousChain: 0,
    lastIndex: snapshot.index + random.below(3),
    hardState: {term: 1 + random.below(3), vote: BigInt(random.below(3)), commit: small()},
    snapshot,
    doubtfulIndex: random.below(4) === 0 ? small() : 0,
  });
  const segment = Buffer.alloc(SEGMENT_BYTES);
  header.copy(segment);
  const encoder = new BatchEncoder();
  let [end, chain, lastIndex] = [SEGMENT_HEADER_BYTES, seed, snapshot.index];
  for (let n = 1 + random.below(5); n > 0; n--) {
    const contents = anyContents(random, lastIndex);
    lastIndex = contents.entries.at(-1)?.index ?? contents.snapshot?.index ?? lastIndex;
    const offset = batchStart(end);
    const summary = {lastIndex: random.below(8) === 0 ? small() : lastIndex, term: small(), carriesLog: true};
    const batch = encoder.encode(contents, summary, {
      offset,
      syncedOffset: random.below(2) * offset,
      seed,
      chain,
    });
    if (offset + batch.bytes.length > SEGMENT_BYTES) break;
    batch.bytes.copy(segment, offset);
    chain = batch.chain;
    end = offset + batch.bytes.length;
  }
  return segment;
}

function anyContents(random: SeededRandom, lastIndex: number): BatchContents {
  const first = oneOf(random, [
    lastIndex + 1,
    lastIndex + 1,
    lastIndex + 1,
    lastIndex,
    lastIndex + 2,
    random.below(12),
  ]);
  const term = 1 + random.below(3);
  const entries = Array.from({length: random.below(5)}, (_, i): Entry => {
    const index = first + i + (random.below(20) === 0 ? 1 : 0);
    const payload = Buffer.alloc(random.below(20), i);
    return {
      index,
      term: Math.max(0, term + (random.below(12) === 0 ? random.below(3) - 1 : 0)),
      type: random.below(2) as 0 | 1,
      payload,
    };
  });
  const marker = {index: random.below(12), term: random.below(4), discards: random.below(2) === 0};
  return {
    entries,
    snapshot: random.below(4) === 0 ? marker : undefined,
    hardState:
      random.below(3) === 0
        ? {term: random.below(4), vote: BigInt(random.below(3)), commit: random.below(12)}
        : undefined,
    cleanStop: random.below(6) === 0,
  };
}
