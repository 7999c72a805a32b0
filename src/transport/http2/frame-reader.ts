/**
 * Cuts the incoming bytes into frames, at whatever places the network has split them. Control frames are handed over
 * whole; DATA is handed over in the pieces in which it lies in memory, without copying and without waiting for its
 * end. Knows padding, and that nothing may stand between HEADERS and its CONTINUATIONs; knows no stream.
 */

import {assert} from '../../engine/errors.ts';
import {ConnectionError, ErrorCode} from './errors.ts';
import {FRAME_HEAD_BYTES, FrameFlag, FrameType} from './frame.ts';

export interface FrameSink {
  /** A DATA frame begins. @param length its whole payload with padding, bytes: what flow control counts */
  /** @param isLast END_STREAM follows at once behind the content */
  dataBegin(streamId: number, length: number, isLast: boolean): void;
  /** A part of its content, `chunk[start, end)`, never empty. */
  dataPiece(chunk: Buffer, start: number, end: number): void;
  dataEnd(endStream: boolean): void;
  /** Any other frame; its payload is `chunk[start, end)` and is reused by the caller after the call. */
  frame(type: number, flags: number, streamId: number, chunk: Buffer, start: number, end: number): void;
}

export class FrameReader {
  /** The stream whose header block is unfinished: only its CONTINUATION may follow. 0: none. Set by the sink. */
  continuationOf = 0;
  readonly #sink: FrameSink;
  readonly #frameBytesMax: number;
  /** The begun frame head or control frame, when a chunk ended within it. */
  readonly #head = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
  #headBytes = 0;
  #payload: Buffer | undefined;
  #payloadBytes = 0;
  /** The begun DATA frame: payload bytes to come (content and padding), and how many of them are padding. */
  #isInData = false;
  #dataFlags = 0;
  #dataLeft = 0;
  #padding = 0;
  #isPadLengthDue = false;

  constructor(sink: FrameSink, frameBytesMax: number) {
    this.#sink = sink;
    this.#frameBytesMax = frameBytesMax;
  }

  /** @throws ConnectionError what the sink throws, FRAME_SIZE_ERROR, PROTOCOL_ERROR; the reader is then useless */
  push(chunk: Buffer, from = 0): void {
    let at = from;
    const end = chunk.length;
    if (this.#isInData) at = this.#continueData(chunk, at);
    else if (this.#payload !== undefined) at = this.#continuePayload(chunk, at);
    else if (this.#headBytes > 0) at = this.#continueHead(chunk, at);
    while (end - at >= FRAME_HEAD_BYTES) at = this.#startFrame(chunk, at, chunk, at + FRAME_HEAD_BYTES);
    if (at < end) {
      assert(this.#headBytes === 0, 'a frame head is begun once');
      chunk.copy(this.#head, 0, at, end);
      this.#headBytes = end - at;
    }
  }

  /** Reads the head at `head[at]`, then its payload at `chunk[bodyAt]`. @returns where the next frame starts */
  #startFrame(head: Buffer, at: number, chunk: Buffer, bodyAt: number): number {
    const length = (head[at] << 16) | (head[at + 1] << 8) | head[at + 2];
    const type = head[at + 3];
    const flags = head[at + 4];
    const streamId =
      ((head[at + 5] & 0x7f) << 24) | (head[at + 6] << 16) | (head[at + 7] << 8) | head[at + 8];
    if (length > this.#frameBytesMax) {
      throw new ConnectionError(ErrorCode.frameSizeError, `a frame of ${length} bytes`);
    }
    if (
      this.continuationOf !== 0
        ? type !== FrameType.continuation || streamId !== this.continuationOf
        : type === FrameType.continuation
    ) {
      throw new ConnectionError(
        ErrorCode.protocolError,
        `frame type ${type} where a header block goes on or not`,
      );
    }
    if (type === FrameType.data) return this.#startData(length, flags, streamId, chunk, bodyAt);
    if (chunk.length - bodyAt >= length) {
      this.#sink.frame(type, flags, streamId, chunk, bodyAt, bodyAt + length);
      return bodyAt + length;
    }
    if (head !== this.#head) head.copy(this.#head, 0, at, at + FRAME_HEAD_BYTES);
    this.#headBytes = FRAME_HEAD_BYTES;
    this.#payload = Buffer.allocUnsafe(length);
    this.#payloadBytes = chunk.copy(this.#payload, 0, bodyAt);
    return chunk.length;
  }

  #startData(length: number, flags: number, streamId: number, chunk: Buffer, bodyAt: number): number {
    const isPadded = (flags & FrameFlag.padded) !== 0;
    if (streamId === 0) throw new ConnectionError(ErrorCode.protocolError, 'DATA on stream 0');
    if (isPadded && length === 0)
      throw new ConnectionError(ErrorCode.frameSizeError, 'padded DATA without payload');
    this.#sink.dataBegin(streamId, length, !isPadded && (flags & FrameFlag.endStream) !== 0);
    if (!isPadded && chunk.length - bodyAt >= length) {
      if (length > 0) this.#sink.dataPiece(chunk, bodyAt, bodyAt + length);
      this.#sink.dataEnd((flags & FrameFlag.endStream) !== 0);
      return bodyAt + length;
    }
    this.#isInData = true;
    this.#dataFlags = flags;
    this.#dataLeft = length;
    this.#padding = 0;
    this.#isPadLengthDue = isPadded;
    return this.#continueData(chunk, bodyAt);
  }

  #continueData(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#isPadLengthDue) {
      if (at >= chunk.length) return at;
      this.#padding = chunk[at++];
      this.#dataLeft--;
      this.#isPadLengthDue = false;
      if (this.#padding > this.#dataLeft) {
        throw new ConnectionError(ErrorCode.protocolError, 'more padding than payload');
      }
    }
    const content = Math.min(chunk.length - at, this.#dataLeft - this.#padding);
    if (content > 0) {
      this.#dataLeft -= content;
      at += content;
      this.#sink.dataPiece(chunk, at - content, at);
    }
    if (this.#dataLeft <= this.#padding) {
      const padding = Math.min(chunk.length - at, this.#dataLeft);
      this.#dataLeft -= padding;
      this.#padding -= padding;
      at += padding;
    }
    if (this.#dataLeft === 0) {
      this.#isInData = false;
      this.#sink.dataEnd((this.#dataFlags & FrameFlag.endStream) !== 0);
    }
    return at;
  }

  #continuePayload(chunk: Buffer, from: number): number {
    const payload = this.#payload!;
    const taken = chunk.copy(payload, this.#payloadBytes, from);
    this.#payloadBytes += taken;
    if (this.#payloadBytes === payload.length) {
      this.#payload = undefined;
      this.#headBytes = 0;
      const head = this.#head;
      const streamId = ((head[5] & 0x7f) << 24) | (head[6] << 16) | (head[7] << 8) | head[8];
      this.#sink.frame(head[3], head[4], streamId, payload, 0, payload.length);
    }
    return from + taken;
  }

  #continueHead(chunk: Buffer, from: number): number {
    const taken = Math.min(FRAME_HEAD_BYTES - this.#headBytes, chunk.length - from);
    chunk.copy(this.#head, this.#headBytes, from, from + taken);
    this.#headBytes += taken;
    if (this.#headBytes < FRAME_HEAD_BYTES) return from + taken;
    this.#headBytes = 0;
    return this.#startFrame(this.#head, 0, chunk, from + taken);
  }
}
