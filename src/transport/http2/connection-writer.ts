/**
 * The sending half of a connection: frames go into one batch per turn of the event loop, and streams that have more to
 * say than the windows or the socket take get their turns one after the other. Source: RFC 9113, sections 4 and 5.2.
 */

import type {Socket} from 'node:net';
import {assert} from '../../engine/errors.ts';
import {EMPTY_BYTES} from '../../engine/lib/bytes.ts';
import type {ErrorCode} from './errors.ts';
import {FRAME_HEAD_BYTES, FrameFlag, FrameType, writeFrameHead} from './frame.ts';
import {HpackEncoder} from './hpack/encoder.ts';
import {
  DATA_FRAME_BYTES_MAX,
  ENCODER_TABLE_BYTES_MAX,
  UNSENT_BYTES_HIGH,
  UNSENT_BYTES_MAX,
} from './limits.ts';
import {PeerSettings} from './settings.ts';
import type {Stream} from './stream.ts';
import {Turns} from './turns.ts';
import {type Flushable, flushAtTurnEnd, WriteBatch} from './write-batch.ts';

export abstract class ConnectionWriter implements Flushable {
  readonly socket: Socket;
  readonly out = new WriteBatch();
  readonly encoder = new HpackEncoder(ENCODER_TABLE_BYTES_MAX);
  /** Writes to the socket so far. */
  flushes = 0;
  protected readonly peer = new PeerSettings();
  /** DATA bytes that the peer takes over all streams. */
  protected connectionSendWindow = 65_535;
  /** The socket holds more than it should: streams wait for its 'drain'. */
  protected isBlocked = false;
  /** Streams that may have something to send, in the order of their turns. */
  protected readonly sending = new Turns<Stream>();
  #isFlushDue = false;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Whether a DATA frame of this payload can be written right now, as one frame. */
  mayWrite(stream: Stream, bytes: number): boolean {
    return (
      !this.isBlocked &&
      bytes <= this.connectionSendWindow &&
      bytes <= stream.sendWindow &&
      bytes <= this.peer.maxFrameSize &&
      bytes <= DATA_FRAME_BYTES_MAX
    );
  }

  /** A DATA frame was put into `out`. */
  dataWritten(bytes: number): void {
    this.connectionSendWindow -= bytes;
    assert(this.connectionSendWindow >= 0, 'no DATA is sent beyond the connection window');
    this.touch();
    if (this.out.bytes > UNSENT_BYTES_HIGH) this.flush();
  }

  /** Something was put into `out`: it leaves at the end of the turn. */
  touch(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    flushAtTurnEnd(this);
  }

  flush(): void {
    this.#isFlushDue = false;
    if (this.socket.destroyed || this.socket.writableEnded) {
      this.out.discard();
      return;
    }
    if (this.out.bytes > 0) this.flushes++;
    this.out.writeTo(this.socket);
    const unsent = this.socket.writableLength;
    if (unsent <= UNSENT_BYTES_HIGH) return;
    this.isBlocked = true;
    if (unsent > UNSENT_BYTES_MAX) this.socket.pause();
  }

  /** Gives the stream a turn as soon as it may send. */
  enqueue(stream: Stream): void {
    if (!stream.isQueued) {
      stream.isQueued = true;
      this.sending.add(stream);
    }
    this.pump();
  }

  protected pump(): void {
    while (!this.isBlocked && this.connectionSendWindow > 0) {
      const stream = this.sending.take();
      if (stream === undefined) return;
      stream.isQueued = false;
      if (stream.isClosed) continue;
      if (!stream.sendNext(Math.min(this.connectionSendWindow, this.peer.maxFrameSize))) continue;
      stream.isQueued = true;
      this.sending.add(stream);
    }
  }

  protected drained(): void {
    this.isBlocked = false;
    this.socket.resume();
    this.pump();
  }

  /** HEADERS and, for a block beyond the peer's frame size, CONTINUATION. */
  writeHeaders(streamId: number, block: Uint8Array, endStream: boolean): void {
    const frameBytesMax = this.peer.maxFrameSize;
    let flags: number = endStream ? FrameFlag.endStream : 0;
    let type: number = FrameType.headers;
    for (let from = 0; from === 0 || from < block.length; from += frameBytesMax) {
      const to = Math.min(block.length, from + frameBytesMax);
      if (to === block.length) flags |= FrameFlag.endHeaders;
      this.writeFrame(type, flags, streamId, block, from, to);
      type = FrameType.continuation;
      flags = 0;
    }
  }

  writeEmptyData(streamId: number): void {
    this.writeFrame(FrameType.data, FrameFlag.endStream, streamId, EMPTY_BYTES, 0, 0);
  }

  writeWindowUpdate(streamId: number, increment: number): void {
    this.writeNumber(FrameType.windowUpdate, streamId, increment);
  }

  /** Copies one small frame into the batch. */
  writeFrame(
    type: number,
    flags: number,
    streamId: number,
    payload: Uint8Array,
    start: number,
    end: number,
  ): void {
    const {out} = this;
    out.reserve(FRAME_HEAD_BYTES + end - start);
    const {buffer} = out;
    let at = writeFrameHead(buffer, out.length, end - start, type, flags, streamId);
    for (let i = start; i < end; i++) buffer[at++] = payload[i];
    out.length = at;
    this.touch();
  }

  protected writeNumber(type: number, streamId: number, value: number): void {
    const {out} = this;
    out.reserve(FRAME_HEAD_BYTES + 4);
    const at = writeFrameHead(out.buffer, out.length, 4, type, 0, streamId);
    out.length = out.buffer.writeUInt32BE(value, at);
    this.touch();
  }

  protected writePing(payload: Buffer): void {
    this.writeFrame(FrameType.ping, 0, 0, payload, 0, payload.length);
  }

  protected writeGoaway(lastStreamId: number, code: ErrorCode, debug: string): void {
    const payload = Buffer.alloc(8 + Buffer.byteLength(debug, 'latin1'));
    payload.writeUInt32BE(lastStreamId, 0);
    payload.writeUInt32BE(code, 4);
    payload.write(debug, 8, 'latin1');
    this.writeFrame(FrameType.goaway, 0, 0, payload, 0, payload.length);
  }
}
