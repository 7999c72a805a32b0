/**
 * One gRPC call on the server: has its request gathered (server-request.ts), runs its handler, writes its answer. A
 * unary call is one promise and a few bytes written; streams are pulled only as fast as the client reads.
 */

import {assert} from '../../engine/errors.ts';
import type {Deadline} from './deadlines.ts';
import type {Call, GrpcMethod, MessageParts, ServerStreamMethod, UnaryMethod} from './grpc-method.ts';
import {GrpcError, GrpcStatus} from './grpc-status.ts';
import {type PackedMessage, packMessage} from './gzip.ts';
import type {HeaderField} from './hpack/header-field.ts';
import type {RequestHead} from './request-head.ts';
import type {CallHost, HeldMemory, ServerContext} from './server-context.ts';
import {type RequestHost, ServerRequest} from './server-request.ts';
import {Stream, type StreamAbort} from './stream.ts';

type Unary = UnaryMethod<unknown, unknown>;
type ServerStream = ServerStreamMethod<unknown, unknown>;
/** A message as it leaves: plain, made while it is sent, or compressed. */
type Packed = Uint8Array | MessageParts | PackedMessage;

export class ServerCall extends Stream implements Call, RequestHost {
  declare readonly connection: CallHost;
  readonly #context: ServerContext;
  readonly #head: RequestHead;
  readonly #method: GrpcMethod;
  readonly #request: ServerRequest;
  #isRunning = false;
  #isOrphan = false;
  /** Where the request of the running handler lies. */
  #heldMemory: HeldMemory | undefined;
  /** The answer is on its way, or nobody waits for one. */
  isFinished = false;
  #hasSentHeaders = false;
  /** What the trailers will tell; undefined: status OK. */
  #error: GrpcError | undefined;
  #abort: AbortController | undefined;
  #abortReason: GrpcError | undefined;
  #deadline: Deadline | undefined;
  /** The pump waits for the client to read. */
  #onDrained: (() => void) | undefined;
  #responses: AsyncIterator<unknown> | undefined;

  constructor(
    connection: CallHost,
    id: number,
    sendWindow: number,
    context: ServerContext,
    head: RequestHead,
    method: GrpcMethod,
  ) {
    super(connection, id, sendWindow);
    this.#context = context;
    this.#head = head;
    this.#method = method;
    this.#request = new ServerRequest(this, context, head, method);
  }

  // ---- What the handler sees ----------------------------------------------------------------------------------

  metadata(name: string): string | undefined {
    return this.#head.metadata(name);
  }

  get timeoutMs(): number | undefined {
    return this.#head.timeoutMs;
  }

  get remote(): string {
    return this.connection.remote;
  }

  /** Made on demand: most handlers never ask. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#abortReason !== undefined) this.#abort.abort(this.#abortReason);
    }
    return this.#abort.signal;
  }

  // ---- What comes in ------------------------------------------------------------------------------------------

  /** Called once, right after the stream was opened. */
  begin(): void {
    this.#context.observer?.callStarted?.(this.#method);
    const timeoutMs = this.#head.timeoutMs;
    if (timeoutMs !== undefined) {
      this.#deadline = this.#context.deadlines.add(timeoutMs, () => this.#expire());
    }
    if (this.#context.beforeCall !== undefined) {
      try {
        this.#context.beforeCall(this.#method.path, this);
      } catch (error) {
        this.#fail(error);
        return;
      }
    }
    if (this.#method.kind !== 'bidi') return;
    const method = this.#method;
    const requests = this.#request.asStream((message) => this.#decode(message));
    this.#stream(() => method.handle(requests, this));
  }

  receiveData(chunk: Buffer, start: number, end: number, isLast: boolean): void {
    if (this.isFinished) this.credit(end - start);
    else this.#request.receive(chunk, start, end, isLast);
  }

  /** @throws GrpcError */
  #decode(message: Uint8Array): unknown {
    try {
      return this.#method.decode(message);
    } catch (error) {
      if (error instanceof GrpcError) throw error;
      throw new GrpcError(
        GrpcStatus.internal,
        `grpc: error unmarshalling request: ${messageOf(error)}`,
        error,
      );
    }
  }

  receiveHeaders(_fields: readonly HeaderField[], endStream: boolean): void {
    assert(endStream, 'trailers end the stream');
    this.connection.endRequest(this);
  }

  receiveEnd(): void {
    if (!this.isFinished) this.#request.end();
  }

  requestArrived(message: Uint8Array): void {
    if (this.#method.kind === 'unary') this.#runUnary(this.#method, message);
    else this.#runServerStream(this.#method as ServerStream, message);
  }

  requestFailed(error: unknown): void {
    this.#fail(error);
  }

  aborted(abort: StreamAbort): void {
    this.#stop(new GrpcError(GrpcStatus.cancelled, 'context canceled', `${abort.by}: ${abort.detail}`));
  }

  // ---- Running ------------------------------------------------------------------------------------------------

  #runUnary(method: Unary, message: Uint8Array): void {
    let promise: Promise<unknown>;
    try {
      promise = method.handle(this.#decode(message), this);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#isRunning = true;
    this.#heldMemory = this.connection.holdMemoryOf(message);
    promise.then(
      (response) => {
        this.#ran();
        if (this.isFinished) return;
        try {
          this.#respond(response);
        } catch (error) {
          this.#fail(error);
        }
      },
      (error) => {
        this.#ran();
        this.#fail(error);
      },
    );
  }

  #runServerStream(method: ServerStream, message: Uint8Array): void {
    let request: unknown;
    try {
      request = this.#decode(message);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#heldMemory = this.connection.holdMemoryOf(message);
    this.#stream(() => method.handle(request, this));
  }

  /** The whole answer of a unary call. */
  #respond(response: unknown): void {
    const message = this.#pack(this.#encode(response));
    if (message instanceof Promise) {
      const answer = (packed: PackedMessage): void => {
        if (!this.isFinished) this.#answer(packed);
      };
      message.then(answer).catch((error) => this.#fail(error));
    } else this.#answer(message);
  }

  #answer(message: Packed): void {
    this.#finish(GrpcStatus.ok);
    this.#openResponse();
    this.#send(message);
    this.sendTrailers();
  }

  #encode(response: unknown): Uint8Array | MessageParts {
    const parts = this.#isGzip ? undefined : this.#method.encodeParts?.(response);
    const message = parts ?? this.#method.encode(response);
    this.#context.observer?.messageSent?.(this.#method, message.length);
    return message;
  }

  #pack(message: Uint8Array | MessageParts): Packed | Promise<PackedMessage> {
    return this.#isGzip && message instanceof Uint8Array ? packMessage(message, this.connection) : message;
  }

  #send(message: Packed): boolean {
    let isSent: boolean;
    if (message instanceof Uint8Array) isSent = this.sendMessage(message, false, false);
    else if ('parts' in message) isSent = this.sendParts(message);
    else isSent = this.sendMessage(message.bytes, message.isCompressed, false);
    // Answers that the client asked for and does not take.
    if (!isSent && this.connection.isOverBudget()) this.connection.dropAnswer(this.id);
    return isSent;
  }

  /** As gRPC servers do: a client that compresses its request gets a compressed answer. */
  get #isGzip(): boolean {
    return this.#head.encoding === 'gzip';
  }

  #stream(start: () => AsyncIterable<unknown>): void {
    this.#isRunning = true;
    this.#pump(start).then(
      () => {
        this.#ran();
        this.#endStream();
      },
      (error) => {
        this.#ran();
        this.#fail(error);
      },
    );
  }

  async #pump(start: () => AsyncIterable<unknown>): Promise<void> {
    const responses = start()[Symbol.asyncIterator]();
    this.#responses = responses;
    let isDone = false;
    try {
      while (!this.isFinished) {
        const result = await responses.next();
        isDone = result.done === true;
        if (isDone || this.isFinished) return;
        const packed = this.#pack(this.#encode(result.value));
        const message = packed instanceof Promise ? await packed : packed;
        if (this.isFinished) return;
        this.#openResponse();
        if (!this.#send(message)) await this.#untilDrained();
      }
    } finally {
      // The handler gets to clean up, whoever broke off.
      if (!isDone) await responses.return?.(undefined);
    }
  }

  #untilDrained(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDrained = resolve;
    });
  }

  #openResponse(): void {
    if (this.#hasSentHeaders) return;
    this.#hasSentHeaders = true;
    this.connection.writeHeaders(this.id, this.connection.okHeaders(this.#isGzip), false);
  }

  protected trailers(): Buffer {
    const {connection} = this;
    const error = this.#error;
    if (error === undefined) return connection.okTrailers();
    return connection.errorTrailers(error.status, error.message, !this.#hasSentHeaders);
  }

  drained(): void {
    const resume = this.#onDrained;
    this.#onDrained = undefined;
    resume?.();
  }

  /** The handler has settled. */
  #ran(): void {
    this.#isRunning = false;
    if (this.#heldMemory !== undefined) this.connection.releaseMemory(this.#heldMemory);
    this.#heldMemory = undefined;
    if (!this.#isOrphan) return;
    this.#isOrphan = false;
    this.connection.orphanEnded();
  }

  // ---- Ends ---------------------------------------------------------------------------------------------------

  #endStream(): void {
    if (this.isFinished) return;
    this.#finish(GrpcStatus.ok);
    this.#openResponse();
    this.sendTrailers();
  }

  #fail(thrown: unknown): void {
    if (this.isFinished) return;
    const error =
      thrown instanceof GrpcError ? thrown : new GrpcError(GrpcStatus.unknown, messageOf(thrown), thrown);
    this.#finish(error.status);
    this.#error = error;
    this.#stop(error);
    this.sendTrailers();
  }

  #expire(): void {
    this.#deadline = undefined;
    this.#fail(new GrpcError(GrpcStatus.deadlineExceeded, 'context deadline exceeded'));
  }

  #finish(status: GrpcStatus): void {
    this.isFinished = true;
    if (this.#deadline !== undefined) {
      this.#context.deadlines.remove(this.#deadline);
      this.#deadline = undefined;
    }
    this.#context.observer?.callEnded?.(this.#method, status);
  }

  /** Tells a handler that still runs that nobody waits for it. */
  #stop(reason: GrpcError): void {
    if (!this.isFinished) this.#finish(reason.status);
    this.#abortReason = reason;
    this.#abort?.abort(reason);
    this.#request.abort(reason);
    this.drained();
    if (!this.#isRunning || this.#isOrphan) return;
    this.#isOrphan = true;
    this.connection.orphanBegan();
    // An iterator that is no generator may wait for nothing but this.
    this.#responses?.return?.(undefined)?.then(undefined, (error: unknown) => {
      const fields = {method: this.#method.path, error: messageOf(error)};
      this.#context.logger.debug('a handler failed after its call was cancelled', fields);
    });
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
