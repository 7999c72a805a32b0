/**
 * gRPC's message framing: one byte of flags, four of length, the message. Source: "gRPC over HTTP/2", Length-Prefixed-Message.
 */

import {createRequire} from 'node:module';
import type Zlib from 'node:zlib';
import {GrpcError, GrpcStatus} from './grpc-status.ts';

export const MESSAGE_PREFIX_BYTES = 5;
/** Smaller messages are not worth compressing. */
const COMPRESSED_BYTES_LEAST = 1024;
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

/** Compresses where it pays. */
export function packMessage(message: Uint8Array): {bytes: Uint8Array; isCompressed: boolean} {
  if (message.length < COMPRESSED_BYTES_LEAST) return {bytes: message, isCompressed: false};
  return {bytes: zlib().gzipSync(message, {level: 1}), isCompressed: true};
}

/** Loaded with the first compressed message: commands start without it. */
let loadedZlib: typeof Zlib | undefined;
function zlib(): typeof Zlib {
  loadedZlib ??= createRequire(import.meta.url)('node:zlib') as typeof Zlib;
  return loadedZlib;
}

/** How the other side said it compresses (`grpc-encoding`). */
export type MessageEncoding = 'identity' | 'gzip';

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
   * Calls `deliver` for each message completed by `chunk[start, end)`.
   * @throws GrpcError resourceExhausted (too large), internal (flags or compression that nobody announced)
   */
  push(chunk: Buffer, start: number, end: number, deliver: (message: Uint8Array) => void): void {
    let at = start;
    // An empty message is complete with its prefix, at the end of the piece too.
    while (at < end || this.#length === 0) {
      if (this.#length < 0) {
        at = this.#readPrefix(chunk, at, end);
        if (this.#length < 0) return;
      }
      const missing = this.#length - this.#partialBytes;
      const isWhole = this.#partial === undefined && end - at >= missing;
      if (isWhole) {
        const message = chunk.subarray(at, at + missing);
        at += missing;
        this.#finish(message, deliver);
        continue;
      }
      const taken = Math.min(missing, end - at);
      this.#keep(chunk, at, at + taken);
      at += taken;
      if (taken === missing) this.#finish(this.#partial!.subarray(0, this.#partialBytes), deliver);
    }
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

  #finish(bytes: Buffer, deliver: (message: Uint8Array) => void): void {
    const isCompressed = this.#prefix[0] === 1;
    this.#prefixBytes = 0;
    this.#length = -1;
    this.#partial = undefined;
    this.#partialBytes = 0;
    deliver(isCompressed ? this.#unzip(bytes) : bytes);
  }

  #unzip(bytes: Buffer): Uint8Array {
    try {
      return zlib().gunzipSync(bytes, {maxOutputLength: Math.max(1, this.#bytesMax)});
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
        throw new GrpcError(
          GrpcStatus.resourceExhausted,
          `grpc: received message after decompression larger than max ${this.#bytesMax}`,
        );
      }
      throw new GrpcError(GrpcStatus.internal, 'grpc: failed to decompress the received message', error);
    }
  }
}
