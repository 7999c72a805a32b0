/** Feeds targets with broken inputs: each is taken or refused as documented, soon, and nothing is left behind. */

import {Worker} from 'node:worker_threads';
import {SeededRandom} from '../simulator/seeded-random.ts';
import type {FuzzTarget} from './fuzz-target.ts';
import {mutated} from './mutate.ts';

export interface FuzzReport {
  readonly target: string;
  readonly inputs: number;
  readonly refused: number;
  readonly cpuMs: number;
  readonly slowestCpuMs: number;
  /** What went wrong, with the seed that repeats it. */
  readonly failure: string | undefined;
}

/** No decoder needs that much CPU for what is a few kilobytes, rarely a few hundred. */
const INPUT_CPU_MS_MAX = 2_000;
/** What all inputs of a target together may leave on the heap and in buffers. */
const KEPT_BYTES_MAX = 256 * 2 ** 20;
/** How much more memory the process may ever have taken because of one input. */
const PEAK_KIBIBYTES_MAX = 256 * 1024;
/** CPU of an input that does not end: the watchdog says which one it is and ends the process. */
const HANG_CPU_MS = 20_000;
const WATCH_MS = 1_000;
const INPUTS_PER_LOOK = 100;

export async function fuzzTarget(
  target: FuzzTarget,
  {
    seed,
    forCpuMs,
    inputsMax,
    onInput,
  }: {
    readonly seed: number;
    readonly forCpuMs: number;
    readonly inputsMax: number;
    /** After each that was taken or refused: how many. */
    readonly onInput?: ((inputs: number) => void) | undefined;
  },
): Promise<FuzzReport> {
  for (const sample of target.samples) await target.run(Buffer.from(sample));
  const keptBefore = keptBytes();
  const began = process.resourceUsage();
  using watchdog = new Watchdog(target.name);
  let [inputs, refused, slowestCpuMs, last] = [0, 0, 0, began];
  const report = (failure: string | undefined): FuzzReport => {
    return {target: target.name, inputs, refused, cpuMs: cpuMs(began, last), slowestCpuMs, failure};
  };
  while (inputs < inputsMax && (inputs % INPUTS_PER_LOOK > 0 || cpuMs(began, last) < forCpuMs)) {
    const inputSeed = seed + inputs++;
    watchdog.begin(inputSeed);
    try {
      await target.run(inputOf(target, inputSeed));
    } catch (error) {
      if (!target.isRefusal(error)) return report(`seed ${inputSeed}: ${describe(error)}`);
      refused++;
    }
    onInput?.(inputs);
    const now = process.resourceUsage();
    const took = cpuMs(last, now);
    const grown = now.maxRSS - last.maxRSS;
    slowestCpuMs = Math.max(slowestCpuMs, took);
    last = now;
    if (took > INPUT_CPU_MS_MAX) return report(`seed ${inputSeed}: took ${Math.round(took)} ms of CPU`);
    if (grown > PEAK_KIBIBYTES_MAX) return report(`seed ${inputSeed}: needed ${grown >> 10} MiB`);
    if (keptBytes() - keptBefore > KEPT_BYTES_MAX && !isFreed(keptBefore))
      return report(
        `seed ${inputSeed}: ${Math.round((keptBytes() - keptBefore) / 2 ** 20)} MiB more than before`,
      );
  }
  return report(undefined);
}

/** Half of them by those who know the format, where there are such. */
export function inputOf(target: FuzzTarget, seed: number): Buffer {
  const random = new SeededRandom(seed);
  const isMalformed = target.malform !== undefined && random.below(2) === 0;
  return isMalformed ? Buffer.from(target.malform(random)) : mutated(random, target.samples);
}

type Usage = ReturnType<typeof process.resourceUsage>;

function cpuMs(from: Usage, to: Usage): number {
  return (to.userCPUTime - from.userCPUTime + to.systemCPUTime - from.systemCPUTime) / 1000;
}

const keptBytes = (): number => {
  const {heapUsed, arrayBuffers} = process.memoryUsage();
  return heapUsed + arrayBuffers;
};

/** Garbage is no leak, where it can be told from one. */
function isFreed(keptBefore: number): boolean {
  if (globalThis.gc === undefined) return false;
  globalThis.gc();
  return keptBytes() - keptBefore <= KEPT_BYTES_MAX;
}

const describe = (error: unknown): string => (error instanceof Error ? `${error.stack}` : String(error));

/** Looks from another thread: a decoder that hangs leaves no turn to this one. */
class Watchdog implements Disposable {
  readonly #current = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker: Worker;

  constructor(target: string) {
    const code = `
      const {workerData: {current, target, everyMs, forMs}} = require('node:worker_threads');
      const cpuMs = () => (process.cpuUsage().user + process.cpuUsage().system) / 1000;
      let [last, sinceMs] = [-1, cpuMs()];
      setInterval(() => {
        if (current[0] !== last) [last, sinceMs] = [current[0], cpuMs()];
        if (cpuMs() - sinceMs < forMs) return;
        require('node:fs').writeSync(2, target + ' hangs at seed ' + last + '\\n');
        process.kill(process.pid, 'SIGKILL');
      }, everyMs);`;
    this.#worker = new Worker(code, {
      eval: true,
      execArgv: [],
      workerData: {current: this.#current, target, everyMs: WATCH_MS, forMs: HANG_CPU_MS},
    });
    this.#worker.unref();
  }

  begin(seed: number): void {
    this.#current[0] = seed;
  }

  [Symbol.dispose](): void {
    void this.#worker.terminate();
  }
}
