/** Numbers as users type them: ids in hexadecimal without 0x, everything else in decimal. */

import {toSafeInt64} from './flags.ts';
import {textOf} from './words.ts';

const wrong = (parser: string, word: string, what: string): Error =>
  new Error(`strconv.${parser}: parsing ${JSON.stringify(textOf(word))}: ${what}`);

/** A lease id: signed 64 bits. @throws Error in Go's words */
export function parseLeaseId(word: string): bigint {
  const [, sign, digits] = /^([+-]?)([0-9a-fA-F]+)$/.exec(word) ?? [];
  if (digits === undefined) throw wrong('ParseInt', word, 'invalid syntax');
  const id = sign === '-' ? -BigInt(`0x${digits}`) : BigInt(`0x${digits}`);
  if (BigInt.asIntN(64, id) !== id) throw wrong('ParseInt', word, 'value out of range');
  return id;
}

/** A member id: unsigned 64 bits. @throws Error in Go's words */
export function parseMemberId(word: string): bigint {
  if (!/^[0-9a-fA-F]+$/.test(word)) throw wrong('ParseUint', word, 'invalid syntax');
  const id = BigInt(`0x${word}`);
  if (BigInt.asUintN(64, id) !== id) throw wrong('ParseUint', word, 'value out of range');
  return id;
}

/** A signed 64-bit number, rounded where a double cannot hold it. @throws Error in Go's words */
export function parseDecimal(word: string): number {
  if (!/^[+-]?[0-9]+$/.test(word)) throw wrong('ParseInt', word, 'invalid syntax');
  const value = BigInt(word.replace('+', ''));
  if (BigInt.asIntN(64, value) !== value) throw wrong('ParseInt', word, 'value out of range');
  return toSafeInt64(value);
}
