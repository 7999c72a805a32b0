/** Byte strings as Go's %q shows them, which is how etcdctl's `fields` output and its watch variables do. Pure. */

import {toLatin1} from '../../engine/lib/bytes.ts';

const SHORT: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
};
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;
const PLAIN = /^[ !#-[\]-~]*$/;

export function goQuote(bytes: Uint8Array): string {
  const latin1 = toLatin1(bytes);
  if (PLAIN.test(latin1)) return `"${latin1}"`;
  let quoted = '"';
  for (let at = 0; at < bytes.length; ) {
    const [code, length] = decodeRune(bytes, at);
    quoted += code < 0 ? hexByte(bytes[at] as number) : quoteRune(code);
    at += length;
  }
  return `${quoted}"`;
}

export function goQuoteText(text: string): string {
  return goQuote(Buffer.from(text, 'utf8'));
}

function quoteRune(code: number): string {
  const short = SHORT[code];
  if (short !== undefined) return short;
  const char = String.fromCodePoint(code);
  if (PRINTABLE.test(char)) return char;
  if (code < 0x20 || code === 0x7f) return hexByte(code);
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
const hexByte = (byte: number): string => `\\x${hex(byte, 2)}`;

/** The code point at `at` and its bytes' number; -1 and 1 where the bytes are not UTF-8. */
function decodeRune(bytes: Uint8Array, at: number): readonly [code: number, length: number] {
  const first = bytes[at] as number;
  if (first < 0x80) return [first, 1];
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + length > bytes.length) return [-1, 1];
  let code = first & (0xff >> (length + 1));
  for (let i = 1; i < length; i++) {
    const next = bytes[at + i] as number;
    if (next >> 6 !== 2) return [-1, 1];
    code = (code << 6) | (next & 0x3f);
  }
  const smallest = length === 2 ? 0x80 : length === 3 ? 0x800 : 0x10000;
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  return code < smallest || code > 0x10ffff || isSurrogate ? [-1, 1] : [code, length];
}

/** As `--hex` shows bytes: each as \xNN. */
export function hexEscape(bytes: Uint8Array): string {
  return Array.from(bytes, hexByte).join('');
}
