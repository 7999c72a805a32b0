/**
 * Many clients that put keys of their own, one after the other, through every member's endpoint in turn, and
 * remember exactly what was acknowledged.
 */

import {EtcdCalls} from './etcd-calls.ts';

export interface WriteLoadOptions {
  readonly endpoints: readonly string[];
  readonly clients: number;
  /** Keys are `<prefix><client>/<number>`. */
  readonly prefix: string;
  readonly valueBytes?: number;
}

/** A put that takes longer is given up; its fate is unknown. */
const PUT_TIMEOUT_MS = 2_000;

export class WriteLoad {
  readonly acknowledged = new Map<string, string>();
  /** Times of acknowledgements of puts that began after the time given to {@link firstPutAfter}. */
  readonly #watchers: {afterMs: number; resolve: (acknowledgedMs: number) => void}[] = [];
  readonly #options: WriteLoadOptions;
  readonly #calls: EtcdCalls[][] = [];
  #stopped = false;
  #running: Promise<unknown> = Promise.resolve();
  errors = 0;

  constructor(options: WriteLoadOptions) {
    this.#options = options;
  }

  start(): void {
    const clients = Array.from({length: this.#options.clients}, (_, client) => this.#run(client));
    this.#running = Promise.all(clients);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    for (const calls of this.#calls.flat()) calls[Symbol.dispose]();
  }

  /** Resolves with when the first put that begins from now on is acknowledged (performance.now()). */
  firstPutAfter(afterMs: number): Promise<number> {
    return new Promise((resolve) => this.#watchers.push({afterMs, resolve}));
  }

  async #run(client: number): Promise<void> {
    const {endpoints, prefix, valueBytes = 64} = this.#options;
    const calls = endpoints.map((endpoint) => new EtcdCalls(endpoint));
    this.#calls.push(calls);
    for (let n = 0, turn = client; !this.#stopped; n++) {
      const key = `${prefix}${client}/${n}`;
      const value = `${n}`.padEnd(valueBytes, '.');
      const beganMs = performance.now();
      try {
        await calls[turn % calls.length].put(key, value, PUT_TIMEOUT_MS);
        this.acknowledged.set(key, value);
        this.#noteAcknowledged(beganMs);
      } catch {
        this.errors++;
        turn++;
      }
    }
  }

  #noteAcknowledged(beganMs: number): void {
    for (let i = this.#watchers.length - 1; i >= 0; i--) {
      const {afterMs, resolve} = this.#watchers[i];
      if (beganMs < afterMs) continue;
      this.#watchers.splice(i, 1);
      resolve(performance.now());
    }
  }
}
