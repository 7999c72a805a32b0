/**
 * The deadlines of leases. Whoever leads keeps them, on its monotonic clock; nobody else does. A new leader gives
 * each lease what its last checkpoint says is left (the full TTL without one) from the moment it leads. Expired
 * leases are revoked through the log under the leader's term, so that a deposed leader's revoke is void
 * (etcd issue 15247). Checkpoints go through the log too: at least every quarter of a TTL, in batches, but never
 * more often than CHECKPOINT_INTERVAL_MIN_MS for one lease, so that many leases cost little.
 */

import {EngineError} from '../errors.ts';
import {
  LEASE_CHECKPOINT_BATCH,
  LEASE_CHECKPOINT_INTERVAL_MIN_MS,
  LEASE_EXPIRY_INTERVAL_MS,
  LEASE_REVOKES_IN_FLIGHT_MAX,
} from '../limits.ts';
import type {Clock} from '../ports.ts';
import type {Command} from '../state-machine/command.ts';
import type {LeaseChange} from '../state-machine/lease/lessor.ts';
import type {LeaseId, Term} from '../types.ts';

export interface LeaseRecord {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  /** The last checkpoint; 0: none. */
  readonly remainingTtlSeconds: number;
}

interface Deadline {
  readonly id: LeaseId;
  ttlMs: number;
  expiresMs: number;
  checkpointMs: number;
  /** What the log says is left, or soon will, is less than the whole TTL: the next renewal has to take it back. */
  needsReset: boolean;
  /** That it was taken back is on its way through the log, and no checkpoint follows it. */
  resetting: Promise<void> | undefined;
  /** A revoke was proposed in this term: whatever became of it, it may still be applied. */
  isExpired: boolean;
  /** ... and its outcome is awaited. */
  revoking: boolean;
}

export interface LeaseExpirerOptions {
  readonly clock: Clock;
  readonly leases: () => Iterable<LeaseRecord>;
  readonly lease: (id: LeaseId) => LeaseRecord | undefined;
  /** Brings a command into the log; the expirer tries again when it fails. */
  readonly propose: (command: Command) => Promise<unknown>;
}

export class LeaseExpirer {
  readonly #options: LeaseExpirerOptions;
  #deadlines = new Map<LeaseId, Deadline>();
  /** 0: not leading. */
  #term: Term = 0;
  #revokesInFlight = 0;
  #stopTimer: () => void = () => {};

  constructor(options: LeaseExpirerOptions) {
    this.#options = options;
  }

  /** 0: not leading. */
  get term(): Term {
    return this.#term;
  }

  get leading(): boolean {
    return this.#term !== 0;
  }

  /** Called once this member leads and has applied an entry of its own term. */
  lead(term: Term): void {
    if (this.#term === term) return;
    this.resign();
    this.#term = term;
    for (const lease of this.#options.leases()) this.#start(lease);
    this.#schedule();
  }

  resign(): void {
    this.#term = 0;
    this.#deadlines = new Map();
    this.#revokesInFlight = 0;
    this.#stopTimer();
  }

  /** The lease changes of an applied entry, on whoever leads. */
  changed(changes: readonly LeaseChange[]): void {
    if (!this.leading) return;
    for (const {id, kind} of changes) {
      if (kind === 'revoked') this.#deadlines.delete(id);
      const lease = kind === 'revoked' ? undefined : this.#options.lease(id);
      if (lease === undefined) continue;
      this.#start(lease);
    }
  }

  /**
   * Starts the TTL anew. Resolves when whoever leads next will know: a checkpoint that says less is taken back first.
   * @returns the TTL in seconds, 0 when there is no such lease (any more)
   * @throws EngineError notPrimaryLessor when leadership was lost meanwhile, and what the log rejects with
   */
  async renew(id: LeaseId): Promise<number> {
    const term = this.#term;
    const deadline = this.#deadlines.get(id);
    const lease = this.#options.lease(id);
    if (deadline === undefined || lease === undefined || deadline.isExpired) return 0;
    this.#restart(deadline, deadline.ttlMs);
    if (deadline.needsReset) this.#reset(deadline);
    if (deadline.resetting === undefined) return lease.ttlSeconds;
    await deadline.resetting;
    // The next leader may have begun to count before it heard of this.
    if (this.#term !== term) throw new EngineError({code: 'notPrimaryLessor'});
    return this.#options.lease(id) === undefined ? 0 : lease.ttlSeconds;
  }

  #reset(deadline: Deadline): void {
    const leases = [{id: deadline.id, remainingTtlSeconds: 0}];
    deadline.needsReset = false;
    const forget = () => {
      if (deadline.resetting === resetting) deadline.resetting = undefined;
    };
    const resetting = this.#options
      .propose({type: 'leaseCheckpoint', proposerTerm: this.#term, leases})
      .then(forget, (error: unknown) => {
        deadline.needsReset = true;
        forget();
        throw error;
      });
    deadline.resetting = resetting;
  }

  /** Whole seconds left, rounded down as etcd does; -1 when there is no such lease. */
  remainingSeconds(id: LeaseId): number {
    const deadline = this.#deadlines.get(id);
    if (deadline === undefined) return -1;
    const leftMs = deadline.expiresMs - this.#options.clock.monotonicMs();
    return Math.max(0, Math.floor(leftMs / 1000));
  }

  #start(lease: LeaseRecord): void {
    const ttlMs = lease.ttlSeconds * 1000;
    const deadline = {
      id: lease.id,
      ttlMs,
      expiresMs: 0,
      checkpointMs: 0,
      needsReset: lease.remainingTtlSeconds > 0,
      resetting: undefined,
      isExpired: false,
      revoking: false,
    };
    this.#restart(deadline, lease.remainingTtlSeconds > 0 ? lease.remainingTtlSeconds * 1000 : ttlMs);
    this.#deadlines.set(lease.id, deadline);
  }

  #restart(deadline: Deadline, leftMs: number): void {
    const nowMs = this.#options.clock.monotonicMs();
    deadline.expiresMs = nowMs + leftMs;
    deadline.checkpointMs = nowMs + checkpointIntervalMs(deadline.ttlMs);
  }

  #schedule(): void {
    this.#stopTimer = this.#options.clock.after(LEASE_EXPIRY_INTERVAL_MS, () => {
      if (!this.leading) return;
      this.#schedule();
      this.#walk();
    });
  }

  #walk(): void {
    const nowMs = this.#options.clock.monotonicMs();
    let checkpoints: {id: LeaseId; remainingTtlSeconds: number}[] = [];
    for (const deadline of this.#deadlines.values()) {
      if (deadline.expiresMs <= nowMs) {
        this.#revoke(deadline);
      } else if (deadline.checkpointMs <= nowMs) {
        deadline.checkpointMs = nowMs + checkpointIntervalMs(deadline.ttlMs);
        deadline.needsReset = true;
        deadline.resetting = undefined;
        const remainingTtlSeconds = Math.ceil((deadline.expiresMs - nowMs) / 1000);
        checkpoints.push({id: deadline.id, remainingTtlSeconds});
        if (checkpoints.length === LEASE_CHECKPOINT_BATCH) {
          this.#checkpoint(checkpoints);
          checkpoints = [];
        }
      }
    }
    if (checkpoints.length > 0) this.#checkpoint(checkpoints);
  }

  #revoke(deadline: Deadline): void {
    if (deadline.revoking || this.#revokesInFlight >= LEASE_REVOKES_IN_FLIGHT_MAX) return;
    const term = this.#term;
    deadline.isExpired = true;
    deadline.revoking = true;
    this.#revokesInFlight++;
    const done = () => {
      // Applied: the entry is gone from the map. Failed or void: the next walk tries again.
      deadline.revoking = false;
      if (this.#term === term) this.#revokesInFlight--;
    };
    this.#options.propose({type: 'leaseRevoke', id: deadline.id, proposerTerm: term}).then(done, done);
  }

  #checkpoint(leases: readonly {id: LeaseId; remainingTtlSeconds: number}[]): void {
    // A lost checkpoint is made up for by the next one, as long as this member leads.
    this.#options.propose({type: 'leaseCheckpoint', proposerTerm: this.#term, leases}).catch(() => {});
  }
}

function checkpointIntervalMs(ttlMs: number): number {
  return Math.max(ttlMs / 4, LEASE_CHECKPOINT_INTERVAL_MIN_MS);
}
