/**
 * One HTTP/2 stream that carries length-prefixed messages: its two halves, its windows, and what waits to be sent
 * on it. What the messages mean is the business of server-call.ts and client-call.ts.
 * Source: RFC 9113, section 5.1; message framing: the gRPC protocol over HTTP/2.
 */

import {assert} from '../../engine/errors.ts';
import {ErrorCode} from './errors.ts';
import type {WindowTuner} from './flow-control.ts';
import {FRAME_HEAD_BYTES, FrameFlag, FrameType, writeFrameHead} from './frame.ts';
import {MESSAGE_PREFIX_BYTES, writeMessagePrefix} from './grpc-message.ts';
import type {MessageParts} from './grpc-method.ts';
import type {HeaderField} from './hpack/header-field.ts';
import {COPIED_MESSAGE_BYTES_MAX, DATA_FRAME_BYTES_MAX, STREAM_WINDOW_BYTES} from './limits.ts';
import {Outgoing, type Prefix, prefixBytesOf} from './outgoing.ts';
import type {WriteBatch} from './write-batch.ts';

/** Why a stream ended before both sides were done. */
export interface StreamAbort {
  readonly by: 'peer' | 'us' | 'connection';
  /** The code of RST_STREAM or GOAWAY; `internalError` where there was none. */
  readonly code: number;
  readonly detail: string;
  /** The peer has surely not looked at it: it may be tried again elsewhere. */
  readonly isUnprocessed: boolean;
}

/** What a stream needs of its connection. */
export interface StreamHost {
  readonly out: WriteBatch;
  readonly tuner: WindowTuner;
  /** Counts bytes held in memory for the peer; negative: no longer. */
  hold(bytes: number): void;
  /** Whether a DATA frame of this payload can be written right now, as one frame. */
  mayWrite(stream: Stream, bytes: number): boolean;
  /** A DATA frame was put into `out`. */
  dataWritten(bytes: number): void;
  /** Gives the stream a turn as soon as it may send. */
  enqueue(stream: Stream): void;
  writeHeaders(streamId: number, block: Uint8Array, endStream: boolean): void;
  writeEmptyData(streamId: number): void;
  writeWindowUpdate(streamId: number, increment: number): void;
  measureRoundTrip(): void;
  /** Ends the stream from our side. */
  resetStream(streamId: number, code: ErrorCode, detail: string): void;
  /** Our half of the stream is done. */
  streamEnded(stream: Stream): void;
}

export abstract class Stream {
  readonly id: number;
  readonly connection: StreamHost;
  sendWindow: number;
  isRemoteEnded = false;
  isLocalEnded = false;
  isClosed = false;
  /** In the connection's queue of streams that could send now. Owned by the connection. */
  isQueued = false;
  /** Receive window; see flow-control.ts. Kept in place of an object, since most streams never announce any. */
  receiveAvailable = STREAM_WINDOW_BYTES;
  #receiveSize = STREAM_WINDOW_BYTES;
  #uncredited = 0;
  /** What this stream holds in memory for its peer; counted in the connection's budget. */
  #heldBytes = 0;
  #outgoing: Outgoing[] | undefined;
  #hasTrailersDue = false;

  constructor(connection: StreamHost, id: number, sendWindow: number) {
    this.connection = connection;
    this.id = id;
    this.sendWindow = sendWindow;
  }

  /**
   * Content of a DATA frame, `chunk[start, end)`; the memory may be kept. Must lead to `credit` of as many bytes.
   * @param isLast no more content follows
   */
  abstract receiveData(chunk: Buffer, start: number, end: number, isLast: boolean): void;
  /** A header block behind the first one of a request; any of a response. */
  abstract receiveHeaders(fields: readonly HeaderField[], endStream: boolean): void;
  /** The peer has said everything. */
  abstract receiveEnd(): void;
  /** The stream is closed before its time; nothing can be sent or received any more. */
  abstract aborted(abort: StreamAbort): void;
  /**
   * The block that ends our half. Asked for right before it is written, and then it must be: a block that changes the
   * encoder's table and does not leave in its turn would make every later one wrong.
   */
  protected abstract trailers(): Buffer;
  /** All that waited has been handed to the socket. */
  abstract drained(): void;

  get hasOutgoing(): boolean {
    return this.#outgoing !== undefined && this.#outgoing.length > 0;
  }

  /** Gives received bytes back to the peer's window. */
  credit(bytes: number): void {
    this.#uncredited += bytes;
    if (this.#uncredited * 2 < this.#receiveSize || this.isRemoteEnded || this.isClosed) return;
    const target = this.connection.tuner.streamTarget;
    const increment = this.#uncredited + Math.max(0, target - this.#receiveSize);
    this.#receiveSize = Math.max(this.#receiveSize, target);
    this.#uncredited = 0;
    this.receiveAvailable += increment;
    this.connection.writeWindowUpdate(this.id, increment);
    this.connection.measureRoundTrip();
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.connection.hold(bytes);
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
    this.connection.hold(-bytes);
    assert(this.#heldBytes >= 0, 'a stream releases what it held');
  }

  /**
   * Sends or queues one message.
   * @param isLast nothing follows, not even trailers (a client's way)
   * @returns false when it had to wait: `drained` will be called
   */
  sendMessage(message: Uint8Array, isCompressed: boolean, isLast: boolean): boolean {
    return this.#send(message, isCompressed ? 'compressed' : 'plain', isLast);
  }

  /** The same for a message that is made while it is sent. */
  sendParts(message: MessageParts): boolean {
    if (this.isClosed) return true;
    this.#queue(new Outgoing(message, 'plain', false));
    return !this.hasOutgoing;
  }

  /** The same for bytes that are no gRPC message. */
  sendBytes(bytes: Uint8Array): boolean {
    return this.#send(bytes, 'none', false);
  }

  #send(message: Uint8Array, prefix: Prefix, isLast: boolean): boolean {
    if (this.isClosed) return true;
    const bytes = prefixBytesOf(prefix) + message.length;
    if (bytes === 0 && !isLast) return true;
    if (!this.hasOutgoing && this.connection.mayWrite(this, bytes)) {
      assert(!this.isLocalEnded && !this.#hasTrailersDue, 'nothing is sent behind the end');
      this.#writeWhole(message, prefix, bytes, isLast);
      if (isLast) this.#localEnd();
      return true;
    }
    this.#queue(new Outgoing(message, prefix, isLast));
    return !this.hasOutgoing;
  }

  #queue(outgoing: Outgoing): void {
    assert(!this.isLocalEnded && !this.#hasTrailersDue, 'nothing is sent behind the end');
    this.#outgoing ??= [];
    this.#outgoing.push(outgoing);
    this.hold(outgoing.heldBytes);
    this.connection.enqueue(this);
  }

  /** Ends our half with a header block, behind everything that waits. */
  sendTrailers(): void {
    if (this.isClosed) return;
    if (this.hasOutgoing) {
      this.#hasTrailersDue = true;
      return;
    }
    this.connection.writeHeaders(this.id, this.trailers(), true);
    this.#localEnd();
  }

  /** Ends our half without trailers (a client's way). */
  sendEnd(): void {
    if (this.isClosed || this.isLocalEnded) return;
    const last = this.#outgoing?.at(-1);
    if (last !== undefined) {
      last.isLast = true;
      return;
    }
    this.connection.writeEmptyData(this.id);
    this.#localEnd();
  }

  /** Called by the connection when windows and socket allow: writes one frame. @returns true: there is more */
  sendNext(bytesMax: number): boolean {
    const first = this.#outgoing?.[0];
    if (first === undefined) return false;
    const mayBytes = Math.min(bytesMax, this.sendWindow, DATA_FRAME_BYTES_MAX);
    if (mayBytes <= 0) return false;
    let bytes: number;
    try {
      bytes = Math.min(first.available(), mayBytes);
    } catch (error) {
      // The answer cannot be made to its end; its length has been told already.
      this.connection.resetStream(this.id, ErrorCode.internalError, (error as Error).message);
      return false;
    }
    const isEnd = bytes === first.left;
    this.#writeHead(bytes, isEnd && first.isLast, 0);
    first.write(this.connection.out, bytes);
    this.#written(bytes);
    if (isEnd) {
      this.#outgoing?.shift();
      if (!this.isClosed) this.release(first.heldBytes);
      if (first.isLast) this.#localEnd();
    }
    if (this.hasOutgoing) return this.sendWindow > 0;
    this.#outgoingSent();
    return false;
  }

  /** Both halves are done, or the stream is aborted: nothing of it may hold memory. */
  close(): void {
    this.isClosed = true;
    if (this.#outgoing !== undefined) for (const one of this.#outgoing) one.abandon();
    this.#outgoing = undefined;
    this.#hasTrailersDue = false;
    if (this.#heldBytes > 0) this.release(this.#heldBytes);
  }

  /** The usual message: it leaves at once, as one frame. */
  #writeWhole(message: Uint8Array, prefix: Prefix, bytes: number, endStream: boolean): void {
    const {out} = this.connection;
    const isCopied = message.length <= COPIED_MESSAGE_BYTES_MAX;
    this.#writeHead(bytes, endStream, MESSAGE_PREFIX_BYTES + (isCopied ? message.length : 0));
    if (prefix !== 'none') {
      out.length = writeMessagePrefix(out.buffer, out.length, message.length, prefix === 'compressed');
    }
    if (isCopied) {
      out.buffer.set(message, out.length);
      out.length += message.length;
    } else {
      out.append(message);
    }
    this.#written(bytes);
  }

  #writeHead(bytes: number, endStream: boolean, reserve: number): void {
    const {out} = this.connection;
    out.reserve(FRAME_HEAD_BYTES + reserve);
    const flags = endStream ? FrameFlag.endStream : 0;
    out.length = writeFrameHead(out.buffer, out.length, bytes, FrameType.data, flags, this.id);
  }

  #written(bytes: number): void {
    this.sendWindow -= bytes;
    this.connection.dataWritten(bytes);
  }

  #outgoingSent(): void {
    if (this.#hasTrailersDue) {
      this.#hasTrailersDue = false;
      this.connection.writeHeaders(this.id, this.trailers(), true);
      this.#localEnd();
    }
    this.drained();
  }

  #localEnd(): void {
    this.isLocalEnded = true;
    this.connection.streamEnded(this);
  }
}
