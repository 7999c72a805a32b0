/** Bytes that are nearly right: what a decoder gets from a broken disk, a broken peer, or somebody who tries. */

import type {SeededRandom} from '../simulator/seeded-random.ts';

/** Where decoders' arithmetic ends: lengths and counts that are extreme. */
const EXTREMES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
const EXTREMES_64 = [0n, 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];
const DOUBLES = [-0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER, 2 ** 63, 5e-324];
/** Varints that say little with many bytes, or more than 64 bits hold. */
const VARINTS = [
  '8000',
  'ffffffff0f',
  'ffffffffffffffff7f',
  'ffffffffffffffffff01',
  'ffffffffffffffffffff7f',
];
const CHANGES_MAX = 5;
const PIECE_BYTES_MAX = 64;
/** What grows faster than its input shows at this size. */
const LARGE_BYTES = 128 * 1024;

/** @param samples right ones */
export function mutated(random: SeededRandom, samples: readonly Uint8Array[]): Buffer {
  if (random.below(40) === 0) return noise(random, random.below(600));
  let bytes: Buffer = Buffer.from(samples[random.below(samples.length)]);
  const changes = 1 + random.below(CHANGES_MAX);
  for (let n = 0; n < changes; n++) bytes = changed(random, bytes, samples);
  return random.below(200) === 0 ? swollen(random, bytes) : bytes;
}

export function noise(random: SeededRandom, length: number): Buffer {
  return Buffer.from(Array.from({length}, () => random.below(256)));
}

export function oneOf<Item>(random: SeededRandom, items: readonly Item[]): Item {
  return items[random.below(items.length)];
}

/** Changes bytes where they lie, so that all that follows keeps its place. */
export function changedInPlace(random: SeededRandom, bytes: Buffer, from = 0, to = bytes.length): Buffer {
  if (to <= from) return bytes;
  const at = from + random.below(to - from);
  switch (random.below(5)) {
    case 0:
      bytes[at] ^= 1 << random.below(8);
      return bytes;
    case 1:
      bytes[at] = random.below(256);
      return bytes;
    case 2:
      return bytes.fill(random.below(2) * 255, at, Math.min(to, at + random.below(PIECE_BYTES_MAX)));
    default:
      return at + 8 > to ? bytes : withExtreme(random, bytes, at);
  }
}

function changed(random: SeededRandom, bytes: Buffer, samples: readonly Uint8Array[]): Buffer {
  const at = random.below(bytes.length + 1);
  const piece = random.below(PIECE_BYTES_MAX);
  switch (random.below(10)) {
    case 0:
    case 1:
      return changedInPlace(random, bytes);
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + piece)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), noise(random, piece), bytes.subarray(at)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.below(bytes.length + 1))]);
    case 6: {
      const other = Buffer.from(oneOf(random, samples));
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length + 1))]);
    }
    case 7: {
      const number = Buffer.from(oneOf(random, VARINTS), 'hex');
      return Buffer.concat([bytes.subarray(0, at), number, bytes.subarray(at + random.below(4))]);
    }
    default:
      return withExtreme(random, bytes, at);
  }
}

/** One piece of it, very often. */
function swollen(random: SeededRandom, bytes: Buffer): Buffer {
  const at = random.below(bytes.length + 1);
  const piece = bytes.subarray(at, at + 1 + random.below(16));
  if (piece.length === 0) return bytes;
  return Buffer.concat([bytes.subarray(0, at), Buffer.alloc(LARGE_BYTES, piece), bytes.subarray(at)]);
}

function withExtreme(random: SeededRandom, bytes: Buffer, at: number): Buffer {
  if (at + 8 > bytes.length) return bytes;
  const value = oneOf(random, EXTREMES);
  switch (random.below(6)) {
    case 0:
      bytes.writeUInt32LE(value, at);
      break;
    case 1:
      bytes.writeUInt32BE(value, at);
      break;
    case 2:
      bytes.writeUInt16LE(value & 0xffff, at);
      break;
    case 3:
      bytes.writeBigUInt64LE(oneOf(random, EXTREMES_64), at);
      break;
    case 4:
      bytes.writeBigUInt64BE(oneOf(random, EXTREMES_64), at);
      break;
    default:
      bytes.writeDoubleBE(oneOf(random, DOUBLES), at);
  }
  return bytes;
}
