/** Records a workload and makes the images of every place in its record, each checked; and those of its recovery. */

import {MemoryDisk} from '../simulator/memory-disk.ts';
import {ImageChecker, recordStart} from './check-image.ts';
import {crashImages, type EnumerationOptions, type ImageCounts} from './crash-images.ts';
import {type CrashImage, CrashState} from './crash-state.ts';
import type {DiskEvent} from './disk-event.ts';
import {MemberRig, type Promised} from './member-rig.ts';
import {recordedMachine} from './recording-backend.ts';
import {Recorder} from './recording-disk.ts';
import type {Stepwise} from './stepwise.ts';
import type {Workload} from './workloads.ts';

export interface CrashOptions extends EnumerationOptions, Stepwise {
  readonly length: number;
  /** Every so many-th distinct image is recovered from, chosen by seed; 1: each. */
  readonly checkEvery: number;
  /** Of every so many-th image that is recovered from, the recovery is recorded and enumerated in its turn. */
  readonly recoverEvery: number;
  /** How deep: 1 is a power failure during the recovery, 2 one during that one's. */
  readonly depth: number;
  /** Events that the disk only pretends: the checks must find out. */
  readonly lies?: ((event: DiskEvent) => boolean) | undefined;
}

export interface CrashReport extends ImageCounts {
  readonly workload: string;
  events: number;
  checked: number;
  /** Starts of the whole member among them. */
  starts: number;
  /** Images of a recovery that was cut short. */
  recoveries: number;
}

export async function recordWorkload(workload: Workload, length: number): Promise<readonly DiskEvent[]> {
  const recorder = new Recorder();
  const rig = new MemberRig(recordedMachine(new MemoryDisk(), recorder), recorder, workload.birth);
  await workload.run(rig, length);
  return recorder.events;
}

/** @throws Error that names the place and what is wrong there */
export async function crashEverywhere(workload: Workload, options: CrashOptions): Promise<CrashReport> {
  const events = await recordWorkload(workload, options.length);
  const report: CrashReport = {
    workload: workload.name,
    events: events.length,
    boundaries: 0,
    sampledBoundaries: 0,
    made: 0,
    distinct: 0,
    checked: 0,
    starts: 0,
    recoveries: 0,
  };
  const checker = new ImageChecker();
  await walk({events, from: undefined, options, report, checker, place: workload.name, depth: options.depth});
  report.starts = checker.starts;
  return report;
}

interface Walk {
  readonly events: readonly DiskEvent[];
  readonly from: CrashImage | undefined;
  readonly options: CrashOptions;
  readonly report: CrashReport;
  readonly checker: ImageChecker;
  readonly place: string;
  readonly depth: number;
}

async function walk({events, from, options, report, checker, place, depth}: Walk): Promise<void> {
  const state = new CrashState({from});
  let seen = new Set<string>();
  let promised: Promised | undefined;
  let turn = options.seed;
  const isInside = from !== undefined;
  const counts = isInside ? {boundaries: 0, sampledBoundaries: 0, made: 0, distinct: 0} : report;
  for (const [boundary, event] of events.entries()) {
    state.take(event, {isLie: options.lies?.(event) === true});
    if (event.kind === 'promise') {
      // The same image may be right before and wrong after.
      promised = event.promise as Promised;
      seen = new Set();
    }
    if (promised === undefined) continue;
    for (const image of crashImages(state, {...options, boundary, seen, counts})) {
      turn++;
      if (turn % options.checkEvery !== 0) continue;
      const here = `${place}, event ${boundary} (${event.kind})`;
      await orExplain(here, () => checker.check(image, promised!));
      report.checked++;
      options.onStep?.(report);
      if (isInside) report.recoveries++;
      if (depth > 0 && report.checked % options.recoverEvery === 0) {
        const recorder = new Recorder(new CrashState({from: image}).names());
        await orExplain(here, () => recordStart(image, promised!, recorder));
        const inner = {events: recorder.events, from: image, options: within(options), report, checker};
        await walk({...inner, place: `${here}, its recovery`, depth: depth - 1});
      }
    }
  }
}

/** Of what a recovery leaves, fewer: there are many recoveries. */
function within(options: CrashOptions): CrashOptions {
  return {...options, piecesMax: Math.min(6, options.piecesMax), drawn: 8, tearEdge: 0, tearStep: 61};
}

async function orExplain(place: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    throw new Error(`${place}: ${error instanceof Error ? error.message : String(error)}`, {cause: error});
  }
}
