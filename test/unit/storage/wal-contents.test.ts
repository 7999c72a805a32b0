/** Logs whose checksums are right and whose contents are not: another program's, or a bug's. */

import {describe, expect, it} from 'vitest';
import {crc32c} from '../../../src/engine/lib/crc32c.ts';
import type {HardState} from '../../../src/engine/raft/message.ts';
import {BatchEncoder} from '../../../src/engine/storage/wal-batch.ts';
import {SEGMENT_HEADER_BYTES, writeSafeInteger} from '../../../src/engine/storage/wal-format.ts';
import {encodeSegmentHeader} from '../../../src/engine/storage/wal-header.ts';
import {
  type BatchContents,
  readRecords,
  recordsBytes,
  writeRecords,
} from '../../../src/engine/storage/wal-record.ts';
import {MemoryDisk} from '../../simulator/memory-disk.ts';
import {entries, entry, failureOf, METADATA, openWal} from './wal-fixture.ts';

const FIRST = 'wal/0000000000000001.wal';
const HARD_STATE: HardState = {term: 2, vote: 1n, commit: 0};
const EMPTY: BatchContents = {snapshot: undefined, entries: [], hardState: undefined, cleanStop: false};
const HEADER = {
  sequence: 1,
  segmentBytes: 4096,
  metadata: METADATA,
  previousEnd: 0,
  previousChain: 0,
  lastIndex: 0,
  hardState: HARD_STATE,
  snapshot: {index: 0, term: 0},
  doubtfulIndex: 0,
};

/** One batch of entries 1 to 3 of terms 1 and 2, and another one behind it. */
function segmentOf(second: Partial<BatchContents>, lastIndex: number): Buffer {
  const segment = Buffer.alloc(HEADER.segmentBytes);
  const {bytes, seed} = encodeSegmentHeader(HEADER);
  bytes.copy(segment);
  const encoder = new BatchEncoder();
  const first = {...EMPTY, entries: [...entries(1, 2, 1), entry(3, 2)]};
  let [offset, chain, last] = [SEGMENT_HEADER_BYTES, seed, 3];
  for (const contents of [first, {...EMPTY, ...second}]) {
    const summary = {lastIndex: last, term: 2, carriesLog: true};
    const batch = encoder.encode(contents, summary, {offset, syncedOffset: offset, seed, chain});
    batch.bytes.copy(segment, offset);
    [offset, chain, last] = [offset + batch.bytes.length, batch.chain, lastIndex];
  }
  return segment;
}

async function failureOfLog(segment: Buffer) {
  const disk = new MemoryDisk();
  await disk.makeFolder('wal');
  const file = await disk.open(FIRST, {create: true});
  await file.write(0, [segment]);
  return failureOf(openWal(disk, true));
}

describe('a log that contradicts itself', () => {
  it.each<[string, Partial<BatchContents>, number]>([
    ['a gap', {entries: [entry(5, 2)]}, 5],
    ['terms that fall', {entries: [entry(4, 1)]}, 4],
    ['entries that do not follow each other', {entries: [entry(4, 2), entry(6, 2)]}, 6],
    ['an entry without a term', {entries: [entry(4, 0)]}, 4],
    ['a marker behind the log that keeps it', {snapshot: {index: 9, term: 2, discards: false}}, 3],
    ['a marker of another term', {snapshot: {index: 2, term: 2, discards: false}}, 3],
    ['a marker that names no entry', {snapshot: {index: 0, term: 0, discards: false}}, 3],
    ['entries under a marker', {snapshot: {index: 2, term: 1, discards: false}, entries: [entry(2, 2)]}, 2],
    ['another index than it names', {entries: [entry(4, 2)]}, 7],
  ])('Ensure that %s is corruption with its place, not a broken invariant.', async (_, second, lastIndex) => {
    const failure = await failureOfLog(segmentOf(second, lastIndex));
    expect(failure).toMatchObject({code: 'walCorrupt', path: `/memory/${FIRST}`});
    expect(failure).toHaveProperty(
      'offset',
      expect.toSatisfy((offset: number) => offset > SEGMENT_HEADER_BYTES),
    );
  });

  it('Ensure that a log that begins behind its snapshot marker is refused.', async () => {
    const segment = Buffer.alloc(HEADER.segmentBytes);
    const {bytes, seed} = encodeSegmentHeader({...HEADER, lastIndex: 4});
    bytes.copy(segment);
    const contents = {...EMPTY, entries: [entry(5, 2)]};
    const place = {offset: SEGMENT_HEADER_BYTES, syncedOffset: 0, seed, chain: seed};
    const batch = new BatchEncoder().encode(contents, {lastIndex: 5, term: 2, carriesLog: true}, place);
    batch.bytes.copy(segment, SEGMENT_HEADER_BYTES);
    expect(await failureOfLog(segment)).toMatchObject({code: 'walCorrupt', offset: 0});
  });

  it.each([
    ['a snapshot behind its end', 96, 7],
    ['a number beyond all counting', 64, 2 ** 53],
    ['no number of its own', 16, 0],
  ])('Ensure that a header with %s is refused.', async (_, at, value) => {
    const segment = segmentOf({}, 3);
    if (Number.isSafeInteger(value)) writeSafeInteger(segment, at, value);
    else segment.writeBigUInt64LE(BigInt(value), at);
    const checked = segment.subarray(0, SEGMENT_HEADER_BYTES - 4);
    segment.writeUInt32LE(crc32c(checked), SEGMENT_HEADER_BYTES - 4);
    expect(await failureOfLog(segment)).toMatchObject({code: 'walCorrupt', offset: 0});
  });

  it('Ensure that records with numbers beyond all counting are none.', () => {
    const contents = {...EMPTY, entries: [entry(1, 1)]};
    const bytes = Buffer.alloc(recordsBytes(contents));
    writeRecords(bytes, 0, contents);
    expect(readRecords(bytes)).toBeDefined();
    bytes.writeUInt32LE(0xffffffff, 12);
    expect(readRecords(bytes)).toBeUndefined();
  });
});
