/**
 * Commands on their way through the log, and who waits for them. A proposal waits here while there is no leader,
 * goes to raft once, and is never sent a second time: its fate may be unknown, and only its client may decide to
 * repeat it. The waiting ends with the applied result, the caller's signal, or the time limit.
 */

import {EngineError} from '../errors.ts';
import {PROPOSALS_WAITING_BYTES_MAX} from '../limits.ts';
import type {Clock, Random} from '../ports.ts';
import type {ApplyResult} from '../state-machine/apply-result.ts';
import type {Command} from '../state-machine/command.ts';
import {encodeProposal} from '../state-machine/command-codec.ts';
import type {MemberId} from '../types.ts';

/** A log payload that raft has not taken yet. */
export interface WaitingProposal {
  readonly requestId: number;
  readonly payload: Uint8Array;
  /** What this member says as the leader it is now; it is void in a later term. */
  readonly isLeadersOwn: boolean;
}

interface Waiter {
  readonly deadlineMs: number;
  readonly resolve: (result: ApplyResult) => void;
  readonly reject: (error: unknown) => void;
  readonly release: () => void;
}

export interface ProposalsOptions {
  readonly memberId: MemberId;
  readonly clock: Clock;
  readonly random: Random;
  /** How long a caller waits at most, milliseconds. */
  readonly timeoutMs: number;
  /** Bytes of a command's encoding that are refused with requestTooLarge beyond. */
  readonly requestBytesMax: number;
  /** Why a proposal timed out, as far as this member can tell. */
  readonly timeoutCause: (submittedMs: number) => 'timeout' | 'timeoutLeaderFailed' | 'timeoutConnectionLost';
  /** Called when `takeWaiting` has something new. */
  readonly wake: () => void;
}

export class Proposals {
  readonly #options: ProposalsOptions;
  /** In order of deadline, since every proposal has the same time limit. */
  readonly #waiters = new Map<number, Waiter>();
  #unsent: WaitingProposal[] = [];
  #unsentBytes = 0;
  #stopped = false;
  #nextRequestId: number;

  constructor(options: ProposalsOptions) {
    this.#options = options;
    // A random start keeps the ids of two lives of one member apart; 2^47 + 2^32 requests stay safe integers.
    this.#nextRequestId = options.random.below(2 ** 31) * 2 ** 16;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** Resolves with the applied result, whose response may be an EngineError of its own. */
  submit(command: Command, signal?: AbortSignal): Promise<ApplyResult> {
    const {memberId, requestBytesMax} = this.#options;
    const requestId = this.#nextRequestId++;
    const payload = encodeProposal({proposer: memberId, requestId, command});
    if (payload.length > requestBytesMax) {
      const failure = {code: 'requestTooLarge', bytes: payload.length, bytesMax: requestBytesMax} as const;
      return Promise.reject(new EngineError(failure));
    }
    if (this.#unsentBytes > PROPOSALS_WAITING_BYTES_MAX) {
      return Promise.reject(new EngineError({code: 'tooManyRequests'}));
    }
    const answer = this.await(requestId, signal);
    if (!this.#waiters.has(requestId)) return answer;
    const isLeadersOwn = 'proposerTerm' in command && command.proposerTerm !== 0;
    this.#unsent.push({requestId, payload, isLeadersOwn});
    this.#unsentBytes += payload.length;
    this.#options.wake();
    return answer;
  }

  /** A fresh id for something that travels through the log by another way (a membership change). */
  newRequestId(): number {
    return this.#nextRequestId++;
  }

  /** Waits for the result of a request that the caller brings into the log itself. */
  await(requestId: number, signal?: AbortSignal): Promise<ApplyResult> {
    const {clock, timeoutMs} = this.#options;
    if (this.#stopped) return Promise.reject(new EngineError({code: 'stopped'}));
    return new Promise((resolve, reject) => {
      const abort = () => this.fail(requestId, new EngineError({code: 'canceled'}, signal?.reason));
      if (signal !== undefined) {
        if (signal.aborted) {
          reject(new EngineError({code: 'canceled'}, signal.reason));
          return;
        }
        signal.addEventListener('abort', abort);
      }
      const release = signal === undefined ? () => {} : () => signal.removeEventListener('abort', abort);
      this.#waiters.set(requestId, {deadlineMs: clock.monotonicMs() + timeoutMs, resolve, reject, release});
    });
  }

  /** What raft should be offered next, oldest first; whatever it refuses comes back by {@link putBack}. */
  takeWaiting(): WaitingProposal[] {
    // Whoever gave up is not written later, behind its back.
    const taken = this.#unsent.filter(({requestId}) => this.#waiters.has(requestId));
    this.#unsent = [];
    this.#unsentBytes = 0;
    return taken;
  }

  putBack(proposals: WaitingProposal[]): void {
    this.#unsent = proposals.concat(this.#unsent);
    for (const {payload} of proposals) this.#unsentBytes += payload.length;
  }

  get hasLeadersOwn(): boolean {
    return this.#unsent.some(({isLeadersOwn}) => isLeadersOwn);
  }

  /** Leadership is lost: what waits would be void at the next leader, and need not burden it. */
  withdrawLeadersOwn(): void {
    for (const {requestId, isLeadersOwn} of this.#unsent) {
      if (isLeadersOwn) this.fail(requestId, new EngineError({code: 'notLeader'}));
    }
  }

  get hasUnsent(): boolean {
    return this.#unsent.length > 0;
  }

  finish(requestId: number, result: ApplyResult): void {
    const waiter = this.#take(requestId);
    if (waiter === undefined) return;
    if (result.response instanceof EngineError) waiter.reject(result.response);
    else waiter.resolve(result);
  }

  fail(requestId: number, error: EngineError): void {
    this.#take(requestId)?.reject(error);
  }

  /** Ends the waiting of those whose time is over. */
  sweep(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [requestId, waiter] of this.#waiters) {
      if (waiter.deadlineMs > nowMs) break;
      const submittedMs = waiter.deadlineMs - this.#options.timeoutMs;
      this.fail(requestId, new EngineError({code: this.#options.timeoutCause(submittedMs)}));
    }
  }

  /** The member stops: nobody waits any longer. */
  stop(): void {
    this.#stopped = true;
    for (const requestId of [...this.#waiters.keys()])
      this.fail(requestId, new EngineError({code: 'stopped'}));
    this.#unsent = [];
    this.#unsentBytes = 0;
  }

  #take(requestId: number): Waiter | undefined {
    const waiter = this.#waiters.get(requestId);
    if (waiter === undefined) return undefined;
    this.#waiters.delete(requestId);
    waiter.release();
    return waiter;
  }
}
