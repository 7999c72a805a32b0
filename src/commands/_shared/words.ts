/**
 * Arguments are bytes: a key need not be valid UTF-8. Inside the parser an argument is a "binary string", one char
 * (U+0000 to U+00FF) for each byte, so that flags can be found by text functions and no byte is lost.
 */

import {readFileSync} from 'node:fs';

/** The bytes of a binary string. */
export function bytesOf(word: string): Buffer {
  return Buffer.from(word, 'latin1');
}

/** A binary string read as UTF-8. */
export function textOf(word: string): string {
  return Buffer.from(word, 'latin1').toString('utf8');
}

/** UTF-8 text as a binary string. */
export function wordOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/**
 * The process's arguments behind the script's name as binary strings. Node decodes argv as UTF-8 and replaces what
 * is not; then the kernel's own copy is read, where there is one.
 */
export function processWords(argv: readonly string[]): string[] {
  if (argv.some((argument) => argument.includes('\u{fffd}'))) {
    const raw = kernelArguments();
    if (raw !== undefined && raw.length >= argv.length) return raw.slice(raw.length - argv.length);
  }
  return argv.map(wordOf);
}

function kernelArguments(): string[] | undefined {
  try {
    const text = readFileSync('/proc/self/cmdline', 'latin1');
    return text.split('\0').slice(0, -1);
  } catch {
    // No /proc here: the replaced characters are all there is.
    return undefined;
  }
}

const WORD = /"(?:[^"\\]|\\.)*"|'[^']*'|[^'"\s]\S*/g;

/**
 * Splits a line of a script or prompt into words: "…" with Go's escapes, '…' as it stands, else up to a space.
 * @throws Error when a quoted word has a wrong escape
 */
export function splitLine(line: string): string[] {
  return (line.match(WORD) ?? []).map((word) => {
    if (word.startsWith('"')) return unquote(word);
    return word.startsWith("'") ? word.slice(1, -1) : word;
  });
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
};
const ESCAPE =
  /\\(?:([abfnrtv\\'"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))/gs;

/** The contents of a Go string literal in double quotes, as a binary string. @throws Error on a wrong escape */
export function unquote(literal: string): string {
  return literal.slice(1, -1).replace(ESCAPE, (all, simple, hex, octal, short, long, wrong) => {
    if (simple !== undefined) return ESCAPES[simple] as string;
    if (wrong !== undefined) throw new Error(`bad escape ${all} in ${literal}`);
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
    const code = Number.parseInt(short ?? long, 16);
    if (code > 0x10ffff) throw new Error(`bad escape ${all} in ${literal}`);
    return wordOf(String.fromCodePoint(code));
  });
}
