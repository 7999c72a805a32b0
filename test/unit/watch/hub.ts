/** A watch hub over a state machine in plain memory, and short ways to drive both. */

import type {Metrics} from '../../../src/engine/ports.ts';
import type {Command} from '../../../src/engine/state-machine/command.ts';
import {type Event, EventType} from '../../../src/engine/types.ts';
import {WatchHub} from '../../../src/engine/watch/watch-hub.ts';
import type {WatchCreateRequest} from '../../../src/engine/watch/watch-request.ts';
import type {WatchResponse} from '../../../src/engine/watch/watch-response.ts';
import type {WatchStream} from '../../../src/engine/watch/watch-stream.ts';
import {bytes, deleteOf, Machine, putOf, run, silentLogger, text} from '../state-machine/machine.ts';

/** A walk that is over. */
const NOTHING = (function* () {})();

export class RecordedMetrics implements Metrics {
  readonly values = new Map<string, number>();

  counter(name: string) {
    return {add: (amount: number) => this.values.set(name, (this.values.get(name) ?? 0) + amount)};
  }

  gauge(name: string) {
    return {set: (value: number) => this.values.set(name, value)};
  }

  histogram() {
    return {observe() {}};
  }
}

export function watchOf(
  key: string,
  options: Partial<WatchCreateRequest> & {end?: string} = {},
): WatchCreateRequest {
  const {end = '', ...rest} = options;
  return {
    key: bytes(key),
    rangeEnd: bytes(end),
    startRevision: 0,
    progressNotify: false,
    filters: [],
    prevKv: false,
    watchId: 0n,
    fragment: false,
    ...rest,
  };
}

/** `put a=1@2` or `del a@3`, with ` was 1` when the previous value came along. */
export function describeEvent({type, kv, prevKv}: Event): string {
  const now = type === EventType.put ? `put ${text(kv.key)}=${text(kv.value)}` : `del ${text(kv.key)}`;
  return `${now}@${kv.modRevision}${prevKv === undefined ? '' : ` was ${text(prevKv.value)}`}`;
}

export function describeResponse(response: WatchResponse): string {
  const {revision, watchId, created, canceled, compactRevision, cancelReason, fragment, events} = response;
  const flags = [
    created ? 'created' : '',
    canceled ? 'canceled' : '',
    compactRevision > 0 ? `compacted ${compactRevision}` : '',
    cancelReason === '' ? '' : `(${cancelReason})`,
    fragment ? 'fragment' : '',
    ...events.map(describeEvent),
  ];
  const shown = flags.filter((flag) => flag !== '');
  return `${watchId} r${revision} ${shown.length === 0 ? 'progress' : shown.join(', ')}`;
}

export class WatchedMachine {
  readonly machine: Machine;
  readonly metrics = new RecordedMetrics();
  readonly hub: WatchHub;
  wakes = 0;

  constructor(machine = new Machine()) {
    this.machine = machine;
    this.hub = new WatchHub({
      mvcc: machine.mvcc,
      logger: silentLogger,
      metrics: this.metrics,
      wake: () => {
        this.wakes++;
      },
    });
  }

  apply(command: Command): void {
    const {revision, events, deletedRange} = this.machine.apply(command);
    this.hub.publish(revision, events, deletedRange);
  }

  put(key: string, value = ''): void {
    this.apply({type: 'put', request: putOf(key, value)});
  }

  delete(key: string, end = ''): void {
    this.apply({type: 'deleteRange', request: deleteOf(key, end)});
  }

  /** Puts all in one revision. */
  putAll(pairs: Readonly<Record<string, string>>): void {
    const success = Object.entries(pairs).map(([key, value]) => ({requestPut: putOf(key, value)}));
    this.apply({type: 'txn', request: {compare: [], success, failure: []}});
  }

  compact(revision: number): void {
    this.apply({type: 'compact', revision});
    this.machine.reclaim();
    this.hub.settled();
  }

  /** Writes the tombstones of deletions of many keys. */
  settle(): void {
    run(this.machine.mvcc.settleSlices() ?? NOTHING);
    this.hub.settled();
  }

  catchUp(): void {
    while (this.hub.catchUp());
  }

  stream(fragmentBytes = 1_000_000): TestStream {
    return new TestStream(this.hub, fragmentBytes);
  }
}

export class TestStream {
  readonly stream: WatchStream;
  readableCalls = 0;

  constructor(hub: WatchHub, fragmentBytes: number) {
    this.stream = hub.openStream({
      readable: () => {
        this.readableCalls++;
      },
      fragmentBytes,
    });
  }

  create(key: string, options: Parameters<typeof watchOf>[1] = {}): void {
    this.stream.create(watchOf(key, options));
  }

  /** Takes everything that waits. */
  responses(): WatchResponse[] {
    const taken: WatchResponse[] = [];
    for (let next = this.stream.take(); next !== undefined; next = this.stream.take()) taken.push(next);
    return taken;
  }

  texts(): string[] {
    return this.responses().map(describeResponse);
  }
}
