/**
 * HPACK decoding of one direction of a connection. Every block must be decoded, in order, even if its stream is
 * refused: the table depends on it. Source: RFC 7541, sections 3 and 6.
 */

import {ConnectionError, ErrorCode} from '../errors.ts';
import {DynamicTable} from './dynamic-table.ts';
import {HeaderField} from './header-field.ts';
import {huffmanDecode} from './huffman.ts';
import {STATIC_TABLE, STATIC_TABLE_LAST} from './static-table.ts';

/** Seven bits each behind the prefix: 28 bits are more than any length or index we accept. */
const INTEGER_BYTES_MAX = 4;

function fail(message: string): never {
  throw new ConnectionError(ErrorCode.compressionError, message);
}

export class HpackDecoder {
  readonly table: DynamicTable;
  readonly #tableBytesMax: number;
  /** The read position within the block being decoded. */
  #position = 0;

  /** @param tableBytesMax what we told the peer in SETTINGS_HEADER_TABLE_SIZE */
  constructor(tableBytesMax: number) {
    this.#tableBytesMax = tableBytesMax;
    this.table = new DynamicTable(tableBytesMax);
  }

  /**
   * Appends the fields of `block[start, end)` to `fields`, until their sizes exceed `listBytesMax`; the rest is
   * decoded and dropped.
   * @returns the size of the whole list by HPACK's count
   * @throws ConnectionError COMPRESSION_ERROR
   */
  decode(block: Buffer, start: number, end: number, fields: HeaderField[], listBytesMax: number): number {
    let listBytes = 0;
    let isAtStart = true;
    this.#position = start;
    while (this.#position < end) {
      const byte = block[this.#position];
      let field: HeaderField;
      if ((byte & 0x80) !== 0) {
        field = this.#field(this.#integer(block, end, 0x7f));
      } else if ((byte & 0x40) !== 0) {
        field = this.#literal(block, end, 0x3f);
        this.table.insert(field);
      } else if ((byte & 0x20) !== 0) {
        if (!isAtStart) fail('a table size update stands behind a field');
        this.#resize(this.#integer(block, end, 0x1f));
        continue;
      } else {
        field = this.#literal(block, end, 0x0f);
      }
      isAtStart = false;
      listBytes += field.size;
      if (listBytes <= listBytesMax) fields.push(field);
    }
    return listBytes;
  }

  #resize(bytes: number): void {
    if (bytes > this.#tableBytesMax) fail(`a table size update exceeds ${this.#tableBytesMax} bytes`);
    this.table.resize(bytes);
  }

  #field(index: number): HeaderField {
    if (index === 0) fail('index 0');
    if (index <= STATIC_TABLE_LAST) return STATIC_TABLE[index];
    const dynamic = index - STATIC_TABLE_LAST - 1;
    if (dynamic >= this.table.length) fail(`index ${index} is beyond the table`);
    return this.table.at(dynamic);
  }

  #literal(block: Buffer, end: number, prefixMask: number): HeaderField {
    const index = this.#integer(block, end, prefixMask);
    const name = index === 0 ? this.#string(block, end) : this.#field(index).name;
    return new HeaderField(name, this.#string(block, end));
  }

  #string(block: Buffer, end: number): string {
    if (this.#position >= end) fail('a block ends within a field');
    const isHuffman = (block[this.#position] & 0x80) !== 0;
    const length = this.#integer(block, end, 0x7f);
    const from = this.#position;
    if (length > end - from) fail('a string runs past its block');
    this.#position = from + length;
    if (isHuffman) return huffmanDecode(block, from, from + length);
    return block.toString('latin1', from, from + length);
  }

  #integer(block: Buffer, end: number, prefixMask: number): number {
    let value = block[this.#position++] & prefixMask;
    if (value < prefixMask) return value;
    for (let i = 0; i < INTEGER_BYTES_MAX; i++) {
      if (this.#position >= end) fail('a block ends within an integer');
      const byte = block[this.#position++];
      value += (byte & 0x7f) << (7 * i);
      if ((byte & 0x80) === 0) return value;
    }
    return fail('an integer is too long');
  }
}
