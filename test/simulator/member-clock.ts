/**
 * One machine's clock, on the cluster's queue: it has its own zero, goes a little too fast or too slow, and stops
 * calling back while its process is paused. After `kill` nothing that waits for it ever goes on: the process is gone.
 */

import type {Clock, Random} from '../../src/engine/ports.ts';
import type {EventQueue} from './event-queue.ts';

/** Turns of an event loop are not free, and two members' turns interleave: up to this long, milliseconds. */
const YIELD_MS_MAX = 0.05;

export class MemberClock implements Clock {
  readonly #queue: EventQueue;
  readonly #random: Random;
  #rate: number;
  #trueMs: number;
  #ownMs: number;
  /** By how much the calendar is off; it may jump, the monotonic clock never does. */
  wallSkewMs = 0;
  #isAlive = true;
  #isPaused = false;
  #waiting: (() => void)[] = [];
  /** How often anything has reached the process: between two of these, nothing of it has run. */
  turns = 0;

  constructor(queue: EventQueue, random: Random, options: {ownMs: number; rate: number}) {
    this.#queue = queue;
    this.#random = random;
    this.#rate = options.rate;
    this.#trueMs = queue.nowMs;
    this.#ownMs = options.ownMs;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  monotonicMs(): number {
    return this.#ownMs + (this.#queue.nowMs - this.#trueMs) * this.#rate;
  }

  wallMs(): number {
    return 1_700_000_000_000 + Math.floor(this.monotonicMs() + this.wallSkewMs);
  }

  after(delayMs: number, action: () => void): () => void {
    // A hair more, so that a timer is never early by rounding.
    const trueMs = Math.max(0, delayMs) / this.#rate + 1e-6;
    let isOff = false;
    const cancel = this.#queue.after(trueMs, () =>
      this.enter(() => {
        if (!isOff) action();
      }),
    );
    return () => {
      isOff = true;
      cancel();
    };
  }

  yield(): Promise<void> {
    const delayMs = (this.#random.below(1_000) / 1_000) * YIELD_MS_MAX;
    return new Promise((resolve) => this.#queue.after(delayMs, () => this.enter(resolve)));
  }

  /** Something reaches this process: at once, when it goes on after a pause, or never. */
  enter(action: () => void): void {
    if (!this.#isAlive) return;
    if (this.#isPaused) this.#waiting.push(action);
    else {
      this.turns++;
      action();
    }
  }

  /** The machine's clock is off by this factor from now on. */
  setRate(rate: number): void {
    this.#ownMs = this.monotonicMs();
    this.#trueMs = this.#queue.nowMs;
    this.#rate = rate;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const action of waiting) this.#queue.after(0, () => this.enter(action));
  }

  kill(): void {
    this.#isAlive = false;
    this.#waiting = [];
  }
}
