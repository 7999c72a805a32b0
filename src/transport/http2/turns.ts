/**
 * Streams that wait for their turn to send, first come first served. Taking one out of tens of thousands costs what it
 * costs out of two: an array's own `shift` moves all that are behind it.
 */

/** What has been taken is cut off when it is at least this many, and half of all. */
const TAKEN_MIN = 1_024;

export class Turns<Item> {
  #items: (Item | undefined)[] = [];
  /** Where the first one stands that was not taken. */
  #next = 0;

  get length(): number {
    return this.#items.length - this.#next;
  }

  add(item: Item): void {
    this.#items.push(item);
  }

  /** @returns undefined when nobody waits */
  take(): Item | undefined {
    if (this.#next === this.#items.length) return undefined;
    const item = this.#items[this.#next];
    this.#items[this.#next++] = undefined;
    if (this.#next === this.#items.length) this.clear();
    else if (this.#next >= TAKEN_MIN && this.#next * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#next);
      this.#next = 0;
    }
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#next = 0;
  }
}
