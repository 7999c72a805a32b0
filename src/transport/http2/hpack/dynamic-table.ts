/**
 * HPACK's dynamic table: a ring of fields, newest first, bounded by bytes. `insertions` only grows: together with
 * nothing else it identifies the table's content, as long as the size is not changed. Source: RFC 7541, section 4.
 */

import {assert} from '../../../engine/errors.ts';
import type {HeaderField} from './header-field.ts';

export class DynamicTable {
  /** Fields ever inserted, plus changes of the size: equal numbers mean equal content. */
  generation = 0;
  #ring: (HeaderField | undefined)[] = new Array(16);
  /** Where the next field goes; the newest lies before it. */
  #next = 0;
  #length = 0;
  #bytes = 0;
  #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get length(): number {
    return this.#length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param index 0 is the newest; must be below `length` */
  at(index: number): HeaderField {
    assert(index < this.#length, 'a dynamic table index is within the table');
    const mask = this.#ring.length - 1;
    return this.#ring[(this.#next - 1 - index) & mask]!;
  }

  /** A field larger than the whole table empties it and is not kept. */
  insert(field: HeaderField): void {
    this.generation++;
    this.#evictTo(this.#bytesMax - field.size);
    if (field.size > this.#bytesMax) return;
    if (this.#length === this.#ring.length) this.#grow();
    this.#ring[this.#next] = field;
    this.#next = (this.#next + 1) & (this.#ring.length - 1);
    this.#length++;
    this.#bytes += field.size;
  }

  resize(bytesMax: number): void {
    this.generation++;
    this.#bytesMax = bytesMax;
    this.#evictTo(bytesMax);
  }

  #evictTo(bytes: number): void {
    const mask = this.#ring.length - 1;
    while (this.#bytes > bytes && this.#length > 0) {
      const oldest = (this.#next - this.#length) & mask;
      this.#bytes -= this.#ring[oldest]!.size;
      this.#ring[oldest] = undefined;
      this.#length--;
    }
    assert(this.#bytes >= 0, 'the dynamic table counts its bytes right');
  }

  #grow(): void {
    const ordered = Array.from({length: this.#length}, (_, i) => this.at(this.#length - 1 - i));
    this.#ring = new Array(this.#ring.length * 2);
    ordered.forEach((field, i) => {
      this.#ring[i] = field;
    });
    this.#next = ordered.length;
  }
}
