/** Questions that wait for their answer on one connection. */

import {EngineError, type EngineFailure} from '../../engine/errors.ts';
import {PEER_CALLS_MAX} from '../../engine/limits.ts';
import type {Clock} from '../../engine/ports.ts';

interface PendingCall {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: EngineError) => void;
  readonly cancelTimeout: () => void;
}

export class PeerCalls {
  readonly #clock: Clock;
  readonly #pending = new Map<number, PendingCall>();
  #lastId = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Registers a question and hands its id to `send`.
   * @returns the answer; rejects with EngineError `timeout`, `tooManyRequests`, what {@link failAll} is given, or
   *   what the other end failed with
   */
  ask(timeoutMs: number, send: (id: number) => void): Promise<unknown> {
    if (this.#pending.size >= PEER_CALLS_MAX) {
      return Promise.reject(new EngineError({code: 'tooManyRequests'}));
    }
    this.#lastId++;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const cancelTimeout = this.#clock.after(timeoutMs, () => {
        if (this.#pending.delete(id)) reject(new EngineError({code: 'timeout'}));
      });
      this.#pending.set(id, {resolve, reject, cancelTimeout});
      send(id);
    });
  }

  answered(id: number, answer: unknown): void {
    this.#take(id)?.resolve(answer);
  }

  failed(id: number, failure: EngineFailure): void {
    this.#take(id)?.reject(new EngineError(failure));
  }

  failAll(failure: EngineFailure): void {
    for (const id of [...this.#pending.keys()]) this.failed(id, failure);
  }

  /** Undefined: its time was up before. */
  #take(id: number): PendingCall | undefined {
    const call = this.#pending.get(id);
    if (call === undefined) return undefined;
    this.#pending.delete(id);
    call.cancelTimeout();
    return call;
  }
}
