/**
 * That leases go in time, while faults strike: within their TTL, what each leader that was replaced may not have
 * written down of the time that had passed, and two election timeouts, by the time that leaders have surely worked
 * (leader-work.ts). Only what a leader does to a lease, or a client is told, begins that time anew.
 */

import {LEASE_CHECKPOINT_INTERVAL_MIN_MS, LEASE_EXPIRY_INTERVAL_MS} from '../../src/engine/limits.ts';
import type {LeaseId} from '../../src/engine/types.ts';
import type {Violate} from './history.ts';
import type {LeaderWork, WorkMark} from './leader-work.ts';
import type {Life} from './simulated-member.ts';

interface Bounded {
  ttlSeconds: number | undefined;
  /** It cannot have begun anew since. */
  mark: WorkMark;
  /** Renewals of which nobody knows whether they have had their effect, by the process that was asked. */
  readonly renewals: Set<Renewal>;
}

interface Renewal {
  readonly by: Pick<Life, 'clock' | 'isAlive'>;
}

/** What is left is written down in whole seconds, rounded up. */
const ROUNDING_MS = 1_000;
/** Leaders look at what is due at these intervals, and sort it by such. */
const LOOKS_MS = 2 * LEASE_EXPIRY_INTERVAL_MS;

export class LeaseBound {
  readonly #work: LeaderWork;
  readonly #electionMs: number;
  readonly #violate: Violate;
  readonly #leases = new Map<LeaseId, Bounded>();

  constructor(options: {
    readonly work: LeaderWork;
    readonly electionMs: number;
    readonly violate: Violate;
  }) {
    this.#work = options.work;
    this.#electionMs = options.electionMs;
    this.#violate = options.violate;
  }

  /** A client was told so. */
  granted(id: LeaseId, ttlSeconds: number): void {
    const lease = this.#begunAnew(id);
    lease.ttlSeconds = ttlSeconds;
  }

  /** A leader is asked to renew it. @returns to be called when it has answered: until then it may at any time */
  renewing(by: Renewal['by'], id: LeaseId): () => void {
    const renewal = {by};
    this.#begunAnew(id).renewals.add(renewal);
    return () => {
      this.#begunAnew(id).renewals.delete(renewal);
    };
  }

  /** The log has taken it, because a leader said that its time is over. */
  expired(id: LeaseId): void {
    const lease = this.#leases.get(id);
    this.#leases.delete(id);
    if (lease?.ttlSeconds === undefined) return;
    const renewals = [...lease.renewals];
    if (renewals.some(({by}) => by.isAlive)) return;
    // Those of processes that are gone have had their effect while these led, or never.
    const marks = [lease.mark, ...renewals.map(({by}) => this.#work.endOf(by))];
    const ttlMs = lease.ttlSeconds * 1_000;
    const untoldMs = Math.max(ttlMs / 4, LEASE_CHECKPOINT_INTERVAL_MIN_MS) + LOOKS_MS + ROUNDING_MS;
    let passedMs = 0;
    let boundMs = ttlMs + LOOKS_MS + 2 * this.#electionMs;
    for (const {workedMs, latencyMs, isLast} of this.#work.since(latestOf(marks))) {
      if (isLast) {
        passedMs += workedMs;
        boundMs += latencyMs;
      } else {
        passedMs += Math.max(0, workedMs - untoldMs - latencyMs);
      }
    }
    if (passedMs <= boundMs) return;
    const detail = `lease ${id} of ${lease.ttlSeconds} s went ${Math.round(passedMs - boundMs)} ms too late`;
    this.#violate('leases', `${detail} by the clocks of those who led`);
  }

  #begunAnew(id: LeaseId): Bounded {
    let lease = this.#leases.get(id);
    if (lease === undefined) {
      lease = {ttlSeconds: undefined, mark: this.#work.mark(), renewals: new Set()};
      this.#leases.set(id, lease);
    }
    lease.mark = this.#work.mark();
    return lease;
  }
}

const latestOf = (marks: readonly WorkMark[]): WorkMark =>
  marks.reduce((latest, mark) => {
    const isLater =
      mark.leadership > latest.leadership ||
      (mark.leadership === latest.leadership && mark.workedMs > latest.workedMs);
    return isLater ? mark : latest;
  });
