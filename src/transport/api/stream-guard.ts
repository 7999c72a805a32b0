/**
 * What ends streams from our side: the server stops; or their caller asked for a leader (`hasleader: true` in the
 * metadata: it would rather fail than talk to a member that is cut off) and there has been none for three election
 * timeouts. A new call that asks for a leader is refused while there is none.
 */

import type {Server} from '../../engine/server/server.ts';
import type {Call} from '../http2/grpc-method.ts';
import {GrpcError} from '../http2/grpc-status.ts';
import {statusOf} from './error-status.ts';
import {LEADERLESS_TIMEOUTS_MAX} from './limits.ts';

type End = (error: GrpcError) => void;

export class StreamGuard {
  readonly #server: Pick<Server, 'leader'>;
  readonly #electionTimeoutMs: number;
  readonly #streams = new Set<End>();
  /** Those of callers that asked for a leader. */
  readonly #led = new Set<End>();
  #timer: NodeJS.Timeout | undefined;
  /** Looks in a row that found no leader. */
  #leaderless = 0;
  #isStopped = false;

  constructor(server: Pick<Server, 'leader'>, {electionTimeoutMs}: {electionTimeoutMs: number}) {
    this.#server = server;
    this.#electionTimeoutMs = electionTimeoutMs;
  }

  /** @throws GrpcError `no leader` */
  check(call: Call): void {
    if (asksForLeader(call) && this.#server.leader() === 0n) throw failure('noLeader');
  }

  /** Calls `end` once, when the stream has to go. @returns what calls that off */
  add(call: Call, end: End): () => void {
    if (this.#isStopped) end(failure('stopped'));
    else this.#streams.add(end);
    if (asksForLeader(call) && !this.#isStopped) {
      this.#led.add(end);
      // Looks only while somebody cares.
      this.#timer ??= setInterval(() => this.#look(), this.#electionTimeoutMs).unref();
    }
    return () => this.#forget(end);
  }

  /** Ends all streams, and those that come later at once. */
  stop(): void {
    this.#isStopped = true;
    this.#endAll(this.#streams, 'stopped');
  }

  #look(): void {
    this.#leaderless = this.#server.leader() === 0n ? this.#leaderless + 1 : 0;
    if (this.#leaderless >= LEADERLESS_TIMEOUTS_MAX) this.#endAll(this.#led, 'noLeader');
  }

  #endAll(streams: Iterable<End>, code: 'noLeader' | 'stopped'): void {
    for (const end of [...streams]) {
      this.#forget(end);
      end(failure(code));
    }
  }

  #forget(end: End): void {
    this.#streams.delete(end);
    this.#led.delete(end);
    if (this.#led.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#leaderless = 0;
  }
}

function asksForLeader(call: Call): boolean {
  return call.metadata('hasleader') === 'true';
}

function failure(code: 'noLeader' | 'stopped'): GrpcError {
  const {status, message} = statusOf(code);
  return new GrpcError(status, message);
}
