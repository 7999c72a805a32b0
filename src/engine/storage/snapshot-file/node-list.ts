/**
 * The pages of one level of a bucket's tree, each with its first key: what the level above is made of. Packed
 * tightly: a store of a gigabyte has some 250,000 leaves.
 */

import {assert} from '../../errors.ts';

export class NodeList {
  #length = 0;
  #keys: Buffer = Buffer.allocUnsafeSlow(1024);
  /** Where each key ends in `#keys`. */
  #keyEnds = new Float64Array(64);
  #pages = new Float64Array(64);

  get length(): number {
    return this.#length;
  }

  add(page: number, firstKey: Uint8Array): void {
    assert(
      this.#length === 0 || page > this.#pages[this.#length - 1],
      'a level is laid out from left to right',
    );
    const start = this.#length === 0 ? 0 : this.#keyEnds[this.#length - 1];
    const end = start + firstKey.length;
    if (end > this.#keys.length) this.#keys = grown(this.#keys, Math.max(end, 2 * this.#keys.length));
    if (this.#length === this.#pages.length) {
      this.#pages = doubled(this.#pages);
      this.#keyEnds = doubled(this.#keyEnds);
    }
    this.#keys.set(firstKey, start);
    this.#keyEnds[this.#length] = end;
    this.#pages[this.#length] = page;
    this.#length++;
  }

  page(place: number): number {
    assert(place < this.#length, 'a node beyond the level');
    return this.#pages[place];
  }

  /** A view. */
  key(place: number): Buffer {
    assert(place < this.#length, 'a node beyond the level');
    return this.#keys.subarray(place === 0 ? 0 : this.#keyEnds[place - 1], this.#keyEnds[place]);
  }
}

function grown(bytes: Buffer, length: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(length);
  larger.set(bytes);
  return larger;
}

function doubled(numbers: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(2 * numbers.length);
  larger.set(numbers);
  return larger;
}
