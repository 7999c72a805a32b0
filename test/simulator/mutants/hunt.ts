/** Runs seeds on a mutant, in a process of its own: its engine must be loaded anew, and may never end. */

import {spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {atExit} from '../../process/at-exit.ts';
import type {Swarm} from '../swarm.ts';
import {type Mutant, mutatedSources} from './mutant.ts';

export interface HuntResult {
  /** Run, the failing one included. */
  readonly seeds: number;
  readonly operations: number;
  readonly cpuMs: number;
  readonly found?:
    | {readonly seed: number; readonly step: number; readonly invariant: string; readonly detail: string}
    | undefined;
}

export interface HuntOptions {
  readonly from: number;
  readonly to: number;
  readonly operations: number;
  readonly cpuSeconds: number;
  /** Instead of what the seeds draw. */
  readonly swarm?: Partial<Swarm> | undefined;
}

/** Per seed. */
export const HUNT_OPERATIONS = 1_000;

const LOADER = new URL('loader.js', import.meta.url).href;
const SEEDS = fileURLToPath(new URL('seeds.ts', import.meta.url));

/** `mutant` undefined: the engine as it is. @throws Error when the process does not end, or fails */
export async function hunt(
  mutant: Pick<Mutant, 'id' | 'changes'> | undefined,
  {from, to, operations, cpuSeconds, swarm = {}}: HuntOptions,
): Promise<HuntResult> {
  const sources = mutant === undefined ? new Map() : mutatedSources(mutant);
  const options = [
    `--seeds=${from}-${to}`,
    `--operations=${operations}`,
    `--cpu-seconds=${cpuSeconds}`,
    `--swarm=${JSON.stringify(swarm)}`,
  ];
  // A loop without end is stopped by the processor's time: the clock on the wall tells nothing on busy cores.
  const limited = ['-c', 'ulimit -t "$0" && exec "$@"', String(2 * cpuSeconds + 60), process.execPath];
  const child = spawn('sh', [...limited, '--import', LOADER, '--import', 'tsx', SEEDS, ...options], {
    env: {...process.env, KVD_MUTATED_SOURCES: JSON.stringify(Object.fromEntries(sources))},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const forget = atExit(() => child.kill());
  let output = '';
  let errors = '';
  child.stdout.on('data', (part: Buffer) => {
    output += part.toString();
  });
  child.stderr.on('data', (part: Buffer) => {
    errors += part.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  forget();
  const line = output.trim().split('\n').at(-1) ?? '';
  if (code !== 0 || !line.startsWith('{'))
    throw new Error(`mutant ${mutant?.id}: its process ended with ${code}: ${errors.slice(-2_000)}`);
  return JSON.parse(line) as HuntResult;
}
