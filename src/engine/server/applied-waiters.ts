/** Callers that wait until this member has applied a log index, in the order of the index. */

import {EngineError} from '../errors.ts';
import type {Index} from '../types.ts';

interface Waiter {
  readonly index: Index;
  readonly resolve: () => void;
  readonly reject: (error: EngineError) => void;
}

export class AppliedWaiters {
  /** Sorted by index; nearly always appended at the end, since indexes are asked for as they grow. */
  #waiters: Waiter[] = [];
  #applied: Index;

  constructor(applied: Index) {
    this.#applied = applied;
  }

  until(index: Index): Promise<void> {
    if (index <= this.#applied) return Promise.resolve();
    return new Promise((resolve, reject) => {
      let place = this.#waiters.length;
      while (place > 0 && this.#waiters[place - 1].index > index) place--;
      this.#waiters.splice(place, 0, {index, resolve, reject});
    });
  }

  advance(applied: Index): void {
    this.#applied = applied;
    let due = 0;
    while (due < this.#waiters.length && this.#waiters[due].index <= applied) this.#waiters[due++].resolve();
    if (due > 0) this.#waiters = this.#waiters.slice(due);
  }

  stop(): void {
    for (const waiter of this.#waiters) waiter.reject(new EngineError({code: 'stopped'}));
    this.#waiters = [];
  }
}
