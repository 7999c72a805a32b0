/** What is done to the members while clients go on: one fault after the other, several at a time. */

import type {SeededRandom} from '../../simulator/seeded-random.ts';
import type {MemberProcess} from '../member-process.ts';
import type {ChaosCluster} from './chaos-cluster.ts';
import {beginFault, FAULT_KINDS, type FaultKind} from './chaos-fault.ts';

export interface FaultCount {
  begun: number;
  /** Of those, what was seen to have its effect. */
  felt: number;
}

const BETWEEN_MS_MAX = 2_500;
const LASTS_MS_MIN = 300;
const LASTS_MS_MAX = 3_000;
/** After `stop`, for the kinds that did not come yet, milliseconds. */
const LATE_MS_MAX = 60_000;

export class ChaosFaults {
  readonly #cluster: ChaosCluster;
  readonly #random: SeededRandom;
  readonly #busy = new Set<MemberProcess>();
  /** Each kind comes once before any comes again. */
  #deck: FaultKind[] = [];
  readonly counts: ReadonlyMap<FaultKind, FaultCount>;
  #stoppedMs = Number.POSITIVE_INFINITY;

  constructor(cluster: ChaosCluster, random: SeededRandom) {
    this.#cluster = cluster;
    this.#random = random;
    const kinds = FAULT_KINDS.filter((kind) => kind !== 'full disk' || cluster.hasSmallDisks);
    this.counts = new Map(kinds.map((kind) => [kind, {begun: 0, felt: 0}]));
  }

  stop(): void {
    this.#stoppedMs = performance.now();
  }

  /** Resolves after `stop`, when everything is healed again. */
  async run(): Promise<void> {
    // So many at the same time leave a majority, but for what takes its time to come back.
    const atOnce = Math.floor((this.#cluster.members.length - 1) / 2);
    await Promise.all(Array.from({length: atOnce}, () => this.#oneAfterTheOther()));
  }

  async #oneAfterTheOther(): Promise<void> {
    const random = this.#random;
    while (!this.#isOver()) {
      await pause(random.below(BETWEEN_MS_MAX));
      const free = this.#cluster.members.filter((member) => !this.#busy.has(member));
      if (free.length === 0 || this.#isOver()) continue;
      const member = free[random.below(free.length)];
      const kind = this.#draw();
      this.#busy.add(member);
      const fault = await beginFault(kind, {cluster: this.#cluster, member, free, random});
      await pause(LASTS_MS_MIN + random.below(LASTS_MS_MAX - LASTS_MS_MIN));
      const wasFelt = await fault.end();
      const count = this.counts.get(kind) as FaultCount;
      count.begun++;
      if (wasFelt) count.felt++;
      this.#busy.delete(member);
    }
  }

  #isOver(): boolean {
    const lateMs = performance.now() - this.#stoppedMs;
    return lateMs > LATE_MS_MAX || (lateMs >= 0 && [...this.counts.values()].every(({felt}) => felt > 0));
  }

  #draw(): FaultKind {
    if (this.#deck.length === 0) this.#deck = [...this.counts.keys()];
    const [kind] = this.#deck.splice(this.#random.below(this.#deck.length), 1);
    return kind;
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
