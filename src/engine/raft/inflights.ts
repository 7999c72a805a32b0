/**
 * The window of append messages on their way to one follower: a ring of (last index, bytes), oldest first. Bounded
 * in messages and bytes, so that a slow follower costs the leader a known amount of memory.
 */

import {assert} from '../errors.ts';
import type {Index} from '../types.ts';

const CAPACITY_FIRST = 8;

export class Inflights {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  /** Rings of equal, growing capacity. A place is in use when it is among the `#count` after `#start`. */
  #lasts: Index[] = new Array(CAPACITY_FIRST).fill(0);
  #sizes: number[] = new Array(CAPACITY_FIRST).fill(0);
  #start = 0;
  #count = 0;
  #bytes = 0;

  constructor(bounds: {messagesMax: number; bytesMax: number}) {
    assert(bounds.messagesMax > 0 && bounds.bytesMax > 0, 'an inflight window needs room');
    this.#messagesMax = bounds.messagesMax;
    this.#bytesMax = bounds.bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The byte bound may be passed by the one message that reaches it. */
  isFull(): boolean {
    return this.#count >= this.#messagesMax || this.#bytes >= this.#bytesMax;
  }

  /** Notes a message whose last entry is `last`; larger than all before. */
  add(last: Index, bytes: number): void {
    assert(!this.isFull(), 'an append was sent into a full window');
    const capacity = this.#lasts.length;
    if (this.#count > 0) {
      const newest = this.#lasts[(this.#start + this.#count - 1) % capacity];
      assert(newest < last, `inflight window goes back from ${newest} to ${last}`);
    }
    if (this.#count === capacity) this.#grow();
    const place = (this.#start + this.#count) % this.#lasts.length;
    this.#lasts[place] = last;
    this.#sizes[place] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  /** Forgets messages whose last entry is at or below `index`: they are acknowledged. */
  freeTo(index: Index): void {
    while (this.#count > 0 && this.#lasts[this.#start] <= index) {
      this.#bytes -= this.#sizes[this.#start];
      this.#start = (this.#start + 1) % this.#lasts.length;
      this.#count--;
    }
    assert(this.#bytes >= 0 && (this.#count > 0 || this.#bytes === 0), 'inflight bytes do not add up');
  }

  clear(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    const capacity = this.#lasts.length;
    const order = Array.from({length: capacity}, (_, i) => (this.#start + i) % capacity);
    const room = new Array<number>(capacity).fill(0);
    this.#lasts = [...order.map((place) => this.#lasts[place]), ...room];
    this.#sizes = [...order.map((place) => this.#sizes[place]), ...room];
    this.#start = 0;
  }
}
