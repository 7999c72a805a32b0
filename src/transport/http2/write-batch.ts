/**
 * What a connection writes in one turn of the event loop, so that it leaves in one system call. Frames are written
 * side by side into pooled buffers; large bodies join by reference. A connection with something to say is flushed when
 * whatever runs now, and every promise that it settles, has run.
 */

import type {Duplex} from 'node:stream';

const BUFFER_BYTES = 8 * 1024;
/** 8 MiB at most are kept for the next turn. */
const POOL_BUFFERS_MAX = 1024;

const EMPTY: Buffer = Buffer.alloc(0);
const pool: Buffer[] = [];

const waiting: Flushable[] = [];
let isScheduled = false;

export interface Flushable {
  flush(): void;
}

function flushWaiting(): void {
  isScheduled = false;
  // A flush may end a connection, which may make others write: those wait for their own.
  for (const one of waiting.splice(0)) one.flush();
}

/**
 * Calls `flush` behind everything that this callback of the event loop leads to: answers that one commit or one read
 * index sets free are settled together. (An immediate would come behind one more poll for input.) The caller sees to it
 * that it waits only once.
 */
export function flushAtTurnEnd(one: Flushable): void {
  waiting.push(one);
  if (isScheduled) return;
  isScheduled = true;
  process.nextTick(flushWaiting);
}

export class WriteBatch {
  /** The buffer being filled: `reserve` first, then write at `length` and move it on. */
  buffer: Buffer = EMPTY;
  length = 0;
  /** Bytes of the whole batch that are not in `buffer`. */
  #sealedBytes = 0;
  /** Where the part of `buffer` that is not in `#parts` begins. */
  #partStart = 0;
  readonly #parts: Uint8Array[] = [];
  readonly #buffers: Buffer[] = [];

  get bytes(): number {
    return this.#sealedBytes + this.length - this.#partStart;
  }

  /** Makes room for `bytes` at `buffer[length]`. */
  reserve(bytes: number): void {
    if (this.buffer.length - this.length >= bytes) return;
    this.#seal();
    this.buffer =
      bytes <= BUFFER_BYTES
        ? (pool.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES))
        : Buffer.allocUnsafeSlow(bytes);
    this.#buffers.push(this.buffer);
    this.length = 0;
    this.#partStart = 0;
  }

  /** Appends `bytes` by reference: they must not change until they are written. */
  append(bytes: Uint8Array): void {
    this.#seal();
    this.#parts.push(bytes);
    this.#sealedBytes += bytes.length;
  }

  /** Hands everything to the socket in one write and forgets it. */
  writeTo(socket: Duplex): void {
    if (this.#parts.length === 0) {
      if (this.length > this.#partStart) socket.write(this.buffer.subarray(this.#partStart, this.length));
    } else {
      this.#seal();
      socket.cork();
      for (const part of this.#parts) socket.write(part);
      socket.uncork();
    }
    // Nothing waits in the socket: the system has copied all of it and the buffers are ours again.
    this.#release(socket.writableLength === 0);
  }

  discard(): void {
    this.#release(true);
  }

  #release(mayReuse: boolean): void {
    for (const buffer of this.#buffers) {
      if (mayReuse && buffer.length === BUFFER_BYTES && pool.length < POOL_BUFFERS_MAX) pool.push(buffer);
    }
    this.#buffers.length = 0;
    this.#parts.length = 0;
    this.#sealedBytes = 0;
    this.buffer = EMPTY;
    this.length = 0;
    this.#partStart = 0;
  }

  #seal(): void {
    if (this.length === this.#partStart) return;
    this.#parts.push(this.buffer.subarray(this.#partStart, this.length));
    this.#sealedBytes += this.length - this.#partStart;
    this.#partStart = this.length;
  }
}
