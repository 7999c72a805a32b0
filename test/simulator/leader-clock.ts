/**
 * The time that leases are counted by: the monotonic clock of whoever leads, summed over leaders. It stands while
 * nobody leads. Of two that believe they lead, the one of the later term does: the other brings nothing into the log.
 */

import type {Life} from './simulated-member.ts';

export class LeaderClock {
  #term = 0;
  #leader: Life | undefined;
  #sinceMs = 0;
  /** Of leaders before this one. */
  #sumMs = 0;

  /** A process leads the term. A lone voter whose crash undid it may lead it again, as another process. */
  leads(life: Life, term: number): void {
    if (term < this.#term || life === this.#leader) return;
    this.#end();
    this.#term = term;
    this.#leader = life;
    this.#sinceMs = life.clock.monotonicMs();
  }

  /** After every step: whoever has stopped leading counts no more. */
  check(): void {
    const leader = this.#leader;
    if (leader !== undefined && !(leader.isAlive && leader.replica?.loop.isLeader === true)) this.#end();
  }

  nowMs(): number {
    const leader = this.#leader;
    return this.#sumMs + (leader === undefined ? 0 : leader.clock.monotonicMs() - this.#sinceMs);
  }

  #end(): void {
    this.#sumMs = this.nowMs();
    this.#leader = undefined;
  }
}
