/**
 * The endpoints of a client and the connections to them. One endpoint is current; calls go there until it fails,
 * then to the next one that can be reached, as soon as it answers. Everything here happens before a request is sent, so trying again is
 * always safe.
 */

import {setTimeout as delay} from 'node:timers/promises';
import {GrpcError, GrpcStatus} from '../http2/grpc-status.ts';
import type {Channel, OpenChannel} from './channel.ts';
import {firstReady} from './first-ready.ts';

export interface EndpointPoolOptions {
  readonly endpoints: readonly string[];
  readonly dialTimeoutMs: number;
  readonly open: OpenChannel;
}

/** Pause after a round in which no endpoint could be reached, milliseconds: first and longest. */
const ROUND_PAUSE_MS_MIN = 50;
const ROUND_PAUSE_MS_MAX = 1_000;

export interface Patience {
  /** On the clock of performance.now(); undefined: one dial time-out's worth of rounds. */
  readonly deadlineMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** This one and no other. */
  readonly endpoint: string | undefined;
  /** Collects the last failure of each endpoint that was tried. */
  readonly failures: Map<string, unknown>;
}

export class EndpointPool {
  readonly #options: EndpointPoolOptions;
  readonly #channels = new Map<string, Promise<Channel>>();
  #endpoints: readonly string[];
  #current = 0;
  #isClosed = false;

  constructor(options: EndpointPoolOptions) {
    if (options.endpoints.length === 0) {
      throw new GrpcError(GrpcStatus.unavailable, 'etcdclient: no available endpoints');
    }
    this.#options = options;
    this.#endpoints = [...options.endpoints];
  }

  get endpoints(): readonly string[] {
    return this.#endpoints;
  }

  /** Connections to endpoints that are no longer listed close when their calls are done with them. */
  setEndpoints(endpoints: readonly string[]): void {
    const current = this.#endpoints[this.#current];
    this.#endpoints = [...endpoints];
    this.#current = Math.max(0, this.#endpoints.indexOf(current));
  }

  /** The endpoint did not answer as it should: later calls go to the next one. */
  turnFrom(endpoint: string): void {
    if (this.#endpoints[this.#current] === endpoint)
      this.#current = (this.#current + 1) % this.#endpoints.length;
  }

  /** A connection to the current endpoint, or to the next one that can be reached. */
  async connect(patience: Patience): Promise<Channel> {
    const {deadlineMs, signal} = patience;
    const giveUpMs = deadlineMs ?? performance.now() + this.#options.dialTimeoutMs;
    let pauseMs = ROUND_PAUSE_MS_MIN;
    for (;;) {
      const found = await this.#tryRound(patience);
      if (!(found instanceof Error)) return found;
      signal?.throwIfAborted();
      const leftMs = giveUpMs - performance.now();
      if (leftMs <= pauseMs) {
        if (deadlineMs === undefined) throw unreachable(found);
        await delay(Math.max(leftMs, 0), undefined, {signal});
        const {NoAnswerError} = await import('./no-answer.ts');
        throw new NoAnswerError(patience.failures);
      }
      await delay(pauseMs, undefined, {signal});
      pauseMs = Math.min(pauseMs * 2, ROUND_PAUSE_MS_MAX);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const channel of this.#channels.values()) {
      channel.then(
        (open) => open.close(),
        () => undefined,
      );
    }
    this.#channels.clear();
  }

  /** @returns the last failure when no endpoint could be reached */
  async #tryRound(patience: Patience): Promise<Channel | Error> {
    const {endpoint, failures, signal} = patience;
    const current = this.#current;
    const targets =
      endpoint === undefined
        ? [...this.#endpoints.slice(current), ...this.#endpoints.slice(0, current)]
        : [endpoint];
    let failure: Error | undefined;
    let hopeless: GrpcError | undefined;
    const found = await firstReady(targets, async (target) => {
      try {
        if (this.#isClosed) throw new GrpcError(GrpcStatus.cancelled, 'context canceled');
        signal?.throwIfAborted();
        return await this.#connected(target, patience);
      } catch (error) {
        // What is no endpoint will not become one.
        if (error instanceof GrpcError && error.status === GrpcStatus.invalidArgument) hopeless = error;
        failure = error instanceof Error ? error : new Error(String(error), {cause: error});
        // That the time is over says less than why an earlier attempt failed.
        if (!failures.has(target) || !isDeadline(error)) failures.set(target, error);
        throw error;
      }
    });
    if (this.#isClosed) throw new GrpcError(GrpcStatus.cancelled, 'context canceled');
    if (found !== undefined) {
      if (endpoint === undefined) this.#current = Math.max(0, this.#endpoints.indexOf(found.target));
      return found.result;
    }
    if (hopeless !== undefined) throw hopeless;
    return failure ?? new Error('no endpoint');
  }

  async #connected(endpoint: string, {deadlineMs, signal}: Patience): Promise<Channel> {
    let opening = this.#channels.get(endpoint);
    if (opening === undefined) {
      opening = this.#options.open(endpoint);
      this.#channels.set(endpoint, opening);
    }
    const channel = await opening;
    const timeoutMs = deadlineMs === undefined ? undefined : Math.max(1, deadlineMs - performance.now());
    await channel.connect({timeoutMs, signal});
    return channel;
  }
}

function isDeadline(error: unknown): boolean {
  return error instanceof GrpcError && error.status === GrpcStatus.deadlineExceeded;
}

function unreachable(cause: Error): GrpcError {
  if (cause instanceof GrpcError && cause.status === GrpcStatus.unavailable) return cause;
  return new GrpcError(GrpcStatus.unavailable, `connection error: ${cause.message}`, cause);
}
