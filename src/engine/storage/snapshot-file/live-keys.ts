/**
 * Counts the keys that are alive behind a history of puts and deletions, remembering of each key only 64 bits of
 * hash: 18 bytes of memory per key at worst. Two keys with equal bits would count as one; among a hundred million
 * keys that happens once in some thousand files.
 */

import {assert} from '../../errors.ts';
import {crc32c} from '../../lib/crc32c.ts';

const FREE = 0;
const ALIVE = 1;
const DELETED = 2;

export class LiveKeys {
  #slots = 1024;
  #low = new Uint32Array(this.#slots);
  #high = new Uint32Array(this.#slots);
  #states = new Uint8Array(this.#slots);
  #used = 0;
  #alive = 0;

  get count(): number {
    return this.#alive;
  }

  put(key: Uint8Array): void {
    this.#set(crc32c(key), mixed(key), ALIVE);
  }

  delete(key: Uint8Array): void {
    this.#set(crc32c(key), mixed(key), DELETED);
  }

  #set(low: number, high: number, state: number): void {
    const slot = this.#find(low, high);
    const before = this.#states[slot];
    if (before === FREE) this.#used++;
    this.#alive += Number(state === ALIVE) - Number(before === ALIVE);
    this.#low[slot] = low;
    this.#high[slot] = high;
    this.#states[slot] = state;
    assert(this.#alive >= 0 && this.#alive <= this.#used, 'what is alive was put');
    if (2 * this.#used > this.#slots) this.#grow();
  }

  /** The key's slot, or the free one where it belongs. */
  #find(low: number, high: number): number {
    assert(this.#used < this.#slots, 'a search always ends at a free slot');
    const mask = this.#slots - 1;
    let slot = (low ^ high) & mask;
    while (this.#states[slot] !== FREE && (this.#low[slot] !== low || this.#high[slot] !== high)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const [low, high, states] = [this.#low, this.#high, this.#states];
    this.#slots *= 2;
    this.#low = new Uint32Array(this.#slots);
    this.#high = new Uint32Array(this.#slots);
    this.#states = new Uint8Array(this.#slots);
    for (let i = 0; i < states.length; i++) {
      if (states[i] === FREE) continue;
      const slot = this.#find(low[i], high[i]);
      this.#low[slot] = low[i];
      this.#high[slot] = high[i];
      this.#states[slot] = states[i];
    }
  }
}

/** A hash that is independent of a CRC: each byte is multiplied through (FNV-1a), and the end is mixed. */
function mixed(key: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key[i], 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
