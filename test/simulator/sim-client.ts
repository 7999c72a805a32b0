/**
 * A client: one question after the other, or several at a time, to whichever member it likes, of all kinds there are.
 * It writes down what it asked and what it was told; whether that was right is the history's to say.
 */

import {CompareResult, CompareTarget, type Header, type TxnRequest} from '../../src/engine/types.ts';
import type {Refusals} from './checkers/refusals.ts';
import {callMember, type Outcome} from './client-call.ts';
import {ClientSession} from './client-session.ts';
import type {Asked, History, Violate} from './history.ts';
import type {LeaseBook} from './lease-book.ts';
import {bytesOf, compareOf, deleteOf, keyOf, putOf, rangeOf} from './requests.ts';
import type {SeededRandom} from './seeded-random.ts';
import type {SimulatedMember} from './simulated-member.ts';
import type {SimulatedNetwork} from './simulated-network.ts';
import type {Trace} from './trace.ts';

export interface SimClientOptions {
  readonly name: string;
  readonly network: SimulatedNetwork;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly history: History;
  readonly violate: Violate;
  readonly leases: LeaseBook;
  readonly refusals: Refusals;
  readonly members: () => readonly SimulatedMember[];
  readonly keyCount: number;
  readonly valueBytesMax: number;
  readonly pauseMsMax: number;
  /** The longest TTL that it asks for. */
  readonly leaseSecondsMax: number;
  /** What it mostly asks; undefined: it draws that. */
  readonly mix?: ClientMix | undefined;
  readonly requestsAtOnce: number;
  /** It is about to ask. */
  readonly onAsks: () => void;
  readonly onAssertion: (error: unknown) => void;
}

type Operation = (member: SimulatedMember, label: string) => Promise<Outcome<unknown>>;

/**
 * The kinds of questions of a client, as bounds of a hundred-sided dice in the order of `#choose`. One that only reads
 * is not stuck with a write where nobody leads, and asks on there.
 */
const MIXES = {
  everything: [34, 50, 58, 72, 80, 82, 86, 95, 96, 98],
  reads: [0, 90, 94, 94, 94, 94, 94, 94, 94, 98],
  writes: [50, 55, 55, 80, 96, 98, 98, 98, 98, 98],
  /** Leases that nobody renews. */
  grants: [50, 50, 50, 60, 70, 71, 96, 96, 96, 98],
  leases: [15, 20, 20, 20, 20, 20, 35, 88, 92, 98],
} as const;
export type ClientMix = keyof typeof MIXES;
const MIX_CHOICES = ['everything', 'everything', 'everything', 'reads', 'writes', 'leases'] as const;
/** How long a client waits for an answer before it asks somebody else, milliseconds. */
const PATIENCE_MS_CHOICES = [10_000, 10_000, 1_000, 150];

/** An id that no client grants. */
const NO_LEASE = 1n << 40n;

export class SimClient {
  readonly #options: SimClientOptions;
  readonly #mix: readonly number[];
  readonly #patienceMs: number;
  readonly #session: ClientSession;
  #isStopped = false;
  #member: SimulatedMember | undefined;
  #sequence = 0;

  constructor(options: SimClientOptions) {
    this.#options = options;
    const {random} = options;
    const drawn = MIX_CHOICES[random.below(MIX_CHOICES.length)];
    this.#mix = MIXES[options.mix ?? drawn];
    this.#session = new ClientSession(options.name, options.violate);
    this.#patienceMs = PATIENCE_MS_CHOICES[random.below(PATIENCE_MS_CHOICES.length)];
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves after `stop`, when the last question has been answered or given up. */
  async run(): Promise<void> {
    await Promise.all(Array.from({length: this.#options.requestsAtOnce}, () => this.#askOnAndOn()));
  }

  async #askOnAndOn(): Promise<void> {
    const {random, network, members, trace, name, pauseMsMax, onAsks} = this.#options;
    while (!this.#isStopped) {
      await network.queue.sleep((random.below(1_000) / 1_000) * pauseMsMax);
      const all = members();
      if (this.#member === undefined || !all.includes(this.#member) || random.below(8) === 0)
        this.#member = all[random.below(all.length)];
      const member = this.#member;
      const label = `${name}.${++this.#sequence}`;
      const [kind, operation] = this.#choose();
      onAsks();
      const outcome = await operation(member, label);
      trace.note(`${label} ${kind} at ${member.name}: ${outcome.kind === 'answer' ? 'ok' : outcome.code}`);
      // As clients do: another member may know better.
      if (outcome.kind !== 'answer') {
        this.#member = undefined;
        await network.queue.sleep(random.below(50));
      }
    }
  }

  #choose(): [string, Operation] {
    const dice = this.#options.random.below(100);
    switch (this.#mix.findIndex((bound) => dice < bound)) {
      case 0:
        return ['put', (member, label) => this.#put(member, label)];
      case 1:
        return ['get', (member) => this.#range(member, false)];
      case 2:
        return ['serializable get', (member) => this.#range(member, true)];
      case 3:
        return ['txn', (member, label) => this.#txn(member, label)];
      case 4:
        return ['delete', (member) => this.#delete(member)];
      case 5:
        return ['compact', (member) => this.#compact(member)];
      case 6:
        return ['grant', (member) => this.#grant(member)];
      case 7:
        return ['renew', (member) => this.#renew(member)];
      case 8:
        return ['revoke', (member) => this.#revoke(member)];
      case 9:
        return ['time to live', (member) => this.#timeToLive(member)];
      default:
        if (this.#options.random.below(2) === 0) return ['update', (member) => this.#update(member)];
        return ['status', (member) => this.#status(member)];
    }
  }

  async #call<Result extends {readonly header: Header}>(
    member: SimulatedMember,
    act: Parameters<typeof callMember<Result>>[1],
  ): Promise<Outcome<Result>> {
    const {name, network, random, onAssertion} = this.#options;
    const timeoutMs = random.below(10) === 0 ? 20 + random.below(500) : this.#patienceMs;
    const told = this.#session.ask(member.life);
    const outcome = await callMember({from: name, network, member, timeoutMs, onAssertion}, act);
    if (outcome.kind === 'answer' && outcome.from !== undefined)
      told(outcome.from, outcome.result.header.revision);
    return outcome;
  }

  async #put(member: SimulatedMember, label: string): Promise<Outcome<unknown>> {
    const {history, random, refusals} = this.#options;
    const request = putOf(this.#key(), this.#value(label), {
      lease: this.#someLease(4),
      prevKv: random.below(3) === 0,
    });
    const values = [Buffer.from(request.value).toString('latin1')];
    const asked = history.ask(label, values);
    const outcome = await this.#call(member, (server, signal) => server.put(request, signal));
    if (outcome.kind === 'answer')
      history.put(asked, request, outcome.result.header.revision, outcome.result.result.prevKv);
    else if (outcome.kind === 'refused') {
      history.refused(values);
      refusals.write(label, outcome.code, {leases: [request.lease]});
    } else history.unanswered(asked, {requestPut: request});
    return outcome;
  }

  async #delete(member: SimulatedMember): Promise<Outcome<unknown>> {
    const {history, random, refusals} = this.#options;
    const [key, rangeEnd] = this.#keys();
    const request = deleteOf(key, random.below(5) === 0 ? rangeEnd : '', {prevKv: random.below(2) === 0});
    const asked = history.ask('delete');
    const outcome = await this.#call(member, (server, signal) => server.deleteRange(request, signal));
    if (outcome.kind === 'answer')
      history.deleteRange(asked, request, outcome.result.header.revision, outcome.result.result);
    else if (outcome.kind === 'unknown') history.unanswered(asked, {requestDeleteRange: request});
    else refusals.write(asked.who, outcome.code, {leases: []});
    return outcome;
  }

  async #range(member: SimulatedMember, serializable: boolean): Promise<Outcome<unknown>> {
    const {history, random} = this.#options;
    const [key, rangeEnd] = this.#keys();
    const asked = history.ask('get');
    const revision = random.below(6) === 0 ? 1 + random.below(asked.floor) : 0;
    const request = rangeOf(key, random.below(3) === 0 ? rangeEnd : '', {serializable, revision});
    const refused = this.#reading(member, asked, {revision, isStale: serializable});
    const outcome = await this.#call(member, (server) => server.range(request));
    if (outcome.kind === 'answer')
      history.range(asked, request, outcome.result.header.revision, outcome.result.result);
    else if (outcome.kind === 'refused') refused(outcome);
    return outcome;
  }

  async #txn(member: SimulatedMember, label: string): Promise<Outcome<unknown>> {
    const {history, random, refusals} = this.#options;
    const [key, other] = [this.#key(), this.#key()];
    const compare = this.#compare(key);
    const values = ['s', 'f', 'o'].map((branch) => `${this.#value(label)}${branch}`);
    const request: TxnRequest = {
      compare: [compare],
      success: [
        {requestRange: rangeOf(key)},
        {requestPut: putOf(key, values[0], {lease: this.#someLease(8)})},
        ...(other !== key && random.below(2) === 0
          ? [{requestPut: putOf(other, values[2], {lease: this.#someLease(8)})}]
          : []),
      ],
      failure:
        random.below(2) === 0
          ? [{requestRange: rangeOf(key)}]
          : [{requestRange: rangeOf(other)}, {requestPut: putOf(other, values[1])}],
    };
    const asked = history.ask(label, values);
    const outcome = await this.#call(member, (server, signal) => server.txn(request, signal));
    if (outcome.kind === 'answer')
      history.txn(asked, request, outcome.result.header.revision, outcome.result.result);
    else if (outcome.kind === 'refused') {
      history.refused(values);
      const puts = [...request.success, ...request.failure];
      refusals.write(label, outcome.code, {leases: puts.map(({requestPut}) => requestPut?.lease ?? 0n)});
    } else history.unansweredTxn(asked, request);
    return outcome;
  }

  async #compact(member: SimulatedMember): Promise<Outcome<unknown>> {
    const {history, random, refusals} = this.#options;
    const asked = history.ask('compact');
    const revision = Math.max(1, asked.floor - random.below(40));
    const request = {revision, physical: random.below(2) === 0};
    const outcome = await this.#call(member, (server, signal) => server.compact(request, signal));
    if (outcome.kind === 'answer') history.other(asked, outcome.result.header.revision);
    else if (outcome.kind === 'refused')
      refusals.compact(asked.who, outcome.code, {revision, floor: asked.floor});
    return outcome;
  }

  async #grant(member: SimulatedMember): Promise<Outcome<unknown>> {
    const {history, random, leases, leaseSecondsMax} = this.#options;
    const ttlSeconds = 2 + random.below(leaseSecondsMax - 1);
    const asked = history.ask('grant');
    const id = leases.newId();
    const stamp = leases.ask();
    const outcome = await this.#call(member, (server) => server.leaseGrant({id, ttlSeconds}));
    if (outcome.kind === 'answer') {
      history.other(asked, outcome.result.header.revision);
      leases.granted(id, {ttlSeconds: outcome.result.result.ttlSeconds, asked: stamp, isShared: true});
    }
    return outcome;
  }

  async #renew(member: SimulatedMember): Promise<Outcome<unknown>> {
    const {random, leases} = this.#options;
    const id = leases.pick(random);
    if (id === undefined) return {kind: 'answer', result: undefined};
    const asked = leases.ask();
    const outcome = await this.#call(member, (server) => server.leaseRenew(id));
    if (outcome.kind !== 'answer') return outcome;
    const {ttlSeconds} = outcome.result.result;
    if (ttlSeconds === 0) leases.denied(id);
    else leases.renewed(id, {ttlSeconds, asked});
    return outcome;
  }

  async #revoke(member: SimulatedMember): Promise<Outcome<unknown>> {
    const {random, leases} = this.#options;
    const id = leases.pick(random);
    if (id === undefined) return {kind: 'answer', result: undefined};
    leases.revoking(id);
    const outcome = await this.#call(member, (server) => server.leaseRevoke(id));
    if (outcome.kind === 'refused' && outcome.code === 'leaseNotFound') leases.denied(id);
    return outcome;
  }

  async #timeToLive(member: SimulatedMember): Promise<Outcome<unknown>> {
    const {random, leases, history} = this.#options;
    const id = leases.pick(random);
    if (id === undefined) return {kind: 'answer', result: undefined};
    const asked = history.ask('time to live');
    const outcome = await this.#call(member, (server) => server.leaseTimeToLive({id, keys: true}));
    if (outcome.kind !== 'answer') return outcome;
    const {header, result} = outcome.result;
    leases.told(id, result);
    if (result.ttlSeconds >= 0) history.leaseKeys(asked, id, header.revision, result.keys);
    return outcome;
  }

  #status(member: SimulatedMember): Promise<Outcome<unknown>> {
    const {history, random} = this.#options;
    // Round revisions, so that members are asked about the same ones.
    const revision = random.below(3) === 0 ? 0 : history.floor - (history.floor % 20);
    return this.hash(member, revision);
  }

  /** Asks a member, beside everything else. `revision` 0: as of now. */
  async hash(member: SimulatedMember, revision: number): Promise<Outcome<unknown>> {
    const {history} = this.#options;
    const asked = history.ask('hash');
    // One of the past is answered by whoever is asked.
    const isStale = revision !== 0;
    const refused = this.#reading(member, asked, {revision, isStale});
    const outcome = await this.#call(member, (server) => server.hashKv(revision));
    if (outcome.kind === 'answer') {
      const {header, result} = outcome.result;
      history.hashKv(asked, header.revision, result, isStale);
    } else if (outcome.kind === 'refused') refused(outcome);
    return outcome;
  }

  /** Before a read. `isStale`: who is asked may be behind. @returns to be called when it is refused */
  #reading(
    {life}: SimulatedMember,
    {who, floor}: Asked,
    {revision, isStale}: {readonly revision: number; readonly isStale: boolean},
  ): (outcome: Outcome<unknown> & {kind: 'refused'}) => void {
    const shown = this.#session.shownBy(life);
    return ({code, from}) => {
      const reached = isStale ? (from === life ? shown : 0) : floor;
      this.#options.refusals.read(who, code, {revision, reached});
    };
  }

  /** A change of the configuration that changes nothing, beside whatever the operator does. */
  async #update(member: SimulatedMember): Promise<Outcome<unknown>> {
    const {random, members} = this.#options;
    const all = members();
    const {life, url} = all[random.below(all.length)];
    const id = life?.opened?.identity.memberId;
    if (id === undefined) return {kind: 'answer', result: undefined};
    return this.#call(member, (server) => server.memberUpdate({id, peerURLs: [url]}));
  }

  #compare(key: string) {
    const {random, history} = this.#options;
    switch (random.below(4)) {
      case 0:
        return compareOf(key, {target: CompareTarget.create, result: CompareResult.equal, createRevision: 0});
      case 1:
        return compareOf(key, {
          target: CompareTarget.mod,
          result: CompareResult.less,
          modRevision: history.floor - random.below(10),
        });
      case 2:
        return compareOf(key, {
          target: CompareTarget.value,
          result: CompareResult.greater,
          value: bytesOf('c2'),
        });
      default:
        return compareOf(key, {target: CompareTarget.version, result: CompareResult.greater, version: 3});
    }
  }

  /** Once in so many times: one that may have gone meanwhile, or never was. */
  #someLease(oneIn: number): bigint {
    const {random, leases} = this.#options;
    if (random.below(oneIn) > 0) return 0n;
    return random.below(8) === 0 ? NO_LEASE : (leases.pick(random) ?? 0n);
  }

  #key(): string {
    return keyOf(this.#options.random.below(this.#options.keyCount));
  }

  #keys(): [string, string] {
    const [a, b] = [this.#key(), this.#key()].sort();
    return [a, `${b}\0`];
  }

  /** Unique by its label. */
  #value(label: string): string {
    const {random, valueBytesMax} = this.#options;
    return `${label}${'.'.repeat(random.below(Math.max(1, valueBytesMax)))}`;
  }
}
