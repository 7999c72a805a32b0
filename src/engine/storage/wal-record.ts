/** The records inside a batch: entries, hard state, snapshot marker, clean stop. Pure. */

import {assert} from '../errors.ts';
import {WAL_RECORD_BYTES_MAX} from '../limits.ts';
import {type Entry, EntryType, type HardState} from '../raft/message.ts';
import {align8, RECORD_HEADER_BYTES, readSafeInteger, writeSafeInteger} from './wal-format.ts';
import type {SnapshotMarker} from './wal-header.ts';

/** What one batch says, in the order in which it takes effect. */
export interface BatchContents {
  /** `discards`: the marker lies outside the log there was, all of which is void. */
  readonly snapshot: (SnapshotMarker & {readonly discards: boolean}) | undefined;
  readonly entries: readonly Entry[];
  readonly hardState: HardState | undefined;
  /** Nothing follows but by a new start of the member. */
  readonly cleanStop: boolean;
}

/*
 * A record: kind (1 byte), subtype (1), zeros (2), payload length (4), two numbers (8 each), payload, zeros up to
 * a multiple of 8.
 */
const Kind = {entry: 1, hardState: 2, snapshot: 3, cleanStop: 4} as const;

const VOTE_BYTES = 8;

export function recordsBytes(contents: BatchContents): number {
  let bytes = 0;
  if (contents.snapshot !== undefined) bytes += RECORD_HEADER_BYTES;
  for (const entry of contents.entries) bytes += RECORD_HEADER_BYTES + align8(entry.payload.length);
  if (contents.hardState !== undefined) bytes += RECORD_HEADER_BYTES + VOTE_BYTES;
  if (contents.cleanStop) bytes += RECORD_HEADER_BYTES;
  return bytes;
}

/** @returns the position behind the last record */
export function writeRecords(target: Buffer, start: number, contents: BatchContents): number {
  let at = start;
  const {snapshot, hardState} = contents;
  if (snapshot !== undefined) {
    at = writeHead(target, at, Kind.snapshot, snapshot.discards ? 1 : 0, 0, snapshot.index, snapshot.term);
  }
  for (const {index, term, type, payload} of contents.entries) {
    assert(payload.length <= WAL_RECORD_BYTES_MAX, 'an entry is larger than a record may be');
    at = writeHead(target, at, Kind.entry, type, payload.length, index, term);
    target.set(payload, at);
    const end = at + payload.length;
    at += align8(payload.length);
    if (at > end) target.fill(0, end, at);
  }
  if (hardState !== undefined) {
    at = writeHead(target, at, Kind.hardState, 0, VOTE_BYTES, hardState.term, hardState.commit);
    target.writeBigUInt64LE(hardState.vote, at);
    at += VOTE_BYTES;
  }
  if (contents.cleanStop) at = writeHead(target, at, Kind.cleanStop, 0, 0, 0, 0);
  return at;
}

function writeHead(
  target: Buffer,
  at: number,
  kind: number,
  subtype: number,
  payloadBytes: number,
  first: number,
  second: number,
): number {
  target.writeUInt32LE(kind | (subtype << 8), at);
  target.writeUInt32LE(payloadBytes, at + 4);
  writeSafeInteger(target, at + 8, first);
  writeSafeInteger(target, at + 16, second);
  return at + RECORD_HEADER_BYTES;
}

/**
 * The inverse. Payloads are views of `source`.
 * @returns undefined when the bytes are no records (they passed a checksum: another program wrote them, or a bug)
 */
export function readRecords(source: Buffer): BatchContents | undefined {
  const entries: Entry[] = [];
  let snapshot: BatchContents['snapshot'];
  let hardState: HardState | undefined;
  let cleanStop = false;
  for (let at = 0; at < source.length; ) {
    if (source.length - at < RECORD_HEADER_BYTES) return undefined;
    const kind = source[at];
    const subtype = source[at + 1];
    const payloadBytes = source.readUInt32LE(at + 4);
    const first = readSafeInteger(source, at + 8);
    const second = readSafeInteger(source, at + 16);
    const payloadAt = at + RECORD_HEADER_BYTES;
    at = payloadAt + align8(payloadBytes);
    if (payloadBytes > WAL_RECORD_BYTES_MAX || at > source.length) return undefined;
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(second)) return undefined;
    if (kind === Kind.entry) {
      if (subtype !== EntryType.normal && subtype !== EntryType.confChange) return undefined;
      const payload = source.subarray(payloadAt, payloadAt + payloadBytes);
      entries.push({index: first, term: second, type: subtype, payload});
    } else if (kind === Kind.hardState && payloadBytes === VOTE_BYTES) {
      hardState = {term: first, vote: source.readBigUInt64LE(payloadAt), commit: second};
    } else if (kind === Kind.snapshot) {
      snapshot = {index: first, term: second, discards: subtype === 1};
    } else if (kind === Kind.cleanStop) {
      cleanStop = true;
    } else {
      return undefined;
    }
  }
  return {snapshot, entries, hardState, cleanStop};
}
