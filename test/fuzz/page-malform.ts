/** Snapshot files whose checksums are right, and whose pages say wrong things of themselves and of each other. */

import {
  decodeMetaPage,
  ELEMENT_BYTES,
  PAGE_BRANCH,
  PAGE_HEADER_BYTES,
} from '../../src/engine/storage/snapshot-file/page-format.ts';
import type {SeededRandom} from '../simulator/seeded-random.ts';
import {changedInPlace, oneOf} from './mutate.ts';

const META_AT = PAGE_HEADER_BYTES;
const META_CHECKED_BYTES = 56;
const COUNTS = [0, 1, 2, 3, 0xffff];
const OFFSETS = [0, 1, 15, 16, 32, 0x7fffffff, 0xffffffff];

export function malformedPages(random: SeededRandom, file: Uint8Array): Buffer {
  const bytes = Buffer.from(file);
  const meta = decodeMetaPage(bytes);
  if (typeof meta === 'string') return bytes;
  const {pageBytes} = meta;
  const pages = Math.floor(bytes.length / pageBytes);
  for (let n = random.below(4); n >= 0; n--) {
    const at = random.below(pages) * pageBytes;
    if (at < 2 * pageBytes) changeMeta(random, bytes, at, pages);
    else changePage(random, bytes, at, pages);
  }
  return bytes;
}

function changeMeta(random: SeededRandom, bytes: Buffer, at: number, pages: number): void {
  const field = META_AT + oneOf(random, [4, 8, 16, 40, 48]);
  if (random.below(2) === 0) changedInPlace(random, bytes, at + META_AT, at + META_AT + META_CHECKED_BYTES);
  else bytes.writeUInt32LE(random.below(2 * pages), at + field);
  const checked = bytes.subarray(at + META_AT, at + META_AT + META_CHECKED_BYTES);
  bytes.writeBigUInt64LE(fnv1a(checked), at + META_AT + META_CHECKED_BYTES);
}

function changePage(random: SeededRandom, bytes: Buffer, at: number, pages: number): void {
  const flags = bytes.readUInt16LE(at + 8);
  const count = bytes.readUInt16LE(at + 10);
  const element = at + PAGE_HEADER_BYTES + random.below(Math.max(1, Math.min(count, 200))) * ELEMENT_BYTES;
  if (element + 2 * ELEMENT_BYTES > bytes.length) return;
  switch (random.below(7)) {
    case 0:
      bytes.writeUInt32LE(random.below(pages + 2), at);
      return;
    case 1:
      bytes.writeUInt16LE(oneOf(random, [count - 1, count + 1, ...COUNTS]) & 0xffff, at + 10);
      return;
    case 2:
      bytes.writeUInt32LE(oneOf(random, [random.below(pages), ...OFFSETS]), at + 12);
      return;
    case 3:
      bytes.writeUInt32LE(oneOf(random, [random.below(600), ...OFFSETS]), element + 4 * random.below(4));
      return;
    case 4:
      if (flags === PAGE_BRANCH) bytes.writeUInt32LE(random.below(pages + 2), element + 8);
      else bytes.writeUInt32LE(random.below(2), element);
      return;
    case 5: {
      // Two elements trade places, each with what it points at.
      const other = at + PAGE_HEADER_BYTES + random.below(Math.max(1, Math.min(count, 200))) * ELEMENT_BYTES;
      if (other + ELEMENT_BYTES > bytes.length) return;
      const copy = Buffer.from(bytes.subarray(element, element + ELEMENT_BYTES));
      bytes.copy(bytes, element, other, other + ELEMENT_BYTES);
      copy.copy(bytes, other);
      return;
    }
    default:
      changedInPlace(random, bytes, at, Math.min(bytes.length, at + 4096));
  }
}

function fnv1a(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}
