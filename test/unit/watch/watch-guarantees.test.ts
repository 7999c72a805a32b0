/** Random clients, fast and slow, against what really happened: ordered, unique, reliable, atomic, filtered. */

import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {EventType} from '../../../src/engine/types.ts';
import {WatchFilter} from '../../../src/engine/watch/watch-request.ts';
import type {WatchResponse} from '../../../src/engine/watch/watch-response.ts';
import {deleteOf, Machine, text} from '../state-machine/machine.ts';
import {describeEvent, type TestStream, WatchedMachine} from './hub.ts';

interface Change {
  readonly revision: number;
  readonly key: string;
  readonly isPut: boolean;
  readonly told: string;
  /** With the previous value. */
  readonly toldFull: string;
}

interface Client {
  readonly id: bigint;
  readonly stream: number;
  readonly from: string;
  readonly to: string;
  readonly start: number;
  readonly filters: readonly number[];
  readonly prevKv: boolean;
  readonly fragment: boolean;
  readonly told: string[];
  lastRevision: number;
  /** Its creation was taken from the stream. */
  isCreated: boolean;
  end: 'open' | 'canceled' | 'compacted';
}

const key = fc.constantFrom('a', 'b', 'k1', 'k2', 'z');
const step = fc.oneof(
  {weight: 6, arbitrary: fc.record({type: fc.constant('put' as const), key})},
  {
    weight: 2,
    arbitrary: fc.record({type: fc.constant('delete' as const), key, end: fc.constantFrom('', 'l')}),
  },
  {
    weight: 2,
    arbitrary: fc.record({type: fc.constant('burst' as const), count: fc.constantFrom(3, 250, 700, 1100)}),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('deleteMany' as const),
      from: fc.constantFrom('a', 'k', 'k5'),
      to: fc.constantFrom('b', 'l', '\0'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({type: fc.constant('settle' as const), slices: fc.constantFrom(1, 3, 100)}),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('watch' as const),
      stream: fc.nat({max: 1}),
      from: fc.constantFrom('a', 'k', 'k1'),
      to: fc.constantFrom('', 'l', '\0'),
      back: fc.option(fc.nat({max: 12}), {nil: undefined}),
      filters: fc.constantFrom([], [], [WatchFilter.noPut], [WatchFilter.noDelete]),
      prevKv: fc.boolean(),
      fragment: fc.boolean(),
    }),
  },
  fc.record({type: fc.constant('cancel' as const), which: fc.nat()}),
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('take' as const),
      stream: fc.nat({max: 1}),
      count: fc.constantFrom(1, 5, 100),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({type: fc.constant('catchUp' as const), count: fc.constantFrom(1, 3, 20)}),
  },
  fc.record({type: fc.constant('progress' as const), stream: fc.nat({max: 1})}),
  fc.record({type: fc.constant('notify' as const)}),
  fc.record({type: fc.constant('compact' as const), back: fc.nat({max: 8})}),
  fc.record({type: fc.constant('snapshot' as const), puts: fc.nat({max: 4})}),
);
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

/** Deletions of a range by itself are written late, however few keys there are. */
const LATE = {pendingDeleteKeysMin: 1};

class Run {
  readonly watched = new WatchedMachine(new Machine(undefined, LATE));
  readonly streams: TestStream[] = [this.watched.stream(4_000), this.watched.stream(4_000)];
  readonly clients: Client[] = [];
  readonly changes: Change[] = [];
  readonly headerRevisions = [0, 0];
  readonly #values = new Map<string, string>();
  #value = 0;
  #nextId = 1n;
  #settling: Generator<undefined, void> | undefined;

  do(one: Step): void {
    const {watched} = this;
    if (one.type === 'put') this.write([[one.key, this.#next()]], []);
    else if (one.type === 'delete') this.write([], this.#living(one.key, one.end));
    else if (one.type === 'burst')
      this.write(
        Array.from({length: one.count}, (_, i) => [`k${i}`, this.#next()]),
        [],
      );
    else if (one.type === 'deleteMany') this.deleteMany(one);
    else if (one.type === 'settle') this.settle(one.slices);
    else if (one.type === 'watch') this.watch(one);
    else if (one.type === 'cancel') this.cancel(one.which);
    else if (one.type === 'take') this.take(one.stream, one.count);
    else if (one.type === 'catchUp') for (let i = 0; i < one.count; i++) watched.hub.catchUp();
    else if (one.type === 'progress') this.streams[one.stream].stream.requestProgress();
    else if (one.type === 'notify') watched.hub.notifyProgress();
    else if (one.type === 'compact') this.compact(one.back);
    else this.snapshot(one.puts);
  }

  deleteMany({from, to}: Extract<Step, {type: 'deleteMany'}>): void {
    const revision = this.watched.machine.mvcc.currentRevision() + 1;
    for (const one of this.#living(from, to)) {
      const told = `del ${one}@${revision}`;
      const toldFull = `${told} was ${this.#values.get(one)}`;
      this.changes.push({revision, key: one, isPut: false, told, toldFull});
      this.#values.delete(one);
    }
    this.watched.apply({type: 'deleteRange', request: deleteOf(from, to)});
  }

  settle(slices: number): void {
    const {machine, hub} = this.watched;
    for (let i = 0; i < slices; i++) {
      this.#settling ??= machine.mvcc.settleSlices();
      if (this.#settling === undefined) return;
      if (!this.#settling.next().done) continue;
      this.#settling = undefined;
      hub.settled();
    }
  }

  /** Notes the changes and makes them as one revision, on the hub's machine or, behind its back, on another. */
  write(puts: [string, string][], deletions: string[], machine?: Machine): void {
    if (puts.length + deletions.length === 0) return;
    const revision = (machine ?? this.watched.machine).mvcc.currentRevision() + 1;
    const note = (one: string, now: string, isPut: boolean) => {
      const before = this.#values.get(one);
      const told = `${now}@${revision}`;
      this.changes.push({
        revision,
        key: one,
        isPut,
        told,
        toldFull: before === undefined ? told : `${told} was ${before}`,
      });
    };
    for (const [one, value] of puts) {
      note(one, `put ${one}=${value}`, true);
      this.#values.set(one, value);
    }
    for (const one of deletions) {
      note(one, `del ${one}`, false);
      this.#values.delete(one);
    }
    const bytes = (value: string) => Buffer.from(value, 'latin1');
    const flags = {lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false};
    const success = [
      ...puts.map(([one, value]) => ({requestPut: {key: bytes(one), value: bytes(value), ...flags}})),
      ...deletions.map((one) => ({
        requestDeleteRange: {key: bytes(one), rangeEnd: bytes(''), prevKv: false},
      })),
    ];
    const command = {type: 'txn', request: {compare: [], success, failure: []}} as const;
    if (machine === undefined) this.watched.apply(command);
    else machine.apply(command);
  }

  watch(one: Extract<Step, {type: 'watch'}>): void {
    const {mvcc} = this.watched.machine;
    const start = one.back === undefined ? 0 : Math.max(1, mvcc.currentRevision() + 3 - one.back);
    const id = this.#nextId++;
    const {from, to, filters, prevKv, fragment, stream} = one;
    const first = start === 0 ? mvcc.currentRevision() + 1 : start;
    this.clients.push({
      id,
      stream,
      from,
      to,
      start: first,
      filters,
      prevKv,
      fragment,
      told: [],
      lastRevision: 0,
      isCreated: false,
      end: 'open',
    });
    this.streams[stream].create(from, {
      end: to,
      startRevision: start,
      watchId: id,
      filters,
      prevKv,
      fragment,
      progressNotify: true,
    });
  }

  cancel(which: number): void {
    if (this.clients.length === 0) return;
    const client = this.clients[which % this.clients.length];
    this.streams[client.stream].stream.cancel(client.id);
  }

  compact(back: number): void {
    const revision = this.watched.machine.mvcc.currentRevision() - back;
    if (revision > this.watched.machine.mvcc.compactRevision()) this.watched.compact(revision);
  }

  /** The member falls behind and is given another's whole state. */
  snapshot(puts: number): void {
    const {machine, hub} = this.watched;
    const other = new Machine();
    other.records.replaceBy(machine.records);
    const ahead = new Machine(other.records, LATE);
    for (let i = 0; i < puts; i++) this.write([[`k${i}`, this.#next()]], [], ahead);
    machine.records.replaceBy(ahead.records);
    // The same state once more shows no change, and reading it is as good as before.
    if (puts > 0) expect(hub.catchUp()).toBe(false);
    const load = machine.stateMachine.load();
    load.next();
    while (!load.next().done) expect(hub.catchUp()).toBe(false);
    hub.restored();
  }

  take(stream: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const response = this.streams[stream].stream.take();
      if (response === undefined) return;
      this.check(stream, response);
    }
  }

  check(stream: number, response: WatchResponse): void {
    const {revision, watchId, canceled, compactRevision, events, created, fragment} = response;
    if (compactRevision === 0) {
      expect(revision).toBeGreaterThanOrEqual(this.headerRevisions[stream]);
      this.headerRevisions[stream] = revision;
    }
    if (events.length === 0 && !created && !canceled) {
      this.checkProgress(stream, watchId, revision);
      return;
    }
    const client = this.clients.find(({id}) => id === watchId);
    if (client === undefined) throw new Error(`no client ${watchId}`);
    expect(client.end).toBe('open');
    expect(client.isCreated).toBe(!created);
    client.isCreated = true;
    if (canceled) client.end = compactRevision > 0 ? 'compacted' : 'canceled';
    if (events.length === 0) return;
    const first = events[0].kv.modRevision;
    const last = events[events.length - 1].kv.modRevision;
    if (client.fragment) expect(first).toBeGreaterThanOrEqual(client.lastRevision);
    else {
      expect(fragment).toBe(false);
      expect(first).toBeGreaterThan(client.lastRevision);
    }
    expect(revision).toBeGreaterThanOrEqual(last);
    client.lastRevision = last;
    for (const event of events) {
      expect(event.type === EventType.put || event.kv.value.length === 0).toBe(true);
      expect(text(event.kv.key).length).toBeGreaterThan(0);
      client.told.push(describeEvent(event));
    }
  }

  /** Progress at R: everything up to R has been told. */
  checkProgress(stream: number, watchId: bigint, revision: number): void {
    const concerned = this.clients.filter(
      (one) =>
        one.stream === stream &&
        one.isCreated &&
        one.end === 'open' &&
        (watchId === -1n || one.id === watchId),
    );
    for (const client of concerned) {
      const due = this.expected(client).filter(([at]) => at <= revision).length;
      expect(client.told.length).toBeGreaterThanOrEqual(due);
    }
  }

  expected(client: Client): [number, string, string][] {
    const {from, to, start, filters} = client;
    return this.changes
      .filter(({revision, key: one, isPut}) => {
        const isIn = to === '' ? one === from : one >= from && (to === '\0' || one < to);
        const isWanted = !filters.includes(isPut ? WatchFilter.noPut : WatchFilter.noDelete);
        return isIn && isWanted && revision >= start;
      })
      .map(({revision, told, toldFull}) => [revision, told, toldFull]);
  }

  finish(): void {
    this.settle(Number.POSITIVE_INFINITY);
    for (let i = 0; i < 10_000; i++) {
      const more = this.watched.hub.catchUp();
      for (const stream of [0, 1]) this.take(stream, Number.POSITIVE_INFINITY);
      if (!more && this.watched.hub.slowWatchers === 0) break;
    }
    expect(this.watched.hub.slowWatchers).toBe(0);
    for (const client of this.clients) {
      const expected = this.expected(client);
      const isFull = client.end === 'open';
      if (isFull) expect(client.told.length).toBe(expected.length);
      client.told.forEach((told, place) => {
        const [, plain, full] = expected[place];
        // What a change replaced may be compacted by the time a watcher catches up with it.
        expect(client.prevKv ? [plain, full] : [plain]).toContain(told);
      });
    }
    const {metrics} = this.watched;
    expect(metrics.values.get('etcd_debugging_mvcc_pending_events_total') ?? 0).toBe(0);
    expect(this.watched.hub.watchers).toBe(this.clients.filter(({end}) => end === 'open').length);
  }

  #next(): string {
    return String(this.#value++);
  }

  #living(from: string, to: string): string[] {
    return [...this.#values.keys()]
      .filter((one) => (to === '' ? one === from : one >= from && (to === '\0' || one < to)))
      .sort();
  }
}

describe('watch guarantees', () => {
  it('Ensure that whatever clients, compactions and snapshots do, each watcher is told its changes and no other.', () => {
    const property = fc.property(fc.array(step, {minLength: 5, maxLength: 40}), (steps) => {
      const run = new Run();
      for (const one of steps) run.do(one);
      run.finish();
    });
    fc.assert(property, {numRuns: 150});
  });

  it('Ensure that a stream which nobody reads holds a bounded number of events and no other watcher back.', () => {
    const watched = new WatchedMachine();
    const slow = watched.stream();
    const fast = watched.stream();
    slow.create('k', {end: 'l'});
    fast.create('k', {end: 'l'});
    fast.responses();
    let told = 0;
    for (let i = 0; i < 5_000; i++) {
      watched.put(`k${i % 7}`, 'x');
      told += fast.responses().reduce((sum, {events}) => sum + events.length, 0);
    }
    expect(told).toBe(5_000);
    expect(watched.hub.slowWatchers).toBe(1);
    expect(watched.hub.catchUp()).toBe(false);
    expect(watched.metrics.values.get('etcd_debugging_mvcc_pending_events_total')).toBeLessThanOrEqual(1_024);
    const wakes = watched.wakes;
    let total = 0;
    for (;;) {
      const taken = slow.responses().reduce((sum, {events}) => sum + events.length, 0);
      total += taken;
      watched.catchUp();
      if (taken === 0) break;
    }
    expect(total).toBe(5_000);
    expect(watched.wakes).toBeGreaterThan(wakes);
  });

  it('Ensure that one revision larger than the queue still reaches its watcher whole.', () => {
    const watched = new WatchedMachine();
    const stream = watched.stream();
    stream.create('k', {end: 'l'});
    stream.create('k0', {watchId: 5n});
    watched.put('k0', 'before');
    watched.putAll(Object.fromEntries(Array.from({length: 3_000}, (_, i) => [`k${i}`, 'x'])));
    watched.put('k0', 'after');
    watched.catchUp();
    const sizes: number[] = [];
    for (let rounds = 0; rounds < 10; rounds++) {
      for (const {watchId, events} of stream.responses())
        if (watchId === 0n && events.length > 0) sizes.push(events.length);
      watched.catchUp();
    }
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(3_002);
    expect(Math.max(...sizes)).toBeGreaterThanOrEqual(3_000);
    expect(watched.hub.slowWatchers).toBe(0);
  });

  describe('a deletion whose tombstones are still to be written', () => {
    function watchedWith(keys: number): WatchedMachine {
      const watched = new WatchedMachine(new Machine(undefined, LATE));
      watched.putAll(Object.fromEntries(Array.from({length: keys}, (_, i) => [`k${i}`, 'x'])));
      watched.put('z', '0');
      return watched;
    }

    it('Ensure that only those who look at its keys wait for it, and get it before anything later.', () => {
      const watched = watchedWith(3);
      const streams = [watched.stream(), watched.stream(), watched.stream(), watched.stream()];
      const [range, single, other, past] = streams;
      range.create('a', {end: '\0', prevKv: true, progressNotify: true});
      single.create('k1');
      other.create('z', {progressNotify: true});
      for (const stream of streams) stream.responses();
      watched.delete('k', 'l');
      watched.put('z', '1');
      past.create('z', {startRevision: 3});
      watched.catchUp();
      expect(watched.hub.slowWatchers).toBe(2);
      expect(other.texts()).toEqual(['0 r5 put z=1@5']);
      expect(past.texts()).toEqual(['0 r5 created', '0 r5 put z=0@3, put z=1@5']);
      range.stream.requestProgress();
      for (let i = 0; i < 2; i++) watched.hub.notifyProgress();
      expect([range.texts(), single.texts()]).toEqual([[], []]);
      expect(other.texts()).toEqual(['0 r5 progress']);
      const wakes = watched.wakes;
      watched.settle();
      expect(watched.wakes).toBe(wakes + 1);
      watched.catchUp();
      expect(single.texts()).toEqual(['0 r5 del k1@4']);
      expect(range.texts()).toEqual([
        '0 r5 del k0@4 was x, del k1@4 was x, del k2@4 was x, put z=1@5 was 0',
        '-1 r5 progress',
      ]);
      expect(watched.hub.slowWatchers).toBe(0);
    });

    it('Ensure that a compaction ends its watchers when it deletes, not before.', () => {
      const watched = watchedWith(3);
      const {mvcc} = watched.machine;
      const [quick, late] = [watched.stream(), watched.stream()];
      quick.create('k', {end: 'l', prevKv: true});
      late.create('k', {end: 'l'});
      for (const stream of [quick, late]) stream.responses();
      watched.delete('k', 'l');
      watched.put('z', '1');
      watched.apply({type: 'compact', revision: 5});
      watched.catchUp();
      watched.stream().create('k', {startRevision: 4});
      watched.settle();
      watched.catchUp();
      expect(quick.texts()).toEqual(['0 r5 del k0@4 was x, del k1@4 was x, del k2@4 was x']);
      expect(mvcc.historyStart()).toBe(-1);
      watched.machine.reclaim();
      expect(mvcc.historyStart()).toBe(5);
      late.create('k', {startRevision: 4});
      expect(late.texts().slice(1)).toEqual(['1 r5 created', '1 r0 canceled, compacted 5']);
    });

    it('Ensure that a watcher that waits may be canceled, and that a new one from now on does not wait.', () => {
      const watched = watchedWith(3);
      const stream = watched.stream();
      stream.create('k', {end: 'l'});
      watched.delete('k', 'l');
      watched.catchUp();
      stream.create('k', {end: 'l'});
      stream.stream.cancel(0n);
      expect(watched.hub.slowWatchers).toBe(0);
      watched.put('k9', '1');
      expect(stream.texts().slice(1)).toEqual(['1 r4 created', '0 r4 canceled', '1 r5 put k9=1@5']);
      watched.settle();
      watched.catchUp();
      expect(stream.texts()).toEqual([]);
    });

    it('Ensure that a stream puts together one such revision at a time, for however many watchers.', () => {
      const keys = 5_000;
      const watched = watchedWith(keys);
      const stream = watched.stream();
      for (let i = 0; i < 4; i++) stream.create('k', {end: 'l'});
      stream.responses();
      watched.delete('k', 'l');
      watched.put('k1', 'later');
      watched.settle();
      const told = new Map<bigint, number>();
      for (let round = 0; round < 20 && watched.hub.slowWatchers > 0; round++) {
        let waiting = 0;
        for (let more = true; more; ) {
          more = watched.hub.catchUp();
          waiting = watched.metrics.values.get('etcd_debugging_mvcc_pending_events_total') ?? 0;
          expect(waiting).toBeLessThanOrEqual(keys + 1);
        }
        for (const {watchId, events, fragment} of stream.responses()) {
          expect(fragment).toBe(false);
          expect([keys, keys + 1, 1]).toContain(events.length);
          told.set(watchId, (told.get(watchId) ?? 0) + events.length);
        }
      }
      expect([...told.values()]).toEqual(Array(4).fill(keys + 1));
    });
  });

  it('Ensure that a listener may call back from within readable.', () => {
    const watched = new WatchedMachine();
    const told: string[] = [];
    const stream = watched.hub.openStream({
      fragmentBytes: 1_000_000,
      readable: () => {
        for (let next = stream.take(); next !== undefined; next = stream.take()) {
          told.push(...next.events.map(describeEvent));
          if (next.events.length > 0) stream.cancel(next.watchId);
        }
      },
    });
    stream.create({
      key: Buffer.from('a'),
      rangeEnd: Buffer.alloc(0),
      startRevision: 0,
      progressNotify: false,
      filters: [],
      prevKv: false,
      watchId: 0n,
      fragment: false,
    });
    watched.put('a', '1');
    watched.put('a', '2');
    expect(told).toEqual(['put a=1@2']);
    expect(watched.hub.watchers).toBe(0);
  });
});
