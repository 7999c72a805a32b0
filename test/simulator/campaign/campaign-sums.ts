/**
 * What all runs of one engine came to, over as many campaigns as there were: sums, and each violation in full. No seed
 * runs twice, though the simulator may have changed between two campaigns: which seeds ran under which one is told.
 */

import type {Counts, SeedResult} from './seed-result.ts';

export interface FoundViolation {
  readonly seed: number;
  readonly operations: number;
  readonly step: number;
  readonly invariant: string;
  readonly detail: string;
  /** Under which it was seen. */
  readonly simulator: string;
}

/** One that a later version of the simulator does not see any more, in a run of the same seed. */
export interface SettledViolation extends FoundViolation {
  readonly settledBy: string;
}

/** What ran under one version of the simulator. */
export interface SimulatorShare {
  readonly simulator: string;
  seeds: number;
  operations: number;
  cpuMs: number;
}

export interface CampaignSums {
  /** Hash of the sources of the engine, as far as the simulator loads them. */
  readonly engine: string;
  /** By the hash of the simulator's sources, the oldest first. */
  readonly simulators: SimulatorShare[];
  /** Seeds below were given out, by this and all earlier campaigns. */
  nextSeed: number;
  campaigns: number;
  canariesCaught: number;
  canariesMissed: number;
  seeds: number;
  /** Runs that a second process repeated, and of these, those that went another way there. */
  repeated: number;
  differing: number;
  /** Runs in which three or more kinds of faults went on at a time. */
  overlapping: number;
  /** The fewest faults of a run. */
  faultsMin: number;
  operations: number;
  answered: number;
  /** Sets of keys that the search for an order gave up on: nothing but the log speaks for them. */
  undecidedParts: number;
  acknowledgedWrites: number;
  elections: number;
  watchEvents: number;
  expiredLeases: number;
  memberChanges: number;
  steps: number;
  virtualMs: number;
  cpuMs: number;
  readonly faults: Record<string, number>;
  readonly pairs: Record<string, number>;
  readonly reached: Record<string, number>;
  readonly violations: FoundViolation[];
  readonly settled: SettledViolation[];
}

export function emptySums(engine: string): CampaignSums {
  return {
    engine,
    simulators: [],
    nextSeed: 1,
    campaigns: 0,
    canariesCaught: 0,
    canariesMissed: 0,
    seeds: 0,
    repeated: 0,
    differing: 0,
    overlapping: 0,
    faultsMin: Number.MAX_SAFE_INTEGER,
    operations: 0,
    answered: 0,
    undecidedParts: 0,
    acknowledgedWrites: 0,
    elections: 0,
    watchEvents: 0,
    expiredLeases: 0,
    memberChanges: 0,
    steps: 0,
    virtualMs: 0,
    cpuMs: 0,
    faults: {},
    pairs: {},
    reached: {},
    violations: [],
    settled: [],
  };
}

const SUMMED = [
  'operations',
  'answered',
  'undecidedParts',
  'acknowledgedWrites',
  'elections',
  'watchEvents',
  'expiredLeases',
  'memberChanges',
  'steps',
  'virtualMs',
  'cpuMs',
] as const satisfies readonly (keyof SeedResult & keyof CampaignSums)[];

export function addResult(sums: CampaignSums, result: SeedResult, simulator: string): void {
  sums.seeds++;
  const share = shareOf(sums, simulator);
  share.seeds++;
  share.operations += result.operations;
  share.cpuMs += result.cpuMs;
  for (const name of SUMMED) sums[name] += result[name];
  if (result.overlapMax >= 3) sums.overlapping++;
  addCounts(sums.faults, result.faults);
  addCounts(sums.pairs, result.pairs);
  addCounts(sums.reached, result.reached);
  const {violation, seed, operations} = result;
  if (violation === undefined) {
    // A run that failed ended early.
    sums.faultsMin = Math.min(sums.faultsMin, total(result.faults));
    return;
  }
  const {step, invariant, detail} = violation;
  sums.violations.push({seed, operations, step, invariant, detail, simulator});
}

/** A seed that failed under an older version of the simulator has run again, and is counted already. */
export function judgeAgain(
  sums: CampaignSums,
  before: FoundViolation,
  {result, simulator}: {readonly result: SeedResult; readonly simulator: string},
): void {
  sums.violations.splice(sums.violations.indexOf(before), 1);
  const {violation, seed, operations} = result;
  if (violation === undefined) {
    sums.settled.push({...before, settledBy: simulator});
    return;
  }
  const {step, invariant, detail} = violation;
  sums.violations.push({seed, operations, step, invariant, detail, simulator});
}

function shareOf({simulators}: CampaignSums, simulator: string): SimulatorShare {
  const known = simulators.find((share) => share.simulator === simulator);
  if (known !== undefined) return known;
  const fresh = {simulator, seeds: 0, operations: 0, cpuMs: 0};
  simulators.push(fresh);
  return fresh;
}

/** Whether all is as it should be: the canary was heard, nothing else was. */
export function isClean(sums: CampaignSums): boolean {
  return (
    sums.violations.length === 0 &&
    sums.differing === 0 &&
    sums.canariesMissed === 0 &&
    sums.canariesCaught > 0
  );
}

function total(counts: Counts): number {
  return counts.reduce((sum, [, count]) => sum + count, 0);
}

function addCounts(target: Record<string, number>, counts: Counts): void {
  for (const [name, count] of counts) target[name] = (target[name] ?? 0) + count;
}
