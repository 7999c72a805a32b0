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

  async #run(client: number): Promise<void> {
    const {endpoints, prefix, valueBytes = 64} = this.#options;
    const calls = endpoints.map((endpoint) => new EtcdCalls(endpoint));
    this.#calls.push(calls);
    for (let n = 0, turn = client; !this.#stopped; n++) {
      const key = `${prefix}${client}/${n}`;
      const value = `${n}`.padEnd(valueBytes, '.');
      try {
        await calls[turn % calls.length].put(key, value, PUT_TIMEOUT_MS);
        this.acknowledged.set(key, value);
      } catch {
        this.errors++;
        turn++;
      }
    }
  }
}

/** A probe's put is given up after this time: it must not wait for what the killed leader took with it. */
const PROBE_TIMEOUT_MS = 250;

/** Puts through the members' endpoints in turn until one is acknowledged. @returns milliseconds that took */
export async function timeToWrite(endpoints: readonly string[]): Promise<number> {
  const startedMs = performance.now();
  const calls = endpoints.map((endpoint) => new EtcdCalls(endpoint));
  try {
    for (let turn = 0; ; turn++) {
      try {
        await calls[turn % calls.length].put('probe', `${turn}`, PROBE_TIMEOUT_MS);
        return performance.now() - startedMs;
      } catch (error) {
        if (performance.now() - startedMs > 60_000) throw new Error('no write for a minute', {cause: error});
      }
    }
  } finally {
    for (const call of calls) call[Symbol.dispose]();
  }
}
