/**
 * What clients were promised of leases. A lease may go by itself only when a whole TTL has passed since its last
 * renewal was asked for, on whichever leader's clock goes fastest; and when nobody renews it, it must go.
 */

import type {Violate} from './history.ts';
import type {SeededRandom} from './seeded-random.ts';

interface Promised {
  readonly id: bigint;
  readonly ttlSeconds: number;
  /** When the newest granted wish was uttered. */
  askedMs: number;
  /** A client asked for its end: it may go at any time. */
  isFree: boolean;
}

export class LeaseBook {
  readonly #nowMs: () => number;
  readonly #violate: Violate;
  readonly #promised = new Map<bigint, Promised>();
  /** When it was seen to go. */
  readonly #gone = new Map<bigint, {atMs: number}>();
  #nextId = 1n;
  /** The fastest that any member's clock goes. */
  clockRateMax = 1;
  expired = 0;

  constructor(nowMs: () => number, violate: Violate) {
    this.#nowMs = nowMs;
    this.#violate = violate;
  }

  newId(): bigint {
    return this.#nextId++;
  }

  /** One that may still live. */
  pick(random: SeededRandom): bigint | undefined {
    const living = [...this.#promised.keys()].filter((id) => !this.#gone.has(id));
    return living.length === 0 ? undefined : living[random.below(living.length)];
  }

  granted(id: bigint, {ttlSeconds, askedMs}: {ttlSeconds: number; askedMs: number}): void {
    this.#promised.set(id, {id, ttlSeconds, askedMs, isFree: false});
    this.#check(id);
  }

  renewed(id: bigint, {ttlSeconds, askedMs}: {ttlSeconds: number; askedMs: number}): void {
    const lease = this.#promised.get(id);
    if (lease === undefined || ttlSeconds === 0) return;
    const gone = this.#gone.get(id);
    if (gone !== undefined && gone.atMs < askedMs)
      this.#violate('leases', `lease ${id}, gone at ${gone.atMs}, was renewed at ${askedMs}`);
    lease.askedMs = Math.max(lease.askedMs, askedMs);
    this.#check(id);
  }

  revoking(id: bigint): void {
    const lease = this.#promised.get(id);
    if (lease !== undefined) lease.isFree = true;
  }

  told(id: bigint, {ttlSeconds, grantedTtlSeconds}: {ttlSeconds: number; grantedTtlSeconds: number}): void {
    if (ttlSeconds < 0 && !this.#gone.has(id)) this.#violate('leases', `lease ${id} lives but was denied`);
    if (ttlSeconds > grantedTtlSeconds) this.#violate('leases', `lease ${id} has ${ttlSeconds} s left`);
  }

  /** The log has taken it. */
  gone(id: bigint, {isExpired}: {isExpired: boolean}): void {
    if (this.#gone.has(id)) return;
    this.#gone.set(id, {atMs: this.#nowMs()});
    if (isExpired) this.expired++;
    this.#check(id);
  }

  #check(id: bigint): void {
    const lease = this.#promised.get(id);
    const gone = this.#gone.get(id);
    if (lease === undefined || gone === undefined || lease.isFree) return;
    const earliestMs = lease.askedMs + (lease.ttlSeconds * 1_000) / this.clockRateMax - 1;
    if (gone.atMs >= earliestMs) return;
    const detail = `lease ${id} of ${lease.ttlSeconds} s, renewed at ${lease.askedMs}, went at ${gone.atMs}`;
    this.#violate('leases', `${detail}: ${Math.round(earliestMs - gone.atMs)} ms early`);
  }
}
