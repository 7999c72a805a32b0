/**
 * A client that takes locks as etcd's clients do: a key under a lease, whose creating revision is the place in the
 * queue and the fencing token. While it holds a lock, it writes on the condition that its key is still there.
 */

import {CompareResult, CompareTarget, type TxnRequest} from '../../src/engine/types.ts';
import type {Refusals} from './checkers/refusals.ts';
import {callMember, type Outcome} from './client-call.ts';
import type {History} from './history.ts';
import type {LeaseAsked, LeaseBook} from './lease-book.ts';
import type {Hold, LockBook} from './lock-book.ts';
import {compareOf, deleteOf, putOf, rangeOf} from './requests.ts';
import type {SeededRandom} from './seeded-random.ts';
import type {SimulatedMember} from './simulated-member.ts';
import type {SimulatedNetwork} from './simulated-network.ts';
import type {Trace} from './trace.ts';

export interface SimLockerOptions {
  readonly name: string;
  readonly network: SimulatedNetwork;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly history: History;
  readonly leases: LeaseBook;
  readonly refusals: Refusals;
  readonly locks: LockBook;
  readonly members: () => readonly SimulatedMember[];
  readonly lockCount: number;
  /** The fastest that a leader's clock may go: a holder trusts its lease no longer than that allows. */
  readonly clockRateMax: number;
  readonly onAssertion: (error: unknown) => void;
}

interface Session {
  readonly id: bigint;
  readonly ttlSeconds: number;
  /** Until then the lease lives for sure, by the true time; milliseconds. */
  untilMs: number;
}

export class SimLocker {
  readonly #options: SimLockerOptions;
  #isStopped = false;
  #sequence = 0;

  constructor(options: SimLockerOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves after `stop`. */
  async run(): Promise<void> {
    const {network, random} = this.#options;
    while (!this.#isStopped) {
      await network.queue.sleep(20 + random.below(400));
      const session = await this.#openSession();
      if (session === undefined) continue;
      await this.#takeLock(session);
      // Half of the sessions end as they do when their client dies: by expiry.
      if (random.below(2) === 0) await this.#revoke(session);
    }
  }

  async #openSession(): Promise<Session | undefined> {
    const {leases, random, history} = this.#options;
    const id = leases.newId();
    const stamp = leases.ask();
    const asked = history.ask('session');
    const outcome = await this.#call((server) => server.leaseGrant({id, ttlSeconds: 2 + random.below(4)}));
    if (outcome.kind !== 'answer') return undefined;
    const {header, result} = outcome.result;
    history.other(asked, header.revision);
    leases.granted(id, {ttlSeconds: result.ttlSeconds, asked: stamp, isShared: false});
    return {id, ttlSeconds: result.ttlSeconds, untilMs: this.#trustedUntil(stamp, result.ttlSeconds)};
  }

  async #takeLock(session: Session): Promise<void> {
    const {random, locks, trace, name, lockCount, history, refusals} = this.#options;
    const lock = `lock${random.below(lockCount)}`;
    const key = `${lock}/${session.id.toString(16)}`;
    const asked = history.ask('lock');
    const request: TxnRequest = {
      compare: [
        compareOf(key, {target: CompareTarget.create, result: CompareResult.equal, createRevision: 0}),
      ],
      success: [{requestPut: putOf(key, name, {lease: session.id})}],
      failure: [{requestRange: rangeOf(key)}],
    };
    const queued = await this.#call((server, signal) => server.txn(request, signal));
    if (queued.kind === 'refused') refusals.write(asked.who, queued.code, {leases: [session.id]});
    if (queued.kind !== 'answer') return;
    const token = queued.result.header.revision;
    history.other(asked, token);
    const hold: Hold = {lock, holder: name, key, token};
    if (!(await this.#awaitTurn(hold, session))) return;
    trace.note(`${name} holds ${lock} with token ${token}`);
    for (let writes = random.below(4); writes > 0 && (await this.#keepAlive(session, hold)); writes--)
      await this.#write(hold);
    locks.letGo(hold);
    await this.#call((server, signal) => server.deleteRange(deleteOf(key), signal));
  }

  /** Polls until nobody is before it, and makes sure that its own key is still there. */
  async #awaitTurn(hold: Hold, session: Session): Promise<boolean> {
    const {network, random, locks, history} = this.#options;
    const {lock, key, token} = hold;
    while (!this.#isStopped) {
      const request = rangeOf(`${lock}/`, `${lock}0`, {maxCreateRevision: token - 1, limit: 1});
      const before = await this.#call((server) => server.range(request));
      if (before.kind === 'answer' && before.result.result.kvs.length === 0) {
        const asked = history.ask('turn');
        const own = await this.#call((server) => server.range(rangeOf(key)));
        if (own.kind !== 'answer') continue;
        const {header, result} = own.result;
        history.other(asked, header.revision);
        if (result.kvs[0]?.createRevision !== token) return false;
        locks.holds(hold, {revision: header.revision, untilMs: session.untilMs});
        return true;
      }
      await network.queue.sleep(30 + random.below(200));
      if (!(await this.#keepAlive(session, undefined))) return false;
    }
    return false;
  }

  /** @returns false when the session has ended, or must be taken to have */
  async #keepAlive(session: Session, hold: Hold | undefined): Promise<boolean> {
    const {leases, locks} = this.#options;
    const stamp = leases.ask();
    const outcome = await this.#call((server) => server.leaseRenew(session.id));
    if (outcome.kind === 'answer') {
      const {ttlSeconds} = outcome.result.result;
      if (ttlSeconds === 0) {
        leases.denied(session.id);
        return false;
      }
      leases.renewed(session.id, {ttlSeconds, asked: stamp});
      session.untilMs = Math.max(session.untilMs, this.#trustedUntil(stamp, session.ttlSeconds));
      if (hold !== undefined) locks.renewed(hold, session.untilMs);
    }
    return this.#options.network.queue.nowMs < session.untilMs;
  }

  async #write(hold: Hold): Promise<void> {
    const {locks, random, network, history, name} = this.#options;
    const {lock, key, token} = hold;
    // Sometimes so late that the lease may have ended: the fence must hold then.
    await network.queue.sleep(random.below(random.below(4) === 0 ? 6_000 : 200));
    const asked = history.ask('fenced');
    const value = `${name}.${++this.#sequence}`;
    const request: TxnRequest = {
      compare: [
        compareOf(key, {target: CompareTarget.create, result: CompareResult.equal, createRevision: token}),
      ],
      success: [{requestPut: putOf(`fenced/${lock}`, value)}],
      failure: [],
    };
    const outcome = await this.#call((server, signal) => server.txn(request, signal));
    if (outcome.kind !== 'answer') return;
    const {header, result} = outcome.result;
    history.other(asked, header.revision);
    if (result.succeeded) locks.wrote(hold, header.revision);
  }

  async #revoke({id}: Session): Promise<void> {
    this.#options.leases.revoking(id);
    await this.#call((server) => server.leaseRevoke(id));
  }

  #trustedUntil({atMs}: LeaseAsked, ttlSeconds: number): number {
    return atMs + (ttlSeconds * 1_000) / this.#options.clockRateMax;
  }

  #call<Result>(act: Parameters<typeof callMember<Result>>[1]): Promise<Outcome<Result>> {
    const {name, network, random, members, onAssertion} = this.#options;
    const all = members();
    const member = all[random.below(all.length)];
    return callMember({from: name, network, member, timeoutMs: 3_000, onAssertion}, act);
  }
}
