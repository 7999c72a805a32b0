/** Why a request ran out of time, as far as this member can tell: what clients are told in the place of an answer. */

import type {Clock} from '../ports.ts';
import type {MemberId} from '../types.ts';
import type {Neighbours} from './neighbours.ts';

export type TimeoutCause = 'timeout' | 'timeoutLeaderFailed' | 'timeoutConnectionLost';

export interface TimeoutCausesOptions {
  readonly clock: Clock;
  readonly electionTimeoutMs: number;
  readonly neighbours: Neighbours;
  /** 0n: there is none. */
  readonly leader: () => MemberId;
}

export class TimeoutCauses {
  readonly #options: TimeoutCausesOptions;
  /** When leader or role changed last, monotonic milliseconds. */
  #leaderSinceMs = 0;

  constructor(options: TimeoutCausesOptions) {
    this.#options = options;
  }

  leaderChanged(): void {
    this.#leaderSinceMs = this.#options.clock.monotonicMs();
  }

  /** @param startedMs when the request came, monotonic milliseconds */
  of(startedMs: number): TimeoutCause {
    const {electionTimeoutMs, neighbours, leader} = this.#options;
    if (leader() === 0n || this.#leaderSinceMs > startedMs - electionTimeoutMs) return 'timeoutLeaderFailed';
    return neighbours.isQuorumConnected() ? 'timeout' : 'timeoutConnectionLost';
  }
}
