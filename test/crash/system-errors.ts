/** The real Disk, a call of the system below it failing in turn: what a member makes of it, and the next start. */

import {mkdtempSync, readdirSync, readFileSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, relative} from 'node:path';
import {EngineError} from '../../src/engine/errors.ts';
import {NodeDisk} from '../../src/engine/io/disk.ts';
import {ImageChecker} from './check-image.ts';
import type {CrashImage} from './crash-state.ts';
import {type SystemFault, withSystemFault} from './failing-system.ts';
import {MemberRig, type Promised} from './member-rig.ts';
import {recordedMachine} from './recording-backend.ts';
import {Recorder} from './recording-disk.ts';
import type {Stepwise} from './stepwise.ts';
import type {Workload} from './workloads.ts';

export const SYSTEM_CODES = ['EIO', 'ENOSPC', 'EMFILE', 'EROFS', 'EDQUOT', 'EINTR', 'short'] as const;

export interface SystemReport {
  readonly workload: string;
  calls: number;
  runs: number;
  ended: number;
}

export async function failSystemEverywhere(
  workload: Workload,
  options: Stepwise & {readonly length: number; readonly seed: number; readonly every: number},
): Promise<SystemReport> {
  const whole = await runOnce(workload, {...options, fault: {failAt: 0, code: 'EIO'}});
  const report = {workload: workload.name, calls: whole.calls, runs: 0, ended: 0};
  const checker = new ImageChecker();
  let turn = options.seed;
  for (const code of SYSTEM_CODES) {
    for (let failAt = 1; failAt <= whole.calls; failAt++) {
      if (++turn % options.every !== 0) continue;
      const place = `${workload.name}: system call ${failAt} of ${whole.calls}: ${code}`;
      try {
        const run = await runOnce(workload, {...options, fault: {failAt, code}});
        if (code === 'short' && run.error !== undefined) throw run.error;
        report.runs++;
        if (run.error !== undefined) report.ended++;
        await checker.check(run.image, run.promised);
      } catch (error) {
        throw new Error(`${place}: ${String(error)}`, {cause: error});
      }
      options.onStep?.(report);
    }
  }
  return report;
}

async function runOnce(
  workload: Workload,
  {length, fault}: {readonly length: number; readonly fault: SystemFault},
): Promise<{calls: number; error: EngineError | undefined; image: CrashImage; promised: Promised}> {
  const root = mkdtempSync(join(tmpdir(), 'kvd-system-errors-'));
  try {
    const recorder = new Recorder();
    const machine = recordedMachine(new NodeDisk(root), undefined);
    const rig = new MemberRig(machine, recorder, workload.birth);
    const {result: error, calls} = await withSystemFault(fault, async () => {
      try {
        await workload.run(rig, length);
        return undefined;
      } catch (failure) {
        if (!(failure instanceof EngineError)) throw failure;
        await rig.giveUp();
        return failure;
      }
    });
    const promises = recorder.events.flatMap((event) => (event.kind === 'promise' ? [event.promise] : []));
    const image = {...contentOf(root), stores: machine.stores.contents(), digest: ''};
    return {calls, error, image, promised: promises.at(-1) as Promised};
  } finally {
    rmSync(root, {recursive: true, force: true});
  }
}

function contentOf(root: string): {folders: string[]; files: Map<string, Buffer>} {
  const folders: string[] = [];
  const files = new Map<string, Buffer>();
  for (const name of readdirSync(root, {recursive: true, encoding: 'utf8'}).sort()) {
    const path = join(root, name);
    if (statSync(path).isDirectory()) folders.push(relative(root, path));
    else files.set(relative(root, path), readFileSync(path));
  }
  return {folders, files};
}
