/**
 * An HTTP/2 request that is no gRPC call: handed to the HTTP/1.1 server as if it had come on a connection of its own,
 * so that curl and browsers, who speak HTTP/2 when TLS lets them choose, reach the same handlers. Made for seldom use.
 */

import {
  type ClientRequest,
  type Server as HttpServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type {Socket} from 'node:net';
import {type Duplex, duplexPair} from 'node:stream';
import {AssertionError} from '../../engine/errors.ts';
import {ErrorCode} from './errors.ts';
import type {HeaderField} from './hpack/header-field.ts';
import {ANSWERED_EARLY_MS, PLAIN_CALL_COST_BYTES} from './limits.ts';
import type {RequestHead} from './request-head.ts';
import {Stream, type StreamHost} from './stream.ts';

export interface PlainCallHost extends StreamHost {
  readonly socket: Socket;
  endRequest(stream: Stream): void;
  /** Resets a stream whose request is malformed. */
  malformed(streamId: number, detail: string): void;
  /** The header block of an answer; names in lower case. */
  encodeAnswer(status: number, fields: ReadonlyArray<readonly [string, string]>): Buffer;
  /** The HTTP/1.1 server works on for a stream that is gone; and has answered. */
  orphanBegan(): void;
  orphanEnded(): void;
}

/** Fields of an HTTP/1.1 connection; HTTP/2 has none of them. */
const HOP_FIELDS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'te',
  // Trailers are not handed on.
  'trailer',
]);

/** What node:http says to a path, a method or a value with forbidden characters. */
const REFUSALS = new Set(['ERR_UNESCAPED_CHARACTERS', 'ERR_INVALID_HTTP_TOKEN', 'ERR_INVALID_CHAR']);

/** Calls by the connections that the HTTP/1.1 server believes in. */
const calls = new WeakMap<Duplex, PlainCall>();

export class PlainCall extends Stream {
  declare readonly connection: PlainCallHost;
  readonly #request: ClientRequest;
  #response: IncomingMessage | undefined;
  #lingering: NodeJS.Timeout | undefined;
  readonly #contentLength: number | undefined;
  /** Bytes of content so far. */
  #received = 0;
  /** A handler of the HTTP/1.1 server has begun and not answered. */
  #isRunning = false;
  #isOrphan = false;
  #costBytes = 0;

  private constructor(connection: PlainCallHost, id: number, sendWindow: number, plain: PlainRequest) {
    super(connection, id, sendWindow);
    this.#account();
    this.#contentLength = plain.contentLength;
    this.#request = plain.request;
    this.#request.on('response', (response) => this.#answer(response));
    this.#request.on('error', () => this.#fail());
  }

  /** @returns what is wrong with a request that HTTP/1.1 has no words for: a method with a blank, say */
  static open(
    connection: PlainCallHost,
    id: number,
    sendWindow: number,
    options: {head: RequestHead; http: HttpServer; hasBody: boolean},
  ): PlainCall | string {
    const [near, far] = duplexPair();
    const plain = plainRequest(near, options.head, options.hasBody);
    if (typeof plain === 'string') return plain;
    // Handlers look at who asks.
    const {remoteAddress, remotePort, remoteFamily, localAddress, localPort} = connection.socket;
    Object.assign(far, {remoteAddress, remotePort, remoteFamily, localAddress, localPort});
    Object.assign(far, {encrypted: 'encrypted' in connection.socket});
    const call = new PlainCall(connection, id, sendWindow, plain);
    near.on('close', () => far.destroy());
    far.on('close', () => {
      // It was not we who broke off: the handler did.
      if (!near.destroyed) call.#handlerEnded();
      near.destroy();
    });
    calls.set(far, call);
    const {http} = options;
    if (!http.listeners('request').includes(noteHandler)) http.prependListener('request', noteHandler);
    http.emit('connection', far);
    return call;
  }

  handlerBegan(response: ServerResponse): void {
    this.#isRunning = true;
    this.#account();
    response.on('prefinish', () => this.#handlerEnded());
  }

  #handlerEnded(): void {
    this.#isRunning = false;
    this.#account();
  }

  /** A handler that works for nobody costs what the call did, and is bounded as those of gRPC calls are. */
  #account(): void {
    const isOrphan = this.isClosed && this.#isRunning;
    if (isOrphan && !this.#isOrphan) this.connection.orphanBegan();
    if (!isOrphan && this.#isOrphan) this.connection.orphanEnded();
    this.#isOrphan = isOrphan;
    const costBytes = this.isClosed && !isOrphan ? 0 : PLAIN_CALL_COST_BYTES;
    this.connection.hold(costBytes - this.#costBytes);
    this.#costBytes = costBytes;
  }

  override close(): void {
    super.close();
    this.#account();
  }

  receiveData(chunk: Buffer, start: number, end: number): void {
    // The window opens again when the handler has taken the bytes.
    // Behind the answer: the window stays shut, which bounds what may still come.
    if (this.isLocalEnded) return;
    const bytes = end - start;
    this.#received += bytes;
    this.hold(bytes);
    this.#request.write(chunk.subarray(start, end), () => {
      if (this.isClosed) return;
      this.release(bytes);
      this.credit(bytes);
    });
  }

  receiveHeaders(): void {
    this.connection.endRequest(this);
  }

  receiveEnd(): void {
    if (!this.isLocalEnded && this.#contentLength !== undefined && this.#contentLength !== this.#received) {
      this.connection.malformed(this.id, 'content-length is not the length of the content');
      return;
    }
    this.#request.end();
  }

  aborted(): void {
    clearTimeout(this.#lingering);
    this.#request.destroy();
  }

  /**
   * The answer is complete and the request is not. curl drops an answer whose stream is reset before it has stopped
   * sending, so it gets time to read it.
   */
  linger(): void {
    const end = (): void => {
      if (!this.isClosed) this.connection.resetStream(this.id, ErrorCode.noError, 'answered early');
    };
    this.#lingering = setTimeout(end, ANSWERED_EARLY_MS);
    // No reason to keep a process that stops.
    this.#lingering.unref();
  }

  protected trailers(): Buffer {
    throw new AssertionError('this end of a stream has no trailers');
  }

  drained(): void {
    this.#response?.resume();
  }

  #answer(response: IncomingMessage): void {
    if (this.isClosed) return;
    this.#response = response;
    const fields: [string, string][] = [];
    for (let i = 0; i < response.rawHeaders.length; i += 2) {
      const name = response.rawHeaders[i].toLowerCase();
      if (!HOP_FIELDS.has(name)) fields.push([name, response.rawHeaders[i + 1]]);
    }
    this.connection.writeHeaders(
      this.id,
      this.connection.encodeAnswer(response.statusCode ?? 500, fields),
      false,
    );
    response.on('data', (chunk: Buffer) => {
      if (!this.isClosed && !this.sendBytes(chunk)) response.pause();
    });
    response.on('end', () => this.sendEnd());
    response.on('error', () => this.#fail());
  }

  #fail(): void {
    if (this.isClosed || this.isLocalEnded) return;
    this.connection.resetStream(this.id, ErrorCode.internalError, 'the HTTP/1.1 side failed');
  }
}

/** Told of each request before its handler is. */
function noteHandler(request: IncomingMessage, response: ServerResponse): void {
  calls.get(request.socket)?.handlerBegan(response);
}

interface PlainRequest {
  readonly request: ClientRequest;
  readonly contentLength: number | undefined;
}

/** @returns what node:http refuses to write, since no HTTP/1.1 server could read it */
function plainRequest(near: Duplex, head: RequestHead, hasBody: boolean): PlainRequest | string {
  const {method, path, contentLength} = head;
  const headers = requestHeaders(head);
  if (hasBody && contentLength === undefined) headers['transfer-encoding'] = 'chunked';
  const createConnection = () => near as unknown as Socket;
  try {
    return {request: httpRequest({createConnection, method, path, headers}), contentLength};
  } catch (error) {
    if (REFUSALS.has((error as NodeJS.ErrnoException).code ?? '')) return (error as Error).message;
    throw error;
  }
}

function requestHeaders(head: RequestHead): Record<string, string | string[]> {
  // A field may have the name of anything that objects have.
  const headers: Record<string, string | string[]> = Object.create(null);
  const add = ({name, value}: HeaderField): void => {
    const known = headers[name];
    if (known === undefined) headers[name] = value;
    else if (name === 'cookie') headers[name] = `${known as string}; ${value}`;
    else headers[name] = [...(typeof known === 'string' ? [known] : known), value];
  };
  for (const field of head.fields) {
    if (field.name === ':authority') headers.host = field.value;
    else if (field.name === 'host') headers.host ??= field.value;
    else if (!field.name.startsWith(':') && !HOP_FIELDS.has(field.name)) add(field);
  }
  headers.connection = 'close';
  return headers;
}
