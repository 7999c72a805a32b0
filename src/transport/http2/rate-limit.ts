/** A bucket of tokens: what may come in bursts, but not for ever at that pace. Reads the clock only when it is empty. */

export class RateLimit {
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #filledAtMs = 0;

  constructor(burst: number, perSecond: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#tokens = burst;
  }

  /** Takes one token. @returns false when there is none */
  take(): boolean {
    if (this.#tokens < 1) this.#fill();
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  #fill(): void {
    const now = performance.now();
    const filled = this.#filledAtMs === 0 ? 0 : ((now - this.#filledAtMs) / 1000) * this.#perSecond;
    this.#filledAtMs = now;
    this.#tokens = Math.min(this.#burst, this.#tokens + filled);
  }
}
