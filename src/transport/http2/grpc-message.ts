/**
 * gRPC's message framing: one byte of flags, four of length, the message. Source: "gRPC over HTTP/2", Length-Prefixed-Message.
 */

import {GrpcError, GrpcStatus} from './grpc-status.ts';

export const MESSAGE_PREFIX_BYTES = 5;
/** First memory for a message that comes in pieces: its announced length is only the peer's word. */
const FIRST_ALLOCATION_BYTES = 64 * 1024;

export function writeMessagePrefix(
  target: Uint8Array,
  offset: number,
  length: number,
  isCompressed: boolean,
): number {
  target[offset] = isCompressed ? 1 : 0;
  target[offset + 1] = length >>> 24;
  target[offset + 2] = length >>> 16;
  target[offset + 3] = length >>> 8;
  target[offset + 4] = length;
  return offset + MESSAGE_PREFIX_BYTES;
}

/** How the other side said it compresses (`grpc-encoding`). */
export type MessageEncoding = 'identity' | 'gzip';

/** Takes a message as it came, compressed or not. @returns false: none more for now */
export type Deliver = (message: Uint8Array, isCompressed: boolean) => boolean;

/**
 * Joins and cuts the pieces of DATA into messages. A message that lies in one piece is handed over where it lies.
 * Holds at most about twice the bytes received for one message.
 */
export class MessageReader {
  readonly #bytesMax: number;
  readonly #encoding: MessageEncoding;
  readonly #prefix = Buffer.allocUnsafe(MESSAGE_PREFIX_BYTES);
  #prefixBytes = 0;
  /** Length of the message being joined; -1: its prefix is not complete. */
  #length = -1;
  #partial: Buffer | undefined;
  #partialBytes = 0;

  constructor(bytesMax: number, encoding: MessageEncoding) {
    this.#bytesMax = bytesMax;
    this.#encoding = encoding;
  }

  /** Memory held for an unfinished message, bytes. */
  get heldBytes(): number {
    return this.#partial?.length ?? 0;
  }

  /** The input ended (or may end) between two messages. */
  get isAtBoundary(): boolean {
    return this.#prefixBytes === 0 && this.#length < 0;
  }

  /**
   * Calls `deliver` for each message completed by `chunk[start, end)`, until it says that it takes no more.
   * @returns how far it came
   * @throws GrpcError resourceExhausted (too large), internal (flags that nobody announced)
   */
  push(chunk: Buffer, start: number, end: number, deliver: Deliver): number {
    let at = start;
    // An empty message is complete with its prefix, at the end of the piece too.
    while (at < end || this.#length === 0) {
      if (this.#length < 0) {
        at = this.#readPrefix(chunk, at, end);
        if (this.#length < 0) return at;
      }
      const missing = this.#length - this.#partialBytes;
      const isWhole = this.#partial === undefined && end - at >= missing;
      if (isWhole) {
        const message = chunk.subarray(at, at + missing);
        at += missing;
        if (!this.#finish(message, deliver)) return at;
        continue;
      }
      const taken = Math.min(missing, end - at);
      this.#keep(chunk, at, at + taken);
      at += taken;
      if (taken < missing) return at;
      if (!this.#finish(this.#partial!.subarray(0, this.#partialBytes), deliver)) return at;
    }
    return at;
  }

  #readPrefix(chunk: Buffer, from: number, end: number): number {
    const taken = Math.min(MESSAGE_PREFIX_BYTES - this.#prefixBytes, end - from);
    chunk.copy(this.#prefix, this.#prefixBytes, from, from + taken);
    this.#prefixBytes += taken;
    if (this.#prefixBytes < MESSAGE_PREFIX_BYTES) return end;
    const flags = this.#prefix[0];
    if (flags > 1 || (flags === 1 && this.#encoding === 'identity')) {
      throw new GrpcError(GrpcStatus.internal, 'grpc: compressed flag set with identity or empty encoding');
    }
    const length = this.#prefix.readUInt32BE(1);
    if (length > this.#bytesMax) {
      throw new GrpcError(
        GrpcStatus.resourceExhausted,
        `grpc: received message larger than max (${length} vs. ${this.#bytesMax})`,
      );
    }
    this.#length = length;
    return from + taken;
  }

  #keep(chunk: Buffer, from: number, to: number): void {
    const needed = this.#partialBytes + to - from;
    if (this.#partial === undefined || this.#partial.length < needed) {
      const size = Math.min(
        this.#length,
        Math.max(needed, FIRST_ALLOCATION_BYTES, 2 * (this.#partial?.length ?? 0)),
      );
      const larger = Buffer.allocUnsafeSlow(size);
      this.#partial?.copy(larger, 0, 0, this.#partialBytes);
      this.#partial = larger;
    }
    chunk.copy(this.#partial, this.#partialBytes, from, to);
    this.#partialBytes = needed;
  }

  #finish(bytes: Buffer, deliver: Deliver): boolean {
    const isCompressed = this.#prefix[0] === 1;
    this.#prefixBytes = 0;
    this.#length = -1;
    this.#partial = undefined;
    this.#partialBytes = 0;
    return deliver(bytes, isCompressed);
  }
}
