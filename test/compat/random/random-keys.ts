/** Keys, ranges and values of random requests: few enough that requests meet, odd enough that edges are met too. */

import type {SeededRandom} from '../../simulator/seeded-random.ts';
import {bytes, prefixEnd} from '../differential/grpc-step.ts';

/** Each prefix has so many keys; with an odd one at most twelve: up to there Go's sort keeps the order of equal ones. */
const KEYS_PER_PREFIX = 11;
const PREFIXES = ['a/', 'b/', 'c/'] as const;
const ODD_KEYS = [bytes('\0'), bytes('a'), bytes('a/0\0'), bytes('\xff\xff'), bytes('~')];
const NONE = bytes('');
const OPEN_END = bytes('\0');
const LARGE_VALUE_BYTES = 20_000;

const keys = PREFIXES.map((prefix) =>
  Array.from({length: KEYS_PER_PREFIX}, (_, n) => bytes(`${prefix}${n.toString(16)}`)),
);
const prefixes = PREFIXES.map((prefix) => ({key: bytes(prefix), range_end: prefixEnd(prefix)}));

export interface KeyRange {
  readonly key: Buffer;
  readonly range_end: Buffer;
}

export function pick<Item>(random: SeededRandom, items: readonly Item[]): Item {
  return items[random.below(items.length)];
}

export function randomKey(random: SeededRandom, prefix = random.below(PREFIXES.length)): Buffer {
  if (random.below(40) === 0) return pick(random, ODD_KEYS);
  if (random.below(150) === 0) return NONE;
  return pick(random, keys[prefix]);
}

export function randomPrefix(random: SeededRandom): number {
  return random.below(PREFIXES.length);
}

/** A single key mostly; a range of each form there is, the empty and the backward among them. */
export function randomRange(random: SeededRandom, prefix = randomPrefix(random)): KeyRange {
  const dice = random.below(20);
  if (dice < 9) return {key: randomKey(random, prefix), range_end: NONE};
  if (dice < 14) return prefixes[prefix];
  if (dice < 17) return {key: randomKey(random, prefix), range_end: randomKey(random, prefix)};
  if (dice < 18) return {key: randomKey(random), range_end: OPEN_END};
  if (dice < 19) return {key: OPEN_END, range_end: OPEN_END};
  return {key: randomKey(random), range_end: randomKey(random)};
}

/** A range with at most as many keys as Go sorts without changing the order of equal ones. */
export function smallRange(random: SeededRandom): KeyRange {
  const prefix = randomPrefix(random);
  return random.below(3) === 0
    ? {key: pick(random, keys[prefix]), range_end: prefixes[prefix].range_end}
    : prefixes[prefix];
}

export function randomValue(random: SeededRandom, label: string): Buffer {
  const dice = random.below(400);
  if (dice === 0) return bytes(label.padEnd(LARGE_VALUE_BYTES, '.'));
  if (dice < 20) return NONE;
  // Values that are equal now and then, for compares and sorts by value.
  return dice < 120 ? bytes(`v${random.below(6)}`) : bytes(label);
}
