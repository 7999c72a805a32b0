/** HPACK against the examples of RFC 7541, appendix C, and against itself. */

import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {ConnectionError, ErrorCode} from '../../../src/transport/http2/errors.ts';
import {HpackDecoder} from '../../../src/transport/http2/hpack/decoder.ts';
import {type FieldUse, HpackEncoder} from '../../../src/transport/http2/hpack/encoder.ts';
import type {HeaderField} from '../../../src/transport/http2/hpack/header-field.ts';
import {huffmanDecode, huffmanEncode, huffmanLength} from '../../../src/transport/http2/hpack/huffman.ts';

type Fields = readonly (readonly [string, string])[];

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

function decode(decoder: HpackDecoder, bytes: Buffer): [string, string][] {
  const fields: HeaderField[] = [];
  decoder.decode(bytes, 0, bytes.length, fields, 1_000_000);
  return fields.map(({name, value}) => [name, value]);
}

const tableOf = (decoder: HpackDecoder): [string, string][] =>
  Array.from({length: decoder.table.length}, (_, i) => {
    const {name, value} = decoder.table.at(i);
    return [name, value];
  });

interface Step {
  readonly bytes: string;
  readonly fields: Fields;
  readonly table: Fields;
  readonly tableBytes: number;
}

const REQUEST_FIELDS: readonly Fields[] = [
  [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ],
  [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
    ['cache-control', 'no-cache'],
  ],
  [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ],
];
const REQUEST_TABLES: readonly Fields[] = [
  [[':authority', 'www.example.com']],
  [
    ['cache-control', 'no-cache'],
    [':authority', 'www.example.com'],
  ],
  [
    ['custom-key', 'custom-value'],
    ['cache-control', 'no-cache'],
    [':authority', 'www.example.com'],
  ],
];
const DATE_1 = 'Mon, 21 Oct 2013 20:13:21 GMT';
const DATE_2 = 'Mon, 21 Oct 2013 20:13:22 GMT';
const COOKIE = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';
const RESPONSE_FIELDS: readonly Fields[] = [
  [
    [':status', '302'],
    ['cache-control', 'private'],
    ['date', DATE_1],
    ['location', 'https://www.example.com'],
  ],
  [
    [':status', '307'],
    ['cache-control', 'private'],
    ['date', DATE_1],
    ['location', 'https://www.example.com'],
  ],
  [
    [':status', '200'],
    ['cache-control', 'private'],
    ['date', DATE_2],
    ['location', 'https://www.example.com'],
    ['content-encoding', 'gzip'],
    ['set-cookie', COOKIE],
  ],
];
const RESPONSE_TABLES: readonly Fields[] = [
  [
    ['location', 'https://www.example.com'],
    ['date', DATE_1],
    ['cache-control', 'private'],
    [':status', '302'],
  ],
  [
    [':status', '307'],
    ['location', 'https://www.example.com'],
    ['date', DATE_1],
    ['cache-control', 'private'],
  ],
  [
    ['set-cookie', COOKIE],
    ['content-encoding', 'gzip'],
    ['date', DATE_2],
  ],
];

function steps(
  bytes: readonly string[],
  fields: readonly Fields[],
  tables: readonly Fields[],
  sizes: number[],
): Step[] {
  return bytes.map((one, i) => ({bytes: one, fields: fields[i], table: tables[i], tableBytes: sizes[i]}));
}

const EXAMPLES: readonly (readonly [string, number, readonly Step[]])[] = [
  [
    'C.2.1 literal with indexing',
    4096,
    [
      {
        bytes: '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
        fields: [['custom-key', 'custom-header']],
        table: [['custom-key', 'custom-header']],
        tableBytes: 55,
      },
    ],
  ],
  [
    'C.2.2 literal without indexing',
    4096,
    [
      {
        bytes: '040c 2f73 616d 706c 652f 7061 7468',
        fields: [[':path', '/sample/path']],
        table: [],
        tableBytes: 0,
      },
    ],
  ],
  [
    'C.2.3 literal never indexed',
    4096,
    [
      {
        bytes: '1008 7061 7373 776f 7264 0673 6563 7265 74',
        fields: [['password', 'secret']],
        table: [],
        tableBytes: 0,
      },
    ],
  ],
  ['C.2.4 indexed', 4096, [{bytes: '82', fields: [[':method', 'GET']], table: [], tableBytes: 0}]],
  [
    'C.3 requests without Huffman',
    4096,
    steps(
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
      REQUEST_FIELDS,
      REQUEST_TABLES,
      [57, 110, 164],
    ),
  ],
  [
    'C.4 requests with Huffman',
    4096,
    steps(
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
      REQUEST_FIELDS,
      REQUEST_TABLES,
      [57, 110, 164],
    ),
  ],
  [
    'C.5 responses without Huffman, with eviction',
    256,
    steps(
      [
        '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '4803 3330 37c1 c0bf',
        '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
      ],
      RESPONSE_FIELDS,
      RESPONSE_TABLES,
      [222, 222, 215],
    ),
  ],
  [
    'C.6 responses with Huffman, with eviction',
    256,
    steps(
      [
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
        '4883 640e ffc1 c0bf',
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      ],
      RESPONSE_FIELDS,
      RESPONSE_TABLES,
      [222, 222, 215],
    ),
  ],
];

describe('HPACK decoder', () => {
  it.each(EXAMPLES)('Ensure that example %s decodes as the RFC says.', (_name, tableBytesMax, list) => {
    const decoder = new HpackDecoder(tableBytesMax);
    for (const {bytes, fields, table, tableBytes} of list) {
      expect(decode(decoder, hex(bytes))).toEqual(fields);
      expect(tableOf(decoder)).toEqual(table);
      expect(decoder.table.bytes).toBe(tableBytes);
    }
  });

  it('Ensure that integers are read as in C.1: 10, 1337 and 42.', () => {
    const decoder = new HpackDecoder(4096);
    // A table size update has a five-bit prefix, as examples C.1.1 and C.1.2 do.
    decode(decoder, hex('2a'));
    decode(decoder, hex('3f9a0a'));
    expect(() => decode(decoder, hex('3fe21f'))).toThrow(/exceeds 4096/);
    decode(decoder, hex('3fe11f'));
  });

  it.each([
    ['index 0', '80'],
    ['an index beyond the tables', 'be'],
    ['a name index beyond the tables', '7f00'],
    ['an integer without its end', 'ff'],
    ['an integer that goes on for ever', 'ffffffffffffff'],
    ['an integer with zeros without end', 'ff8080808080'],
    ['a string without its length', '00'],
    ['a string that runs past the block', '0005 6162'],
    ['a value that is missing', '0001 61'],
    ['a table size update behind a field', '82 20'],
    ['a table size update beyond what we offered', '3fe21f'],
    ['Huffman padding of eight bits', '0082 ffff 01 61'.replace('ffff', '1fff')],
    ['Huffman padding that is not all ones', '0081 00 0161'],
    ['Huffman’s end of string', '0084 ffff ffff 0161'],
  ])('Ensure that %s is a compression error.', (_name, bytes) => {
    const decoder = new HpackDecoder(4096);
    try {
      decode(decoder, hex(bytes));
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(ConnectionError);
      expect((error as ConnectionError).code).toBe(ErrorCode.compressionError);
    }
  });

  it('Ensure that an entry larger than the table empties it and is no error (4.4).', () => {
    const decoder = new HpackDecoder(100);
    const insert = (name: string, value: string): Buffer =>
      Buffer.concat([
        Buffer.from([0x40, name.length]),
        Buffer.from(name),
        Buffer.from([value.length]),
        Buffer.from(value),
      ]);
    expect(decode(decoder, insert('a', 'small'))).toEqual([['a', 'small']]);
    expect(decode(decoder, hex('be'))).toEqual([['a', 'small']]);
    expect(decode(decoder, insert('b', 'v'.repeat(90)))).toEqual([['b', 'v'.repeat(90)]]);
    expect(() => decode(decoder, hex('be'))).toThrow(ConnectionError);
  });

  it('Ensure that an entry may take its name from the one that it evicts (4.4).', () => {
    const decoder = new HpackDecoder(80);
    decode(
      decoder,
      Buffer.concat([Buffer.from([0x40, 4]), Buffer.from('name'), Buffer.from([3]), Buffer.from('one')]),
    );
    const again = Buffer.concat([Buffer.from([0x7e, 30]), Buffer.alloc(30, 'x')]);
    expect(decode(decoder, again)).toEqual([['name', 'x'.repeat(30)]]);
    expect(decode(decoder, hex('be'))).toEqual([['name', 'x'.repeat(30)]]);
    expect(() => decode(decoder, hex('bf'))).toThrow(ConnectionError);
  });

  it('Ensure that a list beyond its bound is decoded but not kept (HPACK bomb).', () => {
    const decoder = new HpackDecoder(4096);
    const value = 'v'.repeat(3000);
    const encoder = new HpackEncoder(4096);
    encoder.begin();
    encoder.add('bomb', value, 'index');
    decode(decoder, Buffer.from(encoder.end()));
    const bomb = Buffer.alloc(16_000, 0xbe);
    const fields: HeaderField[] = [];
    const size = decoder.decode(bomb, 0, bomb.length, fields, 65_536);
    expect(size).toBe(16_000 * (4 + 3000 + 32));
    expect(fields.length).toBe(Math.floor(65_536 / 3036));
  });

  it('Ensure that any bytes decode or are a compression error, and nothing else.', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({maxLength: 64}), {maxLength: 4}), (blocks) => {
        const decoder = new HpackDecoder(4096);
        try {
          for (const block of blocks) decode(decoder, Buffer.from(block));
        } catch (error) {
          expect(error).toBeInstanceOf(ConnectionError);
        }
      }),
      {numRuns: 2000},
    );
  });
});

describe('HPACK encoder', () => {
  const name = fc.constantFrom(':path', ':method', 'content-type', 'x-a', 'x-b', 'token', 'te');
  const value = fc.oneof(
    fc.constantFrom('POST', 'application/grpc', 'a', ''),
    fc.string({maxLength: 40}),
    fc.string({minLength: 200, maxLength: 900}),
  );
  const latin1 = value.map((text) => Buffer.from(text).toString('latin1'));
  const use = fc.constantFrom<FieldUse>('index', 'plain', 'secret');
  const step = fc.oneof(
    {weight: 8, arbitrary: fc.record({fields: fc.array(fc.tuple(name, latin1, use), {maxLength: 8})})},
    {weight: 1, arbitrary: fc.record({tableBytes: fc.constantFrom(0, 50, 100, 500, 4096, 65_536)})},
  );

  it('Ensure that what it encodes decodes to the same, through evictions and changes of the size.', () => {
    fc.assert(
      fc.property(fc.array(step, {maxLength: 40}), (list) => {
        const encoder = new HpackEncoder(4096);
        const decoder = new HpackDecoder(4096);
        for (const one of list) {
          if ('tableBytes' in one) {
            encoder.setPeerTableBytes(one.tableBytes);
            continue;
          }
          encoder.begin();
          for (const [fieldName, fieldValue, fieldUse] of one.fields)
            encoder.add(fieldName, fieldValue, fieldUse);
          expect(decode(decoder, Buffer.from(encoder.end()))).toEqual(one.fields.map(([n, v]) => [n, v]));
          expect(decoder.table.bytes).toBe(encoder.table.bytes);
        }
      }),
      {numRuns: 300},
    );
  });

  it('Ensure that a repeated request takes one byte per field.', () => {
    const encoder = new HpackEncoder(4096);
    let length = 0;
    for (let i = 0; i < 3; i++) {
      encoder.begin();
      encoder.add(':path', '/etcdserverpb.KV/Put', 'index');
      encoder.add('te', 'trailers', 'index');
      encoder.add(':method', 'POST', 'index');
      length = encoder.end().length;
    }
    expect(length).toBe(3);
  });

  it('Ensure that a secret never enters a table and says so.', () => {
    const encoder = new HpackEncoder(4096);
    encoder.begin();
    encoder.add('token', 'abc', 'secret');
    expect(encoder.end()[0] & 0xf0).toBe(0x10);
    expect(encoder.table.length).toBe(0);
  });
});

describe('Huffman', () => {
  it('Ensure that every string of bytes survives, at its announced length.', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 200}), (bytes) => {
        const text = Buffer.from(bytes).toString('latin1');
        const target = Buffer.alloc(1000);
        const end = huffmanEncode(text, target, 3);
        expect(end - 3).toBe(huffmanLength(text));
        expect(huffmanDecode(target, 3, end)).toBe(text);
      }),
      {numRuns: 1000},
    );
  });
});
