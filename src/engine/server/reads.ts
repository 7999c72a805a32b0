/**
 * Linearizable reads by ReadIndex. All reads that arrive within one turn of the loop share one question to the
 * leader; a question that gets no answer in time is put again under a new number, so that a late answer to the
 * old one can never confirm the new (etcd issue 20418). A read may go on as soon as this member has applied the
 * index of the answer.
 */

import {EngineError} from '../errors.ts';
import type {Clock, Random} from '../ports.ts';
import type {ReadState} from '../raft/message.ts';
import type {AppliedWaiters} from './applied-waiters.ts';

interface Reader {
  readonly deadlineMs: number;
  readonly startedMs: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Question {
  readonly askedMs: number;
  readonly readers: readonly Reader[];
}

/** Readers whose question is answered: they wait for this member to apply what they must see. */
interface Answered {
  readers: readonly Reader[];
}

export interface ReadsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly appliedWaiters: AppliedWaiters;
  readonly timeoutMs: number;
  /** An unanswered question is put again after this time, milliseconds. */
  readonly retryMs: number;
  readonly timeoutCause: (startedMs: number) => 'timeout' | 'timeoutLeaderFailed' | 'timeoutConnectionLost';
  /** Puts the question to raft; false: there is no leader to ask. */
  readonly ask: (context: number) => boolean;
  readonly wake: () => void;
}

export class Reads {
  readonly #options: ReadsOptions;
  #unasked: Reader[] = [];
  readonly #asked = new Map<number, Question>();
  readonly #answered = new Set<Answered>();
  #stopped = false;
  #nextContext: number;

  constructor(options: ReadsOptions) {
    this.#options = options;
    // No question of this life may look like one of the life before: 2^47 + 2^32 questions stay safe integers.
    this.#nextContext = options.random.below(2 ** 31) * 2 ** 16;
  }

  /** Resolves when a read of the local state is linearizable with everything acknowledged before this call. */
  confirm(): Promise<void> {
    if (this.#stopped) return Promise.reject(new EngineError({code: 'stopped'}));
    const startedMs = this.#options.clock.monotonicMs();
    return new Promise((resolve, reject) => {
      this.#unasked.push({deadlineMs: startedMs + this.#options.timeoutMs, startedMs, resolve, reject});
      if (this.#unasked.length === 1) this.#options.wake();
    });
  }

  get hasUnasked(): boolean {
    return this.#unasked.length > 0;
  }

  /** Part of the loop's turn: asks for all that wait; without a leader they go on waiting. */
  ask(): void {
    if (this.#unasked.length === 0) return;
    const context = this.#nextContext++;
    if (!this.#options.ask(context)) return;
    this.#asked.set(context, {askedMs: this.#options.clock.monotonicMs(), readers: this.#unasked});
    this.#unasked = [];
  }

  answered(states: readonly ReadState[]): void {
    for (const {context, index} of states) {
      const question = this.#asked.get(context);
      if (question === undefined) continue;
      this.#asked.delete(context);
      const answered: Answered = {readers: question.readers};
      this.#answered.add(answered);
      this.#options.appliedWaiters.until(index).then(
        () => {
          this.#answered.delete(answered);
          for (const reader of answered.readers) reader.resolve();
        },
        (error: unknown) => {
          this.#answered.delete(answered);
          for (const reader of answered.readers) reader.reject(error);
        },
      );
    }
  }

  /** The leader changed: what the old one was asked is asked again. */
  leaderChanged(): void {
    for (const context of [...this.#asked.keys()]) this.#askAgain(context);
  }

  /** Ends readers whose time is over and repeats questions that stayed unanswered. */
  sweep(): void {
    const {clock, retryMs} = this.#options;
    const nowMs = clock.monotonicMs();
    for (const [context, question] of [...this.#asked]) {
      if (nowMs - question.askedMs >= retryMs) this.#askAgain(context);
    }
    this.#unasked = withoutLate(this.#unasked, nowMs, (reader) =>
      this.#options.timeoutCause(reader.startedMs),
    );
    for (const answered of this.#answered) {
      answered.readers = withoutLate(answered.readers, nowMs, () => 'timeoutWaitingForApply');
    }
  }

  stop(): void {
    this.#stopped = true;
    const groups = [...this.#asked.values(), ...this.#answered];
    const readers = [...this.#unasked, ...groups.flatMap((group) => group.readers)];
    this.#unasked = [];
    this.#asked.clear();
    this.#answered.clear();
    for (const reader of readers) reader.reject(new EngineError({code: 'stopped'}));
  }

  #askAgain(context: number): void {
    const question = this.#asked.get(context);
    if (question === undefined) return;
    this.#asked.delete(context);
    this.#unasked = [...question.readers, ...this.#unasked];
    this.#options.wake();
  }
}

/** Ends the waiting of those whose time is over. @returns the others */
function withoutLate(
  readers: readonly Reader[],
  nowMs: number,
  cause: (
    reader: Reader,
  ) => 'timeout' | 'timeoutLeaderFailed' | 'timeoutConnectionLost' | 'timeoutWaitingForApply',
): Reader[] {
  const left: Reader[] = [];
  for (const reader of readers) {
    if (reader.deadlineMs > nowMs) left.push(reader);
    else reader.reject(new EngineError({code: cause(reader)}));
  }
  return left;
}
