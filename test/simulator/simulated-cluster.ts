/**
 * A whole cluster from one seed: machines, network, faults, clients and watchers on one queue of events, the
 * production engine in the midst, and everything that it says and does held against the model.
 */

import {AssertionError, EngineError} from '../../src/engine/errors.ts';
import {Casualties} from './casualties.ts';
import {RaftRules} from './checkers/raft-rules.ts';
import {Refusals} from './checkers/refusals.ts';
import {ClientCrowd} from './client-crowd.ts';
import {observeBy} from './cluster-observer.ts';
import {EventQueue} from './event-queue.ts';
import type {FaultLog} from './fault-log.ts';
import {FaultSchedule} from './fault-schedule.ts';
import {type FaultKind, FILE_FAULTS} from './faults/fault-kinds.ts';
import {History} from './history.ts';
import {Invariants} from './invariants.ts';
import {KvModel} from './kv-model.ts';
import {LeaderClock} from './leader-clock.ts';
import {LeaderWork} from './leader-work.ts';
import {LeaseBook} from './lease-book.ts';
import {LeaseBound} from './lease-bound.ts';
import {LockBook} from './lock-book.ts';
import {MemberAdmin} from './member-admin.ts';
import {keyOf, rangeOf} from './requests.ts';
import {SeededRandom} from './seeded-random.ts';
import {simulatedConfig, urlOf} from './simulated-config.ts';
import {SimulatedMember} from './simulated-member.ts';
import {SimulatedNetwork} from './simulated-network.ts';
import {drawSwarm, type Swarm} from './swarm.ts';
import {Trace} from './trace.ts';

/** After the last fault everything must be well within this time, virtual milliseconds. */
const CONVERGENCE_MS = 60_000;
/**
 * The faults end by then, whatever the clients got done, virtual milliseconds: under faults that leave no majority
 * most of the time nobody promises that they get anywhere.
 */
const FAULTY_MS_MAX = 600_000;
/** As many faults strike within a run's operations at least. */
const FAULTS_MIN = 20;

export interface SimulationOptions {
  readonly seed: number;
  /** Operations of clients after which the run comes to its end. */
  readonly operations: number;
  readonly overrides?: Partial<Swarm> | undefined;
  /** Numbers of faults that do not happen, from 0: for shrinking. */
  readonly skippedFaults?: ReadonlySet<number> | undefined;
  /** Nothing happens by itself: no machine is started again, no client asks. For scenarios. */
  readonly isManual?: boolean;
  readonly listener?: ((line: string) => void) | undefined;
}

export interface Violation {
  readonly invariant: string;
  readonly detail: string;
  readonly step: number;
  readonly atMs: number;
}

export interface SimulationReport {
  readonly seed: number;
  readonly violation: Violation | undefined;
  readonly swarm: Swarm;
  readonly hash: string;
  readonly steps: number;
  readonly virtualMs: number;
  readonly operations: number;
  readonly answered: number;
  /** Sets of keys whose requests the search for an order could neither put in one nor refuse. */
  readonly undecidedParts: number;
  readonly acknowledgedWrites: number;
  readonly revision: number;
  readonly elections: number;
  readonly watchEvents: number;
  readonly expiredLeases: number;
  readonly memberChanges: number;
  readonly faults: FaultLog;
  /** How often each named point was reached: where members died, what their logs tell. */
  readonly reached: ReadonlyMap<string, number>;
  readonly tail: (lines: number) => readonly string[];
}

class Stopped extends Error {}

export class SimulatedCluster {
  readonly queue = new EventQueue();
  readonly trace: Trace;
  readonly network: SimulatedNetwork;
  readonly model = new KvModel();
  readonly history: History;
  readonly leases: LeaseBook;
  readonly locks: LockBook;
  readonly invariants: Invariants;
  readonly #rules: RaftRules;
  readonly #leaderClock = new LeaderClock();
  readonly #work: LeaderWork;
  readonly #bound: LeaseBound;
  readonly members: SimulatedMember[] = [];
  readonly swarm: Swarm;
  readonly #options: SimulationOptions;
  readonly #random: SeededRandom;
  readonly #crowd: ClientCrowd;
  readonly #faults: FaultSchedule;
  readonly admin: MemberAdmin;
  readonly casualties: Casualties;
  violation: Violation | undefined;
  isHealed = false;
  /** Ends of processes that a scenario expects; else they are violations. */
  readonly ends: {readonly member: string; readonly error: unknown}[] = [];
  expectsEnds = false;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed * 7919 + 1);
    this.trace = new Trace(() => this.queue.nowMs);
    this.trace.listener = options.listener;
    this.swarm = {
      ...drawSwarm(this.#random, new SeededRandom(options.seed * 7919 + 2)),
      ...options.overrides,
    };
    const violate = (invariant: string, detail: string) => this.violate(invariant, detail);
    this.network = new SimulatedNetwork(this.queue, this.#fork());
    this.history = new History({
      model: this.model,
      violate,
      nowMs: () => this.queue.nowMs,
      keys: Array.from({length: this.swarm.keyCount}, (_, place) => keyOf(place)),
    });
    const nowMs = () => this.queue.nowMs;
    const {electionMs} = this.swarm;
    this.#work = new LeaderWork({gapMsMax: electionMs / 2});
    this.#bound = new LeaseBound({work: this.#work, electionMs, violate});
    const leaderMs = () => this.#leaderClock.nowMs();
    this.leases = new LeaseBook({nowMs, leaderMs, violate, bound: this.#bound});
    this.locks = new LockBook({model: this.model, nowMs, violate});
    this.invariants = new Invariants({
      model: this.model,
      violate,
      onRevoked: (id, how) => this.leases.gone(id, how),
      onLeading: ({name, life}, term) => {
        if (life?.opened === undefined) return;
        this.#rules.leads(name, life.opened.raft);
        this.#leaderClock.leads(life, term);
        this.#work.leads(life, term);
      },
      onLed: ({name, life}, {before}) => {
        if (life?.opened !== undefined) this.#rules.led(name, life.opened.raft, before);
      },
    });
    this.#rules = new RaftRules({violate, founders: this.swarm.members});
    for (let place = 1; place <= this.swarm.members; place++) this.#addMachine(place);
    this.admin = new MemberAdmin({
      network: this.network,
      random: this.#fork(),
      trace: this.trace,
      members: this.members,
      onAssertion: (error) => this.#asserted(error),
      configFor: (name, others) => simulatedConfig(this.swarm, name, others),
    });
    this.casualties = new Casualties({
      queue: this.queue,
      members: this.members,
      admin: this.admin,
      violate,
      lastDurable: () => this.#rules.lastDurable(),
      durableOn: (id) => this.#rules.durableOn(id),
      restartsInLatest: (id) => this.#rules.restartsInLatest(id),
      onRecovered: (id) => this.#rules.recovered(id),
    });
    this.#crowd = new ClientCrowd({
      swarm: this.swarm,
      network: this.network,
      random: this.#fork(),
      trace: this.trace,
      model: this.model,
      history: this.history,
      leases: this.leases,
      refusals: new Refusals({model: this.model, leases: this.leases, violate}),
      locks: this.locks,
      members: this.members,
      violate,
      onAsks: () => this.#faults.hurry(),
      onAssertion: (error) => this.#asserted(error),
    });
    this.#faults = new FaultSchedule({
      kinds:
        this.swarm.members < 3
          ? this.swarm.kinds.filter(canBeBorneByFew(this.swarm.members))
          : this.swarm.kinds,
      casualties: this.casualties,
      random: this.#fork(),
      network: this.network,
      members: this.members,
      clients: ['admin', ...this.#crowd.hosts],
      violate,
      askHashes: () => this.#crowd.askHashes(),
      trace: this.trace,
      pauseMsMax: this.swarm.faultPauseMsMax,
      wanted: () => Math.ceil((FAULTS_MIN * this.#crowd.operations) / Math.max(1, options.operations)),
      answered: () => this.history.answered,
      skipped: options.skippedFaults ?? new Set(),
      clockRateMax: this.swarm.clockRateMax,
      changesMembers: this.swarm.changesMembers,
      onAssertion: (error) => this.#asserted(error),
    });
  }

  violate(invariant: string, detail: string): void {
    if (this.violation !== undefined) return;
    this.violation = {invariant, detail, step: this.queue.steps, atMs: this.queue.nowMs};
    this.trace.note(`VIOLATION of ${invariant}: ${detail}`);
  }

  async run(): Promise<SimulationReport> {
    await this.#guarded(() => this.#phases());
    return this.#report();
  }

  /** Starts all members, plays, and then holds everything against the model. @throws Error with the violation */
  async play(scenario: () => Promise<void>): Promise<void> {
    await this.#guarded(async () => {
      for (const member of this.members) member.start();
      await this.until(() => this.#hasConverged(), 30_000, 'a cluster');
      await scenario();
      this.#faults.heal();
      for (const member of this.members) if (!member.isUp && !this.admin.isOutside(member)) member.start();
      await this.until(() => this.#hasConverged(), CONVERGENCE_MS, 'all members agree');
      await this.#finalChecks();
    });
    const {violation} = this;
    if (violation === undefined) return;
    throw new Error(`${violation.invariant}: ${violation.detail}\n${this.trace.tail(40).join('\n')}`);
  }

  async #guarded(action: () => Promise<void>): Promise<void> {
    const onRejection = (error: unknown) => {
      this.violate(
        'no unhandled rejection',
        error instanceof Error ? (error.stack ?? error.message) : String(error),
      );
    };
    process.on('unhandledRejection', onRejection);
    try {
      await action();
    } catch (error) {
      if (!(error instanceof Stopped))
        this.violate('no exception', error instanceof Error ? (error.stack ?? error.message) : String(error));
    } finally {
      process.off('unhandledRejection', onRejection);
    }
  }

  async #phases(): Promise<void> {
    for (const member of this.members) member.start();
    if (this.#random.below(3) > 0)
      await this.until(() => this.leader() !== undefined, 30_000, 'a first leader');
    this.#crowd.start();
    this.#faults.start();
    if (this.swarm.changesMembers && this.members.length > 1) void this.admin.run();
    await this.#untilPlayed();
    this.#crowd.leaveWatchersAlone();
    this.isHealed = true;
    this.#faults.heal();
    this.admin.hurry();
    this.#crowd.stop();
    const untilMs = this.queue.nowMs + CONVERGENCE_MS;
    await this.until(() => this.#crowd.isQuiet, CONVERGENCE_MS, 'every question is answered or given up');
    const finished = this.admin.stop();
    const hasAgreed = () => this.admin.isIdle && this.#hasConverged();
    await this.until(hasAgreed, untilMs - this.queue.nowMs, 'all members agree');
    await this.drive(finished);
    await this.#finalChecks();
  }

  /** Runs events until it is so. */
  async until(isTrue: () => boolean, withinMs: number, what: string): Promise<void> {
    if (isTrue()) return;
    const deadlineMs = this.queue.nowMs + withinMs;
    let isSo = false;
    await this.queue.run(() => {
      for (const member of this.members) this.invariants.check(member);
      this.#leaderClock.check();
      isSo = isTrue();
      return isSo || this.violation !== undefined || this.queue.nowMs > deadlineMs;
    });
    if (!isSo) this.violate('liveness', `not within ${Math.round(withinMs)} ms: ${what}; ${this.describe()}`);
    if (this.violation !== undefined) throw new Stopped();
  }

  /** Lets so much virtual time pass. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.queue.nowMs + ms;
    await this.until(() => this.queue.nowMs >= untilMs, ms + 60_000, 'time');
  }

  /** Runs events until the promise is settled. */
  async drive<Result>(promise: Promise<Result>, withinMs = CONVERGENCE_MS): Promise<Result> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    promise.then(settle, settle);
    await this.until(() => isSettled, withinMs, 'a promise');
    return promise;
  }

  describe(): string {
    const states = this.members.map((member) => {
      const status = member.replica?.loop.status();
      if (status === undefined) return `${member.name} ${member.isUp ? 'opening' : 'down'}`;
      const {role, term, commit, applied, lastIndex} = status;
      return `${member.name} ${role} t${term} ${applied}/${commit}/${lastIndex}${member.life?.isPublished ? '' : ' unpublished'}`;
    });
    const last = this.ends.at(-1);
    const end = last === undefined ? '' : `; last end: ${last.member} ${String(last.error)}`;
    return `${states.join(', ')}; admin ${this.admin.isIdle ? 'idle' : 'busy'}${end}`;
  }

  async #untilPlayed(): Promise<void> {
    const untilMs = this.queue.nowMs + FAULTY_MS_MAX;
    await this.until(() => this.#hasPlayed() || this.queue.nowMs >= untilMs, FAULTY_MS_MAX + 60_000, 'time');
  }

  #hasPlayed(): boolean {
    return this.#crowd.operations >= this.#options.operations && this.#faults.hasHad(FAULTS_MIN);
  }

  leader(): SimulatedMember | undefined {
    return this.members.find((member) => member.replica?.loop.isLeader);
  }

  #hasConverged(): boolean {
    const inside = this.members.filter((member) => !this.admin.isOutside(member));
    const leader = this.leader();
    const opened = leader?.life?.opened;
    if (leader === undefined || opened === undefined || inside.length === 0) return false;
    const mark = opened.store.applied();
    return inside.every(({life}) => {
      const own = life?.opened?.store.applied();
      return (
        life?.isPublished === true &&
        !life.isStopping &&
        own?.index === mark.index &&
        own.hash === mark.hash &&
        life.replica?.loop.leader === leader.life?.opened?.identity.memberId
      );
    });
  }

  async #finalChecks(): Promise<void> {
    this.trace.note('final checks');
    const {electionMs, clockRateMax} = this.swarm;
    const endMs = this.leases.expectEnd(this.model.leases, {electionMs, clockRateMin: 2 - clockRateMax});
    for (const member of this.members) {
      const server = member.server;
      if (this.admin.isOutside(member) || server === undefined) continue;
      const asked = this.history.ask(`last read at ${member.name}`);
      const request = rangeOf('\0', '\0');
      const {header, result} = await this.drive(server.range(request));
      this.history.range(asked, request, header.revision, result);
    }
    await this.until(() => this.#crowd.haveSeenEverything, CONVERGENCE_MS, this.#watching());
    const leftMs = Math.max(0, endMs - this.queue.nowMs) + 1;
    await this.until(() => this.model.leases.size === 0, leftMs, 'all leases gone');
    await this.#compareHashes();
    this.#crowd.stopWatching();
    this.history.finish();
  }

  #watching(): string {
    return `watchers see everything: ${this.#crowd.describeWatchers()}`;
  }

  async #compareHashes(): Promise<void> {
    await this.until(() => this.#hasConverged(), CONVERGENCE_MS, 'all members agree at last');
    const hashes = new Map<string, string>();
    const {revision} = this.model;
    for (const member of this.members) {
      const server = member.server;
      if (this.admin.isOutside(member) || server === undefined) continue;
      const {result} = await this.drive(server.hashKv(revision));
      hashes.set(member.name, `${result.hash}@${result.compactRevision}`);
    }
    if (new Set(hashes.values()).size > 1)
      this.violate('hash kv', [...hashes].map(([name, hash]) => `${name}: ${hash}`).join(', '));
  }

  #addMachine(place: number): void {
    const name = `m${place}`;
    const member = new SimulatedMember({
      name,
      url: urlOf(place),
      config: simulatedConfig(this.swarm, name, undefined),
      queue: this.queue,
      network: this.network,
      trace: this.trace,
      seed: this.#random.below(2 ** 31),
      walSegmentBytes: this.swarm.walSegmentBytes,
      overlayBytesMax: this.swarm.overlayBytesMax,
      observer: observeBy(
        {
          invariants: this.invariants,
          rules: this.#rules,
          work: this.#work,
          bound: this.#bound,
          reach: (point) => this.trace.reach(point),
          opened: (one, opened) => this.casualties.opened(one, opened),
        },
        (one, life, error) => {
          this.ends.push({member: one.name, error});
          if (error === undefined || this.casualties.ended(one, error)) return;
          if (this.expectsEnds || (life.isDoomed && isOfDisk(error))) return;
          this.#ended(one, error);
        },
      ),
    });
    this.members.push(member);
    const random = this.#fork();
    if (this.#options.isManual !== true) this.#supervise(member, random);
  }

  /** A machine that is down is started again after a while. */
  #supervise(member: SimulatedMember, random: SeededRandom): void {
    const delayMs = this.isHealed ? 20 : 10 + random.below(random.below(3) === 0 ? 4_000 : 400);
    this.queue.after(delayMs, () => {
      if (!member.isUp && !this.admin.isHeld(member)) member.start();
      this.#supervise(member, random);
    });
  }

  #ended(member: SimulatedMember, error: unknown): void {
    // A member that joins may ask in vain, and a founder that never began may have been removed: both are started again.
    const mayBeRefused = member.config.initialClusterState === 'existing' || this.#isOut(member);
    if (mayBeRefused && error instanceof EngineError && error.code === 'clusterMismatch') return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.violate('members stay up', `${member.name} ended: ${text}`);
  }

  /** Whether a member that serves knows of its removal. */
  #isOut({url}: SimulatedMember): boolean {
    return this.members.some(({life}) => {
      const list = life?.replica?.members.list() ?? [];
      return list.length > 0 && !list.some(({peerURLs}) => peerURLs.includes(url));
    });
  }

  #asserted(error: unknown): void {
    if (error instanceof EngineError) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.violate(error instanceof AssertionError ? 'assertion' : 'exception', text);
  }

  #fork(): SeededRandom {
    return new SeededRandom(this.#random.below(2 ** 32));
  }

  #report(): SimulationReport {
    const {queue, history} = this;
    return {
      seed: this.#options.seed,
      violation: this.violation,
      swarm: this.swarm,
      hash: this.trace.digest(),
      steps: queue.steps,
      virtualMs: queue.nowMs,
      operations: this.#crowd.operations,
      answered: history.answered,
      undecidedParts: history.undecidedParts,
      acknowledgedWrites: history.acknowledgedWrites,
      revision: this.model.revision,
      elections: this.invariants.elections,
      watchEvents: this.#crowd.watchEvents,
      expiredLeases: this.leases.expired,
      memberChanges: this.admin.changes,
      faults: this.#faults.log,
      reached: this.trace.reached,
      tail: (lines) => this.trace.tail(lines),
    };
  }
}

/** What a disk that fails may end a process with. A broken invariant is none of it. */
const isOfDisk = (error: unknown): boolean =>
  error instanceof EngineError && ['diskError', 'diskFull', 'dataDirUnusable'].includes(error.code);

/** A lone member cannot go on after a failed sync; where there is no minority, nobody's files may be damaged. */
const canBeBorneByFew = (members: number) => (kind: FaultKind) =>
  !(FILE_FAULTS as readonly FaultKind[]).includes(kind) && (members > 1 || kind !== 'syncError');
