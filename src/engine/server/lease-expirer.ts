/**
 * The deadlines of leases. Whoever leads keeps them, on its monotonic clock; nobody else does. A new leader gives
 * each lease what its last checkpoint says is left (the full TTL without one) from the moment it leads. Expired
 * leases are revoked through the log under the leader's term, so that a deposed leader's revoke is void
 * (etcd issue 15247). Checkpoints go through the log too: at least every quarter of a TTL, in batches, but never
 * more often than CHECKPOINT_INTERVAL_MIN_MS for one lease, so that many leases cost little.
 *
 * A million leases may begin, expire or be due for a checkpoint at once: all that is done in slices of LEASE_SLICE,
 * and a slice looks at those alone whose time has come.
 */

import {EngineError} from '../errors.ts';
import {DueEntry, DueQueue} from '../lib/due-queue.ts';
import {
  LEASE_CHECKPOINT_INTERVAL_MIN_MS,
  LEASE_CHECKPOINTS_IN_FLIGHT_MAX,
  LEASE_EXPIRY_INTERVAL_MS,
  LEASE_REVOKES_IN_FLIGHT_MAX,
  LEASE_SLICE,
  SLICE_REST_MS,
} from '../limits.ts';
import type {Clock} from '../ports.ts';
import type {Command} from '../state-machine/command.ts';
import type {LeaseRecord} from '../state-machine/lease/lease-record.ts';
import type {LeaseChange} from '../state-machine/lease/lessor.ts';
import type {LeaseId, Term} from '../types.ts';
import {LeaseResets} from './lease-resets.ts';

/** A lease under this leader. */
class Deadline {
  readonly id: LeaseId;
  readonly ttlMs: number;
  /** In its queue until the lease is being revoked. */
  readonly expiry: DueEntry<Deadline>;
  readonly checkpoint: DueEntry<Deadline>;
  /** What the log says is left, or soon will, is less than the whole TTL: the next renewal has to take it back. */
  needsReset: boolean;
  /** That it was taken back is on its way through the log, and no checkpoint follows it. */
  resetting: Promise<void> | undefined;
  /** A revoke was proposed in this term: whatever became of it, it may still be applied. */
  isExpired = false;

  constructor({id, ttlSeconds, remainingTtlSeconds}: LeaseRecord) {
    this.id = id;
    this.ttlMs = ttlSeconds * 1000;
    this.expiry = new DueEntry<Deadline>(this);
    this.checkpoint = new DueEntry<Deadline>(this);
    this.needsReset = remainingTtlSeconds > 0;
  }
}

/** What a leader keeps while it leads in one term. */
interface Leading {
  readonly term: Term;
  readonly sinceMs: number;
  readonly deadlines: Map<LeaseId, Deadline>;
  readonly expiries: DueQueue<Deadline>;
  readonly checkpoints: DueQueue<Deadline>;
  readonly resets: LeaseResets;
  /** Leases that were there before and whose deadlines are not all begun; undefined: they are. */
  unbegun: Iterator<LeaseRecord> | undefined;
  revokesInFlight: number;
  checkpointsInFlight: number;
  /** Work is due that has to wait for what is in flight. */
  isHeldUp: boolean;
  /** Renewals that came too late, until the lease is gone or this member leads no more. */
  readonly lateRenewals: Map<LeaseId, Set<() => void>>;
  /** The log refused a revoke: none before this time. */
  revokesFromMs: number;
}

export interface LeaseExpirerOptions {
  readonly clock: Clock;
  /** How long a renewal may wait for a revoke that is on its way, milliseconds. */
  readonly timeoutMs: number;
  /** In any order; leases may come and go while the iterator stands. */
  readonly leases: () => Iterable<LeaseRecord>;
  readonly lease: (id: LeaseId) => LeaseRecord | undefined;
  /** Brings a command into the log; the expirer tries again when it fails. */
  readonly propose: (command: Command) => Promise<unknown>;
}

export class LeaseExpirer {
  readonly #options: LeaseExpirerOptions;
  #leading: Leading | undefined;
  #stopTimer: () => void = () => {};

  constructor(options: LeaseExpirerOptions) {
    this.#options = options;
  }

  /** 0: not leading. */
  get term(): Term {
    return this.#leading?.term ?? 0;
  }

  get leading(): boolean {
    return this.#leading !== undefined;
  }

  /** Called once this member leads and has applied an entry of its own term. */
  lead(term: Term): void {
    if (this.term === term) return;
    this.resign();
    const {clock, propose} = this.#options;
    const nowMs = clock.monotonicMs();
    this.#leading = {
      term,
      sinceMs: nowMs,
      deadlines: new Map(),
      expiries: new DueQueue({bucketMs: LEASE_EXPIRY_INTERVAL_MS, nowMs}),
      checkpoints: new DueQueue({bucketMs: LEASE_EXPIRY_INTERVAL_MS, nowMs}),
      resets: new LeaseResets({clock, term, propose}),
      unbegun: this.#options.leases()[Symbol.iterator](),
      revokesInFlight: 0,
      checkpointsInFlight: 0,
      isHeldUp: false,
      lateRenewals: new Map(),
      revokesFromMs: nowMs,
    };
    this.#work(this.#leading);
  }

  resign(): void {
    const late = this.#leading?.lateRenewals;
    this.#leading = undefined;
    this.#stopTimer();
    if (late !== undefined) for (const id of late.keys()) wake(late, id);
  }

  /** The lease changes of an applied entry, on whoever leads. */
  changed(changes: readonly LeaseChange[]): void {
    const leading = this.#leading;
    if (leading === undefined) return;
    for (const {id, kind} of changes) {
      const lease = kind === 'granted' ? this.#options.lease(id) : undefined;
      if (lease !== undefined) begin(leading, lease, this.#options.clock.monotonicMs());
      else forget(leading, id);
    }
  }

  /**
   * Starts the TTL anew. Resolves when whoever leads next will know: a checkpoint that says less is taken back first.
   * Once the lease is being revoked, it resolves when it is gone: a revoke may fail, and then the lease lives on under
   * the next leader. Under a CORRUPT alarm all revokes fail, and it is given up when its time is over.
   * @returns the TTL in seconds, 0 when there is no such lease (any more)
   * @throws EngineError notPrimaryLessor when leadership was lost meanwhile, timeout, and what the log rejects with
   */
  async renew(id: LeaseId): Promise<number> {
    const leading = this.#leading;
    const deadline = this.#find(id);
    const lease = this.#options.lease(id);
    if (leading === undefined) throw new EngineError({code: 'notPrimaryLessor'});
    if (deadline === undefined || lease === undefined) return 0;
    if (deadline.isExpired) return await this.#gone(leading, id);
    restart(leading, deadline, {nowMs: this.#options.clock.monotonicMs(), leftMs: deadline.ttlMs});
    if (deadline.needsReset) this.#reset(leading, deadline);
    if (deadline.resetting === undefined) return lease.ttlSeconds;
    await deadline.resetting;
    // The next leader may have begun to count before it heard of this.
    if (this.#leading !== leading) throw new EngineError({code: 'notPrimaryLessor'});
    return this.#options.lease(id) === undefined ? 0 : lease.ttlSeconds;
  }

  async #gone(leading: Leading, id: LeaseId): Promise<number> {
    const {clock, timeoutMs} = this.#options;
    const {lateRenewals} = leading;
    await new Promise<void>((resolve, reject) => {
      const waiting = lateRenewals.get(id) ?? new Set();
      lateRenewals.set(id, waiting);
      const stopTimer = clock.after(timeoutMs, () => {
        waiting.delete(settle);
        if (waiting.size === 0) lateRenewals.delete(id);
        reject(new EngineError({code: 'timeout'}));
      });
      const settle = () => {
        stopTimer();
        resolve();
      };
      waiting.add(settle);
    });
    if (this.#leading !== leading) throw new EngineError({code: 'notPrimaryLessor'});
    return 0;
  }

  /** Whole seconds left, rounded down as etcd does; -1 when there is no such lease. */
  remainingSeconds(id: LeaseId): number {
    const deadline = this.#find(id);
    if (deadline === undefined) return -1;
    const leftMs = deadline.expiry.dueMs - this.#options.clock.monotonicMs();
    return Math.max(0, Math.floor(leftMs / 1000));
  }

  #reset({resets}: Leading, deadline: Deadline): void {
    deadline.needsReset = false;
    const done = () => {
      if (deadline.resetting === resetting) deadline.resetting = undefined;
    };
    const resetting = resets.reset(deadline.id).then(done, (error: unknown) => {
      deadline.needsReset = true;
      done();
      throw error;
    });
    deadline.resetting = resetting;
  }

  /** Somebody may ask for a lease before its turn has come. */
  #find(id: LeaseId): Deadline | undefined {
    const leading = this.#leading;
    const deadline = leading?.deadlines.get(id);
    if (leading?.unbegun === undefined || deadline !== undefined) return deadline;
    const lease = this.#options.lease(id);
    return lease && begin(leading, lease, leading.sinceMs);
  }

  /** One slice of each kind of work, and when the next one is. */
  #work(leading: Leading): void {
    const {clock} = this.#options;
    const nowMs = clock.monotonicMs();
    const areBegun = beginSome(leading);
    const areRevoked = this.#revokeSome(leading, nowMs);
    const areCheckpointed = this.#checkpointSome(leading, nowMs);
    if (this.#leading !== leading) return;
    const isDone = areBegun && areRevoked && areCheckpointed;
    this.#workIn(isDone ? LEASE_EXPIRY_INTERVAL_MS - (nowMs % LEASE_EXPIRY_INTERVAL_MS) : SLICE_REST_MS);
  }

  #workIn(delayMs: number): void {
    this.#stopTimer();
    this.#stopTimer = this.#options.clock.after(delayMs, () => {
      if (this.#leading !== undefined) this.#work(this.#leading);
    });
  }

  /** @returns whether no more can be done now */
  #revokeSome(leading: Leading, nowMs: number): boolean {
    if (nowMs < leading.revokesFromMs) return true;
    const room = LEASE_REVOKES_IN_FLIGHT_MAX - leading.revokesInFlight;
    const stepsMax = Math.min(LEASE_SLICE, room);
    const isDone = leading.expiries.walk({nowMs, stepsMax}, (deadline) => this.#revoke(leading, deadline));
    if (isDone || leading.revokesInFlight < LEASE_REVOKES_IN_FLIGHT_MAX) return isDone;
    leading.isHeldUp = true;
    return true;
  }

  #revoke(leading: Leading, deadline: Deadline): void {
    const {id} = deadline;
    deadline.isExpired = true;
    leading.revokesInFlight++;
    const landed = () => {
      leading.revokesInFlight--;
      // Nobody knows of it any more when it was applied.
      if (leading.deadlines.get(id) === deadline)
        leading.expiries.set(deadline.expiry, this.#options.clock.monotonicMs() + LEASE_EXPIRY_INTERVAL_MS);
    };
    const failed = (error: unknown) => {
      landed();
      // A client was first.
      if (error instanceof EngineError && error.code === 'leaseNotFound') return this.#goOn(leading);
      leading.revokesFromMs = this.#options.clock.monotonicMs() + LEASE_EXPIRY_INTERVAL_MS;
    };
    this.#options.propose({type: 'leaseRevoke', id, proposerTerm: leading.term}).then(() => {
      landed();
      this.#goOn(leading);
    }, failed);
  }

  /** @returns whether no more can be done now */
  #checkpointSome(leading: Leading, nowMs: number): boolean {
    if (leading.checkpointsInFlight >= LEASE_CHECKPOINTS_IN_FLIGHT_MAX) {
      leading.isHeldUp = true;
      return true;
    }
    const leases: {id: LeaseId; remainingTtlSeconds: number}[] = [];
    const isDone = leading.checkpoints.walk({nowMs, stepsMax: LEASE_SLICE}, (deadline) => {
      leading.checkpoints.set(deadline.checkpoint, nowMs + checkpointIntervalMs(deadline.ttlMs));
      const leftMs = deadline.expiry.dueMs - nowMs;
      if (leftMs <= 0 || deadline.isExpired) return;
      deadline.needsReset = true;
      deadline.resetting = undefined;
      leases.push({id: deadline.id, remainingTtlSeconds: Math.ceil(leftMs / 1000)});
    });
    if (leases.length > 0) this.#checkpoint(leading, leases);
    return isDone;
  }

  #checkpoint(leading: Leading, leases: readonly {id: LeaseId; remainingTtlSeconds: number}[]): void {
    leading.checkpointsInFlight++;
    const landed = () => {
      leading.checkpointsInFlight--;
      this.#goOn(leading);
    };
    // A lost checkpoint is made up for by the next one, as long as this member leads.
    const command = {type: 'leaseCheckpoint', proposerTerm: leading.term, leases} as const;
    this.#options.propose(command).then(landed, landed);
  }

  /** Something has landed that others may have waited for. */
  #goOn(leading: Leading): void {
    if (!leading.isHeldUp || this.#leading !== leading) return;
    leading.isHeldUp = false;
    this.#workIn(SLICE_REST_MS);
  }
}

/** @returns whether all have begun */
function beginSome(leading: Leading): boolean {
  for (let count = 0; leading.unbegun !== undefined; count++) {
    if (count === LEASE_SLICE) return false;
    const {done, value} = leading.unbegun.next();
    if (done) leading.unbegun = undefined;
    else if (!leading.deadlines.has(value.id)) begin(leading, value, leading.sinceMs);
  }
  return true;
}

function begin(leading: Leading, lease: LeaseRecord, nowMs: number): Deadline {
  const deadline = new Deadline(lease);
  const {remainingTtlSeconds} = lease;
  restart(leading, deadline, {
    nowMs,
    leftMs: remainingTtlSeconds > 0 ? remainingTtlSeconds * 1000 : deadline.ttlMs,
  });
  leading.deadlines.set(lease.id, deadline);
  return deadline;
}

function restart(
  {expiries, checkpoints}: Leading,
  deadline: Deadline,
  {nowMs, leftMs}: {nowMs: number; leftMs: number},
): void {
  expiries.set(deadline.expiry, nowMs + leftMs);
  checkpoints.set(deadline.checkpoint, nowMs + checkpointIntervalMs(deadline.ttlMs));
}

function wake(lateRenewals: Leading['lateRenewals'], id: LeaseId): void {
  const waiting = lateRenewals.get(id);
  if (waiting === undefined) return;
  lateRenewals.delete(id);
  for (const settle of waiting) settle();
}

function forget({deadlines, expiries, checkpoints, lateRenewals}: Leading, id: LeaseId): void {
  wake(lateRenewals, id);
  const deadline = deadlines.get(id);
  if (deadline === undefined) return;
  deadlines.delete(id);
  expiries.remove(deadline.expiry);
  checkpoints.remove(deadline.checkpoint);
}

function checkpointIntervalMs(ttlMs: number): number {
  return Math.max(ttlMs / 4, LEASE_CHECKPOINT_INTERVAL_MIN_MS);
}
