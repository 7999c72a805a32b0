/**
 * What both ends of an HTTP/2 connection have in common: reading frames and acting on them, the receiving side of
 * flow control, and the ways it can end. Source: RFC 9113.
 */

import type {Socket} from 'node:net';
import {assert} from '../../engine/errors.ts';
import {ConnectionWriter} from './connection-writer.ts';
import {ConnectionError, ErrorCode, errorCodeName} from './errors.ts';
import {ReceiveWindow, WindowTuner} from './flow-control.ts';
import {FrameFlag, FrameType, readUint32} from './frame.ts';
import {FrameReader, type FrameSink} from './frame-reader.ts';
import {HeaderBlockReader} from './header-block-reader.ts';
import {HpackDecoder} from './hpack/decoder.ts';
import {
  CLOSE_TIMEOUT_MS,
  CONNECTION_WINDOW_BYTES,
  EMPTY_DATA_FRAMES_MAX,
  FRAME_BYTES_MAX,
  HEADER_TABLE_BYTES,
  SETTINGS_BURST,
  SETTINGS_PER_SECOND,
  UNSENT_BYTES_HIGH,
} from './limits.ts';
import {RateLimit} from './rate-limit.ts';
import {RememberedResets} from './remembered-resets.ts';
import {WINDOW_SIZE_MAX} from './settings.ts';
import type {Stream, StreamAbort, StreamHost} from './stream.ts';

const PING_BYTES = 8;
/** Payload of the PING that measures a round trip. */
const TUNER_PING = Buffer.from('kvd-tune', 'latin1');

export abstract class Connection extends ConnectionWriter implements FrameSink, StreamHost {
  readonly streams = new Map<number, Stream>();
  readonly tuner = new WindowTuner();
  /** Bytes held for the peer: unfinished and unread messages, and messages it has not taken. Owned by the streams. */
  heldBytes = 0;
  /** No more is read or written; streams are gone. */
  isClosed = false;
  protected readonly decoder = new HpackDecoder(HEADER_TABLE_BYTES);
  protected readonly reader = new FrameReader(this, FRAME_BYTES_MAX);
  protected readonly resets = new RememberedResets();
  protected hasPeerSettings = false;
  readonly #headerBlocks: HeaderBlockReader;
  readonly #role: 'client' | 'server';
  readonly #window = new ReceiveWindow(CONNECTION_WINDOW_BYTES);
  readonly #settingsRate = new RateLimit(SETTINGS_BURST, SETTINGS_PER_SECOND);
  #emptyDataFrames = 0;
  /** The stream of the DATA frame being read; undefined: nobody wants it. */
  #dataStream: Stream | undefined;
  /** Bytes of that frame which the stream has not been given: its padding. */
  #dataUncounted = 0;
  #isLastData = false;

  constructor(socket: Socket, role: 'client' | 'server') {
    super(socket);
    this.#role = role;
    this.#headerBlocks = new HeaderBlockReader((streamId, endStream, block, start, end) =>
      this.receiveHeaderBlock(streamId, endStream, block, start, end),
    );
    socket.setNoDelay?.(true);
    socket.on('drain', () => this.drained());
    socket.on('end', () => this.lost('EOF'));
    socket.on('error', (error) => this.lost(error.message));
    socket.on('close', () => this.lost('the connection was closed'));
  }

  // ---- What the two ends do differently -----------------------------------------------------------------------

  protected abstract receiveHeaderBlock(
    streamId: number,
    endStream: boolean,
    block: Buffer,
    start: number,
    end: number,
  ): void;
  /** Whether this stream has never been opened. */
  protected abstract isIdle(streamId: number): boolean;
  protected abstract receivePing(): void;
  protected abstract receivePingAck(payload: Buffer): void;
  protected abstract receiveGoaway(lastStreamId: number, code: number, debug: string): void;
  /** Once, when the connection has ended for whatever reason. `error`: we ended it for this. */
  protected abstract ended(detail: string, error: ConnectionError | undefined): void;

  // ---- Reading ------------------------------------------------------------------------------------------------

  /** Takes bytes from the socket; nothing is thrown. */
  protected receive(chunk: Buffer, from: number): void {
    if (this.isClosed) return;
    try {
      this.reader.push(chunk, from);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.fail(error);
    }
  }

  hold(bytes: number): void {
    this.heldBytes += bytes;
    assert(this.heldBytes >= 0, 'what is released was held');
  }

  dataBegin(streamId: number, length: number, isLast: boolean): void {
    if (this.isClosed) {
      this.#dataStream = undefined;
      return;
    }
    if (!this.#window.take(length)) {
      throw new ConnectionError(ErrorCode.flowControlError, 'DATA beyond the connection window');
    }
    this.tuner.received(length);
    this.#credit(length);
    this.#dataUncounted = length;
    this.#isLastData = isLast;
    if (length > 0) this.#emptyDataFrames = 0;
    const stream = this.streams.get(streamId);
    if (stream === undefined || stream.isRemoteEnded) {
      this.#dataStream = undefined;
      this.#strayFrame(streamId, stream);
      return;
    }
    stream.receiveAvailable -= length;
    if (stream.receiveAvailable < 0) {
      this.#dataStream = undefined;
      this.resetStream(streamId, ErrorCode.flowControlError, 'DATA beyond the stream window');
      return;
    }
    this.#dataStream = stream;
  }

  dataPiece(chunk: Buffer, start: number, end: number): void {
    const stream = this.#dataStream;
    if (stream === undefined || stream.isClosed) return;
    this.#dataUncounted -= end - start;
    stream.receiveData(chunk, start, end, this.#isLastData);
  }

  dataEnd(endStream: boolean): void {
    const stream = this.#dataStream;
    if (stream === undefined || stream.isClosed) return;
    if (this.#dataUncounted > 0) stream.credit(this.#dataUncounted);
    if (endStream) this.remoteEnd(stream);
    else if (++this.#emptyDataFrames > EMPTY_DATA_FRAMES_MAX) {
      throw new ConnectionError(ErrorCode.enhanceYourCalm, 'too many empty DATA frames');
    }
  }

  frame(type: number, flags: number, streamId: number, chunk: Buffer, start: number, end: number): void {
    // A frame before this one in the same chunk may have ended the connection.
    if (this.isClosed) return;
    if (!this.hasPeerSettings && (type !== FrameType.settings || (flags & FrameFlag.ack) !== 0)) {
      throw new ConnectionError(ErrorCode.protocolError, 'the first frame is not SETTINGS');
    }
    switch (type) {
      case FrameType.headers:
        this.#headerBlocks.headers(flags, streamId, chunk, start, end);
        this.reader.continuationOf = this.#headerBlocks.openStreamId;
        return;
      case FrameType.continuation:
        this.#headerBlocks.continuation(flags, chunk, start, end);
        this.reader.continuationOf = this.#headerBlocks.openStreamId;
        return;
      case FrameType.settings:
        this.#settings(flags, streamId, chunk, start, end);
        return;
      case FrameType.windowUpdate:
        this.#windowUpdate(streamId, chunk, start, end);
        return;
      case FrameType.rstStream:
        this.#rstStream(streamId, chunk, start, end);
        return;
      case FrameType.ping:
        this.#ping(flags, streamId, chunk, start, end);
        return;
      case FrameType.goaway:
        this.#goaway(streamId, chunk, start, end);
        return;
      case FrameType.priority:
        this.#priority(streamId, end - start);
        return;
      case FrameType.pushPromise:
        throw new ConnectionError(ErrorCode.protocolError, 'PUSH_PROMISE, which nobody allowed');
      default:
      // Unknown types are ignored (section 5.5).
    }
  }

  /** The peer's half is done. */
  protected remoteEnd(stream: Stream): void {
    stream.isRemoteEnded = true;
    stream.receiveEnd();
    if (stream.isLocalEnded && !stream.isClosed) this.remove(stream);
  }

  /** DATA or HEADERS for a stream that cannot take it (section 5.1). */
  #strayFrame(streamId: number, stream: Stream | undefined): void {
    if (stream !== undefined) {
      this.resetStream(streamId, ErrorCode.streamClosed, 'a frame behind END_STREAM');
      return;
    }
    if (this.isIdle(streamId)) {
      throw new ConnectionError(ErrorCode.protocolError, `a frame on stream ${streamId}, which is idle`);
    }
    if (this.resets.mayStillBeUsed(streamId)) return;
    throw new ConnectionError(ErrorCode.streamClosed, `a frame on stream ${streamId}, which is closed`);
  }

  protected strayHeaders(streamId: number, stream: Stream | undefined): void {
    this.#strayFrame(streamId, stream);
  }

  #settings(flags: number, streamId: number, chunk: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw new ConnectionError(ErrorCode.protocolError, 'SETTINGS on a stream');
    if ((flags & FrameFlag.ack) !== 0) {
      if (end > start) throw new ConnectionError(ErrorCode.frameSizeError, 'SETTINGS ACK with a payload');
      return;
    }
    if (!this.#settingsRate.take()) {
      throw new ConnectionError(ErrorCode.enhanceYourCalm, 'too many SETTINGS');
    }
    const windowBefore = this.peer.initialWindowSize;
    this.peer.apply(chunk, start, end, this.#role === 'server' ? 'client' : 'server');
    this.hasPeerSettings = true;
    this.encoder.setPeerTableBytes(this.peer.headerTableSize);
    const change = this.peer.initialWindowSize - windowBefore;
    if (change !== 0) this.#moveStreamWindows(change);
    this.#answer(FrameType.settings, Buffer.alloc(0), 0, 0);
    this.streamsChanged();
  }

  #moveStreamWindows(change: number): void {
    for (const stream of this.streams.values()) {
      stream.sendWindow += change;
      if (stream.sendWindow > WINDOW_SIZE_MAX) {
        throw new ConnectionError(
          ErrorCode.flowControlError,
          'SETTINGS_INITIAL_WINDOW_SIZE overflows a window',
        );
      }
      if (stream.sendWindow > 0 && stream.hasOutgoing) this.enqueue(stream);
    }
  }

  #windowUpdate(streamId: number, chunk: Buffer, start: number, end: number): void {
    if (end - start !== 4)
      throw new ConnectionError(ErrorCode.frameSizeError, 'WINDOW_UPDATE is not four bytes');
    const increment = readUint32(chunk, start) & 0x7fffffff;
    if (streamId === 0) {
      if (increment === 0) throw new ConnectionError(ErrorCode.protocolError, 'WINDOW_UPDATE by 0');
      this.connectionSendWindow += increment;
      if (this.connectionSendWindow > WINDOW_SIZE_MAX) {
        throw new ConnectionError(ErrorCode.flowControlError, 'the connection window overflows');
      }
      this.pump();
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) {
        throw new ConnectionError(ErrorCode.protocolError, 'WINDOW_UPDATE on an idle stream');
      }
      return;
    }
    if (increment === 0) {
      this.resetStream(streamId, ErrorCode.protocolError, 'WINDOW_UPDATE by 0');
      return;
    }
    stream.sendWindow += increment;
    if (stream.sendWindow > WINDOW_SIZE_MAX) {
      this.resetStream(streamId, ErrorCode.flowControlError, 'the stream window overflows');
      return;
    }
    if (stream.hasOutgoing) this.enqueue(stream);
  }

  #rstStream(streamId: number, chunk: Buffer, start: number, end: number): void {
    if (end - start !== 4)
      throw new ConnectionError(ErrorCode.frameSizeError, 'RST_STREAM is not four bytes');
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) {
        throw new ConnectionError(ErrorCode.protocolError, 'RST_STREAM on an idle stream');
      }
      return;
    }
    const code = readUint32(chunk, start);
    this.#abort(stream, {
      by: 'peer',
      code,
      detail: errorCodeName(code),
      isUnprocessed: code === ErrorCode.refusedStream,
    });
  }

  #ping(flags: number, streamId: number, chunk: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw new ConnectionError(ErrorCode.protocolError, 'PING on a stream');
    if (end - start !== PING_BYTES)
      throw new ConnectionError(ErrorCode.frameSizeError, 'PING is not eight bytes');
    if ((flags & FrameFlag.ack) === 0) {
      this.#answer(FrameType.ping, chunk, start, end);
      this.receivePing();
      return;
    }
    const payload = chunk.subarray(start, end);
    if (payload.equals(TUNER_PING)) this.tuner.end();
    else this.receivePingAck(payload);
  }

  #goaway(streamId: number, chunk: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw new ConnectionError(ErrorCode.protocolError, 'GOAWAY on a stream');
    if (end - start < 8)
      throw new ConnectionError(ErrorCode.frameSizeError, 'GOAWAY is shorter than eight bytes');
    const lastStreamId = readUint32(chunk, start) & 0x7fffffff;
    this.receiveGoaway(
      lastStreamId,
      readUint32(chunk, start + 4),
      chunk.toString('latin1', start + 8, Math.min(end, start + 256)),
    );
  }

  #priority(streamId: number, length: number): void {
    if (streamId === 0) throw new ConnectionError(ErrorCode.protocolError, 'PRIORITY on stream 0');
    if (length === 5) return;
    if (!this.streams.has(streamId))
      throw new ConnectionError(ErrorCode.frameSizeError, 'PRIORITY is not five bytes');
    this.resetStream(streamId, ErrorCode.frameSizeError, 'PRIORITY is not five bytes');
  }

  #credit(bytes: number): void {
    const increment = this.#window.credit(bytes, this.tuner.connectionTarget);
    if (increment > 0) this.writeWindowUpdate(0, increment);
  }

  /** An ACK. */
  #answer(type: number, payload: Buffer, start: number, end: number): void {
    this.writeFrame(type, FrameFlag.ack, 0, payload, start, end);
    if (this.out.bytes > UNSENT_BYTES_HIGH) this.flush();
  }

  /** Called while much comes in. */
  measureRoundTrip(): void {
    if (this.tuner.begin()) this.writePing(TUNER_PING);
  }

  // ---- Ends ---------------------------------------------------------------------------------------------------

  /** Our half of the stream is done. */
  streamEnded(stream: Stream): void {
    if (stream.isRemoteEnded && !stream.isClosed) this.remove(stream);
  }

  /** Ends a stream, known or not, from our side. */
  resetStream(streamId: number, code: ErrorCode, detail: string): void {
    this.writeNumber(FrameType.rstStream, streamId, code);
    const stream = this.streams.get(streamId);
    this.resets.add(streamId);
    if (stream !== undefined) this.#abort(stream, {by: 'us', code, detail, isUnprocessed: false});
  }

  protected remove(stream: Stream): void {
    this.streams.delete(stream.id);
    stream.close();
    this.streamsChanged();
  }

  /** A stream is gone, or the peer may take more of them. */
  protected streamsChanged(): void {}

  #abort(stream: Stream, abort: StreamAbort): void {
    this.streams.delete(stream.id);
    stream.close();
    stream.aborted(abort);
    this.streamsChanged();
  }

  /** Ends streams that the peer says it will not touch. */
  protected abortUnprocessed(lastStreamId: number, code: number, detail: string): void {
    for (const stream of [...this.streams.values()]) {
      if (stream.id > lastStreamId)
        this.#abort(stream, {by: 'connection', code, detail, isUnprocessed: true});
    }
  }

  /** Ends the connection for a breach of the protocol. */
  protected fail(error: ConnectionError): void {
    this.shutDown(error.code, error.message, error);
  }

  /** The id that GOAWAY names: the last stream of the peer's that we have looked at. */
  protected abstract lastSeenStreamId(): number;

  /** GOAWAY, and the socket closed in order; streams that are left are aborted. */
  protected shutDown(code: ErrorCode, detail: string, error?: ConnectionError): void {
    if (this.isClosed) return;
    this.writeGoaway(this.lastSeenStreamId(), code, detail);
    this.flush();
    this.socket.end();
    // Input still on its way must be taken, or the system would answer it with a reset that overtakes GOAWAY.
    this.socket.resume();
    const timer = setTimeout(() => this.socket.destroy(), CLOSE_TIMEOUT_MS);
    this.socket.once('close', () => clearTimeout(timer));
    this.#end(code, detail, error);
  }

  /** The socket is gone or of no use. */
  lost(detail: string): void {
    if (this.isClosed) return;
    if (!this.socket.destroyed) this.socket.destroy();
    this.#end(ErrorCode.internalError, detail, undefined);
  }

  #end(code: number, detail: string, error: ConnectionError | undefined): void {
    this.isClosed = true;
    for (const stream of [...this.streams.values()]) {
      this.#abort(stream, {by: 'connection', code, detail, isUnprocessed: false});
    }
    this.sending.clear();
    this.ended(detail, error);
    assert(this.streams.size === 0, 'a closed connection has no streams');
  }
}
