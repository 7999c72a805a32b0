/** What one seed's run came to, as plain data that travels between processes. */

import {SimulatedCluster, type SimulationReport, type Violation} from '../simulated-cluster.ts';

export type Counts = readonly (readonly [name: string, count: number])[];

export interface SeedResult {
  readonly seed: number;
  readonly violation: Violation | undefined;
  readonly hash: string;
  readonly operations: number;
  readonly answered: number;
  readonly undecidedParts: number;
  readonly acknowledgedWrites: number;
  readonly elections: number;
  readonly watchEvents: number;
  readonly expiredLeases: number;
  readonly memberChanges: number;
  readonly steps: number;
  readonly virtualMs: number;
  /** Of the processor, in all its threads. */
  readonly cpuMs: number;
  readonly faults: Counts;
  readonly pairs: Counts;
  /** The most kinds of faults that went on at a time. */
  readonly overlapMax: number;
  readonly reached: Counts;
}

export async function runSeed(seed: number, operations: number): Promise<SeedResult> {
  const before = process.cpuUsage();
  const report = await new SimulatedCluster({seed, operations}).run();
  const {user, system} = process.cpuUsage(before);
  return resultOf(report, (user + system) / 1_000);
}

function resultOf(report: SimulationReport, cpuMs: number): SeedResult {
  const {faults} = report;
  return {
    seed: report.seed,
    violation: report.violation,
    hash: report.hash,
    operations: report.operations,
    answered: report.answered,
    undecidedParts: report.undecidedParts,
    acknowledgedWrites: report.acknowledgedWrites,
    elections: report.elections,
    watchEvents: report.watchEvents,
    expiredLeases: report.expiredLeases,
    memberChanges: report.memberChanges,
    steps: report.steps,
    virtualMs: report.virtualMs,
    cpuMs,
    faults: [...faults.counts],
    pairs: [...faults.pairs],
    overlapMax: faults.overlapMax,
    reached: [...report.reached],
  };
}
