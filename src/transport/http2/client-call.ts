/** One gRPC call on the client: cuts the response into messages and finds out how the call ended. */

import {AssertionError} from '../../engine/errors.ts';
import {ErrorCode} from './errors.ts';
import {MessageReader} from './grpc-message.ts';
import {GrpcError, GrpcStatus} from './grpc-status.ts';
import {unpackMessage} from './gzip.ts';
import type {HeaderField} from './hpack/header-field.ts';
import {notGrpc, type ResponseHead, readResponseHead, resetError} from './response-head.ts';
import {Stream, type StreamAbort, type StreamHost} from './stream.ts';

/** A call that the server has surely not looked at: it may be sent again, whatever it does. */
export class UnprocessedCallError extends GrpcError {}

/** Where a call's messages and its end go. `ended` comes once and last. */
export interface CallSink {
  message(message: Uint8Array): void;
  /** Whether the peer should wait: messages are piling up. */
  isFull(): boolean;
  /** @param error undefined: status OK */
  ended(error: GrpcError | undefined): void;
  /** Everything sent so far has been handed to the socket. */
  drained(): void;
}

export interface ClientCallHost extends StreamHost {
  endResponse(stream: Stream): void;
  /** Moves on with each write to the socket. */
  readonly flushes: number;
}

export class ClientCall extends Stream {
  declare readonly connection: ClientCallHost;
  readonly #sink: CallSink;
  readonly #maxReceiveBytes: number;
  readonly #openedAtFlush: number;
  #reader: MessageReader | undefined;
  #isEnded = false;
  #withheldBytes = 0;

  constructor(
    connection: ClientCallHost,
    id: number,
    sendWindow: number,
    sink: CallSink,
    maxReceiveBytes: number,
  ) {
    super(connection, id, sendWindow);
    this.#sink = sink;
    this.#maxReceiveBytes = maxReceiveBytes;
    this.#openedAtFlush = connection.flushes;
  }

  receiveHeaders(fields: readonly HeaderField[], endStream: boolean): void {
    const head = readResponseHead(fields);
    if (head === undefined) {
      this.#giveUp(new GrpcError(GrpcStatus.internal, 'a malformed HTTP/2 response'));
      return;
    }
    if (endStream) {
      const status = this.#statusOf(head);
      this.#end(status);
      this.connection.endResponse(this);
      return;
    }
    // Informational responses come before the real one.
    if (head.httpStatus?.startsWith('1') === true) return;
    if (this.#reader !== undefined) {
      this.#giveUp(new GrpcError(GrpcStatus.internal, 'a second header block amid a response'));
      return;
    }
    const error = notGrpc(head);
    if (error !== undefined) {
      this.#giveUp(error);
      return;
    }
    this.#reader = new MessageReader(this.#maxReceiveBytes, head.encoding === 'gzip' ? 'gzip' : 'identity');
  }

  #statusOf(head: ResponseHead): GrpcError | undefined {
    if (head.status === undefined) {
      const error = this.#reader === undefined ? notGrpc(head) : undefined;
      return error ?? new GrpcError(GrpcStatus.unknown, 'the response ended without a status');
    }
    if (head.status !== GrpcStatus.ok) return new GrpcError(head.status, head.message);
    if (this.#reader === undefined || this.#reader.isAtBoundary) return undefined;
    return new GrpcError(GrpcStatus.internal, 'the response ended within a message');
  }

  receiveData(chunk: Buffer, start: number, end: number): void {
    const bytes = end - start;
    const reader = this.#reader;
    if (reader === undefined) {
      this.#giveUp(new GrpcError(GrpcStatus.internal, 'DATA before the headers'));
      return;
    }
    const heldBefore = reader.heldBytes;
    try {
      reader.push(chunk, start, end, (message, isCompressed) => {
        if (this.#isEnded) return true;
        this.#sink.message(isCompressed ? unpackMessage(message, this.#maxReceiveBytes) : message);
        return true;
      });
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      this.#giveUp(error);
      return;
    }
    if (this.isClosed) return;
    const held = reader.heldBytes - heldBefore;
    if (held > 0) this.hold(held);
    else if (held < 0) this.release(-held);
    if (this.#sink.isFull()) this.#withheldBytes += bytes;
    else this.credit(bytes);
  }

  /** The sink is no longer full. */
  resume(): void {
    const bytes = this.#withheldBytes;
    this.#withheldBytes = 0;
    if (bytes > 0 && !this.isClosed) this.credit(bytes);
  }

  receiveEnd(): void {
    this.#end(new GrpcError(GrpcStatus.internal, 'server closed the stream without sending trailers'));
  }

  aborted(abort: StreamAbort): void {
    if (this.#isEnded) return;
    if (
      abort.isUnprocessed ||
      (abort.by === 'connection' && this.connection.flushes === this.#openedAtFlush)
    ) {
      this.#end(new UnprocessedCallError(GrpcStatus.unavailable, `the call was not sent: ${abort.detail}`));
      return;
    }
    if (abort.by === 'connection') {
      this.#end(new GrpcError(GrpcStatus.unavailable, `error reading from server: ${abort.detail}`));
      return;
    }
    this.#end(
      abort.by === 'peer' ? resetError(abort.code) : new GrpcError(GrpcStatus.internal, abort.detail),
    );
  }

  protected trailers(): Buffer {
    throw new AssertionError('this end of a stream has no trailers');
  }

  drained(): void {
    this.#sink.drained();
  }

  /** Ends the call from our side with this error. */
  cancel(error: GrpcError): void {
    if (!this.#isEnded) this.#giveUp(error);
  }

  #giveUp(error: GrpcError): void {
    this.#end(error);
    this.connection.resetStream(this.id, ErrorCode.cancel, error.message);
  }

  #end(error: GrpcError | undefined): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#sink.ended(error);
  }
}
