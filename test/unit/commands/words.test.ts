import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {goQuote, hexEscape} from '../../../src/commands/_shared/go-quote.ts';
import {bytesOf, splitLine, textOf, unquote, wordOf} from '../../../src/commands/_shared/words.ts';

describe('words', () => {
  it('Ensure that every byte string survives as a word.', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(bytesOf(Buffer.from(bytes).toString('latin1'))).toEqual(Buffer.from(bytes));
      }),
    );
    expect(textOf(wordOf('ключ ☃ 😀'))).toBe('ключ ☃ 😀');
  });

  it('Ensure that a quoted byte string is read back as the same bytes.', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 40}), (bytes) => {
        expect(bytesOf(unquote(wordOf(goQuote(bytes))))).toEqual(Buffer.from(bytes));
      }),
      {numRuns: 2_000},
    );
  });

  it('Ensure that a line is split at spaces, and quotes hold words together.', () => {
    expect(splitLine('put a  b')).toEqual(['put', 'a', 'b']);
    expect(splitLine(`put "a b" 'c d' --prev-kv`)).toEqual(['put', 'a b', 'c d', '--prev-kv']);
    expect(splitLine('put "" \'\'')).toEqual(['put', '', '']);
    expect(splitLine('put "say \\"hi\\"\\n" \'a\\b\'')).toEqual(['put', 'say "hi"\n', 'a\\b']);
    expect(bytesOf(splitLine('put "\\x00\\xff\\377\\u00e9"')[1] as string)).toEqual(
      Buffer.from([0, 0xff, 0xff, 0xc3, 0xa9]),
    );
    expect(splitLine('   ')).toEqual([]);
  });

  it('Ensure that wrong escapes are refused.', () => {
    for (const literal of ['"\\q"', '"\\xzz"', '"\\U99999999"'])
      expect(() => unquote(literal)).toThrow('bad escape');
  });
});

describe('go quote', () => {
  it.each<[string | number[], string]>([
    ['plain', '"plain"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ['\n\t\r\x07\b\v\f', '"\\n\\t\\r\\a\\b\\v\\f"'],
    [[0, 1, 0x7f], '"\\x00\\x01\\x7f"'],
    [[0xff, 0xfe], '"\\xff\\xfe"'],
    ['ключ', '"ключ"'],
    ['😀', '"😀"'],
    ['\u200b\u00ad', '"\\u200b\\u00ad"'],
    ['\u{e0001}', '"\\U000e0001"'],
    [[0xed, 0xa0, 0x80], '"\\xed\\xa0\\x80"'],
    [[0xc0, 0x80], '"\\xc0\\x80"'],
    [[0xe2, 0x82], '"\\xe2\\x82"'],
    ['\ufffd', '"\ufffd"'],
  ])('Ensure that %j is quoted as Go quotes it.', (given, quoted) => {
    expect(goQuote(Buffer.from(given as string))).toBe(quoted);
  });

  it('Ensure that hex shows each byte.', () => {
    expect(hexEscape(Buffer.from([0, 0x61, 0xff]))).toBe('\\x00\\x61\\xff');
  });
});
