/** A message on its way out that did not leave at once: what of it is still to be written, part by part. */

import {assert} from '../../engine/errors.ts';
import {MESSAGE_PREFIX_BYTES, writeMessagePrefix} from './grpc-message.ts';
import type {MessageParts} from './grpc-method.ts';
import {COPIED_MESSAGE_BYTES_MAX} from './limits.ts';
import type {WriteBatch} from './write-batch.ts';

/** What stands before a message: nothing (plain HTTP), or gRPC's prefix of one of two kinds. */
export type Prefix = 'none' | 'plain' | 'compressed';

export function prefixBytesOf(prefix: Prefix): number {
  return prefix === 'none' ? 0 : MESSAGE_PREFIX_BYTES;
}

export class Outgoing {
  /** Its last frame ends our half of the stream. */
  isLast: boolean;
  /** Bytes still to be written, prefix included. */
  left: number;
  /** Bytes that wait in memory: parts that are made when they are asked for do not. */
  readonly heldBytes: number;
  readonly #prefix: Prefix;
  readonly #length: number;
  readonly #parts: Iterator<Uint8Array> | undefined;
  #prefixLeft: number;
  #part: Uint8Array;
  #partAt = 0;

  constructor(message: Uint8Array | MessageParts, prefix: Prefix, isLast: boolean) {
    this.isLast = isLast;
    this.#prefix = prefix;
    this.#prefixLeft = prefixBytesOf(prefix);
    this.#length = message.length;
    this.left = this.#prefixLeft + message.length;
    if (message instanceof Uint8Array) {
      this.#part = message;
      this.heldBytes = message.length;
    } else {
      this.#parts = message.parts[Symbol.iterator]();
      this.#part = new Uint8Array(0);
      this.heldBytes = message.heldBytes;
    }
  }

  /**
   * Bytes that can be written now: the rest of the part that is at hand. Pulls the next part when there is none.
   * @throws what the parts throw
   */
  available(): number {
    if (this.#partAt === this.#part.length && this.left > this.#prefixLeft) this.#pull();
    return this.#prefixLeft + this.#part.length - this.#partAt;
  }

  /** Writes the next `bytes` of it, at most what is available, behind a frame's head. */
  write(out: WriteBatch, bytes: number): void {
    this.left -= bytes;
    const length = bytes - this.#writePrefix(out, bytes);
    const piece = this.#part.subarray(this.#partAt, this.#partAt + length);
    assert(piece.length === length && this.left >= 0, 'no more is written than is available');
    this.#partAt += length;
    if (length > COPIED_MESSAGE_BYTES_MAX) {
      out.append(piece);
      return;
    }
    out.reserve(length);
    out.buffer.set(piece, out.length);
    out.length += length;
  }

  /** The message will not be written to its end. */
  abandon(): void {
    this.#parts?.return?.();
  }

  #writePrefix(out: WriteBatch, bytes: number): number {
    if (this.#prefixLeft === 0) return 0;
    // A window smaller than the prefix splits it.
    const whole = Buffer.alloc(MESSAGE_PREFIX_BYTES);
    writeMessagePrefix(whole, 0, this.#length, this.#prefix === 'compressed');
    const from = MESSAGE_PREFIX_BYTES - this.#prefixLeft;
    const length = Math.min(this.#prefixLeft, bytes);
    out.reserve(length);
    out.length += whole.copy(out.buffer, out.length, from, from + length);
    this.#prefixLeft -= length;
    return length;
  }

  #pull(): void {
    let next = this.#parts?.next();
    while (next?.done === false && next.value.length === 0) next = this.#parts?.next();
    if (next === undefined || next.done === true || next.value.length > this.left - this.#prefixLeft) {
      throw new Error('the parts of a message are not as long as it says');
    }
    this.#part = next.value;
    this.#partAt = 0;
  }
}
