/**
 * A real process whose system calls fail, LMDB's among them: in each of its threads the N-th write, sync or change of
 * a length. It goes on or ends with an error of its own; and what it promised is there when it is started again.
 */

import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {compiled} from '../../compiled.ts';
import type {Stepwise} from '../stepwise.ts';
import {WORKLOADS} from '../workloads.ts';
import {ChildReader} from './child-reader.ts';
import type {MemberReading} from './member-starter.ts';
import type {PromiseLine} from './member-writer.ts';
import {Promises} from './promises.ts';

const HANGS_MS = 60_000;
/** What LMDB says before it dies. */
const REFUSED_WRITE = 'Write error: ';

export const PROCESS_FAULTS = [
  ['pwrite64', 'EIO'],
  ['pwrite64', 'ENOSPC'],
  ['writev', 'EIO'],
  ['writev', 'ENOSPC'],
  ['fdatasync', 'EIO'],
  ['fsync', 'EIO'],
  ['rename', 'EROFS'],
] as const;

export interface ProcessFailureReport {
  readonly workload: string;
  runs: number;
  /** Those in which a call failed. */
  injected: number;
  /** The process ended with an error of the engine's. */
  ended: number;
  /** It died: LMDB does not survive each of the writes that it is refused, which the store avoids on a full disk. */
  died: number;
}

export async function failProcess(
  options: Stepwise & {
    readonly workload: number;
    readonly length: number;
    /** Which of each thread's calls fail: from 1 up to the last one, by steps of `every`, from `seed` on. */
    readonly every: number;
    readonly seed: number;
  },
): Promise<ProcessFailureReport> {
  const root = mkdtempSync(join(tmpdir(), 'kvd-fail-process-'));
  const starter = new ChildReader<MemberReading>('test/crash/process/member-starter.ts');
  const report = {workload: WORKLOADS[options.workload].name, runs: 0, injected: 0, ended: 0, died: 0};
  const program = compiled('test/crash/process/member-writer.ts');
  let turn = options.seed;
  try {
    for (const [call, code] of PROCESS_FAULTS) {
      for (let number = 1; ; number++) {
        if (++turn % options.every !== 0) continue;
        const folder = join(root, `run-${report.runs++}`);
        mkdirSync(folder);
        const inject = `${call}:error=${code}:when=${number}`;
        const promises = new Promises();
        const {error, hasDied, lines, isInjected} = await run(folder, {...options, program}, inject);
        for (const line of lines) promises.take(line);
        if (hasDied) report.died++;
        else if (error !== undefined) report.ended++;
        const reading = await starter.ask(`${options.workload} ${folder}`);
        const wrong = promises.wrongWith(reading);
        if (wrong !== undefined) throw new Error(`${inject}: ${wrong}\n${error ?? ''}`);
        rmSync(folder, {recursive: true, force: true});
        options.onStep?.(report);
        // No thread makes so many of these calls.
        if (!isInjected) break;
        report.injected++;
      }
    }
    return report;
  } finally {
    await starter.stop();
    rmSync(root, {recursive: true, force: true});
  }
}

/** @throws Error when the process hangs, dies of anything else than LMDB's refused write, or ends with what is no error of the engine's */
async function run(
  folder: string,
  {program, workload, length}: {readonly program: string; readonly workload: number; readonly length: number},
  inject: string,
): Promise<{error: string | undefined; hasDied: boolean; lines: PromiseLine[]; isInjected: boolean}> {
  const trace = `${folder}.trace`;
  const strace = [
    '-f',
    '--seccomp-bpf',
    '-qq',
    '-o',
    trace,
    '-e',
    `trace=${inject.split(':')[0]}`,
    '-e',
    `inject=${inject}`,
  ];
  const command = [process.execPath, program, folder, String(workload), String(length)];
  const child = spawn('strace', [...strace, ...command], {stdio: ['ignore', 'pipe', 'pipe']});
  let [output, errors] = ['', ''];
  child.stdout.on('data', (text: Buffer) => {
    output += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => {
    errors += text.toString();
  });
  const timer = setTimeout(() => child.kill('SIGTERM'), HANGS_MS);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  const lines = output
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as PromiseLine);
  const isInjected = readFileSync(trace, 'utf8').includes('(INJECTED)');
  rmSync(trace);
  if (code === 0) return {error: undefined, hasDied: false, lines, isInjected};
  if (signal !== null && errors.includes(REFUSED_WRITE))
    return {error: errors, hasDied: true, lines, isInjected};
  if (signal !== null || !/\bEngineError\b/.test(errors)) {
    throw new Error(`${inject}: the process ended with ${signal ?? code}: ${errors}`);
  }
  return {error: errors, hasDied: false, lines, isInjected};
}
