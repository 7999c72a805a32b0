/**
 * Joins HEADERS with its CONTINUATION frames into one header block. The usual block, whole in its HEADERS frame, is
 * handed over where it lies. Source: RFC 9113, sections 6.2 and 6.10.
 */

import {ConnectionError, ErrorCode} from './errors.ts';
import {FrameFlag} from './frame.ts';
import {CONTINUATIONS_MAX, HEADER_BLOCK_BYTES_MAX} from './limits.ts';

type Deliver = (streamId: number, endStream: boolean, block: Buffer, start: number, end: number) => void;

const PRIORITY_BYTES = 5;

export class HeaderBlockReader {
  /** The stream whose block is unfinished, 0: none. */
  openStreamId = 0;
  readonly #deliver: Deliver;
  #endStream = false;
  #fragments: Buffer[] = [];
  #bytes = 0;

  constructor(deliver: Deliver) {
    this.#deliver = deliver;
  }

  headers(flags: number, streamId: number, chunk: Buffer, start: number, end: number): void {
    if (streamId === 0) throw new ConnectionError(ErrorCode.protocolError, 'HEADERS on stream 0');
    let from = start;
    let to = end;
    if ((flags & FrameFlag.padded) !== 0) {
      if (from === to) throw new ConnectionError(ErrorCode.frameSizeError, 'padded HEADERS without payload');
      to -= chunk[from++];
    }
    if ((flags & FrameFlag.priority) !== 0) from += PRIORITY_BYTES;
    if (from > to)
      throw new ConnectionError(ErrorCode.protocolError, 'HEADERS has more padding than payload');
    const endStream = (flags & FrameFlag.endStream) !== 0;
    if ((flags & FrameFlag.endHeaders) !== 0) {
      this.#deliver(streamId, endStream, chunk, from, to);
      return;
    }
    this.openStreamId = streamId;
    this.#endStream = endStream;
    this.#keep(chunk, from, to);
  }

  continuation(flags: number, chunk: Buffer, start: number, end: number): void {
    this.#keep(chunk, start, end);
    if ((flags & FrameFlag.endHeaders) === 0) return;
    const streamId = this.openStreamId;
    const block = Buffer.concat(this.#fragments);
    this.openStreamId = 0;
    this.#fragments = [];
    this.#bytes = 0;
    this.#deliver(streamId, this.#endStream, block, 0, block.length);
  }

  #keep(chunk: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    if (this.#bytes > HEADER_BLOCK_BYTES_MAX || this.#fragments.length > CONTINUATIONS_MAX) {
      throw new ConnectionError(ErrorCode.enhanceYourCalm, 'a header block is too long');
    }
    // The chunk may be large or reused.
    this.#fragments.push(Buffer.from(chunk.subarray(start, end)));
  }
}
