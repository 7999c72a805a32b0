/**
 * What goes wrong, when, and for how long: drawn from the seed. Each kind is on or off for a whole run, so that some
 * runs see one kind alone and others all of them at once. What each kind does stands in `faults/`.
 */

import {FaultLog} from './fault-log.ts';
import {strikeDisk} from './faults/disk-faults.ts';
import {
  DISK_FAULTS,
  type DiskFault,
  type FaultKind,
  type FaultScene,
  FILE_FAULTS,
  type FileFault,
  NETWORK_FAULTS,
  type NetworkFault,
  type OperatorFault,
  PROCESS_FAULTS,
  type ProcessFault,
  type Stroke,
} from './faults/fault-kinds.ts';
import {strikeFiles} from './faults/file-faults.ts';
import {strikeNetwork} from './faults/network-faults.ts';
import {strikeAsOperator} from './faults/operator-faults.ts';
import {strikeProcess} from './faults/process-faults.ts';
import {FAIR_DISK} from './simulated-member.ts';
import {FAIR_WEATHER} from './simulated-network.ts';
import type {Trace} from './trace.ts';

export interface FaultScheduleOptions extends Omit<FaultScene, 'later' | 'note' | 'reach' | 'struck'> {
  readonly kinds: readonly FaultKind[];
  readonly trace: Trace;
  readonly pauseMsMax: number;
  /** How many faults there should have been by now: when there were fewer, the next one comes soon. */
  readonly wanted: () => number;
  /** How many questions of clients were answered: when nearly none are, faults stop for a while. */
  readonly answered: () => number;
  /** Numbers of faults, from 0, that do not happen; the others are as they were with them. */
  readonly skipped: ReadonlySet<number>;
}

/** The longest pause before a fault that is late, milliseconds. */
const LATE_PAUSE_MS_MAX = 20;
/** As long as a late one lasts at most, so that clients in a hurry do not meet all of them at a time, milliseconds. */
const LATE_FAULT_MS_MAX = 300;
/** After so many turns for each fault that there should have been, the kinds of this run are such as find nothing. */
const TURNS_PER_FAULT_MAX = 20;
/** Fewer answers than these in so much time, and faults stop until there were as many, or for as long; milliseconds. */
const LULL_ANSWERS = 100;
const LULL_AFTER_MS = 15_000;

const NETWORK = new Set<FaultKind>(NETWORK_FAULTS);
const PROCESS = new Set<FaultKind>(PROCESS_FAULTS);
const DISK = new Set<FaultKind>(DISK_FAULTS);
const FILES = new Set<FaultKind>(FILE_FAULTS);

export class FaultSchedule {
  readonly #options: FaultScheduleOptions;
  readonly #scene: FaultScene;
  readonly log = new FaultLog();
  readonly #seed: number;
  #isOver = false;
  /** Calls the next one off, unless it is late already. */
  #callOff: (() => void) | undefined;
  /** Answers and time when the present stretch of weather began. */
  #stretch = {answered: 0, atMs: 0, isLull: false};

  constructor(options: FaultScheduleOptions) {
    this.#options = options;
    this.#seed = options.random.below(2 ** 32);
    this.#scene = {
      ...options,
      later: (ms, action) =>
        options.network.queue.after(ms, () => {
          if (!this.#isOver) action();
        }),
      note: (text) => options.trace.note(text),
      reach: (point) => options.trace.reach(point),
      struck: (kind) => this.log.strikes(kind, {nowMs: options.network.queue.nowMs, ms: 0}),
    };
  }

  start(): void {
    if (this.#options.kinds.length > 0) this.#next();
  }

  /** At least so many faults came to something, or none can. */
  hasHad(faults: number): boolean {
    const {had, begun} = this.log;
    return had >= faults || begun >= faults * TURNS_PER_FAULT_MAX || this.#options.kinds.length === 0;
  }

  /** All is well from now on, but for clocks: those stay wrong. */
  heal(): void {
    this.#isOver = true;
    this.#options.trace.note('all faults end');
    this.#calm();
  }

  /** Clients have asked on: if the next fault is late by now, it comes soon. */
  hurry(): void {
    if (this.#callOff === undefined || this.#isOver || !this.#isLate()) return;
    this.#callOff();
    this.#next();
  }

  #calm(): void {
    const {network, members, casualties} = this.#options;
    network.weather = {...FAIR_WEATHER};
    network.heal();
    for (const member of members) {
      member.weather = {...FAIR_DISK};
      member.images.isFull = false;
      member.setDiskFull(false);
      member.crashAfterOperations = undefined;
      if (member.life?.clock.isPaused === true) member.life.clock.resume();
      member.lateWork.isApplyingLate = false;
      member.lateWork.isSweepingLate = false;
    }
    casualties.heal();
  }

  #next(): void {
    const {random, network, pauseMsMax, kinds, skipped} = this.#options;
    const number = this.log.begun;
    // Each fault draws for itself, so that one can be left out without changing those behind it.
    random.reseed(this.#seed + number * 7_919);
    const isLate = this.#isLate();
    const pauseMs = isLate ? 1 + random.below(LATE_PAUSE_MS_MAX) : 20 + random.below(pauseMsMax);
    const callOff = network.queue.after(pauseMs, () => {
      if (this.#isOver) return;
      if (this.#isInLull()) {
        this.#next();
        return;
      }
      this.log.begun++;
      this.#next();
      random.reseed(this.#seed + number * 7_919 + 1);
      const {struck} = this.log;
      if (!skipped.has(number)) this.inject(kinds[random.below(kinds.length)], {isLate});
      if (skipped.has(number) || this.log.struck > struck) this.log.had++;
    });
    this.#callOff = isLate ? undefined : callOff;
  }

  #isLate(): boolean {
    return !this.hasHad(this.#options.wanted()) && !this.#stretch.isLull;
  }

  /** Under faults that leave no majority nobody gets anywhere, and such a run shows little. */
  #isInLull(): boolean {
    const {answered, network, trace} = this.#options;
    const {nowMs} = network.queue;
    const {isLull} = this.#stretch;
    const isBusy = answered() - this.#stretch.answered >= LULL_ANSWERS;
    const isLong = nowMs - this.#stretch.atMs >= LULL_AFTER_MS;
    if (!isBusy && !isLong) return isLull;
    this.#stretch = {answered: answered(), atMs: nowMs, isLull: !isBusy && !isLull};
    if (this.#stretch.isLull) {
      trace.note('faults stop for a while');
      this.#calm();
    }
    return this.#stretch.isLull;
  }

  inject(kind: FaultKind, {isLate}: {isLate: boolean}): void {
    const {random, network, members, trace} = this.#options;
    const member = members[random.below(members.length)];
    const msMax = random.below(4) === 0 ? 8_000 : 1_500;
    const stroke = {member, ms: 50 + random.below(isLate ? LATE_FAULT_MS_MAX : msMax)};
    trace.note(`fault ${kind} ${member.name} ${stroke.ms}`);
    if (this.#strike(kind, stroke)) this.log.strikes(kind, {nowMs: network.queue.nowMs, ms: stroke.ms});
  }

  /** @returns whether it struck at once: who is down cannot be killed. Others come late, and tell the scene */
  #strike(kind: FaultKind, stroke: Stroke): boolean {
    const scene = this.#scene;
    if (NETWORK.has(kind)) return strikeNetwork(kind as NetworkFault, scene, stroke);
    if (PROCESS.has(kind)) return strikeProcess(kind as ProcessFault, scene, stroke);
    if (!DISK.has(kind) && !FILES.has(kind)) return strikeAsOperator(kind as OperatorFault, scene, stroke);
    if (DISK.has(kind)) strikeDisk(kind as DiskFault, scene, stroke);
    else strikeFiles(kind as FileFault, scene, stroke);
    return DISK.has(kind);
  }
}
