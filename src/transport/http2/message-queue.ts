/**
 * Messages that came in on a stream and wait for their reader: an async iterable for one reader. They are decoded when
 * they are taken. It ends in order or with an error; what came before the end is delivered first.
 */

export interface MessageQueueOptions<T> {
  readonly decode: (message: Uint8Array) => T;
  /** A message of so many bytes that had waited was taken. */
  readonly taken: (bytes: number) => void;
  /** The reader went away before the end. */
  readonly left: () => void;
}

interface Waiting<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

export class MessageQueue<T> implements AsyncIterable<T>, AsyncIterator<T, undefined> {
  /** What waits, bytes. */
  bytes = 0;
  readonly #options: MessageQueueOptions<T>;
  #messages: Uint8Array[] = [];
  #head = 0;
  #isEnded = false;
  #error: Error | undefined;
  #reader: Waiting<T> | undefined;

  constructor(options: MessageQueueOptions<T>) {
    this.#options = options;
  }

  /** @returns true when a waiting reader took it at once */
  push(message: Uint8Array): boolean {
    if (this.#isEnded) return true;
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      try {
        reader.resolve({value: this.#options.decode(message), done: false});
      } catch (error) {
        reader.reject(error);
      }
      return true;
    }
    this.#messages.push(message);
    this.bytes += message.length;
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
    if (this.#head < this.#messages.length) {
      const message = this.#shift();
      try {
        return Promise.resolve({value: this.#options.decode(message), done: false});
      } catch (error) {
        return Promise.reject(error);
      }
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
    while (this.#head < this.#messages.length) this.#shift();
    this.end();
    if (!wasEnded) this.#options.left();
    return Promise.resolve({value: undefined, done: true});
  }

  #shift(): Uint8Array {
    const message = this.#messages[this.#head++];
    this.bytes -= message.length;
    if (this.#head === this.#messages.length) {
      this.#messages = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#messages.length) {
      this.#messages = this.#messages.slice(this.#head);
      this.#head = 0;
    }
    this.#options.taken(message.length);
    return message;
  }
}
