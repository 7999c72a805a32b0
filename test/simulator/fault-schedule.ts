/**
 * What goes wrong, when, and for how long: drawn from the seed. Each kind is on or off for a whole run, so that some
 * runs see one kind alone and others all of them at once.
 */

import {anyCrash, keepUnsynced, loseUnsynced} from './memory-disk.ts';
import type {SeededRandom} from './seeded-random.ts';
import {FAIR_DISK, type SimulatedMember} from './simulated-member.ts';
import {FAIR_WEATHER, type SimulatedNetwork} from './simulated-network.ts';
import type {Trace} from './trace.ts';

export const FAULT_KINDS = [
  'kill',
  'power',
  'crashAtDisk',
  'pause',
  'stop',
  'isolate',
  'halves',
  'bridge',
  'oneWay',
  'linkBreak',
  'loss',
  'duplicate',
  'reorder',
  'slowNetwork',
  'slowDisk',
  'hungDisk',
  'syncError',
  'fullStore',
  'clockRate',
  'moveLeader',
  'defragment',
  'campaign',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface FaultScheduleOptions {
  readonly kinds: readonly FaultKind[];
  readonly random: SeededRandom;
  readonly network: SimulatedNetwork;
  readonly members: readonly SimulatedMember[];
  readonly trace: Trace;
  readonly pauseMsMax: number;
  readonly clockRateMax: number;
  /** What a call into a member from outside may not throw. */
  readonly onAssertion: (error: unknown) => void;
}

export class FaultSchedule {
  readonly #options: FaultScheduleOptions;
  readonly counts = new Map<FaultKind, number>();
  #isOver = false;

  constructor(options: FaultScheduleOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.kinds.length > 0) this.#next();
  }

  /** All is well from now on. */
  heal(): void {
    this.#isOver = true;
    const {network, members, trace} = this.#options;
    trace.note('all faults end');
    network.weather = {...FAIR_WEATHER};
    network.heal();
    for (const member of members) {
      member.weather = {...FAIR_DISK};
      member.images.isFull = false;
      member.crashAfterOperations = undefined;
      if (member.life?.clock.isPaused === true) member.life.clock.resume();
    }
  }

  #next(): void {
    const {random, network, pauseMsMax, kinds} = this.#options;
    network.queue.after(20 + random.below(pauseMsMax), () => {
      if (this.#isOver) return;
      this.#next();
      const kind = kinds[random.below(kinds.length)];
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
      this.#inject(kind);
    });
  }

  #inject(kind: FaultKind): void {
    const {random, members, trace} = this.#options;
    const member = members[random.below(members.length)];
    const ms = 50 + random.below(random.below(4) === 0 ? 8_000 : 1_500);
    trace.note(`fault ${kind} ${member.name} ${ms}`);
    switch (kind) {
      case 'kill':
        if (member.isUp) member.kill({landed: random.below(2) === 0});
        return;
      case 'power':
        this.#losePower(member);
        return;
      case 'crashAtDisk':
        member.crashAfterOperations = random.below(random.below(2) === 0 ? 5 : 60);
        member.onArmedCrash = () => {
          if (!member.isUp) return;
          if (random.below(2) === 0) member.kill({landed: random.below(2) === 0});
          else this.#losePower(member);
        };
        return;
      case 'stop':
        void member.stop();
        return;
      case 'moveLeader':
      case 'defragment':
      case 'campaign':
        this.#ask(kind, member);
        return;
      default:
        this.#injectLasting(kind, member, ms);
    }
  }

  #injectLasting(kind: FaultKind, member: SimulatedMember, ms: number): void {
    const {random, network, clockRateMax} = this.#options;
    const {weather} = network;
    switch (kind) {
      case 'pause': {
        const {life} = member;
        life?.clock.pause();
        this.#later(ms, () => life?.clock.resume());
        return;
      }
      case 'loss':
        weather.lossRate = random.below(50) / 100;
        this.#later(ms, () => (weather.lossRate = 0));
        return;
      case 'duplicate':
        weather.duplicateRate = random.below(50) / 100;
        this.#later(ms, () => (weather.duplicateRate = 0));
        return;
      case 'reorder':
        weather.reorderRate = random.below(50) / 100;
        this.#later(ms, () => (weather.reorderRate = 0));
        return;
      case 'slowNetwork':
        weather.delayMsMax = 10 + random.below(random.below(3) === 0 ? 2_000 : 100);
        this.#later(ms, () => (weather.delayMsMax = FAIR_WEATHER.delayMsMax));
        return;
      case 'slowDisk':
        member.weather.syncMsMax = 50 + random.below(1_500);
        this.#later(ms, () => (member.weather.syncMsMax = FAIR_DISK.syncMsMax));
        return;
      case 'hungDisk':
        member.weather.isHung = true;
        this.#later(ms, () => (member.weather.isHung = false));
        return;
      case 'syncError':
        member.weather.syncErrors = 1;
        return;
      case 'fullStore':
        member.images.isFull = true;
        this.#later(ms, () => (member.images.isFull = false));
        return;
      case 'clockRate':
        member.setClockRate(1 + ((random.below(2_001) - 1_000) / 1_000) * (clockRateMax - 1));
        return;
      case 'linkBreak': {
        const other = this.#options.members[random.below(this.#options.members.length)];
        const id = other.life?.opened?.identity.memberId;
        const {life} = member;
        if (id !== undefined) life?.clock.enter(() => life.network.breakLink(id));
        return;
      }
      default:
        this.#cut(kind, member);
        this.#later(ms, () => network.heal());
    }
  }

  #cut(kind: FaultKind, member: SimulatedMember): void {
    const {random, network, members} = this.#options;
    const names = members.map(({name}) => name);
    const apart = (a: string, b: string) => {
      network.cut(a, b);
      network.cut(b, a);
    };
    if (kind === 'isolate') {
      for (const name of names) if (name !== member.name) apart(member.name, name);
    } else if (kind === 'oneWay') {
      const isIn = random.below(2) === 0;
      for (const name of names) {
        if (name === member.name) continue;
        if (isIn) network.cut(name, member.name);
        else network.cut(member.name, name);
      }
    } else if (kind === 'halves') {
      const left = names.filter(() => random.below(2) === 0);
      for (const a of left) for (const b of names) if (!left.includes(b)) apart(a, b);
    } else {
      // All ways but those over one member.
      for (const a of names)
        for (const b of names) if (a < b && a !== member.name && b !== member.name) apart(a, b);
    }
  }

  #losePower(member: SimulatedMember): void {
    const {random} = this.#options;
    if (!member.isUp) return;
    const choices = [loseUnsynced, keepUnsynced, anyCrash(random), anyCrash(random)][random.below(4)];
    member.losePower(choices, {landed: random.below(2) === 0});
  }

  #ask(kind: 'moveLeader' | 'defragment' | 'campaign', member: SimulatedMember): void {
    const {random, members, onAssertion} = this.#options;
    const {life} = member;
    const server = life?.server;
    if (life === undefined || server === undefined || life.isStopping) return;
    const target = members[random.below(members.length)].life?.opened?.identity.memberId ?? 0n;
    life.clock.enter(() => {
      if (kind === 'campaign') life.replica?.loop.campaign();
      else {
        const asked = kind === 'moveLeader' ? server.moveLeader(target) : server.defragment();
        asked.catch((error: unknown) => onAssertion(error));
      }
    });
  }

  #later(ms: number, action: () => void): void {
    this.#options.network.queue.after(ms, () => {
      if (!this.#isOver) action();
    });
  }
}
