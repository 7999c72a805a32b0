/**
 * The client's end of a connection and the gRPC calls on it. Takes a socket that is connected or connecting; once the
 * connection is gone or going, a new one is needed (grpc-channel.ts makes it).
 */

import type {Socket} from 'node:net';
import {type CallSink, ClientCall, type ClientCallHost, UnprocessedCallError} from './client-call.ts';
import {Connection} from './connection.ts';
import {type Deadline, Deadlines} from './deadlines.ts';
import {ConnectionError, ErrorCode, errorCodeName} from './errors.ts';
import {CLIENT_PREFACE, FrameType} from './frame.ts';
import {GrpcError, GrpcStatus} from './grpc-status.ts';
import {encodeBinary, formatTimeout} from './grpc-text.ts';
import type {HeaderField} from './hpack/header-field.ts';
import {KeepAlive} from './keep-alive.ts';
import {CONNECTION_WINDOW_BYTES, HEADER_LIST_BYTES_MAX, STREAM_WINDOW_BYTES} from './limits.ts';
import {MessageQueue} from './message-queue.ts';
import {encodeSettings, SettingId} from './settings.ts';
import type {Stream} from './stream.ts';

export interface ClientCallOptions {
  /** Names in lower case; values of `-bin` names have one char per byte. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Undefined: no deadline. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ClientStream {
  /** Resolves when the next message may be sent without piling up; rejects when the call has ended. */
  send(message: Uint8Array): Promise<void>;
  /** No further request will come. */
  end(): void;
  cancel(): void;
  /** Ends with the call, or throws its GrpcError. */
  readonly responses: AsyncIterable<Uint8Array>;
}

export interface ClientConnectionOptions {
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  readonly userAgent?: string | undefined;
  /** Bytes of one response message; undefined: as large as it comes. */
  readonly maxReceiveBytes?: number | undefined;
  /** PING after this much silence; undefined: never. */
  readonly keepAliveTimeMs?: number | undefined;
  readonly keepAliveTimeoutMs?: number | undefined;
  /** Called once, when no new call can be made any more. */
  readonly onUnusable?: (() => void) | undefined;
}

const OUR_SETTINGS = encodeSettings([
  [SettingId.enablePush, 0],
  [SettingId.initialWindowSize, STREAM_WINDOW_BYTES],
  [SettingId.maxHeaderListSize, HEADER_LIST_BYTES_MAX],
]);

const STREAM_ID_MAX = 2 ** 31 - 1;
const KEEP_ALIVE_TIMEOUT_MS = 20_000;
/** What gRPC calls "no limit". */
const RECEIVE_BYTES_MAX = 2 ** 31 - 1;

/** Of all client connections of the process. */
const deadlines = new Deadlines();

export class ClientConnection extends Connection implements ClientCallHost {
  readonly #options: ClientConnectionOptions;
  readonly #keepAlive: KeepAlive;
  #nextStreamId = 1;
  #isGoingAway = false;
  #isClosing = false;
  #endDetail = '';
  #greeting: {resolve: () => void; reject: (error: GrpcError) => void} | undefined;
  /** Calls beyond the server's concurrent streams, in order. */
  #waiting: (() => void)[] = [];

  constructor(socket: Socket, options: ClientConnectionOptions) {
    super(socket, 'client');
    this.#options = options;
    this.#keepAlive = new KeepAlive({
      intervalMs: options.keepAliveTimeMs ?? 0,
      timeoutMs: options.keepAliveTimeoutMs ?? KEEP_ALIVE_TIMEOUT_MS,
      ping: (payload) => this.writePing(payload),
      dead: () => this.lost('keepalive ping failed to receive ACK within timeout'),
    });
    this.out.reserve(CLIENT_PREFACE.length);
    this.out.length += CLIENT_PREFACE.copy(this.out.buffer, this.out.length);
    this.writeFrame(FrameType.settings, 0, 0, OUR_SETTINGS, 0, OUR_SETTINGS.length);
    this.writeWindowUpdate(0, CONNECTION_WINDOW_BYTES - 65_535);
    socket.on('data', (chunk: Buffer) => {
      this.#keepAlive.heard();
      this.receive(chunk, 0);
      if (this.#greeting !== undefined && this.hasPeerSettings) this.#greeting.resolve();
    });
    this.#keepAlive.start();
  }

  /** False once the connection is gone or going: a new call needs another one. */
  get isOpen(): boolean {
    return !this.isClosed && !this.#isGoingAway && this.#nextStreamId < STREAM_ID_MAX;
  }

  /**
   * Resolves with the server's first word: whatever takes connections need not be there to answer (a stopped process'
   * are taken by the system). To be called once, before anything was received.
   */
  greeted(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#greeting = {resolve, reject};
    });
  }

  /** @throws GrpcError; UnprocessedCallError when the server has surely not seen the call */
  unary(path: string, request: Uint8Array, options: ClientCallOptions): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      let answer: Uint8Array | undefined;
      const sink: CallSink = {
        message: (message) => {
          answer = message;
        },
        isFull: () => false,
        drained: () => undefined,
        ended: (error) => {
          if (error !== undefined) reject(error);
          else if (answer !== undefined) resolve(answer);
          else reject(new GrpcError(GrpcStatus.internal, 'the response has no message'));
        },
      };
      this.#start(path, options, sink, (call) => {
        call.sendMessage(request, false, true);
      });
    });
  }

  stream(path: string, options: ClientCallOptions): ClientStream {
    let call: ClientCall | undefined;
    let failure: GrpcError | undefined;
    let isEnded = false;
    /** Senders that wait. */
    const waiting: (() => void)[] = [];
    const wake = (): void => {
      for (const resolve of waiting.splice(0)) resolve();
    };
    const early: (Uint8Array | undefined)[] = [];
    const responses = new MessageQueue<Uint8Array>({
      decode: (message) => message,
      taken: () => {
        if (responses.bytes <= STREAM_WINDOW_BYTES) call?.resume();
      },
      left: () => cancel(),
    });
    const sink: CallSink = {
      message: (message) => {
        responses.push(message);
      },
      isFull: () => responses.bytes > STREAM_WINDOW_BYTES,
      drained: wake,
      ended: (error) => {
        failure = error;
        isEnded = true;
        responses.end(error);
        wake();
      },
    };
    const stop = this.#start(path, options, sink, (started) => {
      call = started;
      for (const message of early.splice(0)) {
        if (message === undefined) call.sendEnd();
        else call.sendMessage(message, false, false);
      }
    });
    const cancel = (): void => stop(new GrpcError(GrpcStatus.cancelled, 'context canceled'));
    return {
      send: async (message) => {
        if (isEnded) throw failure ?? new GrpcError(GrpcStatus.internal, 'the call has ended');
        if (call === undefined) early.push(message);
        else if (!call.sendMessage(message, false, false)) {
          await new Promise<void>((resolve) => {
            waiting.push(resolve);
          });
        }
      },
      end: () => {
        if (call === undefined) early.push(undefined);
        else call.sendEnd();
      },
      cancel,
      responses,
    };
  }

  /**
   * Opens the call's stream, now or when the server has room for one.
   * @returns what ends the call from our side
   */
  #start(
    path: string,
    options: ClientCallOptions,
    sink: CallSink,
    opened: (call: ClientCall) => void,
  ): (error: GrpcError) => void {
    let call: ClientCall | undefined;
    let isEnded = false;
    let deadline: Deadline | undefined;
    const end = (error: GrpcError | undefined): void => {
      if (isEnded) return;
      isEnded = true;
      if (deadline !== undefined) deadlines.remove(deadline);
      options.signal?.removeEventListener('abort', onAbort);
      sink.ended(error);
    };
    const stop = (error: GrpcError): void => {
      if (call === undefined) end(error);
      else call.cancel(error);
    };
    const onAbort = (): void =>
      stop(new GrpcError(GrpcStatus.cancelled, 'context canceled', options.signal?.reason));
    if (options.signal?.aborted === true) {
      onAbort();
      return stop;
    }
    options.signal?.addEventListener('abort', onAbort);
    const {timeoutMs} = options;
    const startedMs = performance.now();
    if (timeoutMs !== undefined) {
      const expire = (): void =>
        stop(new GrpcError(GrpcStatus.deadlineExceeded, 'context deadline exceeded'));
      deadline = deadlines.add(timeoutMs, expire);
    }
    const open = (): void => {
      if (isEnded) return;
      if (!this.isOpen) {
        end(this.#unusable());
        return;
      }
      const left = timeoutMs === undefined ? undefined : timeoutMs - (performance.now() - startedMs);
      call = this.#open(path, options.metadata, left, {...sink, ended: end});
      opened(call);
    };
    if (this.streams.size < this.peer.maxConcurrentStreams || !this.isOpen) open();
    else this.#waiting.push(open);
    return stop;
  }

  #open(
    path: string,
    metadata: ClientCallOptions['metadata'],
    timeoutMs: number | undefined,
    sink: CallSink,
  ): ClientCall {
    const id = this.#nextStreamId;
    this.#nextStreamId += 2;
    const maxReceiveBytes = this.#options.maxReceiveBytes ?? RECEIVE_BYTES_MAX;
    const call = new ClientCall(this, id, this.peer.initialWindowSize, sink, maxReceiveBytes);
    this.streams.set(id, call);
    const {encoder} = this;
    encoder.begin();
    encoder.add(':method', 'POST', 'index');
    encoder.add(':scheme', this.#options.scheme, 'index');
    encoder.add(':path', path, 'index');
    encoder.add(':authority', this.#options.authority, 'index');
    encoder.add('content-type', 'application/grpc', 'index');
    encoder.add('user-agent', this.#options.userAgent ?? 'kvd', 'index');
    encoder.add('te', 'trailers', 'index');
    if (timeoutMs !== undefined) encoder.add('grpc-timeout', formatTimeout(timeoutMs), 'plain');
    for (const name in metadata) {
      encoder.add(name, name.endsWith('-bin') ? encodeBinary(metadata[name]) : metadata[name], 'index');
    }
    this.writeHeaders(id, encoder.end(), false);
    return call;
  }

  #unusable(): GrpcError {
    if (this.#isClosing) return closingError();
    const detail = this.#endDetail === '' ? 'the connection is draining' : this.#endDetail;
    return new UnprocessedCallError(GrpcStatus.unavailable, detail);
  }

  protected receiveHeaderBlock(
    id: number,
    endStream: boolean,
    block: Buffer,
    start: number,
    end: number,
  ): void {
    const fields: HeaderField[] = [];
    const bytes = this.decoder.decode(block, start, end, fields, HEADER_LIST_BYTES_MAX);
    const stream = this.streams.get(id);
    if (stream === undefined || stream.isRemoteEnded) {
      this.strayHeaders(id, stream);
      return;
    }
    if (bytes > HEADER_LIST_BYTES_MAX) {
      this.resetStream(id, ErrorCode.enhanceYourCalm, 'the header list is too long');
      return;
    }
    stream.receiveHeaders(fields, endStream);
  }

  endResponse(stream: Stream): void {
    if (stream.isClosed) return;
    stream.isRemoteEnded = true;
    if (stream.isLocalEnded) this.remove(stream);
    // The server has answered before it heard everything: there is nobody to tell the rest.
    else this.resetStream(stream.id, ErrorCode.cancel, 'the call has ended');
  }

  protected isIdle(streamId: number): boolean {
    return streamId >= this.#nextStreamId || (streamId & 1) === 0;
  }

  protected lastSeenStreamId(): number {
    return 0;
  }

  protected receivePing(): void {}

  protected receivePingAck(): void {
    this.#keepAlive.heard();
  }

  protected receiveGoaway(lastStreamId: number, code: number, debug: string): void {
    this.#goAway();
    const detail = `the server is going away: ${errorCodeName(code)}${debug === '' ? '' : ` (${debug})`}`;
    this.#endDetail = detail;
    this.abortUnprocessed(lastStreamId, code, detail);
    this.streamsChanged();
  }

  override lost(detail: string): void {
    const whole = this.#endDetail === '' ? detail : `${detail}, and before that: ${this.#endDetail}`;
    super.lost(whole + this.#strangerHint());
  }

  protected override fail(error: ConnectionError): void {
    super.fail(new ConnectionError(error.code, error.message + this.#strangerHint()));
  }

  /** Who ends the connection, or sends nonsense, before its SETTINGS is mostly a TLS server that was not told so. */
  #strangerHint(): string {
    if (this.hasPeerSettings || this.#options.scheme === 'https') return '';
    return ' before a word of HTTP/2; does the endpoint want TLS (https://)?';
  }

  #goAway(): void {
    if (this.#isGoingAway) return;
    this.#isGoingAway = true;
    this.#options.onUnusable?.();
  }

  protected override streamsChanged(): void {
    if (this.isClosed) return;
    if (this.#isGoingAway) {
      for (const open of this.#waiting.splice(0)) open();
      if (this.streams.size === 0) this.shutDown(ErrorCode.noError, '');
      return;
    }
    while (this.#waiting.length > 0 && this.streams.size < this.peer.maxConcurrentStreams)
      this.#waiting.shift()!();
  }

  /** Ends the connection; calls that run or wait fail with Cancelled. */
  close(): void {
    this.#isClosing = true;
    // Calls that wait for room get none.
    this.#goAway();
    for (const stream of [...this.streams.values()]) (stream as ClientCall).cancel(closingError());
    this.shutDown(ErrorCode.noError, '');
  }

  protected ended(detail: string, error: ConnectionError | undefined): void {
    this.#keepAlive.stop();
    if (this.#endDetail === '') {
      this.#endDetail = error === undefined ? detail : `${errorCodeName(error.code)}: ${detail}`;
    }
    this.#goAway();
    this.#greeting?.reject(new GrpcError(GrpcStatus.unavailable, `error reading from server: ${detail}`));
    for (const open of this.#waiting.splice(0)) open();
  }
}

export function closingError(): GrpcError {
  return new GrpcError(GrpcStatus.cancelled, 'grpc: the client connection is closing');
}
