/**
 * How a call of the client runs: which connection, which metadata, until when, and whether it may run again. The
 * rules are those of etcd's Go client: reads are repeated while members are unavailable, writes never once they may
 * have been sent.
 */

import {setTimeout as delay} from 'node:timers/promises';
import {GrpcError, GrpcStatus} from '../http2/grpc-status.ts';
import type {AuthenticateRequestInput, AuthenticateResponse} from '../proto/generated/auth.ts';
import type {CallOptions} from './call-options.ts';
import type {Channel, ChannelCallOptions, ChannelStream} from './channel.ts';
import type {EndpointPool} from './endpoint-pool.ts';

export interface CallsOptions {
  readonly commandTimeoutMs?: number | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
}

/** A read is tried this often, with this pause give or take a tenth (etcd's client). */
const READ_ATTEMPTS_MAX = 100;
const READ_PAUSE_MS = 25;
/** What the server takes this client's level of the API for. */
const API_VERSION = '3.7';

/** Texts after which a fresh token may help. */
const TOKEN_REFUSED = new Set([
  'etcdserver: invalid auth token',
  'etcdserver: revision of auth store is old',
  'etcdserver: user name is empty',
]);

/** A call on its way: where its time ends, and what it was given. */
interface Attempt {
  readonly options: CallOptions;
  readonly deadlineMs: number | undefined;
  /** The last failure of each endpoint that was tried. */
  readonly failures: Map<string, unknown>;
}

export class Calls {
  readonly #pool: EndpointPool;
  readonly #options: CallsOptions;
  #token: Promise<string | undefined> | undefined;
  #isClosed = false;

  constructor(pool: EndpointPool, options: CallsOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  /** A request that changes nothing, or may be made twice: repeated while no member is available. */
  read(path: string, request: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#repeat(options, READ_ATTEMPTS_MAX, (channel, call) => channel.unary(path, request, call));
  }

  /** A request that must not be made twice: only connecting is tried again. */
  write(path: string, request: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#repeat(options, 1, (channel, call) => channel.unary(path, request, call));
  }

  /** One request and one answer on a two-way stream. */
  exchangeOnce(path: string, request: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#repeat(options, READ_ATTEMPTS_MAX, async (channel, call) => {
      const stream = channel.stream(path, call);
      try {
        await stream.send(request);
        for await (const response of stream.responses) return response;
        throw new GrpcError(GrpcStatus.unavailable, 'the stream ended without an answer');
      } finally {
        stream.cancel();
      }
    });
  }

  /** One request, many answers. Not repeated once the first answer is there. */
  async *serverStream(
    path: string,
    request: Uint8Array,
    options: CallOptions = {},
  ): AsyncGenerator<Uint8Array, void> {
    const {stream, responses, first} = await this.#repeat(
      options,
      READ_ATTEMPTS_MAX,
      async (channel, call) => {
        const opened = channel.stream(path, call);
        await opened.send(request);
        opened.end();
        const iterator = opened.responses[Symbol.asyncIterator]();
        return {stream: opened, responses: iterator, first: await iterator.next()};
      },
    );
    let done = false;
    try {
      let next = first;
      for (; next.done !== true; next = await responses.next()) yield next.value;
      done = true;
    } finally {
      if (!done) stream.cancel();
    }
  }

  /** A two-way stream on a live connection; who opens it deals with its breaking. */
  open(path: string, options: CallOptions = {}): Promise<ChannelStream> {
    return this.#repeat({timeoutMs: 0, ...options}, 1, async (channel, call) => {
      const stream = channel.stream(path, call);
      return {
        send: (message) => stream.send(message),
        end: () => stream.end(),
        cancel: () => stream.cancel(),
        responses: this.#responsesOf(stream, channel),
      };
    });
  }

  /** A member that breaks a stream is not the first to be asked for the next one. */
  async *#responsesOf(stream: ChannelStream, {endpoint}: Channel): AsyncGenerator<Uint8Array, void> {
    try {
      yield* stream.responses;
    } catch (error) {
      if (error instanceof GrpcError && error.status === GrpcStatus.unavailable)
        this.#pool.turnFrom(endpoint);
      throw error;
    }
  }

  async authenticate(
    request: AuthenticateRequestInput,
    options: CallOptions = {},
  ): Promise<AuthenticateResponse> {
    const {AuthPath, encodeAuthenticateRequest, decodeAuthenticateResponse} = await import(
      '../proto/generated/auth.ts'
    );
    const attempt = this.#begin(options);
    const channel = await this.#connect(attempt);
    const metadata = {'client-api-version': API_VERSION};
    const call = {metadata, timeoutMs: leftMs(attempt), signal: options.signal};
    return decodeAuthenticateResponse(
      await channel.unary(AuthPath.Authenticate, encodeAuthenticateRequest(request), call),
    );
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  close(): void {
    this.#isClosed = true;
  }

  async #repeat<Result>(
    options: CallOptions,
    attemptsMax: number,
    run: (channel: Channel, call: ChannelCallOptions) => Promise<Result>,
  ): Promise<Result> {
    const attempt = this.#begin(options);
    let hasFreshToken = false;
    for (let count = 1; ; count++) {
      const channel = await this.#connect(attempt);
      try {
        return await run(channel, await this.#callOptions(attempt));
      } catch (error) {
        if (!(error instanceof GrpcError)) throw error;
        if (!hasFreshToken && this.#options.user !== undefined && TOKEN_REFUSED.has(error.message)) {
          hasFreshToken = true;
          this.#token = undefined;
          continue;
        }
        attempt.failures.set(channel.endpoint, error);
        if (error.status === GrpcStatus.deadlineExceeded) throw await noAnswer(attempt);
        if (error.status !== GrpcStatus.unavailable || this.#isClosed) throw error;
        this.#pool.turnFrom(channel.endpoint);
        if (count >= attemptsMax) throw error;
      }
      await this.#pause(attempt);
    }
  }

  #begin(options: CallOptions): Attempt {
    const timeoutMs = options.timeoutMs ?? this.#options.commandTimeoutMs ?? 0;
    return {
      options: {...options, timeoutMs: timeoutMs === 0 ? undefined : timeoutMs},
      deadlineMs: timeoutMs === 0 ? undefined : performance.now() + timeoutMs,
      failures: new Map(),
    };
  }

  #patience({options, deadlineMs, failures}: Attempt) {
    return {deadlineMs, signal: options.signal, endpoint: options.endpoint, failures};
  }

  async #connect(attempt: Attempt): Promise<Channel> {
    try {
      return await this.#pool.connect(this.#patience(attempt));
    } catch (error) {
      throw abortedAs(error, attempt.options.signal);
    }
  }

  async #callOptions(attempt: Attempt): Promise<ChannelCallOptions> {
    const {options} = attempt;
    const metadata: Record<string, string> = {'client-api-version': API_VERSION};
    if (options.requireLeader === true) metadata.hasleader = 'true';
    const token = await this.#currentToken(options);
    if (token !== undefined) metadata.token = token;
    return {metadata, timeoutMs: leftMs(attempt), signal: options.signal};
  }

  #currentToken({timeoutMs, signal}: CallOptions): Promise<string | undefined> | string | undefined {
    const {user, password = '', token} = this.#options;
    if (token !== undefined) return token;
    if (user === undefined) return undefined;
    this.#token ??= this.#login(user, password, {timeoutMs, signal}).catch((error: unknown) => {
      this.#token = undefined;
      throw error;
    });
    return this.#token;
  }

  /** @returns undefined where the server has auth off */
  async #login(name: string, password: string, options: CallOptions): Promise<string | undefined> {
    try {
      return (await this.authenticate({name, password}, options)).token;
    } catch (error) {
      if (error instanceof GrpcError && error.message === 'etcdserver: authentication is not enabled') {
        return undefined;
      }
      throw error;
    }
  }

  async #pause(attempt: Attempt): Promise<void> {
    const {options, deadlineMs} = attempt;
    const pauseMs = READ_PAUSE_MS * (0.9 + Math.random() * 0.2);
    if (deadlineMs !== undefined && performance.now() + pauseMs >= deadlineMs) {
      throw await noAnswer(attempt);
    }
    try {
      await delay(pauseMs, undefined, {signal: options.signal});
    } catch (error) {
      throw abortedAs(error, options.signal);
    }
  }
}

function leftMs({deadlineMs}: Attempt): number | undefined {
  return deadlineMs === undefined ? undefined : Math.max(1, deadlineMs - performance.now());
}

/** Loaded when it is needed: most calls get their answer. */
async function noAnswer({failures}: Attempt): Promise<GrpcError> {
  const {NoAnswerError} = await import('./no-answer.ts');
  return new NoAnswerError(failures);
}

/** An abort reaches the caller as the status that the server would have sent. */
function abortedAs(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted !== true || error instanceof GrpcError) return error;
  return new GrpcError(GrpcStatus.cancelled, 'context canceled', error);
}
