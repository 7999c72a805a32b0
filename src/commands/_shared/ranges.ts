/** How the arguments of get, del and watch name keys. */

import {prefixEnd} from '../../engine/lib/bytes.ts';
import {badArguments} from './exit.ts';
import {bytesOf} from './words.ts';

/** An empty key is no key: "all keys" are those from a single 0 byte on. */
const FIRST_KEY = Buffer.from([0]);
const TO_THE_END = Buffer.from([0]);

export interface NamedRange {
  readonly key: Uint8Array;
  /** Empty: the one key. */
  readonly rangeEnd: Uint8Array;
}

export interface RangeFlags {
  readonly prefix: boolean;
  readonly 'from-key'?: boolean;
}

/** @param words one or two binary strings. @throws CommandError 128 in etcdctl's words */
export function namedRange(words: readonly string[], flags: RangeFlags): NamedRange {
  const [first = '', second] = words;
  const fromKey = flags['from-key'] === true;
  if (flags.prefix && fromKey) {
    throw badArguments('`--prefix` and `--from-key` cannot be set at the same time, choose one');
  }
  if ((flags.prefix || fromKey) && second !== undefined) {
    throw badArguments('too many arguments, only accept one argument when `--prefix` or `--from-key` is set');
  }
  const key = bytesOf(first);
  if (flags.prefix)
    return key.length === 0 ? {key: FIRST_KEY, rangeEnd: TO_THE_END} : {key, rangeEnd: prefixEnd(key)};
  if (fromKey) return {key: key.length === 0 ? FIRST_KEY : key, rangeEnd: TO_THE_END};
  return {key, rangeEnd: second === undefined ? Buffer.alloc(0) : bytesOf(second)};
}
