import {describe, expect, it} from 'vitest';
import {goJson} from '../../../src/commands/_shared/go-json.ts';
import {parseDecimal, parseLeaseId, parseMemberId} from '../../../src/commands/_shared/numbers.ts';
import {namedRange} from '../../../src/commands/_shared/ranges.ts';
import {renderTable} from '../../../src/commands/_shared/table.ts';
import {formatBytes, hexId, percentUnused, spacedHexId} from '../../../src/commands/_shared/units.ts';
import {hex64} from '../../../src/engine/lib/hex64.ts';

describe('go json', () => {
  it('Ensure that 64-bit numbers are bare, bytes are base64 and undefined fields are left out.', () => {
    const value = {
      id: 18446744073709551615n,
      n: -1,
      big: 2 ** 60,
      b: Buffer.from([255]),
      u: undefined,
      l: [true, null],
    };
    expect(goJson(value)).toBe(
      '{"id":18446744073709551615,"n":-1,"big":1152921504606846976,"b":"/w==","l":[true,null]}',
    );
  });

  it('Ensure that text is escaped as Go escapes it.', () => {
    expect(goJson('<a href="x">&\u2028\n\\b\b')).toBe(
      '"\\u003ca href=\\"x\\"\\u003e\\u0026\\u2028\\n\\\\b\\u0008"',
    );
  });
});

describe('units', () => {
  it.each([
    [0, '0 B'],
    [9, '9 B'],
    [999, '999 B'],
    [1_000, '1.0 kB'],
    [9_960, '10 kB'],
    [20_480, '20 kB'],
    [25_000, '25 kB'],
    [1_100_000, '1.1 MB'],
    [2_147_483_648, '2.1 GB'],
    [20_500, '20 kB'],
    [21_500, '22 kB'],
  ])('Ensure that %d bytes are shown as etcdctl shows them.', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('Ensure that ids and shares are shown as etcdctl shows them.', () => {
    expect(hexId(0x1234n)).toBe('0000000000001234');
    expect(hexId(-1n)).toBe('ffffffffffffffff');
    expect(spacedHexId(0xabcn)).toBe('             abc');
    expect(hex64(2n ** 64n - 1n)).toBe('ffffffffffffffff');
    expect(percentUnused(20_480, 16_384)).toBe('20%');
    expect(percentUnused(0, 0)).toBe('0%');
  });
});

describe('numbers', () => {
  it('Ensure that ids are hexadecimal and bounded, and other numbers decimal.', () => {
    expect(parseLeaseId('694d5765fc71500b')).toBe(0x694d5765fc71500bn);
    expect(parseLeaseId('-1')).toBe(-1n);
    expect(() => parseLeaseId('ffffffffffffffff')).toThrow(
      'strconv.ParseInt: parsing "ffffffffffffffff": value out of range',
    );
    expect(() => parseLeaseId('0x1')).toThrow('invalid syntax');
    expect(parseMemberId('ffffffffffffffff')).toBe(2n ** 64n - 1n);
    expect(() => parseMemberId('-1')).toThrow('strconv.ParseUint: parsing "-1": invalid syntax');
    expect(parseDecimal('+010')).toBe(10);
    expect(() => parseDecimal('1e3')).toThrow('strconv.ParseInt: parsing "1e3": invalid syntax');
  });
});

describe('ranges', () => {
  it('Ensure that prefix and from-key become the ranges that etcdctl sends.', () => {
    const bytes = (text: string) => Buffer.from(text, 'latin1');
    expect(namedRange(['a'], {prefix: false})).toEqual({key: bytes('a'), rangeEnd: bytes('')});
    expect(namedRange(['a', 'c'], {prefix: false})).toEqual({key: bytes('a'), rangeEnd: bytes('c')});
    expect(namedRange(['a'], {prefix: true})).toEqual({key: bytes('a'), rangeEnd: bytes('b')});
    expect(namedRange(['a\xff'], {prefix: true})).toEqual({key: bytes('a\xff'), rangeEnd: bytes('b')});
    expect(namedRange(['\xff'], {prefix: true})).toEqual({key: bytes('\xff'), rangeEnd: bytes('\0')});
    expect(namedRange([''], {prefix: true})).toEqual({key: bytes('\0'), rangeEnd: bytes('\0')});
    expect(namedRange(['a'], {prefix: false, 'from-key': true})).toEqual({
      key: bytes('a'),
      rangeEnd: bytes('\0'),
    });
  });
});

describe('table', () => {
  const table = {head: ['Name', 'Url'], rows: [['one', 'http://127.0.0.1:2379,http://127.0.0.1:22379']]};

  it('Ensure that a table keeps its width where there is no terminal.', () => {
    const text = renderTable(table, {columns: undefined, hasColor: false});
    expect(text.split('\n')[3]).toBe('│  one │ http://127.0.0.1:2379,http://127.0.0.1:22379 │');
  });

  it('Ensure that a table fits a narrow terminal without losing anything.', () => {
    const text = renderTable(table, {columns: 34, hasColor: false});
    const lines = text.trimEnd().split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(34);
    const cells = lines.slice(3, -1).map((line) => line.split('│')[2]?.trim() ?? '');
    expect(cells.join('')).toBe(table.rows[0]?.[1]);
  });

  it('Ensure that in a terminal too narrow for its columns each row gets a table of its own.', () => {
    const wide = {
      head: ['First', 'Second', 'Third'],
      rows: [
        ['a'.repeat(20), 'two words and more', 'c'],
        ['x', 'y', 'z'],
      ],
    };
    expect(renderTable(wide, {columns: 28, hasColor: false})).toBe(
      [
        '┌────────┬──────────────────────┐',
        '│ FIRST  │ aaaaaaaaaaaaaaaaaaaa │',
        '│ SECOND │ two words and more   │',
        '│ THIRD  │ c                    │',
        '└────────┴──────────────────────┘',
        '┌────────┬──────────────────────┐',
        '│ FIRST  │ x                    │',
        '│ SECOND │ y                    │',
        '│ THIRD  │ z                    │',
        '└────────┴──────────────────────┘',
        '',
      ].join('\n'),
    );
  });

  it('Ensure that no id, number, address or size is ever split, however narrow the terminal is.', () => {
    const row = [
      '8e9e05c52164694d',
      '20 kB',
      'http://127.0.0.1:2379,http://10.0.0.1:2379',
      'no space is left',
    ];
    const whole = ['8e9e05c52164694d', '20 kB', 'http://127.0.0.1:2379,', 'http://10.0.0.1:2379', 'space'];
    for (let columns = 10; columns < 120; columns++) {
      const text = renderTable(
        {head: ['ID', 'DB Size', 'Addrs', 'Errors'], rows: [row]},
        {columns, hasColor: false},
      );
      const lines = text.trimEnd().split('\n');
      expect(new Set(lines.map((line) => line.length)).size).toBe(1);
      for (const piece of whole) expect(text).toContain(piece);
      const words = lines.flatMap((line) => line.split(/[^\w:/.,]+/)).filter((word) => word !== '');
      const expected = ['ID', 'DB', 'SIZE', 'ADDRS', 'ERRORS', ...row.join(' ').split(/(?<=,) *| /)];
      expect(
        words
          .join(' ')
          .split(/(?<=,) *| /)
          .filter((word) => word !== '')
          .sort(),
      ).toEqual(expected.sort());
    }
  });

  it('Ensure that only a terminal with colour gets colour.', () => {
    expect(renderTable(table, {columns: 80, hasColor: true})).toContain('\x1b[1mNAME\x1b[22m');
    expect(renderTable(table, {columns: 80, hasColor: false})).not.toContain('\x1b');
  });

  it('Ensure that colour changes nothing but the colour, however narrow the terminal is.', () => {
    const wide = {head: ['First one', 'Second one'], rows: [['a'.repeat(30), 'b'.repeat(30)]]};
    for (const columns of [20, 28, 40, 100]) {
      const colored = renderTable(wide, {columns, hasColor: true});
      expect(colored.replace(/\x1b\[\d+m/g, '')).toBe(renderTable(wide, {columns, hasColor: false}));
      expect(colored).toContain('\x1b[1mFIRST');
    }
  });
});
