/**
 * Makes a failing run small: fewer operations, faults, clients, watchers, members, as long as it still breaks the
 * same invariant. Every attempt is a whole run from the same seed; what a swarm's override or a left-out fault
 * changes is only that, since faults draw from seeds of their own.
 */

import type {SimulationOptions, SimulationReport} from './simulated-cluster.ts';
import type {Swarm} from './swarm.ts';

/** A way to run the seed: what `npm run sim` takes as flags. */
export interface Recipe {
  readonly seed: number;
  readonly operations: number;
  readonly swarm: Partial<Swarm>;
  readonly skippedFaults: readonly number[];
}

export interface ShrinkOptions {
  readonly run: (options: SimulationOptions) => Promise<SimulationReport>;
  readonly isOver: () => boolean;
  readonly tell: (line: string) => void;
}

export interface Shrunk {
  readonly recipe: Recipe;
  readonly report: SimulationReport;
  readonly runs: number;
}

export function optionsOf({seed, operations, swarm, skippedFaults}: Recipe): SimulationOptions {
  return {seed, operations, overrides: swarm, skippedFaults: new Set(skippedFaults)};
}

export class Shrinker {
  #recipe: Recipe;
  #report: SimulationReport;
  readonly #invariant: string;
  readonly #options: ShrinkOptions;
  #runs = 0;

  /** @param report of the recipe, with a violation */
  constructor(recipe: Recipe, report: SimulationReport, options: ShrinkOptions) {
    if (report.violation === undefined) throw new Error('there is nothing to shrink in a run that holds');
    this.#recipe = recipe;
    this.#report = report;
    this.#invariant = report.violation.invariant;
    this.#options = options;
  }

  /** Goes on until nothing can be left out any more, or the time is over. */
  async run(): Promise<Shrunk> {
    for (let sizeBefore = -1; sizeBefore !== this.#size() && !this.#options.isOver(); ) {
      sizeBefore = this.#size();
      await this.#fewerOperations();
      await this.#fewerFaults();
      await this.#smallerSwarm();
    }
    return {recipe: this.#recipe, report: this.#report, runs: this.#runs};
  }

  #size(): number {
    const {operations, skippedFaults, swarm} = this.#recipe;
    return operations * 1_000 - skippedFaults.length - 10 * Object.keys(swarm).length;
  }

  /** Bisects: up to the violation no operation can be spared, but a quieter end often can. */
  async #fewerOperations(): Promise<void> {
    await this.#keeps({operations: Math.min(this.#recipe.operations, this.#report.operations)});
    for (let step = this.#recipe.operations >> 1; step >= 1; step >>= 1) {
      while (
        this.#recipe.operations > step &&
        (await this.#keeps({operations: this.#recipe.operations - step}))
      ) {
        // As long as that much can go.
      }
    }
  }

  /** Leaves out faults in runs of halves, quarters, and so on down to single ones. */
  async #fewerFaults(): Promise<void> {
    const {begun} = this.#report.faults;
    for (let length = begun; length >= 1; length >>= 1) {
      for (let from = 0; from < begun; from += length) {
        const known = new Set(this.#recipe.skippedFaults);
        const fresh = range(from, Math.min(begun, from + length)).filter((number) => !known.has(number));
        if (fresh.length > 0) await this.#keeps({skippedFaults: [...known, ...fresh].sort((a, b) => a - b)});
      }
    }
  }

  async #smallerSwarm(): Promise<void> {
    const present = this.#report.swarm;
    await this.#keepsSwarm({changesMembers: false}, present.changesMembers);
    for (const name of ['watchers', 'clients', 'requestsAtOnce', 'keyCount', 'valueBytesMax'] as const) {
      for (const least of [name === 'watchers' ? 0 : 1, 2, Math.max(2, present[name] >> 1)]) {
        if (await this.#keepsSwarm({[name]: least}, least < this.#report.swarm[name])) break;
      }
    }
    for (const members of [1, 2, 3]) if (await this.#keepsSwarm({members}, members < present.members)) break;
    const {kinds} = present;
    for (const kind of kinds.length > 1 ? kinds : [])
      await this.#keepsSwarm({kinds: this.#report.swarm.kinds.filter((other) => other !== kind)}, true);
  }

  #keepsSwarm(change: Partial<Swarm>, isSmaller: boolean): Promise<boolean> {
    if (!isSmaller) return Promise.resolve(false);
    return this.#keeps({swarm: {...this.#recipe.swarm, ...change}});
  }

  /** Whether the run still fails in the same way with this change; then the change stays. */
  async #keeps(change: Partial<Recipe>): Promise<boolean> {
    if (this.#options.isOver()) return false;
    const recipe = {...this.#recipe, ...change};
    const report = await this.#options.run(optionsOf(recipe));
    this.#runs++;
    if (report.violation?.invariant !== this.#invariant) return false;
    this.#recipe = recipe;
    this.#report = report;
    const {operations, steps, swarm, faults} = report;
    const struck = [...faults.counts.values()].reduce((sum, count) => sum + count, 0);
    this.#options.tell(
      `run ${this.#runs}: ${operations} operations, ${struck} faults, ${swarm.clients} clients, ${swarm.members} members, ${steps} steps`,
    );
    return true;
  }
}

const range = (from: number, to: number): number[] => Array.from({length: to - from}, (_, i) => from + i);
