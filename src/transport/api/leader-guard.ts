/**
 * `hasleader: true` in a call's metadata: the caller would rather fail than talk to a member that is cut off. A call
 * without a leader is refused; a stream ends when there has been none for three election timeouts.
 */

import type {Server} from '../../engine/server/server.ts';
import type {Call} from '../http2/grpc-method.ts';
import {GrpcError} from '../http2/grpc-status.ts';
import {statusOf} from './error-status.ts';
import {LEADERLESS_TIMEOUTS_MAX} from './limits.ts';

export class LeaderGuard {
  readonly #server: Pick<Server, 'leader'>;
  readonly #electionTimeoutMs: number;
  readonly #streams = new Set<(error: GrpcError) => void>();
  #timer: NodeJS.Timeout | undefined;
  /** Looks in a row that found no leader. */
  #leaderless = 0;

  constructor(server: Pick<Server, 'leader'>, {electionTimeoutMs}: {electionTimeoutMs: number}) {
    this.#server = server;
    this.#electionTimeoutMs = electionTimeoutMs;
  }

  /** @throws GrpcError `no leader` */
  check(call: Call): void {
    if (asksForLeader(call) && this.#server.leader() === 0n) throw noLeader();
  }

  /** Calls `lost` when the leader is gone for long, if the call asked for one. @returns what calls that off */
  add(call: Call, lost: (error: GrpcError) => void): () => void {
    if (!asksForLeader(call)) return () => undefined;
    this.#streams.add(lost);
    // Looks only while somebody cares.
    this.#timer ??= setInterval(() => this.#look(), this.#electionTimeoutMs).unref();
    return () => {
      this.#streams.delete(lost);
      if (this.#streams.size === 0) this.stop();
    };
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#leaderless = 0;
  }

  #look(): void {
    this.#leaderless = this.#server.leader() === 0n ? this.#leaderless + 1 : 0;
    if (this.#leaderless < LEADERLESS_TIMEOUTS_MAX) return;
    const streams = [...this.#streams];
    this.#streams.clear();
    this.stop();
    for (const lost of streams) lost(noLeader());
  }
}

function asksForLeader(call: Call): boolean {
  return call.metadata('hasleader') === 'true';
}

function noLeader(): GrpcError {
  const {status, message} = statusOf('noLeader');
  return new GrpcError(status, message);
}
