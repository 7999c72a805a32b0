/**
 * A gRPC client for one target: dials when the first call comes, keeps the one connection, dials again when it is
 * gone. A call that a broken connection has surely not carried to the server is sent again without the caller's knowing.
 */

import {connect as connectTcp, isIP, type Socket} from 'node:net';
import type {ConnectionOptions} from 'node:tls';
import {UnprocessedCallError} from './client-call.ts';
import {
  type ClientCallOptions,
  ClientConnection,
  type ClientStream,
  closingError,
} from './client-connection.ts';
import {GrpcError, GrpcStatus} from './grpc-status.ts';
import {parseTarget, type Target} from './target.ts';

export interface GrpcChannelOptions {
  /** See target.ts. */
  readonly target: string;
  /** Given: the target is dialled with TLS, whatever its scheme says. */
  readonly tls?: ConnectionOptions | undefined;
  /** Name resolution, connecting, the TLS handshake and the server's first word together, milliseconds. */
  readonly dialTimeoutMs: number;
  readonly keepAliveTimeMs?: number | undefined;
  readonly keepAliveTimeoutMs?: number | undefined;
  readonly maxReceiveBytes?: number | undefined;
  readonly userAgent?: string | undefined;
}

/** How often a call is sent that never reached the server. */
const ATTEMPTS_MAX = 5;

export class GrpcChannel {
  readonly #options: GrpcChannelOptions;
  readonly #target: Target;
  #connection: ClientConnection | undefined;
  #dialling: Promise<ClientConnection> | undefined;
  /** Ends the attempt under way. */
  #dialAbort: AbortController | undefined;
  #isClosed = false;

  constructor(options: GrpcChannelOptions) {
    this.#options = options;
    const target = parseTarget(options.target);
    this.#target = options.tls === undefined ? target : {...target, scheme: 'https'};
  }

  /** Whether a connection stands that takes calls. */
  get connected(): boolean {
    return this.#connection?.isOpen === true;
  }

  /** Dials now rather than with the first call. @throws GrpcError; nothing was sent */
  async connect(options: Pick<ClientCallOptions, 'timeoutMs' | 'signal'>): Promise<void> {
    if (this.#usable === undefined) await this.#connect(options.timeoutMs, options.signal);
  }

  /** @throws GrpcError */
  async unary(path: string, request: Uint8Array, options: ClientCallOptions): Promise<Uint8Array> {
    const until = options.timeoutMs === undefined ? undefined : performance.now() + options.timeoutMs;
    for (let attempt = 1; ; attempt++) {
      const timeoutMs = until === undefined ? undefined : until - performance.now();
      const connection = this.#usable ?? (await this.#connect(timeoutMs, options.signal));
      try {
        const left = until === undefined ? undefined : until - performance.now();
        return await connection.unary(path, request, {...options, timeoutMs: left});
      } catch (error) {
        if (!(error instanceof UnprocessedCallError) || attempt === ATTEMPTS_MAX || this.#isClosed)
          throw error;
      }
    }
  }

  /** Never sent again: what the caller has sent is not kept. */
  stream(path: string, options: ClientCallOptions): ClientStream {
    const usable = this.#usable;
    if (usable !== undefined) return usable.stream(path, options);
    const startedMs = performance.now();
    const opening = this.#connect(options.timeoutMs, options.signal).then((connection) => {
      const {timeoutMs} = options;
      const left = timeoutMs === undefined ? undefined : timeoutMs - (performance.now() - startedMs);
      return connection.stream(path, {...options, timeoutMs: left});
    });
    opening.catch(() => undefined);
    return deferredStream(opening);
  }

  close(): void {
    this.#isClosed = true;
    this.#dialAbort?.abort(closingError());
    this.#connection?.close();
    this.#connection = undefined;
  }

  get #usable(): ClientConnection | undefined {
    return this.#connection?.isOpen === true ? this.#connection : undefined;
  }

  /** Waits for a connection no longer than the call may. */
  async #connect(timeoutMs: number | undefined, signal: AbortSignal | undefined): Promise<ClientConnection> {
    if (this.#isClosed) throw closingError();
    this.#dialling ??= this.#dial().finally(() => {
      this.#dialling = undefined;
    });
    if (timeoutMs === undefined && signal === undefined) return this.#dialling;
    let timer: NodeJS.Timeout | undefined;
    let onAbort: (() => void) | undefined;
    const givenUp = new Promise<never>((_, reject) => {
      if (timeoutMs !== undefined) {
        const error = new GrpcError(GrpcStatus.deadlineExceeded, 'context deadline exceeded');
        timer = setTimeout(() => reject(error), Math.max(0, timeoutMs));
      }
      onAbort = () => reject(new GrpcError(GrpcStatus.cancelled, 'context canceled', signal?.reason));
      if (signal?.aborted === true) onAbort();
      signal?.addEventListener('abort', onAbort);
    });
    try {
      return await Promise.race([this.#dialling, givenUp]);
    } finally {
      clearTimeout(timer);
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
    }
  }

  async #dial(): Promise<ClientConnection> {
    const {dialTimeoutMs, tls, ...options} = this.#options;
    const abort = new AbortController();
    const {signal} = abort;
    this.#dialAbort = abort;
    const timer = setTimeout(() => abort.abort(new Error(`no answer in ${dialTimeoutMs} ms`)), dialTimeoutMs);
    try {
      const socket = await dialSocket(this.#target, tls, signal);
      const {authority, scheme} = this.#target;
      const connection = new ClientConnection(socket, {...options, authority, scheme});
      signal.addEventListener('abort', () => connection.lost('given up'));
      await connection.greeted();
      signal.throwIfAborted();
      this.#connection = connection;
      return connection;
    } catch (error) {
      const cause: unknown = signal.aborted ? signal.reason : error;
      if (cause instanceof GrpcError) throw cause;
      const {DialError} = await import('./dial-error.ts');
      throw new DialError(this.#target.path ?? this.#target.authority, cause);
    } finally {
      clearTimeout(timer);
      this.#dialAbort = undefined;
    }
  }
}

async function dialSocket(
  target: Target,
  tls: ConnectionOptions | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  const where = target.path === undefined ? {host: target.host, port: target.port!} : {path: target.path};
  const isTls = target.scheme === 'https';
  // The server's certificate is checked against the name that was dialled, unless the options name another.
  const servername = target.host !== undefined && isIP(target.host) === 0 ? {servername: target.host} : {};
  // TLS is loaded when it is needed: most commands do not.
  const socket = isTls
    ? (await import('node:tls')).connect({ALPNProtocols: ['h2'], ...servername, ...tls, ...where})
    : connectTcp(where);
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort);
    socket.once('error', fail);
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      socket.off('error', fail);
      signal.removeEventListener('abort', onAbort);
      resolve(socket);
    });
  });
}

/** A stream whose connection is still being made. */
function deferredStream(opening: Promise<ClientStream>): ClientStream {
  let isCancelled = false;
  let iterator: AsyncIterator<Uint8Array> | undefined;
  return {
    send: async (message) => (await opening).send(message),
    end: () => void opening.then((stream) => stream.end()).catch(() => undefined),
    cancel: () => {
      isCancelled = true;
      opening.then((stream) => stream.cancel()).catch(() => undefined);
    },
    responses: {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          if (isCancelled) throw new GrpcError(GrpcStatus.cancelled, 'context canceled');
          iterator ??= (await opening).responses[Symbol.asyncIterator]();
          return iterator.next();
        },
        return: async () => {
          const stream = await opening.catch(() => undefined);
          stream?.cancel();
          return {value: undefined, done: true};
        },
      }),
    },
  };
}
