/**
 * The request of one gRPC call: its messages are cut out of what arrives and handed to the call, one for unary and
 * server-stream calls, a queue for bidi calls. A handler that lags behind keeps the stream's window shut.
 */

import {compactBytes} from '../../engine/lib/bytes.ts';
import {MESSAGE_PREFIX_BYTES} from './grpc-message.ts';
import type {GrpcMethod} from './grpc-method.ts';
import {GrpcError, GrpcStatus} from './grpc-status.ts';
import {STREAM_WINDOW_BYTES} from './limits.ts';
import {MessageIntake} from './message-intake.ts';
import {MessageQueue} from './message-queue.ts';
import type {RequestHead} from './request-head.ts';
import type {CallHost, ServerContext} from './server-context.ts';

/** The call that a request belongs to. */
export interface RequestHost {
  readonly id: number;
  readonly connection: CallHost;
  readonly isClosed: boolean;
  /** The call needs no more of its request. */
  readonly isFinished: boolean;
  hold(bytes: number): void;
  release(bytes: number): void;
  /** Gives the client back what it may send. */
  credit(bytes: number): void;
  /** The one message of a unary or server-stream call; the request is complete. */
  requestArrived(message: Uint8Array): void;
  requestFailed(error: unknown): void;
}

export class ServerRequest {
  readonly #call: RequestHost;
  readonly #context: ServerContext;
  readonly #head: RequestHead;
  readonly #method: GrpcMethod;
  /** Made for requests that are not the usual one message in one piece. */
  #intake: MessageIntake | undefined;
  /** What of its memory is counted. */
  #intakeBytes = 0;
  /** No more content follows what it was given. */
  #isLastPiece = false;
  /** The request has ended behind a message that is still being unpacked. */
  #isEndDue = false;
  /** The one message of a call that has no queue. */
  #message: Uint8Array | undefined;
  /** The messages of a bidi call. */
  #queue: MessageQueue<unknown> | undefined;
  /** Received bytes that the peer is not given back yet, since the handler lags behind. */
  #withheldBytes = 0;
  #receivedBytes = 0;

  constructor(call: RequestHost, context: ServerContext, head: RequestHead, method: GrpcMethod) {
    this.#call = call;
    this.#context = context;
    this.#head = head;
    this.#method = method;
  }

  /** Before anything is received: this request is many messages. */
  asStream(decode: (message: Uint8Array) => unknown): AsyncIterable<unknown> {
    this.#queue = new MessageQueue({
      decode,
      taken: (bytes) => this.#taken(bytes),
      left: () => this.#creditWithheld(),
    });
    return this.#queue;
  }

  /** A piece of DATA. */
  receive(chunk: Buffer, start: number, end: number, isLast: boolean): void {
    const bytes = end - start;
    this.#receivedBytes += bytes;
    // The usual request: one whole, plain message in one piece.
    if (
      this.#intake === undefined &&
      bytes >= MESSAGE_PREFIX_BYTES &&
      chunk[start] === 0 &&
      bytes - MESSAGE_PREFIX_BYTES === chunk.readUInt32BE(start + 1) &&
      bytes - MESSAGE_PREFIX_BYTES <= this.#context.maxReceiveBytes
    ) {
      this.#receiveMessage(chunk.subarray(start + MESSAGE_PREFIX_BYTES, end), isLast);
    } else {
      this.#readPieces(chunk, start, end, isLast);
    }
    if (this.#call.isClosed) return;
    if (this.#isBehind) this.#withheldBytes += bytes;
    else this.#call.credit(bytes);
  }

  /** No more is received. */
  end(): void {
    const {contentLength} = this.#head;
    if (contentLength !== undefined && contentLength !== this.#receivedBytes) {
      this.#call.connection.malformed(this.#call.id, 'content-length is not the length of the content');
      return;
    }
    this.#isEndDue = this.#intake?.isWaiting === true;
    if (this.#isEndDue) return;
    if (this.#intake !== undefined && !this.#intake.isAtBoundary) {
      this.#fail(GrpcStatus.internal, 'grpc: the request ended within a message');
      return;
    }
    if (this.#queue !== undefined) {
      this.#queue.end();
      return;
    }
    const message = this.#message;
    if (message === undefined) {
      this.#fail(GrpcStatus.internal, 'grpc: the request ended without a message');
      return;
    }
    this.#message = undefined;
    this.#call.requestArrived(message);
  }

  /** Nobody waits for the call any more: whoever reads its messages learns this. */
  abort(reason: GrpcError): void {
    this.#queue?.end(reason);
  }

  get #isBehind(): boolean {
    if (this.#intake?.isWaiting === true) return true;
    return this.#queue !== undefined && this.#queue.bytes > STREAM_WINDOW_BYTES;
  }

  #readPieces(chunk: Buffer, start: number, end: number, isLast: boolean): void {
    this.#isLastPiece = isLast;
    this.#intake ??= new MessageIntake({
      bytesMax: this.#context.maxReceiveBytes,
      encoding: this.#head.encoding === 'gzip' ? 'gzip' : 'identity',
      budget: this.#call.connection,
      deliver: (message) => this.#receiveMessage(message, this.#isLastPiece),
      resumed: () => this.#intakeResumed(),
      failed: (error) => this.#call.requestFailed(error),
    });
    try {
      this.#intake.push(chunk, start, end);
    } catch (error) {
      this.#call.requestFailed(error);
    }
    this.#countIntake();
  }

  #countIntake(): void {
    if (this.#call.isClosed) return;
    const held = this.#intake!.heldBytes;
    const change = held - this.#intakeBytes;
    this.#intakeBytes = held;
    if (change > 0) {
      this.#call.hold(change);
      this.#checkBudget();
    } else if (change < 0) this.#call.release(-change);
  }

  /** A large message has been unpacked. */
  #intakeResumed(): void {
    if (this.#call.isFinished) return;
    this.#countIntake();
    if (!this.#isBehind) this.#creditWithheld();
    if (this.#isEndDue && !this.#call.isFinished) this.end();
  }

  #receiveMessage(message: Uint8Array, isLast: boolean): void {
    if (this.#call.isFinished) return;
    this.#context.observer?.messageReceived?.(this.#method, message.length);
    if (this.#queue === undefined) {
      if (this.#message !== undefined) {
        this.#fail(GrpcStatus.internal, 'grpc: more than one request message for a unary call');
        return;
      }
      this.#message = isLast ? message : this.#keep(message);
      return;
    }
    const kept = compactBytes(message);
    if (!this.#queue.push(kept)) this.#call.hold(kept.length);
    this.#checkBudget();
  }

  /** A message that waits for the end of its request. */
  #keep(message: Uint8Array): Uint8Array {
    this.#call.hold(message.length);
    this.#checkBudget();
    return compactBytes(message);
  }

  #checkBudget(): void {
    if (!this.#call.connection.isOverBudget()) return;
    this.#fail(GrpcStatus.resourceExhausted, 'grpc: this connection holds too much memory');
  }

  /** The handler has taken messages out of the queue. */
  #taken(bytes: number): void {
    if (this.#call.isClosed) return;
    this.#call.release(bytes);
    if (!this.#isBehind) this.#creditWithheld();
  }

  #creditWithheld(): void {
    const bytes = this.#withheldBytes;
    this.#withheldBytes = 0;
    if (bytes > 0 && !this.#call.isClosed) this.#call.credit(bytes);
  }

  #fail(status: GrpcStatus, message: string): void {
    this.#call.requestFailed(new GrpcError(status, message));
  }
}
