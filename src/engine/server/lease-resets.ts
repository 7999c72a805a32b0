/**
 * Renewals that the log has to hear of, since it says that less than the whole TTL is left. Those of one turn of the
 * loop share a command: clients renew a lease about as often as it is checkpointed.
 */

import {LEASE_CHECKPOINT_BATCH} from '../limits.ts';
import type {Clock} from '../ports.ts';
import type {Command} from '../state-machine/command.ts';
import type {LeaseId, Term} from '../types.ts';

export interface LeaseResetsOptions {
  readonly clock: Clock;
  /** The leader's that takes the renewals. */
  readonly term: Term;
  readonly propose: (command: Command) => Promise<unknown>;
}

interface Gathered {
  readonly leases: {readonly id: LeaseId; readonly remainingTtlSeconds: 0}[];
  readonly done: Promise<unknown>;
}

export class LeaseResets {
  readonly #options: LeaseResetsOptions;
  #gathered: Gathered | undefined;

  constructor(options: LeaseResetsOptions) {
    this.#options = options;
  }

  /** Resolves when the log has it, or the term is over; rejects when its fate is unknown. */
  reset(id: LeaseId): Promise<unknown> {
    this.#gathered ??= this.#gather();
    const {leases, done} = this.#gathered;
    leases.push({id, remainingTtlSeconds: 0});
    if (leases.length === LEASE_CHECKPOINT_BATCH) this.#gathered = undefined;
    return done;
  }

  #gather(): Gathered {
    const {clock, term, propose} = this.#options;
    const leases: Gathered['leases'] = [];
    const done = clock.yield().then(() => {
      if (this.#gathered?.leases === leases) this.#gathered = undefined;
      return propose({type: 'leaseCheckpoint', proposerTerm: term, leases});
    });
    return {leases, done};
  }
}
