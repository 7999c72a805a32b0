/**
 * The processes of a campaign, one for each core. Each gets an order, answers it, and gets the next. One that ends or
 * says nothing for too long has found something out, too: that is told like an answer, and a fresh one takes its place.
 */

import {fork} from 'node:child_process';
import {join} from 'node:path';
import type {Answer, Order} from './worker.ts';

/** A seed takes well under a second, or half a minute on a machine with other work. */
const SILENCE_MS_MAX = 300_000;
/** Most of what a run makes is garbage before its end: a larger nursery copies less of it. */
const NODE_FLAGS = ['--max-semi-space-size=32'];

export interface WorkerPoolOptions {
  readonly size: number;
  /** What worker `id` does next; undefined: nothing, and it ends. Ids are never used twice. */
  readonly next: (id: number) => Order | undefined;
  readonly answered: (id: number, order: Order, answer: Answer) => void;
  readonly died: (id: number, order: Order, how: string) => void;
}

export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  #ids = 0;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
  }

  /** Resolves when there is nothing left to do for any of them. */
  async run(): Promise<void> {
    await Promise.all(Array.from({length: this.#options.size}, () => this.#keepOne()));
  }

  /** One process after the other in one place, until a fresh one has nothing to do. */
  async #keepOne(): Promise<void> {
    for (;;) {
      const id = ++this.#ids;
      const first = this.#options.next(id);
      if (first === undefined) return;
      await this.#runOne(id, first);
    }
  }

  #runOne(id: number, first: Order): Promise<void> {
    const child = fork(join(import.meta.dirname, `worker${import.meta.filename.slice(-3)}`), {
      execArgv: NODE_FLAGS,
    });
    return new Promise((resolve) => {
      let order: Order | undefined;
      let isSilent = false;
      let silence: NodeJS.Timeout | undefined;
      const give = (next: Order | undefined): void => {
        clearTimeout(silence);
        order = next;
        if (next === undefined) {
          child.disconnect();
          return;
        }
        silence = setTimeout(() => {
          isSilent = true;
          child.kill('SIGKILL');
        }, SILENCE_MS_MAX);
        child.send(next);
      };
      child.on('message', (answer: Answer) => {
        if (order !== undefined) this.#options.answered(id, order, answer);
        give(this.#options.next(id));
      });
      child.once('exit', (code, signal) => {
        clearTimeout(silence);
        const how = isSilent
          ? `no answer within ${SILENCE_MS_MAX / 1_000} s`
          : `ended by ${signal ?? `code ${code}`}`;
        if (order !== undefined) this.#options.died(id, order, how);
        resolve();
      });
      give(first);
    });
  }
}
