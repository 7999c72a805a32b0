/**
 * Leases as every member knows them: which exist, how long they last, which keys hang on them. There is no clock
 * here: when a lease ends is decided by whoever leads (server/lease-expirer.ts) and comes back as a command.
 *
 * Which keys a lease holds is not stored by itself: it follows from the newest change of each key.
 */

import {assert, EngineError} from '../../errors.ts';
import {sortSlices} from '../../lib/sort-slices.ts';
import {LEASE_TTL_MAX_SECONDS} from '../../limits.ts';
import type {LeaseId} from '../../types.ts';
import type {Effects} from '../effects.ts';
import {decodeLease, encodeLease, encodeLeaseKey, type LeaseRecord} from './lease-record.ts';

/** What changed about a lease, for whoever keeps its deadline. */
export interface LeaseChange {
  readonly id: LeaseId;
  readonly kind: 'granted' | 'revoked';
}

interface Lease extends LeaseRecord {
  readonly keys: Set<string>;
  remainingTtlSeconds: number;
}

export class Lessor {
  readonly #effects: Effects;
  readonly #leases = new Map<LeaseId, Lease>();
  /** Only keys with a lease. Invariant: `#leaseOfKey.get(key).keys.has(key)`. */
  readonly #leaseOfKey = new Map<string, Lease>();

  constructor(effects: Effects) {
    this.#effects = effects;
  }

  get size(): number {
    return this.#leases.size;
  }

  has(id: LeaseId): boolean {
    return this.#leases.has(id);
  }

  lease(id: LeaseId): LeaseRecord | undefined {
    const lease = this.#leases.get(id);
    return lease && toRecord(lease);
  }

  /** In no order that members agree on. Leases may come and go while its iterator stands. */
  all(): Iterable<LeaseRecord> {
    return this.#leases.values();
  }

  /** The ids of all leases at the first slice, ascending. */
  *idSlices(): Generator<undefined, LeaseId[]> {
    return yield* sortSlices([...this.#leases.keys()]);
  }

  /**
   * The keys on a lease at the first slice, as latin1, by ascending bytes; none for an unknown lease. While a long
   * command is being applied, some of its changes may show already.
   */
  *keySlices(id: LeaseId): Generator<undefined, string[]> {
    const lease = this.#leases.get(id);
    return lease === undefined ? [] : yield* sortSlices([...lease.keys]);
  }

  /** Why a grant would be refused. */
  checkGrant({id, ttlSeconds}: {id: LeaseId; ttlSeconds: number}): EngineError | undefined {
    if (id === 0n) return new EngineError({code: 'leaseNotFound'});
    if (ttlSeconds > LEASE_TTL_MAX_SECONDS) return new EngineError({code: 'leaseTtlTooLarge', ttlSeconds});
    return this.#leases.has(id) ? new EngineError({code: 'leaseExists'}) : undefined;
  }

  grant({id, ttlSeconds}: {id: LeaseId; ttlSeconds: number}): LeaseRecord {
    assert(this.checkGrant({id, ttlSeconds}) === undefined, 'a grant is checked first');
    const lease: Lease = {id, ttlSeconds: Math.max(1, ttlSeconds), remainingTtlSeconds: 0, keys: new Set()};
    this.#leases.set(id, lease);
    this.#save(lease);
    return toRecord(lease);
  }

  /** Ends a lease whose keys were deleted before. */
  revoke(id: LeaseId): void {
    const lease = this.#leases.get(id);
    assert(lease !== undefined, 'a revoked lease exists');
    assert(lease.keys.size === 0, 'the keys of a revoked lease are gone');
    this.#leases.delete(id);
    this.#effects.delete('lease', encodeLeaseKey(id));
  }

  /** 0 means the full TTL again. Of a lease that is gone there is nothing to note. */
  checkpoint(id: LeaseId, remainingTtlSeconds: number): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    lease.remainingTtlSeconds = Math.min(Math.max(0, remainingTtlSeconds), lease.ttlSeconds);
    this.#save(lease);
  }

  leaseOf(key: string): LeaseId {
    return this.#leaseOfKey.get(key)?.id ?? 0n;
  }

  /** The key was put with this lease (0n: none) or deleted (0n). A lease that does not exist holds nothing. */
  attach(key: string, id: LeaseId): void {
    if (this.#leaseOfKey.size > 0) {
      const before = this.#leaseOfKey.get(key);
      if (before !== undefined) {
        if (before.id === id) return;
        const isDetached = before.keys.delete(key);
        assert(isDetached, 'a lease knows its keys');
        this.#leaseOfKey.delete(key);
      }
    }
    if (id === 0n) return;
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    assert(!lease.keys.has(key), 'a key hangs on one lease');
    lease.keys.add(key);
    this.#leaseOfKey.set(key, lease);
  }

  /** Reads all leases again, without keys. @throws EngineError storeCorrupt */
  *load(): Generator<undefined, void> {
    this.#leases.clear();
    this.#leaseOfKey.clear();
    for (const [key, value] of this.#effects.records.range('lease', {})) {
      const record = decodeLease(key, value);
      this.#leases.set(record.id, {...record, keys: new Set()});
      if (this.#leases.size % 1_000 === 0) yield;
    }
  }

  #save(lease: Lease): void {
    this.#effects.put('lease', encodeLeaseKey(lease.id), encodeLease(lease));
  }
}

function toRecord({id, ttlSeconds, remainingTtlSeconds}: Lease): LeaseRecord {
  return {id, ttlSeconds, remainingTtlSeconds};
}
