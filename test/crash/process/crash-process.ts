/**
 * Power failures under a real process: its system calls, LMDB's among them, are recorded, the images of each place
 * are made as folders, and a member is started on each of them.
 */

import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {compiled} from '../../compiled.ts';
import {crashImages, type EnumerationOptions, type ImageCounts} from '../crash-images.ts';
import {type CrashImage, CrashState} from '../crash-state.ts';
import type {DiskEvent} from '../disk-event.ts';
import type {Stepwise} from '../stepwise.ts';
import {WORKLOADS} from '../workloads.ts';
import {ChildReader} from './child-reader.ts';
import type {MemberReading} from './member-starter.ts';
import type {PromiseLine} from './member-writer.ts';
import {Promises} from './promises.ts';
import {readTrace, straceArguments} from './system-trace.ts';

/** What the kernel writes at once, and LMDB's page: torn pages are what the other suites are for. */
const PAGE_BYTES = 4_096;

export interface ProcessCrashOptions extends EnumerationOptions, Stepwise {
  /** The place in WORKLOADS, and how long it is. */
  readonly workload: number;
  readonly length: number;
  /** A member is started on every so many-th distinct image, chosen by seed. */
  readonly checkEvery: number;
  /** Events that the disk only pretends, by the file's path: the checks must find out. */
  readonly lies?: (event: DiskEvent, path: string) => boolean;
}

export interface ProcessCrashReport extends ImageCounts {
  readonly workload: string;
  events: number;
  /** Writes to LMDB's files among them. */
  storeWrites: number;
  checked: number;
}

/** @throws Error that names the place and what is wrong there */
export async function crashProcess(options: ProcessCrashOptions): Promise<ProcessCrashReport> {
  const root = mkdtempSync(join(tmpdir(), 'kvd-crash-process-'));
  const starter = new ChildReader<MemberReading>('test/crash/process/member-starter.ts');
  const report: ProcessCrashReport = {
    workload: WORKLOADS[options.workload].name,
    events: 0,
    storeWrites: 0,
    boundaries: 0,
    sampledBoundaries: 0,
    made: 0,
    distinct: 0,
    checked: 0,
  };
  try {
    const events = await record(root, options);
    report.events = events.length;
    const state = new CrashState({sectorBytes: PAGE_BYTES});
    const promised = new Promises();
    let seen = new Set<string>();
    let turn = options.seed;
    for (const [boundary, event] of events.entries()) {
      const path = 'file' in event ? state.nameOf(event.file) : undefined;
      const isStores = path?.includes('.mdb') === true;
      state.take(event, {isLie: path !== undefined && options.lies?.(event, path) === true});
      if (event.kind === 'promise') {
        promised.take(event.promise as PromiseLine);
        // The same image may be right before and wrong after.
        seen = new Set();
      }
      if (event.kind === 'write' && isStores) report.storeWrites++;
      for (const image of crashImages(state, {...options, boundary, seen, counts: report})) {
        if (++turn % options.checkEvery !== 0) continue;
        const folder = join(root, `image-${boundary}-${report.checked}`);
        lay(image, folder);
        const reading = await starter.ask(`${options.workload} ${folder}`);
        const wrong = promised.wrongWith(reading);
        if (wrong !== undefined) throw new Error(`event ${boundary} (${event.kind}), ${folder}: ${wrong}`);
        rmSync(folder, {recursive: true, force: true});
        report.checked++;
        options.onStep?.(report);
      }
    }
    return report;
  } finally {
    await starter.stop();
    rmSync(root, {recursive: true, force: true});
  }
}

async function record(root: string, {workload, length}: ProcessCrashOptions) {
  const [dataDir, trace] = [join(root, 'data'), join(root, 'trace')];
  const program = compiled('test/crash/process/member-writer.ts');
  mkdirSync(dataDir);
  const command = [program, dataDir, String(workload), String(length)];
  execFileSync('strace', [...straceArguments(trace), process.execPath, ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return readTrace(trace, dataDir);
}

function lay(image: CrashImage, folder: string): void {
  mkdirSync(folder);
  for (const path of image.folders) mkdirSync(join(folder, path));
  for (const [path, bytes] of image.files) {
    mkdirSync(dirname(join(folder, path)), {recursive: true});
    writeFileSync(join(folder, path), bytes);
  }
}
