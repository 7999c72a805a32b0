/** Bytes that are nearly right: what a decoder gets from a broken disk, a broken peer, or somebody who tries. */

import type {SeededRandom} from '../simulator/seeded-random.ts';

/** Where decoders' arithmetic ends: lengths and counts that are extreme. */
const EXTREMES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
const CHANGES_MAX = 5;
const PIECE_BYTES_MAX = 64;

/** @param samples right ones */
export function mutated(random: SeededRandom, samples: readonly Uint8Array[]): Buffer {
  if (random.below(40) === 0) return noise(random, random.below(600));
  let bytes: Buffer = Buffer.from(samples[random.below(samples.length)]);
  const changes = 1 + random.below(CHANGES_MAX);
  for (let n = 0; n < changes; n++) bytes = changed(random, bytes, samples);
  return bytes;
}

export function noise(random: SeededRandom, length: number): Buffer {
  return Buffer.from(Array.from({length}, () => random.below(256)));
}

function changed(random: SeededRandom, bytes: Buffer, samples: readonly Uint8Array[]): Buffer {
  const at = random.below(bytes.length + 1);
  const piece = random.below(PIECE_BYTES_MAX);
  switch (random.below(9)) {
    case 0:
      if (at < bytes.length) bytes[at] ^= 1 << random.below(8);
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = random.below(256);
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + piece)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), noise(random, piece), bytes.subarray(at)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.below(bytes.length + 1))]);
    case 6: {
      const other = Buffer.from(samples[random.below(samples.length)]);
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length + 1))]);
    }
    case 7:
      return bytes.fill(random.below(2) * 255, at, Math.min(bytes.length, at + piece));
    default:
      return withExtreme(random, bytes, at);
  }
}

function withExtreme(random: SeededRandom, bytes: Buffer, at: number): Buffer {
  if (at + 4 > bytes.length) return bytes;
  const value = EXTREMES[random.below(EXTREMES.length)];
  if (random.below(2) === 0) bytes.writeUInt32LE(value, at);
  else bytes.writeUInt32BE(value, at);
  return bytes;
}
