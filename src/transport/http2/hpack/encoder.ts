/**
 * HPACK encoding of one direction of a connection. The caller says per field whether it is worth a place in the
 * table; Huffman is spent only on those, since they are sent in full once. Source: RFC 7541, section 6.
 */

import {DynamicTable} from './dynamic-table.ts';
import {HeaderField} from './header-field.ts';
import {huffmanEncode, huffmanLength} from './huffman.ts';
import {STATIC_TABLE_LAST, staticIndexOfField, staticIndexOfName} from './static-table.ts';

/**
 * `index`: will be sent again on this connection. `plain`: will not. `secret`: must not be kept in any table, here or
 * at a proxy.
 */
export type FieldUse = 'index' | 'plain' | 'secret';

export class HpackEncoder {
  readonly table: DynamicTable;
  readonly #tableBytesCap: number;
  #tableBytes: number;
  /** Sizes to announce at the start of the next block: the smallest since the last block, then the current one. */
  #smallestUnannounced: number | undefined;
  /** `name\0value` → the table's insertion count right after it was inserted. */
  readonly #inserted = new Map<string, number>();
  #insertions = 0;
  #buffer: Buffer = Buffer.allocUnsafeSlow(512);
  #length = 0;

  /** @param tableBytesCap how large a table we fill, whatever the peer allows */
  constructor(tableBytesCap: number) {
    this.#tableBytesCap = tableBytesCap;
    // Until its SETTINGS arrive the peer has a table of the default size.
    this.#tableBytes = Math.min(tableBytesCap, 4096);
    this.table = new DynamicTable(this.#tableBytes);
    if (this.#tableBytes < 4096) this.#smallestUnannounced = this.#tableBytes;
  }

  /** Equal numbers: the same table. */
  get generation(): number {
    return this.table.generation;
  }

  /** Whether the block just made did something to the table (an insertion or an announced size). */
  hasChangedTable = false;

  /** True while a block must open with a size update, so that no remembered block may be sent. */
  get hasSizeUpdate(): boolean {
    return this.#smallestUnannounced !== undefined;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setPeerTableBytes(bytes: number): void {
    const next = Math.min(bytes, this.#tableBytesCap);
    if (next === this.#tableBytes) return;
    this.#smallestUnannounced = Math.min(this.#smallestUnannounced ?? next, next);
    this.#tableBytes = next;
    this.table.resize(next);
    this.#forgetEvicted();
  }

  /** Starts a block. */
  begin(): void {
    this.#length = 0;
    this.hasChangedTable = false;
    if (this.#smallestUnannounced === undefined) return;
    this.hasChangedTable = true;
    if (this.#smallestUnannounced < this.#tableBytes) this.#integer(0x20, 0x1f, this.#smallestUnannounced);
    this.#integer(0x20, 0x1f, this.#tableBytes);
    this.#smallestUnannounced = undefined;
  }

  /** @param name lower case; @param value latin1 */
  add(name: string, value: string, use: FieldUse): void {
    this.#reserve(name.length + value.length + 16);
    const staticIndex = staticIndexOfField(name, value);
    if (staticIndex !== 0 && use !== 'secret') {
      this.#integer(0x80, 0x7f, staticIndex);
      return;
    }
    if (use === 'index') {
      const insertion = this.#inserted.get(`${name}\0${value}`);
      if (insertion !== undefined) {
        this.#integer(0x80, 0x7f, STATIC_TABLE_LAST + 1 + this.#insertions - insertion);
        return;
      }
    }
    const nameIndex = staticIndexOfName(name);
    if (use === 'index') this.#integer(0x40, 0x3f, nameIndex);
    else this.#integer(use === 'secret' ? 0x10 : 0x00, 0x0f, nameIndex);
    if (nameIndex === 0) this.#string(name, use === 'index');
    this.#string(value, use === 'index');
    if (use === 'index') this.#insert(name, value);
  }

  /** The block; valid until the next `begin`. */
  end(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #insert(name: string, value: string): void {
    this.hasChangedTable = true;
    this.table.insert(new HeaderField(name, value));
    this.#insertions++;
    this.#inserted.set(`${name}\0${value}`, this.#insertions);
    this.#forgetEvicted();
  }

  /** The map lists fields from the oldest on: those that the table no longer holds stand in front. */
  #forgetEvicted(): void {
    for (const [key, insertion] of this.#inserted) {
      if (this.#insertions - insertion < this.table.length) return;
      this.#inserted.delete(key);
    }
  }

  #string(text: string, mayHuffman: boolean): void {
    const length = mayHuffman ? huffmanLength(text) : text.length;
    if (length < text.length) {
      this.#integer(0x80, 0x7f, length);
      this.#length = huffmanEncode(text, this.#buffer, this.#length);
      return;
    }
    this.#integer(0x00, 0x7f, text.length);
    this.#length += this.#buffer.write(text, this.#length, 'latin1');
  }

  #integer(flags: number, prefixMask: number, value: number): void {
    if (value < prefixMask) {
      this.#buffer[this.#length++] = flags | value;
      return;
    }
    this.#buffer[this.#length++] = flags | prefixMask;
    let rest = value - prefixMask;
    for (; rest >= 0x80; rest >>>= 7) this.#buffer[this.#length++] = (rest & 0x7f) | 0x80;
    this.#buffer[this.#length++] = rest;
  }

  #reserve(bytes: number): void {
    if (this.#buffer.length - this.#length >= bytes) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + bytes));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}
