/**
 * One watch as a sequence of responses that outlives connections: when the stream breaks, it is opened again behind
 * the last event that was delivered, so that nothing is lost or seen twice. A response of `canceled` is the last.
 */

import {setTimeout as delay} from 'node:timers/promises';
import {GrpcError, GrpcStatus} from '../http2/grpc-status.ts';
import type {WatchCreateRequestInput, WatchResponse} from '../proto/generated/watch.ts';
import type {Calls} from './calls.ts';
import type {ChannelStream} from './channel.ts';

export interface WatchOptions {
  readonly signal?: AbortSignal | undefined;
  readonly endpoint?: string | undefined;
  readonly requireLeader?: boolean | undefined;
  /** Also yield the server's `created` answer, once. */
  readonly createdNotify?: boolean | undefined;
  /** Nobody could be reached; the watch goes on trying, and tells again only after it has run. */
  readonly onUnreachable?: ((error: GrpcError) => void) | undefined;
}

/** Pause before a broken stream is opened again, milliseconds: first and longest. */
const RESUME_PAUSE_MS_MIN = 25;
const RESUME_PAUSE_MS_MAX = 1_000;

export class Watcher implements AsyncIterable<WatchResponse> {
  readonly #calls: Calls;
  readonly #request: WatchCreateRequestInput;
  readonly #options: WatchOptions;
  readonly #end = new AbortController();
  #stream: ChannelStream | undefined;
  /** First revision that was not delivered yet; 0 until the first `created` says where the watch began. */
  #nextRevision: number;
  #isAnnounced = false;
  #isUnreachable = false;

  constructor(calls: Calls, request: WatchCreateRequestInput, options: WatchOptions) {
    this.#calls = calls;
    this.#request = request;
    this.#options = options;
    this.#nextRevision = request.startRevision ?? 0;
  }

  /** Asks for a response without events that says how far the watch has come. */
  async requestProgress(): Promise<void> {
    const {encodeWatchRequest} = await codecs();
    await this.#stream?.send(encodeWatchRequest({progressRequest: {}}));
  }

  /** Ends the iteration. */
  close(): void {
    this.#end.abort();
    this.#stream?.cancel();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchResponse, void> {
    const {signal} = this.#options;
    const abort = () => this.close();
    if (signal?.aborted === true) return;
    signal?.addEventListener('abort', abort, {once: true});
    let pauseMs = RESUME_PAUSE_MS_MIN;
    try {
      while (!this.#isEnded) {
        try {
          for await (const response of this.#run()) {
            pauseMs = RESUME_PAUSE_MS_MIN;
            yield response;
            if (response.canceled) return;
          }
        } catch (error) {
          if (this.#isEnded) return;
          if (!isPassing(error)) throw error;
        }
        if (!this.#isEnded)
          await delay(pauseMs, undefined, {signal: this.#end.signal}).catch(() => undefined);
        pauseMs = Math.min(pauseMs * 2, RESUME_PAUSE_MS_MAX);
      }
    } finally {
      signal?.removeEventListener('abort', abort);
      this.close();
    }
  }

  get #isEnded(): boolean {
    return this.#end.signal.aborted || this.#calls.isClosed;
  }

  /** One stream, from the next undelivered revision. */
  async *#run(): AsyncGenerator<WatchResponse, void> {
    const {WatchPath, encodeWatchRequest, decodeWatchResponse} = await codecs();
    const {endpoint, requireLeader} = this.#options;
    const opening = this.#calls.open(WatchPath.Watch, {endpoint, requireLeader, signal: this.#end.signal});
    const stream = await opening.catch((error: unknown) => {
      this.#tellUnreachable(error);
      throw error;
    });
    this.#stream = stream;
    try {
      const createRequest = {...this.#request, startRevision: this.#nextRevision};
      await stream.send(encodeWatchRequest({createRequest}));
      const fragments: WatchResponse[] = [];
      for await (const bytes of stream.responses) {
        const response = decodeWatchResponse(bytes);
        fragments.push(response);
        if (response.fragment) continue;
        const whole = fragments.length === 1 ? response : join(fragments);
        fragments.length = 0;
        if (this.#take(whole)) yield whole;
      }
    } finally {
      this.#stream = undefined;
      stream.cancel();
    }
  }

  #tellUnreachable(error: unknown): void {
    if (this.#isUnreachable || this.#isEnded || !isPassing(error)) return;
    this.#isUnreachable = true;
    this.#options.onUnreachable?.(error);
  }

  /** Notes how far the watch has come. @returns whether the caller sees this response */
  #take(response: WatchResponse): boolean {
    const revision = response.header?.revision ?? 0;
    if (response.created) {
      this.#isUnreachable = false;
      // A watch from now on: a later stream must begin where this one did.
      if (!response.canceled && this.#nextRevision === 0) this.#nextRevision = revision + 1;
      const isFirst = !this.#isAnnounced;
      this.#isAnnounced = true;
      return response.canceled || (isFirst && this.#options.createdNotify === true);
    }
    const last = response.events.at(-1)?.kv?.modRevision;
    if (last !== undefined) this.#nextRevision = last + 1;
    // Progress: everything up to the header's revision has been delivered.
    else if (!response.canceled && revision >= this.#nextRevision) this.#nextRevision = revision + 1;
    return true;
  }
}

function join(fragments: readonly WatchResponse[]): WatchResponse {
  return {...fragments[fragments.length - 1], events: fragments.flatMap(({events}) => events)};
}

/** What another member, or the same one a little later, may not suffer from. */
function isPassing(error: unknown): error is GrpcError {
  return (
    error instanceof GrpcError &&
    (error.status === GrpcStatus.unavailable || error.status === GrpcStatus.internal)
  );
}

const codecs = () => import('../proto/generated/watch.ts');
