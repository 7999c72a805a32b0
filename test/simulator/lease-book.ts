/**
 * What clients were promised of leases. A lease may go by itself only when a whole TTL has passed since its last
 * renewal was asked for, by the clocks of those who led meanwhile (leader-clock.ts). And when nobody renews it, it
 * must go: once all is well, within its TTL, what a new leader may have lost of it, and two election timeouts. While
 * faults strike, too, by the time that leaders have surely worked (lease-bound.ts).
 */

import {LEASE_CHECKPOINT_INTERVAL_MIN_MS} from '../../src/engine/limits.ts';
import type {Violate} from './history.ts';
import type {LeaseBound} from './lease-bound.ts';
import type {SeededRandom} from './seeded-random.ts';

/** When a wish was uttered. */
export interface LeaseAsked {
  readonly atMs: number;
  /** By the leaders' clocks. */
  readonly leaderMs: number;
}

interface Promised {
  readonly id: bigint;
  readonly ttlSeconds: number;
  /** When the newest granted wish was uttered. */
  asked: LeaseAsked;
  /** Other clients may use it. */
  readonly isShared: boolean;
  /** A client asked for its end: it may go at any time. */
  isFree: boolean;
}

export interface LeaseBookOptions {
  readonly nowMs: () => number;
  readonly leaderMs: () => number;
  readonly violate: Violate;
  /** Who sees to it that they go in time while faults strike, where somebody can know what leaders do. */
  readonly bound?: LeaseBound | undefined;
}

/** Leaders' clocks are read where steps end, not where an entry is applied, and rounded. */
const ROUNDING_MS = 1;
/** A renewal that was on its way when all faults ended, and whose client had given up, may still arrive so much later. */
const STRAGGLERS_MS = 6_000;

export class LeaseBook {
  readonly #options: LeaseBookOptions;
  readonly #promised = new Map<bigint, Promised>();
  /** When it was seen to go. */
  readonly #gone = new Map<bigint, LeaseAsked>();
  /** Those that live when all is well: by when they must have gone, milliseconds. */
  readonly #dueMs = new Map<bigint, number>();
  #nextId = 1n;
  expired = 0;

  constructor(options: LeaseBookOptions) {
    this.#options = options;
  }

  newId(): bigint {
    return this.#nextId++;
  }

  ask(): LeaseAsked {
    return {atMs: this.#options.nowMs(), leaderMs: this.#options.leaderMs()};
  }

  /** One that may still live. */
  pick(random: SeededRandom): bigint | undefined {
    const living = [...this.#promised.values()].filter(({id, isShared}) => isShared && !this.#gone.has(id));
    return living.length === 0 ? undefined : living[random.below(living.length)].id;
  }

  granted(
    id: bigint,
    {ttlSeconds, asked, isShared}: {ttlSeconds: number; asked: LeaseAsked; isShared: boolean},
  ): void {
    this.#promised.set(id, {id, ttlSeconds, asked, isShared, isFree: false});
    this.#options.bound?.granted(id, ttlSeconds);
    this.#check(id);
  }

  renewed(id: bigint, {ttlSeconds, asked}: {ttlSeconds: number; asked: LeaseAsked}): void {
    const lease = this.#promised.get(id);
    if (lease === undefined) return;
    if (ttlSeconds !== lease.ttlSeconds)
      this.#violate(`lease ${id} of ${lease.ttlSeconds} s was renewed for ${ttlSeconds} s`);
    const gone = this.#gone.get(id);
    if (gone !== undefined && gone.atMs < asked.atMs)
      this.#violate(`lease ${id}, gone at ${gone.atMs}, was renewed at ${asked.atMs}`);
    if (asked.atMs > lease.asked.atMs) lease.asked = asked;
    this.#check(id);
  }

  revoking(id: bigint): void {
    const lease = this.#promised.get(id);
    if (lease !== undefined) lease.isFree = true;
  }

  told(id: bigint, {ttlSeconds, grantedTtlSeconds}: {ttlSeconds: number; grantedTtlSeconds: number}): void {
    if (ttlSeconds < 0) this.denied(id);
    if (ttlSeconds > grantedTtlSeconds) this.#violate(`lease ${id} has ${ttlSeconds} s left`);
    const lease = this.#promised.get(id);
    if (lease !== undefined && ttlSeconds >= 0 && grantedTtlSeconds !== lease.ttlSeconds)
      this.#violate(`lease ${id} of ${lease.ttlSeconds} s is told to be of ${grantedTtlSeconds} s`);
  }

  /** A client was told of it, and the log has not taken it. */
  livesSurely(id: bigint): boolean {
    return this.#promised.has(id) && !this.#gone.has(id);
  }

  /** A client was told that there is no such lease. */
  denied(id: bigint): void {
    if (this.livesSurely(id)) this.#violate(`lease ${id} lives but was denied`);
  }

  /** The log has taken it. */
  gone(id: bigint, {isExpired}: {isExpired: boolean}): void {
    if (this.#gone.has(id)) return;
    const now = this.ask();
    this.#gone.set(id, now);
    if (isExpired) {
      this.expired++;
      this.#options.bound?.expired(id);
    }
    this.#check(id);
    const dueMs = this.#dueMs.get(id) ?? Number.POSITIVE_INFINITY;
    if (now.atMs > dueMs) this.#violate(`lease ${id} went ${Math.round(now.atMs - dueMs)} ms too late`);
  }

  /**
   * All is well from now on, somebody leads, and nobody renews any more. `clockRateMin`: the slowest that a leader's
   * clock may go. @returns when the last of them must have gone, milliseconds
   */
  expectEnd(
    living: ReadonlyMap<bigint, {readonly ttlSeconds: number}>,
    {electionMs, clockRateMin}: {readonly electionMs: number; readonly clockRateMin: number},
  ): number {
    const nowMs = this.#options.nowMs();
    let lastMs = nowMs;
    for (const [id, {ttlSeconds}] of living) {
      const ttlMs = ttlSeconds * 1_000;
      const lostMs = Math.max(ttlMs / 4, LEASE_CHECKPOINT_INTERVAL_MIN_MS);
      const dueMs = nowMs + STRAGGLERS_MS + (ttlMs + lostMs) / clockRateMin + 2 * electionMs;
      this.#dueMs.set(id, dueMs);
      lastMs = Math.max(lastMs, dueMs);
    }
    return lastMs;
  }

  #check(id: bigint): void {
    const lease = this.#promised.get(id);
    const gone = this.#gone.get(id);
    if (lease === undefined || gone === undefined || lease.isFree) return;
    const livedMs = gone.leaderMs - lease.asked.leaderMs;
    const earlyMs = lease.ttlSeconds * 1_000 - livedMs - ROUNDING_MS;
    if (earlyMs <= 0) return;
    const detail = `lease ${id} of ${lease.ttlSeconds} s, renewed at ${lease.asked.atMs}, went at ${gone.atMs}`;
    this.#violate(`${detail}: ${Math.round(earlyMs)} ms early by the clocks of those who led`);
  }

  #violate(detail: string): void {
    this.#options.violate('leases', detail);
  }
}
