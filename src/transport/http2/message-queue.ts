/**
 * Messages that came in on a stream and wait for their reader: an async iterable for one reader. It ends in order or
 * with an error; what came before the end is delivered first.
 */

export class MessageQueue<T> implements AsyncIterable<T>, AsyncIterator<T, undefined> {
  /** What the waiting items count for, bytes. */
  bytes = 0;
  #items: {readonly item: T; readonly bytes: number}[] = [];
  #head = 0;
  #isEnded = false;
  #error: Error | undefined;
  #reader:
    | {resolve: (result: IteratorResult<T, undefined>) => void; reject: (error: Error) => void}
    | undefined;
  /** Called after an item was taken out of a queue that held it. */
  readonly #taken: (bytes: number) => void;
  /** Called when the reader goes away before the end. */
  readonly #left: () => void;

  constructor(taken: (bytes: number) => void, left: () => void) {
    this.#taken = taken;
    this.#left = left;
  }

  /** @returns true when a waiting reader took it at once */
  push(item: T, bytes: number): boolean {
    if (this.#isEnded) return true;
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      reader.resolve({value: item, done: false});
      return true;
    }
    this.#items.push({item, bytes});
    this.bytes += bytes;
    return false;
  }

  end(error?: Error): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error = error;
    const reader = this.#reader;
    if (reader === undefined) return;
    this.#reader = undefined;
    if (error === undefined) reader.resolve({value: undefined, done: true});
    else reader.reject(error);
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#head < this.#items.length) {
      const {item, bytes} = this.#items[this.#head++];
      this.bytes -= bytes;
      if (this.#head === this.#items.length) {
        this.#items = [];
        this.#head = 0;
      } else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
        this.#items = this.#items.slice(this.#head);
        this.#head = 0;
      }
      this.#taken(bytes);
      return Promise.resolve({value: item, done: false});
    }
    if (this.#isEnded) {
      return this.#error === undefined
        ? Promise.resolve({value: undefined, done: true})
        : Promise.reject(this.#error);
    }
    return new Promise((resolve, reject) => {
      this.#reader = {resolve, reject};
    });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    const wasEnded = this.#isEnded;
    if (this.bytes > 0) this.#taken(this.bytes);
    this.bytes = 0;
    this.#items = [];
    this.#head = 0;
    this.end();
    if (!wasEnded) this.#left();
    return Promise.resolve({value: undefined, done: true});
  }
}
