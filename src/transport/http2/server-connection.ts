/**
 * The server's end of a connection: the client's preface, new streams and what they may cost, answers' header blocks,
 * PING enforcement, draining. Source: RFC 9113; gRPC's keep-alive and graceful shutdown as its servers do them.
 */

import type {Socket} from 'node:net';
import {AnswerBlocks} from './answer-blocks.ts';
import {Connection} from './connection.ts';
import {ConnectionError, ErrorCode, errorCodeName} from './errors.ts';
import {CLIENT_PREFACE, FrameType} from './frame.ts';
import {GrpcStatus} from './grpc-status.ts';
import {HeadCache} from './head-cache.ts';
import type {HeaderField} from './hpack/header-field.ts';
import {KeepAlive} from './keep-alive.ts';
import {
  CONCURRENT_STREAMS_MAX,
  CONNECTION_WINDOW_BYTES,
  HEADER_LIST_BYTES_MAX,
  HELD_BYTES_ALLOWANCE,
  HELD_BYTES_MAX,
  ORPHANS_ALLOWANCE,
  ORPHANS_MAX,
  ORPHANS_PER_CONNECTION_MAX,
  STREAM_COST_BYTES,
  STREAM_WINDOW_BYTES,
} from './limits.ts';
import {PingPolicy} from './ping-policy.ts';
import {PlainCall, type PlainCallHost} from './plain-call.ts';
import {isGrpc, type Refusal, refuse, unknownMethod} from './refusal.ts';
import {type RequestHead, readRequestHead, trailersFlaw} from './request-head.ts';
import {ServerCall} from './server-call.ts';
import type {CallHost, HeldMemory, ServerContext} from './server-context.ts';
import {encodeSettings, SettingId, WINDOW_SIZE_MAX} from './settings.ts';
import type {Stream} from './stream.ts';

const OUR_SETTINGS = encodeSettings([
  [SettingId.maxConcurrentStreams, CONCURRENT_STREAMS_MAX],
  [SettingId.initialWindowSize, STREAM_WINDOW_BYTES],
  [SettingId.maxHeaderListSize, HEADER_LIST_BYTES_MAX],
]);

/** Payload of the PING between the two GOAWAYs of a drain. */
const DRAIN_PING = Buffer.from('kvd-bye!', 'latin1');

/** With these codes a stream ends for what its client did wrong. */
const BREACHES: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.protocolError,
  ErrorCode.flowControlError,
  ErrorCode.streamClosed,
  ErrorCode.frameSizeError,
  ErrorCode.enhanceYourCalm,
]);

export class ServerConnection extends Connection implements CallHost, PlainCallHost {
  readonly remote: string;
  readonly #context: ServerContext;
  readonly #onEnded: (connection: ServerConnection) => void;
  readonly #heads = new HeadCache();
  readonly #answers = new AnswerBlocks(this.encoder);
  readonly #pings: PingPolicy;
  readonly #keepAlive: KeepAlive;
  #handshakeTimer: NodeJS.Timeout | undefined;
  #prefaceBytes = 0;
  #lastStreamId = 0;
  #orphans = 0;
  /** The memory that a handler's request was last found in, while any such handler runs. */
  #lastMemory: ArrayBufferLike | undefined;
  #lastHeld: HeldMemory | undefined;
  #isDraining = false;
  #isLastCall = false;
  #hasLoggedBreach = false;

  constructor(
    socket: Socket,
    firstBytes: Buffer | undefined,
    remote: string,
    context: ServerContext,
    onEnded: (connection: ServerConnection) => void,
  ) {
    super(socket, 'server');
    this.remote = remote;
    this.#context = context;
    this.#onEnded = onEnded;
    this.#pings = new PingPolicy(context.keepAlive.minTimeMs);
    this.#keepAlive = new KeepAlive({
      intervalMs: context.keepAlive.intervalMs,
      timeoutMs: context.keepAlive.timeoutMs,
      ping: (payload) => this.writePing(payload),
      dead: () => this.lost('keep-alive: no answer'),
    });
    this.#handshakeTimer = setTimeout(() => this.#handshakeOverdue(), context.handshakeTimeoutMs);
    this.writeFrame(FrameType.settings, 0, 0, OUR_SETTINGS, 0, OUR_SETTINGS.length);
    this.writeWindowUpdate(0, CONNECTION_WINDOW_BYTES - 65_535);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    if (firstBytes !== undefined) this.#read(firstBytes);
  }

  override flush(): void {
    super.flush();
    this.#context.clientsPoll.expect();
  }

  // ---- Reading ------------------------------------------------------------------------------------------------

  #read(chunk: Buffer): void {
    this.#keepAlive.heard();
    this.#context.clientsPoll.arrived();
    let from = 0;
    if (this.#prefaceBytes < CLIENT_PREFACE.length) {
      const length = Math.min(chunk.length, CLIENT_PREFACE.length - this.#prefaceBytes);
      const isRight =
        chunk.compare(CLIENT_PREFACE, this.#prefaceBytes, this.#prefaceBytes + length, 0, length) === 0;
      if (!isRight) {
        this.fail(new ConnectionError(ErrorCode.protocolError, 'no HTTP/2 preface'));
        return;
      }
      this.#prefaceBytes += length;
      from = length;
    }
    if (from < chunk.length) this.receive(chunk, from);
    if (this.hasPeerSettings && this.#handshakeTimer !== undefined) {
      clearTimeout(this.#handshakeTimer);
      this.#handshakeTimer = undefined;
      this.#keepAlive.start();
    }
  }

  protected receiveHeaderBlock(
    id: number,
    endStream: boolean,
    block: Buffer,
    start: number,
    end: number,
  ): void {
    if (id <= this.#lastStreamId) {
      this.#laterBlock(id, endStream, block, start, end);
      return;
    }
    if ((id & 1) === 0) throw new ConnectionError(ErrorCode.protocolError, `a client opened stream ${id}`);
    this.#lastStreamId = id;
    const {table} = this.decoder;
    const {generation} = table;
    let head: RequestHead | string | undefined = this.#heads.find(generation, block, start, end);
    if (head === undefined) {
      const fields: HeaderField[] = [];
      const bytes = this.decoder.decode(block, start, end, fields, HEADER_LIST_BYTES_MAX);
      if (bytes > HEADER_LIST_BYTES_MAX) {
        this.#refuseList(id, endStream, bytes);
        return;
      }
      head = readRequestHead(fields);
      if (typeof head === 'string') {
        this.malformed(id, head);
        return;
      }
      head.route = this.#context.methods.get(head.path);
      if (table.generation === generation) this.#heads.remember(generation, block, start, end, head);
    }
    this.#open(id, endStream, head);
  }

  /** Trailers, or a block for a stream that is gone: decoded in any case, since the table depends on it. */
  #laterBlock(id: number, endStream: boolean, block: Buffer, start: number, end: number): void {
    const fields: HeaderField[] = [];
    this.decoder.decode(block, start, end, fields, HEADER_LIST_BYTES_MAX);
    const stream = this.streams.get(id);
    if (stream === undefined || stream.isRemoteEnded) {
      this.strayHeaders(id, stream);
      return;
    }
    if (!endStream) {
      this.malformed(id, 'trailers that do not end the stream');
      return;
    }
    const flaw = trailersFlaw(fields);
    if (flaw !== undefined) {
      this.malformed(id, flaw);
      return;
    }
    stream.receiveHeaders(fields, endStream);
  }

  #open(id: number, endStream: boolean, head: RequestHead): void {
    if (this.#isLastCall || !this.#mayOpen()) {
      this.resetStream(id, ErrorCode.refusedStream, 'refused');
      return;
    }
    const {route} = head;
    const {http} = this.#context;
    if (http !== undefined && head.path !== '' && !isGrpc(head)) {
      const options = {head, http, hasBody: !endStream};
      const plain = PlainCall.open(this, id, this.peer.initialWindowSize, options);
      if (typeof plain === 'string') {
        this.malformed(id, plain);
        return;
      }
      this.streams.set(id, plain);
      if (endStream) this.remoteEnd(plain);
      return;
    }
    const refusal = refuse(head);
    if (refusal !== undefined) {
      this.#answerAtOnce(id, endStream, refusal);
      return;
    }
    if (route === undefined) {
      const message = unknownMethod(head.path, this.#context.methods);
      this.#answerAtOnce(id, endStream, {http: '200', status: GrpcStatus.unimplemented, message});
      return;
    }
    const call = new ServerCall(this, id, this.peer.initialWindowSize, this.#context, head, route);
    this.streams.set(id, call);
    call.begin();
    if (endStream && !call.isClosed) this.remoteEnd(call);
  }

  #mayOpen(): boolean {
    const orphansMax =
      this.#context.budget.orphans < ORPHANS_MAX ? ORPHANS_PER_CONNECTION_MAX : ORPHANS_ALLOWANCE;
    return this.streams.size < CONCURRENT_STREAMS_MAX && this.#orphans < orphansMax && !this.isOverBudget();
  }

  override hold(bytes: number): void {
    super.hold(bytes);
    this.#context.budget.heldBytes += bytes;
  }

  holdMemoryOf(message: Uint8Array): HeldMemory {
    const memory = message.buffer;
    if (this.#lastHeld === undefined || memory !== this.#lastMemory) {
      this.#lastMemory = memory;
      this.#lastHeld = {bytes: memory.byteLength, handlers: 0};
      this.hold(memory.byteLength);
    }
    this.#lastHeld.handlers++;
    return this.#lastHeld;
  }

  releaseMemory(held: HeldMemory): void {
    held.handlers--;
    if (held.handlers > 0) return;
    this.hold(-held.bytes);
    if (held !== this.#lastHeld) return;
    this.#lastHeld = undefined;
    this.#lastMemory = undefined;
  }

  isOverBudget(): boolean {
    const isScarce = this.#context.budget.heldBytes > HELD_BYTES_MAX;
    const max = isScarce ? HELD_BYTES_ALLOWANCE : this.#context.heldBytesPerConnectionMax;
    return this.heldBytes + this.streams.size * STREAM_COST_BYTES > max;
  }

  #refuseList(id: number, endStream: boolean, bytes: number): void {
    const message = `grpc: received a header list larger than max (${bytes} vs. ${HEADER_LIST_BYTES_MAX})`;
    this.#answerAtOnce(id, endStream, {http: '431', status: GrpcStatus.resourceExhausted, message});
  }

  /** Answers without ever making a stream. */
  #answerAtOnce(id: number, endStream: boolean, refusal: Refusal): void {
    this.writeHeaders(id, this.#refusal(refusal), true);
    if (!endStream) this.resetStream(id, ErrorCode.noError, 'answered early');
  }

  endRequest(stream: Stream): void {
    this.remoteEnd(stream);
  }

  malformed(streamId: number, detail: string): void {
    this.resetStream(streamId, ErrorCode.protocolError, detail);
  }

  override resetStream(streamId: number, code: ErrorCode, detail: string): void {
    this.#logReset(streamId, code, detail);
    super.resetStream(streamId, code, detail);
  }

  /** A client may break one stream after the other: the first is told to everybody. */
  #logReset(stream: number, code: ErrorCode, detail: string): void {
    const {logger} = this.#context;
    const fields = {remote: this.remote, stream, code: errorCodeName(code), detail};
    if (code === ErrorCode.internalError) logger.warn('an answer broke off', fields);
    else if (!BREACHES.has(code) || this.#hasLoggedBreach) logger.debug('ended an HTTP/2 stream', fields);
    else {
      this.#hasLoggedBreach = true;
      logger.warn('a client broke HTTP/2 on a stream', fields);
    }
  }

  dropAnswer(streamId: number): void {
    this.resetStream(streamId, ErrorCode.enhanceYourCalm, 'the client does not take its answers');
  }

  protected isIdle(streamId: number): boolean {
    return streamId > this.#lastStreamId || (streamId & 1) === 0;
  }

  protected lastSeenStreamId(): number {
    return this.#lastStreamId;
  }

  protected receivePing(): void {
    if (this.#pings.isTooMany(this.streams.size > 0)) {
      throw new ConnectionError(ErrorCode.enhanceYourCalm, 'too_many_pings');
    }
  }

  protected receivePingAck(payload: Buffer): void {
    if (payload.equals(DRAIN_PING) && this.#isDraining) this.#refuseMore();
    else this.#keepAlive.heard();
  }

  protected receiveGoaway(_lastStreamId: number, code: number, debug: string): void {
    // The client will open no more streams; those that are open go on. It closes the connection itself.
    if (code === ErrorCode.noError) return;
    this.#context.logger.debug('a client is leaving', {
      remote: this.remote,
      code: errorCodeName(code),
      debug,
    });
  }

  // ---- Answers ------------------------------------------------------------------------------------------------

  okHeaders(isGzip: boolean): Buffer {
    this.#pings.answered();
    return this.#answers.okHeaders(isGzip);
  }

  okTrailers(): Buffer {
    return this.#answers.okTrailers();
  }

  errorTrailers(status: GrpcStatus, message: string, isAlone: boolean): Buffer {
    return isAlone
      ? this.#refusal({http: '200', status, message})
      : this.#answers.errorTrailers(status, message);
  }

  encodeAnswer(status: number, fields: ReadonlyArray<readonly [string, string]>): Buffer {
    this.#pings.answered();
    return this.#answers.plain(status, fields);
  }

  #refusal(refusal: Refusal): Buffer {
    this.#pings.answered();
    return this.#answers.refusal(refusal);
  }

  // ---- Ends ---------------------------------------------------------------------------------------------------

  override dataWritten(bytes: number): void {
    this.#pings.answered();
    super.dataWritten(bytes);
  }

  override streamEnded(stream: Stream): void {
    if (stream.isClosed) return;
    if (stream.isRemoteEnded) this.remove(stream);
    // The client may stop sending: nobody reads it any more (RFC 9113, section 8.1).
    else if (stream instanceof PlainCall) stream.linger();
    else this.resetStream(stream.id, ErrorCode.noError, 'answered early');
  }

  orphanBegan(): void {
    this.#orphans++;
    this.#context.budget.orphans++;
  }

  orphanEnded(): void {
    this.#orphans--;
    this.#context.budget.orphans--;
  }

  /** Lets running calls finish and takes no new ones; the connection closes itself when they are done. */
  drain(): void {
    if (this.isClosed || this.#isDraining) return;
    this.#isDraining = true;
    // Streams that the client opens before it has read this are still served: the PING's answer comes behind them.
    this.writeGoaway(WINDOW_SIZE_MAX, ErrorCode.noError, 'graceful_stop');
    this.writePing(DRAIN_PING);
  }

  #refuseMore(): void {
    if (this.#isLastCall) return;
    this.#isLastCall = true;
    this.writeGoaway(this.#lastStreamId, ErrorCode.noError, 'graceful_stop');
    this.streamsChanged();
  }

  protected override streamsChanged(): void {
    if (this.#isLastCall && this.streams.size === 0) this.shutDown(ErrorCode.noError, 'drained');
  }

  /** Ends the connection and all its calls now. */
  close(): void {
    this.shutDown(ErrorCode.noError, 'the server is closing');
  }

  #handshakeOverdue(): void {
    this.#handshakeTimer = undefined;
    this.fail(new ConnectionError(ErrorCode.settingsTimeout, 'no preface and SETTINGS in time'));
  }

  protected ended(detail: string, error: ConnectionError | undefined): void {
    clearTimeout(this.#handshakeTimer);
    this.#keepAlive.stop();
    const {logger} = this.#context;
    if (error === undefined) logger.debug('a client connection has ended', {remote: this.remote, detail});
    else logger.warn('a client broke HTTP/2', {remote: this.remote, code: errorCodeName(error.code), detail});
    this.#onEnded(this);
  }
}
