/** Asks a silent peer whether it is still there: a PING after `intervalMs` of silence, the end after `timeoutMs` more. */

export interface KeepAliveOptions {
  /** 0: never. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly ping: (payload: Buffer) => void;
  readonly dead: () => void;
}

const PAYLOAD = Buffer.from('kvd-live', 'latin1');
/** The longest wait that a timer can take. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class KeepAlive {
  readonly #options: KeepAliveOptions;
  #timer: NodeJS.Timeout | undefined;
  #hasHeard = false;
  #isAsking = false;

  constructor(options: KeepAliveOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.intervalMs > 0) this.#wait(this.#options.intervalMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Anything came in. */
  heard(): void {
    this.#hasHeard = true;
  }

  #wait(ms: number): void {
    this.#hasHeard = false;
    this.#timer = setTimeout(() => this.#due(), Math.min(ms, TIMER_MS_MAX));
    this.#timer.unref();
  }

  #due(): void {
    if (!this.#hasHeard && this.#isAsking) {
      this.#options.dead();
      return;
    }
    this.#isAsking = !this.#hasHeard;
    if (this.#isAsking) this.#options.ping(PAYLOAD);
    this.#wait(this.#isAsking ? this.#options.timeoutMs : this.#options.intervalMs);
  }
}
