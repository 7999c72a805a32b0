/**
 * A segment's header: where the log goes on from the segment before, and all state that the log had there, so that
 * the segments before it can be removed.
 */

import {assert, EngineError} from '../errors.ts';
import {crc32c} from '../lib/crc32c.ts';
import type {HardState} from '../raft/message.ts';
import type {ClusterId, Index, MemberId, Term} from '../types.ts';
import {
  readSafeInteger,
  SEGMENT_HEADER_BYTES,
  SEGMENT_MAGIC,
  WAL_VERSION,
  writeSafeInteger,
} from './wal-format.ts';

export interface WalMetadata {
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
}

/** The log may begin behind it. Index 0, term 0: there is none. */
export interface SnapshotMarker {
  readonly index: Index;
  readonly term: Term;
}

export interface SegmentHeader {
  readonly sequence: number;
  /** The file's size. */
  readonly segmentBytes: number;
  readonly metadata: WalMetadata;
  /** Where the last batch of the segment before ends; what lies behind it there is no part of the log. */
  readonly previousEnd: number;
  /** The records' checksum up to there. */
  readonly previousChain: number;
  readonly lastIndex: Index;
  readonly hardState: HardState;
  readonly snapshot: SnapshotMarker;
  /** 0, or the last index of a damaged batch that was cut off when this segment was begun. */
  readonly doubtfulIndex: Index;
}

/** The header with its own checksum, in which the segment's batches are rooted. */
export interface RootedHeader extends SegmentHeader {
  readonly seed: number;
}

const CRC_AT = SEGMENT_HEADER_BYTES - 4;

export function encodeSegmentHeader(header: SegmentHeader): {bytes: Buffer; seed: number} {
  const {sequence, segmentBytes, previousEnd, lastIndex, snapshot} = header;
  assert(sequence >= 1 && segmentBytes > SEGMENT_HEADER_BYTES, 'a segment has a number and room');
  assert((sequence === 1) === (previousEnd === 0), 'every segment but the first goes on from another');
  assert(snapshot.index <= lastIndex, 'the log reaches its snapshot marker');
  assert(header.hardState.vote === 0n || header.hardState.term > 0, 'a vote is given in a term');
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  bytes.set(SEGMENT_MAGIC, 0);
  bytes.writeUInt32LE(WAL_VERSION, 8);
  writeSafeInteger(bytes, 16, header.sequence);
  writeSafeInteger(bytes, 24, header.segmentBytes);
  bytes.writeBigUInt64LE(header.metadata.clusterId, 32);
  bytes.writeBigUInt64LE(header.metadata.memberId, 40);
  writeSafeInteger(bytes, 48, header.previousEnd);
  bytes.writeUInt32LE(header.previousChain, 56);
  writeSafeInteger(bytes, 64, header.lastIndex);
  writeSafeInteger(bytes, 72, header.hardState.term);
  bytes.writeBigUInt64LE(header.hardState.vote, 80);
  writeSafeInteger(bytes, 88, header.hardState.commit);
  writeSafeInteger(bytes, 96, header.snapshot.index);
  writeSafeInteger(bytes, 104, header.snapshot.term);
  writeSafeInteger(bytes, 112, header.doubtfulIndex);
  const seed = crc32c(bytes.subarray(0, CRC_AT));
  bytes.writeUInt32LE(seed, CRC_AT);
  return {bytes, seed};
}

/** Only the number of the version is damaged. */
function isOfThisVersion(bytes: Buffer, seed: number): boolean {
  const mended = Buffer.from(bytes.subarray(0, CRC_AT));
  mended.writeUInt32LE(WAL_VERSION, 8);
  return crc32c(mended) === seed;
}

/**
 * @param path of the segment, for errors
 * @throws EngineError `walCorrupt` or `formatUnsupported`
 */
export function decodeSegmentHeader(bytes: Buffer, path: string): RootedHeader {
  const corrupt = (detail: string) => new EngineError({code: 'walCorrupt', path, offset: 0, detail});
  if (bytes.length < SEGMENT_HEADER_BYTES) throw corrupt('the file is too short for its header');
  if (!bytes.subarray(0, SEGMENT_MAGIC.length).equals(SEGMENT_MAGIC)) {
    throw corrupt('the header does not begin as that of a kvd log');
  }
  const version = bytes.readUInt32LE(8);
  const seed = bytes.readUInt32LE(CRC_AT);
  const isIntact = crc32c(bytes.subarray(0, CRC_AT)) === seed;
  // A later format may keep its checksum elsewhere, so the version counts before the checksum.
  if (version !== WAL_VERSION && !isOfThisVersion(bytes, seed)) {
    const found = isIntact ? String(version) : `${version} (or a damaged header)`;
    throw new EngineError({code: 'formatUnsupported', path, found, supported: String(WAL_VERSION)});
  }
  if (!isIntact) throw corrupt('the checksum of the header is wrong');
  const header = readHeader(bytes, seed);
  if (!isPossible(header)) throw corrupt('the header says what no log writes');
  return header;
}

function readHeader(bytes: Buffer, seed: number): RootedHeader {
  return {
    sequence: readSafeInteger(bytes, 16),
    segmentBytes: readSafeInteger(bytes, 24),
    metadata: {clusterId: bytes.readBigUInt64LE(32), memberId: bytes.readBigUInt64LE(40)},
    previousEnd: readSafeInteger(bytes, 48),
    previousChain: bytes.readUInt32LE(56),
    lastIndex: readSafeInteger(bytes, 64),
    hardState: {
      term: readSafeInteger(bytes, 72),
      vote: bytes.readBigUInt64LE(80),
      commit: readSafeInteger(bytes, 88),
    },
    snapshot: {index: readSafeInteger(bytes, 96), term: readSafeInteger(bytes, 104)},
    doubtfulIndex: readSafeInteger(bytes, 112),
    seed,
  };
}

/** What {@link encodeSegmentHeader} asserts. */
function isPossible(header: SegmentHeader): boolean {
  const {sequence, segmentBytes, previousEnd, lastIndex, hardState, snapshot, doubtfulIndex} = header;
  const {term, vote, commit} = hardState;
  const counts = [
    sequence,
    segmentBytes,
    previousEnd,
    lastIndex,
    term,
    commit,
    snapshot.index,
    snapshot.term,
  ];
  return (
    [...counts, doubtfulIndex].every(Number.isSafeInteger) &&
    sequence >= 1 &&
    segmentBytes > SEGMENT_HEADER_BYTES &&
    (sequence === 1) === (previousEnd === 0) &&
    snapshot.index <= lastIndex &&
    (vote === 0n || term > 0)
  );
}
