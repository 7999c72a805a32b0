/** Feeds targets with broken inputs: each is taken or refused as documented, soon, and nothing is left behind. */

import {performance} from 'node:perf_hooks';
import {Worker} from 'node:worker_threads';
import {SeededRandom} from '../simulator/seeded-random.ts';
import type {FuzzTarget} from './fuzz-target.ts';
import {mutated} from './mutate.ts';

export interface FuzzReport {
  readonly target: string;
  readonly inputs: number;
  readonly refused: number;
  readonly slowestMs: number;
  /** What went wrong, with the seed that repeats it. */
  readonly failure: string | undefined;
}

/** No decoder needs that long for a few kilobytes, on the busiest machine. */
const INPUT_MS_MAX = 5_000;
/** What all inputs of a target together may leave on the heap and in buffers. */
const KEPT_BYTES_MAX = 256 * 2 ** 20;
/** An input that does not end: the watchdog says which and ends the process. */
const HANG_MS = 30_000;
const INPUTS_PER_LOOK = 200;

export async function fuzzTarget(
  target: FuzzTarget,
  {seed, forMs, inputsMax}: {seed: number; forMs: number; inputsMax: number},
): Promise<FuzzReport> {
  for (const sample of target.samples) await target.run(Buffer.from(sample));
  const untilMs = performance.now() + forMs;
  const keptBefore = keptBytes();
  using watchdog = new Watchdog(target.name);
  let [inputs, refused, slowestMs] = [0, 0, 0];
  const report = (failure: string | undefined): FuzzReport => ({
    target: target.name,
    inputs,
    refused,
    slowestMs,
    failure,
  });
  while (inputs < inputsMax && (inputs % INPUTS_PER_LOOK > 0 || performance.now() < untilMs)) {
    const inputSeed = seed + inputs++;
    const bytes = mutated(new SeededRandom(inputSeed), target.samples);
    watchdog.begin(inputSeed);
    const startedMs = performance.now();
    try {
      await target.run(bytes);
    } catch (error) {
      if (!target.isRefusal(error)) return report(`seed ${inputSeed}: ${describe(error)}`);
      refused++;
    }
    const tookMs = performance.now() - startedMs;
    slowestMs = Math.max(slowestMs, tookMs);
    if (tookMs > INPUT_MS_MAX) return report(`seed ${inputSeed}: took ${Math.round(tookMs)} ms`);
    if (keptBytes() - keptBefore > KEPT_BYTES_MAX && !isFreed(keptBefore))
      return report(
        `seed ${inputSeed}: ${Math.round((keptBytes() - keptBefore) / 2 ** 20)} MiB more than before`,
      );
  }
  return report(undefined);
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
      const {workerData: {current, target, everyMs}} = require('node:worker_threads');
      let last = -1;
      setInterval(() => {
        if (current[0] === last) {
          require('node:fs').writeSync(2, target + ' hangs at seed ' + last + '\\n');
          process.kill(process.pid, 'SIGKILL');
        }
        last = current[0];
      }, everyMs);`;
    this.#worker = new Worker(code, {
      eval: true,
      execArgv: [],
      workerData: {current: this.#current, target, everyMs: HANG_MS},
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
