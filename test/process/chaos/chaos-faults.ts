/** What is done to the members while clients go on: one fault after the other, several at a time. */

import type {SeededRandom} from '../../simulator/seeded-random.ts';
import type {MemberProcess} from '../member-process.ts';
import type {ChaosCluster} from './chaos-cluster.ts';

export type FaultKind =
  | 'kill'
  | 'kill all'
  | 'pause'
  | 'isolate'
  | 'halves'
  | 'one way'
  | 'full disk'
  | 'clock jump';

const BETWEEN_MS_MAX = 3_000;
const LASTS_MS_MIN = 300;
const LASTS_MS_MAX = 3_000;
const JUMP_MS_MAX = 4 * 3_600_000;

type Undo = () => Promise<void> | void;

export class ChaosFaults {
  readonly #cluster: ChaosCluster;
  readonly #random: SeededRandom;
  readonly #kinds: readonly FaultKind[];
  readonly #busy = new Set<MemberProcess>();
  readonly counts = new Map<FaultKind, number>();
  #isStopped = false;

  constructor(cluster: ChaosCluster, random: SeededRandom) {
    this.#cluster = cluster;
    this.#random = random;
    const always = [
      'kill',
      'kill',
      'kill all',
      'pause',
      'isolate',
      'halves',
      'one way',
      'clock jump',
    ] as const;
    this.#kinds = cluster.hasSmallDisks ? [...always, 'full disk'] : always;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves after `stop`, when everything is healed again. */
  async run(): Promise<void> {
    // So many at the same time leave a majority, but for what takes its time to come back.
    const atOnce = Math.floor((this.#cluster.members.length - 1) / 2);
    await Promise.all(Array.from({length: atOnce}, () => this.#oneAfterTheOther()));
  }

  async #oneAfterTheOther(): Promise<void> {
    const random = this.#random;
    while (!this.#isStopped) {
      await pause(random.below(BETWEEN_MS_MAX));
      const free = this.#cluster.members.filter((member) => !this.#busy.has(member));
      if (free.length === 0 || this.#isStopped) continue;
      const member = free[random.below(free.length)];
      const kind = this.#kinds[random.below(this.#kinds.length)];
      this.#busy.add(member);
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
      const undo = await this.#begin(kind, member);
      await pause(LASTS_MS_MIN + random.below(LASTS_MS_MAX - LASTS_MS_MIN));
      await undo();
      this.#busy.delete(member);
    }
  }

  async #begin(kind: FaultKind, member: MemberProcess): Promise<Undo> {
    const {members} = this.#cluster;
    const others = members.filter((one) => one !== member);
    const nameOf = ({options}: MemberProcess) => options.name;
    switch (kind) {
      case 'kill':
        await member.kill();
        return () => member.spawn();
      case 'kill all': {
        const running = members.filter((one) => one.isRunning && (one === member || !this.#busy.has(one)));
        await Promise.all(running.map((one) => one.kill()));
        for (const one of running) one.spawn();
        return () => {};
      }
      case 'pause':
        member.signal('SIGSTOP');
        return () => member.signal('SIGCONT');
      case 'isolate':
        return this.#cut(others.map((other): Pair => [nameOf(member), nameOf(other)]).flatMap(bothWays));
      case 'one way':
        return this.#cut(others.map((other): Pair => [nameOf(member), nameOf(other)]));
      case 'halves': {
        const half = others.slice(0, Math.floor(members.length / 2) - 1).concat(member);
        const rest = members.filter((one) => !half.includes(one));
        const pairs = half.flatMap((one) => rest.map((other): Pair => [nameOf(one), nameOf(other)]));
        return this.#cut(pairs.flatMap(bothWays));
      }
      case 'full disk': {
        const free = this.#cluster.fillDisk(member);
        return async () => {
          free();
          // A member that could not write its log has ended, as it must.
          if (!member.isRunning) member.spawn();
        };
      }
      default:
        this.#cluster.jumpClock(member, this.#random.below(2 * JUMP_MS_MAX) - JUMP_MS_MAX);
        return () => {};
    }
  }

  #cut(pairs: readonly Pair[]): Undo {
    const {relay} = this.#cluster;
    for (const [from, to] of pairs) relay.cut(from, to);
    const isLost = this.#random.below(2) === 0;
    return () => {
      for (const [from, to] of pairs) relay.heal(from, to, isLost);
    };
  }
}

type Pair = readonly [from: string, to: string];
const bothWays = ([a, b]: Pair): Pair[] => [
  [a, b],
  [b, a],
];

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
