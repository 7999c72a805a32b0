/**
 * How many PINGs a client may send, as gRPC servers enforce it: each one that comes too soon is a strike, an answer
 * sent in between wipes the strikes out, and one strike too many ends the connection with `too_many_pings`.
 */

import {IDLE_PING_INTERVAL_MS, PING_STRIKES_MAX} from './limits.ts';

export class PingPolicy {
  readonly #minTimeMs: number;
  #lastAtMs = Number.NEGATIVE_INFINITY;
  #strikes = 0;
  #hasAnswered = false;

  constructor(minTimeMs: number) {
    this.#minTimeMs = minTimeMs;
  }

  /** The server has sent something of a call. */
  answered(): void {
    this.#hasAnswered = true;
  }

  /** Called for each PING. */
  isTooMany(hasStreams: boolean): boolean {
    const now = performance.now();
    const sinceLastMs = now - this.#lastAtMs;
    this.#lastAtMs = now;
    if (this.#hasAnswered) {
      this.#hasAnswered = false;
      this.#strikes = 0;
      return false;
    }
    if (sinceLastMs < (hasStreams ? this.#minTimeMs : IDLE_PING_INTERVAL_MS)) this.#strikes++;
    return this.#strikes > PING_STRIKES_MAX;
  }
}
