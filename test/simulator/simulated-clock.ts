/**
 * A Clock whose time stands until a test moves it. Timers run in the order of their time, ties in the order they
 * were set; between two of them everything that their promises set off runs to its end, as in an event loop.
 */

import type {Clock} from '../../src/engine/ports.ts';

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => void;
}

export class SimulatedClock implements Clock {
  #nowMs = 0;
  #order = 0;
  #timers: Timer[] = [];
  #yields: (() => void)[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = {atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, action};
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  yield(): Promise<void> {
    return new Promise((resolve) => this.#yields.push(resolve));
  }

  /** Lets everything run that needs no time. */
  async settle(): Promise<void> {
    do {
      for (const resume of this.#yields.splice(0)) resume();
      await new Promise<void>((resolve) => setImmediate(resolve));
    } while (this.#yields.length > 0);
  }

  /** Moves time forward, running what falls due on the way. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.settle();
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#nowMs = next.atMs;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      next.action();
      await this.settle();
    }
    this.#nowMs = untilMs;
  }

  #next(untilMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs > untilMs) continue;
      const isEarlier =
        next === undefined ||
        timer.atMs < next.atMs ||
        (timer.atMs === next.atMs && timer.order < next.order);
      if (isEarlier) next = timer;
    }
    return next;
  }
}
