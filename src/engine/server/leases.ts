/**
 * What clients ask of leases. Grant and revoke go through the log. Renewals and remaining times are the leader's
 * to know: it answers a renewal only under confirmed leadership (one read index, batched with all reads), so that
 * a deposed leader never tells a client that its lease lives; other members ask the leader.
 */

import {EngineError} from '../errors.ts';
import {
  LEASE_ASK_RETRY_MS_MAX,
  LEASE_ASK_RETRY_MS_MIN,
  LEASE_TTL_MAX_SECONDS,
  PEER_CALL_TIMEOUT_MS,
} from '../limits.ts';
import type {Clock, PeerNetwork, Random} from '../ports.ts';
import type {Message} from '../raft/message.ts';
import type {ApplyResult} from '../state-machine/apply-result.ts';
import type {Lessor} from '../state-machine/lease/lessor.ts';
import type {LeaseId, MemberId} from '../types.ts';
import type {LeaseExpirer} from './lease-expirer.ts';
import type {PeerAnswer, PeerCall} from './peer-call.ts';
import type {Proposals} from './proposals.ts';
import type {Reads} from './reads.ts';

export interface LeasesOptions {
  readonly lessor: () => Lessor;
  readonly expirer: LeaseExpirer;
  readonly proposals: Proposals;
  readonly reads: Reads;
  readonly clock: Clock;
  readonly random: Random;
  readonly network: PeerNetwork<Message, PeerCall, PeerAnswer>;
  readonly memberId: MemberId;
  readonly leader: () => MemberId;
  /** How long a renewal or a question may take, milliseconds. */
  readonly timeoutMs: number;
  /** etcd's: one and a half election timeouts, rounded up to seconds. */
  readonly ttlMinSeconds: number;
}

export class Leases {
  readonly #options: LeasesOptions;

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  async grant(request: {
    id: LeaseId;
    ttlSeconds: number;
  }): Promise<{id: LeaseId; ttlSeconds: number; at: ApplyResult}> {
    const {proposals, ttlMinSeconds} = this.#options;
    if (request.ttlSeconds > LEASE_TTL_MAX_SECONDS) {
      throw new EngineError({code: 'leaseTtlTooLarge', ttlSeconds: request.ttlSeconds});
    }
    const id = request.id === 0n ? this.#newId() : request.id;
    const ttlSeconds = Math.max(request.ttlSeconds, ttlMinSeconds);
    const at = await proposals.submit({type: 'leaseGrant', id, ttlSeconds});
    return {id, ttlSeconds, at};
  }

  revoke(id: LeaseId): Promise<ApplyResult> {
    return this.#options.proposals.submit({type: 'leaseRevoke', id, proposerTerm: 0});
  }

  /** @returns the TTL in seconds, 0 when there is no such lease */
  async renew(id: LeaseId): Promise<number> {
    const answer = await this.#askLeader(
      async () => ({type: 'leaseRenew', ttlSeconds: await this.renewHere(id)}) as const,
      {type: 'leaseRenew', id},
    );
    return answer.type === 'leaseRenew' ? answer.ttlSeconds : 0;
  }

  /** On the leader alone. @throws EngineError notPrimaryLessor elsewhere */
  async renewHere(id: LeaseId): Promise<number> {
    await this.#confirmLeading();
    return this.#options.expirer.renew(id);
  }

  /** @returns whole seconds left, -1 when there is no such lease */
  async remaining(id: LeaseId): Promise<number> {
    const answer = await this.#askLeader(
      async () => ({type: 'leaseRemaining', remainingSeconds: await this.remainingHere(id)}) as const,
      {type: 'leaseRemaining', id},
    );
    return answer.type === 'leaseRemaining' ? answer.remainingSeconds : -1;
  }

  async remainingHere(id: LeaseId): Promise<number> {
    await this.#confirmLeading();
    return this.#options.expirer.remainingSeconds(id);
  }

  async #confirmLeading(): Promise<void> {
    await this.#options.reads.confirm();
    if (!this.#options.expirer.leading) throw new EngineError({code: 'notPrimaryLessor'});
  }

  /**
   * The local answer where this member leads, the leader's otherwise. Put again with growing pauses while leadership
   * moves, until the time of the request is over.
   */
  async #askLeader(here: () => Promise<PeerAnswer>, call: PeerCall): Promise<PeerAnswer> {
    const {clock, timeoutMs, reads, memberId, network} = this.#options;
    const untilMs = clock.monotonicMs() + timeoutMs;
    for (let pauseMs = LEASE_ASK_RETRY_MS_MIN; ; pauseMs = Math.min(2 * pauseMs, LEASE_ASK_RETRY_MS_MAX)) {
      // Waits for a leader, and that this member knows all leases granted before.
      await reads.confirm();
      const leader = this.#options.leader();
      try {
        if (leader === memberId) return await here();
        if (leader === 0n) throw new EngineError({code: 'noLeader'});
        const leftMs = Math.max(1, untilMs - clock.monotonicMs());
        return await network.call(leader, call, Math.min(PEER_CALL_TIMEOUT_MS, leftMs));
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        // Of `stopped`, too: it may be the leader that stops. When this member does, `confirm` says so.
        if (clock.monotonicMs() + pauseMs >= untilMs) throw error;
        await new Promise<void>((resolve) => void clock.after(pauseMs, resolve));
      }
    }
  }

  /** Positive, so that clients which print it in hex as a signed number show no minus sign. */
  #newId(): LeaseId {
    for (;;) {
      const id = this.#options.random.uint64() & 0x7fff_ffff_ffff_ffffn;
      if (id !== 0n && this.#options.lessor().lease(id) === undefined) return id;
    }
  }
}
