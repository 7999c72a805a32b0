/**
 * Entries that fall due, in buckets of time. To set, remove or put off one costs the same however many there are, and
 * a walk touches those alone that may be due.
 *
 *     first ▸ bucket 7:  a ⇄ b       due by 7 · bucketMs, unless put off since
 *             bucket 9:  c
 *
 * Putting an entry off does not move it: a walk that comes by its bucket does, once for any number of times.
 */

const NOWHERE = -1;

export class DueEntry<Item> {
  readonly item: Item;
  /** Moved by the queue alone. */
  dueMs = 0;
  /** The queue's: where the entry stands. Never later than `dueMs` asks for, but for what was set when it was due. */
  bucket = NOWHERE;
  previous: DueEntry<Item> | undefined;
  next: DueEntry<Item> | undefined;

  constructor(item: Item) {
    this.item = item;
  }
}

export class DueQueue<Item> {
  readonly #bucketMs: number;
  /** The first entry of each bucket that has any. */
  readonly #heads = new Map<number, DueEntry<Item>>();
  /** Nothing stands before it. Never goes back. */
  #first: number;

  constructor({bucketMs, nowMs}: {bucketMs: number; nowMs: number}) {
    this.#bucketMs = bucketMs;
    this.#first = Math.floor(nowMs / bucketMs);
  }

  /** A walk meets the entry at `dueMs` or up to a bucket later. An entry that stands in this queue is put off, or moved. */
  set(entry: DueEntry<Item>, dueMs: number): void {
    const isPutOff = entry.bucket !== NOWHERE && dueMs >= entry.dueMs;
    if (!isPutOff) this.remove(entry);
    entry.dueMs = dueMs;
    if (!isPutOff) this.#link(entry, Math.max(this.#first, Math.ceil(dueMs / this.#bucketMs)));
  }

  remove(entry: DueEntry<Item>): void {
    const {bucket, previous, next} = entry;
    if (bucket === NOWHERE) return;
    if (next !== undefined) next.previous = previous;
    if (previous !== undefined) previous.next = next;
    else if (next !== undefined) this.#heads.set(bucket, next);
    else this.#heads.delete(bucket);
    entry.bucket = NOWHERE;
    entry.previous = undefined;
    entry.next = undefined;
  }

  /**
   * Takes off what is due, in at most `stepsMax` steps: entries, moved ones included, and empty buckets. The visitor
   * may set entries.
   * @returns whether the walk came to its end; false: more may be due
   */
  walk({nowMs, stepsMax}: {nowMs: number; stepsMax: number}, visit: (item: Item) => void): boolean {
    const last = Math.floor(nowMs / this.#bucketMs);
    for (let steps = 0; this.#first <= last; steps++) {
      if (steps >= stepsMax) return false;
      const entry = this.#heads.get(this.#first);
      if (entry === undefined) {
        this.#first++;
        continue;
      }
      this.remove(entry);
      if (entry.dueMs > nowMs) this.set(entry, entry.dueMs);
      else visit(entry.item);
    }
    return true;
  }

  #link(entry: DueEntry<Item>, bucket: number): void {
    const head = this.#heads.get(bucket);
    entry.bucket = bucket;
    entry.next = head;
    if (head !== undefined) head.previous = entry;
    this.#heads.set(bucket, entry);
  }
}
