/**
 * The answer of a large range, made while it is sent: what is not in memory is read as fast as the client reads, so that
 * a slow one costs a part.
 */

import {assert} from '../../../engine/errors.ts';
import type {Header, KeyValue, RangeResult} from '../../../engine/types.ts';
import type {MessageParts} from '../../http2/grpc-method.ts';
import {encodeRangeResponse} from '../../proto/generated/kv.ts';
import {LARGE_RANGE_BYTES, RANGE_ANSWER_PART_BYTES} from '../limits.ts';

/** Tag of `kvs` in RangeResponse. */
const KVS = 0x12;
/** A tag and a length. */
const FIELD_HEAD_BYTES_MAX = 6;
/** What a key-value costs in memory besides its bytes, where they are still in the store. */
const ENTRY_BYTES = 128;

export type RangeAnswer = RangeResult & {readonly header: Header};

/** @returns undefined for an answer that may as well be made at once */
export function rangeParts(answer: RangeAnswer): MessageParts | undefined {
  const {header, kvs, more, count} = answer;
  let listBytes = 0;
  let keptBytes = 0;
  for (const kv of kvs) {
    const bytes = kv.distantBytes ?? kv.encoded?.length;
    if (bytes === undefined) return undefined;
    listBytes += fieldHeadBytes(bytes) + bytes;
    if (kv.distantBytes === undefined) keptBytes += bytes;
  }
  if (listBytes <= LARGE_RANGE_BYTES) return undefined;
  // Fields leave in the order of their numbers, as in answers made at once.
  const head = encodeRangeResponse({header});
  const tail = encodeRangeResponse({more, count});
  const length = head.length + listBytes + tail.length;
  return {length, heldBytes: keptBytes + kvs.length * ENTRY_BYTES, parts: partsOf(head, kvs, tail)};
}

/** Parts of one size; a key-value may lie across several. @throws what reading them throws */
function* partsOf(head: Uint8Array, kvs: readonly KeyValue[], tail: Uint8Array): Generator<Uint8Array> {
  yield head;
  let part = Buffer.allocUnsafeSlow(RANGE_ANSWER_PART_BYTES);
  let at = 0;
  for (const kv of kvs) {
    const bytes = kv.encoded;
    assert(bytes !== undefined, 'only what is stored is sent in parts');
    if (part.length - at < FIELD_HEAD_BYTES_MAX) {
      yield part.subarray(0, at);
      part = Buffer.allocUnsafeSlow(RANGE_ANSWER_PART_BYTES);
      at = 0;
    }
    at = writeFieldHead(part, at, bytes.length);
    for (let from = 0; from < bytes.length; ) {
      const taken = Math.min(bytes.length - from, part.length - at);
      part.set(bytes.subarray(from, from + taken), at);
      at += taken;
      from += taken;
      if (at < part.length) continue;
      yield part;
      part = Buffer.allocUnsafeSlow(RANGE_ANSWER_PART_BYTES);
      at = 0;
    }
  }
  yield part.subarray(0, at);
  yield tail;
}

function fieldHeadBytes(length: number): number {
  let bytes = 2;
  for (let left = length; left >= 0x80; left >>>= 7) bytes++;
  return bytes;
}

function writeFieldHead(target: Uint8Array, offset: number, length: number): number {
  let at = offset;
  target[at++] = KVS;
  let left = length;
  for (; left >= 0x80; left >>>= 7) target[at++] = (left & 0x7f) | 0x80;
  target[at++] = left;
  return at;
}
