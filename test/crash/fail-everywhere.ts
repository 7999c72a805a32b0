/**
 * Runs a workload again and again, each time with another call of its disk failing in one way. The member goes on or
 * ends with an error of its own, never by a broken invariant, never hanging; and what it has promised by then is
 * there at the next start, whether the machine went on or lost power.
 */

import {EngineError} from '../../src/engine/errors.ts';
import {anyCrash, loseUnsynced, MemoryDisk} from '../simulator/memory-disk.ts';
import {SeededRandom} from '../simulator/seeded-random.ts';
import {ImageChecker} from './check-image.ts';
import type {CrashImage} from './crash-state.ts';
import type {ImageContent} from './disk-event.ts';
import {FAULTS, FailingDisk, type Fault} from './failing-disk.ts';
import {MemberRig, type Promised} from './member-rig.ts';
import {recordedMachine} from './recording-backend.ts';
import {Recorder} from './recording-disk.ts';
import type {Stepwise} from './stepwise.ts';
import type {Workload} from './workloads.ts';

/** Nothing here waits for anything but turns of the loop. */
const HANGS_MS = 20_000;

export interface FailureReport {
  readonly workload: string;
  /** Calls of the workload when none fails. */
  calls: number;
  runs: number;
  /** Runs in which the member ended, and in which it went on to the end. */
  ended: number;
  wentOn: number;
  images: number;
}

export async function failEverywhere(
  workload: Workload,
  options: Stepwise & {
    readonly length: number;
    readonly seed: number;
    /** Every so many-th call in every way, chosen by seed; 1: each. */
    readonly every: number;
    /** Syncs lose what they should keep, and nobody is told: the checks must find out. */
    readonly hidesSyncErrors?: boolean;
  },
): Promise<FailureReport> {
  const report = {workload: workload.name, calls: 0, runs: 0, ended: 0, wentOn: 0, images: 0};
  const whole = await runOnce(workload, {...options, failAt: 0, fault: FAULTS[0]});
  report.calls = whole.calls;
  const checker = new ImageChecker();
  let turn = options.seed;
  for (const fault of FAULTS) {
    for (let failAt = 1; failAt <= whole.calls; failAt++) {
      if (++turn % options.every !== 0) continue;
      const place = `${workload.name}: call ${failAt} of ${whole.calls} fails with ${fault.name}`;
      const run = await runOnce(workload, {...options, failAt, fault}).catch((error: unknown) => {
        throw new Error(`${place}: ${String(error)}`, {cause: error});
      });
      report.runs++;
      if (run.error === undefined) report.wentOn++;
      else report.ended++;
      for (const [situation, image] of imagesOf(run, failAt)) {
        await checker.check(image, run.promised).catch((error: unknown) => {
          throw new Error(`${place} (${run.failed}), then ${situation}: ${String(error)}`, {cause: error});
        });
        report.images++;
      }
      options.onStep?.(report);
    }
  }
  return report;
}

interface Run {
  readonly calls: number;
  readonly failed: string | undefined;
  readonly error: EngineError | undefined;
  readonly promised: Promised;
  readonly disk: MemoryDisk;
  readonly stores: ReadonlyMap<string, ImageContent>;
}

async function runOnce(
  workload: Workload,
  options: {
    readonly length: number;
    readonly failAt: number;
    readonly fault: Fault;
    readonly hidesSyncErrors?: boolean;
  },
): Promise<Run> {
  let syncError: unknown;
  const turn = ({name}: {name: string}): void => {
    if (name !== 'sync' || syncError === undefined) return;
    const error = syncError;
    syncError = undefined;
    throw error;
  };
  const disk = new MemoryDisk({turn});
  const failSync = (error: unknown): void => {
    syncError = error;
  };
  const failing = new FailingDisk(disk, {...options, failSync});
  const recorder = new Recorder();
  const machine = recordedMachine(failing, undefined);
  machine.stores.onCommit = () => failing.count('commit', 'store');
  const rig = new MemberRig(machine, recorder, workload.birth);
  const error = await orHang(errorOf(workload.run(rig, options.length)));
  // The process takes itself down in order, as a server does that has failed.
  if (error !== undefined) await orHang(rig.giveUp());
  const promises = recorder.events.flatMap((event) => (event.kind === 'promise' ? [event.promise] : []));
  const promised = promises.at(-1) as Promised;
  return {
    calls: failing.calls,
    failed: failing.failed,
    error,
    promised,
    disk,
    stores: machine.stores.contents(),
  };
}

/** @throws what is no error of the engine's own */
async function errorOf(work: Promise<void>): Promise<EngineError | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
}

async function orHang<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const hangs = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('it hangs')), HANGS_MS);
  });
  try {
    return await Promise.race([work, hangs]);
  } finally {
    clearTimeout(timer);
  }
}

function* imagesOf({disk, stores}: Run, seed: number): Generator<[situation: string, image: CrashImage]> {
  yield ['a start', {...disk.content(), stores, digest: ''}];
  for (const [situation, choices] of [
    ['a power failure', loseUnsynced],
    ['a power failure that keeps some', anyCrash(new SeededRandom(seed))],
  ] as const) {
    const survivor = disk.crash(choices).content();
    const left = [...stores].filter(([path]) => survivor.folders.includes(path));
    yield [situation, {...survivor, stores: new Map(left), digest: ''}];
  }
}
