/** A store over a simulated disk and clock, with what its logger and metrics were told. */

import {EngineError} from '../../../src/engine/errors.ts';
import type {Backend, BackendReader, LogFields, Logger, Metrics} from '../../../src/engine/ports.ts';
import {Store, type StoreOptions} from '../../../src/engine/storage/store.ts';
import type {RecordRange, Table} from '../../../src/engine/types.ts';
import {MemoryBackendDisk} from '../../simulator/memory-backend.ts';
import {SimulatedClock} from '../../simulator/simulated-clock.ts';

export const bytes = (text: string) => Buffer.from(text, 'latin1');
export const textOf = (value: Uint8Array | undefined) =>
  value === undefined ? undefined : Buffer.from(value).toString('latin1');
export const markAt = (index: number) => ({index, term: 1, hash: index});

type Readable = Pick<BackendReader, 'range'>;
export const read = (reader: Readable, table: Table, range: RecordRange = {}) =>
  [...reader.range(table, range)].map(([key, value]) => `${textOf(key)}=${textOf(value)}`);

export class StoreWorld {
  readonly clock = new SimulatedClock();
  readonly disk: MemoryBackendDisk;
  readonly warnings: string[] = [];
  readonly failures: unknown[] = [];
  readonly metrics = new Map<string, number[]>();
  readonly logger: Logger;
  readonly meter: Metrics;

  constructor(commitMs = 10) {
    this.disk = new MemoryBackendDisk({clock: this.clock, commitMs: () => commitMs});
    const ignore = () => undefined;
    const warn = (message: string, _fields?: LogFields) => void this.warnings.push(message);
    this.logger = {debug: ignore, info: ignore, warn, error: ignore, child: () => this.logger};
    const note = (name: string) => (value: number) => {
      this.metrics.set(name, [...(this.metrics.get(name) ?? []), value]);
    };
    this.meter = {
      counter: (name) => ({add: note(name)}),
      gauge: (name) => ({set: note(name)}),
      histogram: (name) => ({observe: note(name)}),
    };
  }

  async open(path = 'store', options: Partial<StoreOptions> = {}): Promise<{store: Store; backend: Backend}> {
    const backend = await this.run(this.disk.open(path));
    const store = new Store({
      backend,
      clock: this.clock,
      logger: this.logger,
      metrics: this.meter,
      onFailure: (error) => this.failures.push(error),
      ...options,
    });
    return {store, backend};
  }

  /** Moves time until the promise is settled. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    promise.then(settle, settle);
    for (let i = 0; i < 10_000 && !isSettled; i++) await this.clock.advance(1);
    if (!isSettled) throw new Error('the promise is still open after ten seconds');
    return promise;
  }
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof EngineError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}
