/**
 * A near peer or client answers within some ten microseconds; to put this thread to sleep and to wake it again takes
 * as long. So where an answer is awaited, the event loop keeps turning for a moment: it looks at its sockets without
 * sleeping. Where answers take longer than that moment, the attempts soon grow rare. (Linux' `halt_poll_ns` does the
 * same for virtual machines.)
 */

/** Chances that go by untried, at most, where answers always came too late. */
export const EAGER_POLL_SKIPS_MAX = 1_023;

export class EagerPoll {
  readonly #budgetMs: number;
  readonly #nowMs: () => number;
  readonly #nextTurn: (action: () => void) => void;
  /** 0: no answer is awaited. */
  #untilMs = 0;
  #isTurning = false;
  /** How many chances the next failure lets go by; about doubles with each failure in a row. */
  #pause = 0;
  #toSkip = 0;

  /** @param budgetMs for one answer, milliseconds: CPU time that nobody else asked for at that moment */
  constructor(
    budgetMs: number,
    nowMs: () => number = () => performance.now(),
    nextTurn: (action: () => void) => void = setImmediate,
  ) {
    this.#budgetMs = budgetMs;
    this.#nowMs = nowMs;
    this.#nextTurn = nextTurn;
  }

  /** Something was sent that a near peer answers soon. */
  expect(): void {
    if (this.#toSkip > 0) {
      this.#toSkip--;
      return;
    }
    this.#untilMs = this.#nowMs() + this.#budgetMs;
    if (this.#isTurning) return;
    this.#isTurning = true;
    this.#nextTurn(this.#turn);
  }

  /** The answer is here. */
  arrived(): void {
    if (this.#untilMs === 0) return;
    this.#untilMs = 0;
    this.#pause = 0;
  }

  readonly #turn = (): void => {
    if (this.#untilMs > this.#nowMs()) {
      this.#nextTurn(this.#turn);
      return;
    }
    this.#isTurning = false;
    if (this.#untilMs === 0) return;
    this.#untilMs = 0;
    this.#toSkip = this.#pause;
    this.#pause = Math.min(EAGER_POLL_SKIPS_MAX, this.#pause * 2 + 1);
  };
}
