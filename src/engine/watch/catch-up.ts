/**
 * One pass over the history for a group of watchers that lag. It walks the records once from where the first of
 * them stands, in bounded slices, and hands each what it wants. A watcher whose queue is full leaves the pass and
 * costs nothing until there is room; those that last to the current revision are synced.
 *
 * A deletion whose tombstones are still being written is a gap in the history: whoever looks at its keys waits before
 * it, the others step over it, since there is nothing else in that revision.
 */

import {assert} from '../errors.ts';
import {SLICE_BYTES, SLICE_KEYS, WATCH_QUEUE_EVENTS_MAX} from '../limits.ts';
import {keyTextOf} from '../state-machine/mvcc/key-value-record.ts';
import type {TextRange} from '../state-machine/mvcc/text-range.ts';
import type {Event, KeyValue, Revision} from '../types.ts';
import type {Watcher, WatcherHome} from './watcher.ts';
import {WatcherIndex} from './watcher-index.ts';

/** What the watch part reads of the store. */
export interface WatchReader {
  /** False while the store is being replaced by a snapshot. */
  readonly isReadable: boolean;
  currentRevision(): number;
  compactRevision(): number;
  /** Watchers on their way lose nothing from here on; at or below the compact revision. */
  historyStart(): number;
  /** Whole revisions, unless the limits end it: it stops before a deletion that `unsettledFrom` names. */
  history(
    from: Revision,
    limits: {recordsMax: number; bytesMax: number},
  ): {readonly events: readonly Event[]; readonly next: Revision};
  /** The first deletion at or after `revision` that history cannot tell yet. */
  unsettledFrom(revision: number): (TextRange & {readonly revision: number}) | undefined;
  /** What the key of a change was just before it. */
  previous(kv: KeyValue): KeyValue | undefined;
}

/** What becomes of a watcher that leaves the pass. */
export interface PassExits {
  stall(watcher: Watcher): void;
  sync(watcher: Watcher): void;
  /** What is next for it cannot be told yet. */
  hold(watcher: Watcher): void;
  /** It has to wait for the next pass. */
  defer(watcher: Watcher): void;
  cancel(watcher: Watcher, compactRevision: number): void;
}

/** Watchers of one pass: more of them wait for the next, so that forming it stays short. */
export const PASS_WATCHERS_MAX = SLICE_KEYS;

export class CatchUpPass {
  readonly #reader: WatchReader;
  readonly #exits: PassExits;
  readonly #index = new WatcherIndex();
  /** Everything before it is in the queues or batches of the pass's watchers. */
  #position: Revision;

  constructor(options: {reader: WatchReader; exits: PassExits; watchers: readonly Watcher[]}) {
    this.#reader = options.reader;
    this.#exits = options.exits;
    let main = Number.POSITIVE_INFINITY;
    for (const watcher of options.watchers) {
      assert(watcher.batch.length === 0, 'a watcher enters a pass with nothing pending');
      this.#index.add(watcher);
      main = Math.min(main, watcher.nextRevision);
    }
    this.#position = {main, sub: 0};
  }

  get size(): number {
    return this.#index.size;
  }

  watchers(): IterableIterator<Watcher> {
    return this.#index.watchers();
  }

  delete(watcher: Watcher): void {
    this.#index.delete(watcher);
    watcher.batch = [];
  }

  /** Ends the pass where it stands: its watchers go on from there another time. */
  abandon(): Watcher[] {
    const watchers = [...this.#index.watchers()];
    for (const watcher of watchers) this.#advance(watcher);
    this.#index.clear();
    return watchers;
  }

  /** Walks one slice up to revision `to`. @returns whether the pass goes on */
  step(to: number): boolean {
    this.#stallFull();
    this.#cancelCompacted();
    if (this.#index.size === 0) return false;
    if (this.#position.main <= to) {
      const limits = {recordsMax: SLICE_KEYS, bytesMax: SLICE_BYTES};
      const {events, next} = this.#reader.history(this.#position, limits);
      for (const event of events) this.#match(event);
      this.#position = next;
      this.#flush();
    }
    this.#passGap();
    if (this.#position.main <= to) return this.#index.size > 0;
    for (const watcher of [...this.#index.watchers()]) this.#leave(watcher, this.#exits.sync);
    return false;
  }

  #passGap(): void {
    const {main, sub} = this.#position;
    const gap = this.#reader.unsettledFrom(main);
    if (gap?.revision !== main) return;
    assert(sub === 0, 'what is being written is not read');
    for (const watcher of [...this.#index.watchers()]) {
      if (watcher.nextRevision <= main && watcher.looksAt(gap)) this.#leave(watcher, this.#exits.hold);
    }
    this.#position = {main: main + 1, sub: 0};
  }

  #match(event: Event): void {
    let withPrevious: Event | undefined;
    this.#index.visit(keyTextOf(event.kv), (watcher) => {
      if (!watcher.wants(event)) return;
      if (!watcher.prevKv) {
        watcher.batch.push(event);
        return;
      }
      withPrevious ??= {type: event.type, kv: event.kv, prevKv: this.#reader.previous(event.kv)};
      watcher.batch.push(withPrevious);
    });
  }

  /** Queues what belongs to whole revisions; the rest of a revision that the slice cut stays pending. */
  #flush(): void {
    const {main, sub} = this.#position;
    const large = new Set<WatcherHome>();
    for (const watcher of [...this.#index.watchers()]) {
      if (watcher.batch.length === 0) continue;
      const batch = watcher.takeBatch();
      let whole = batch.length;
      if (sub > 0) while (whole > 0 && batch[whole - 1].kv.modRevision === main) whole--;
      const refusedAt = this.#offer(watcher, whole === batch.length ? batch : batch.slice(0, whole));
      if (refusedAt !== undefined) {
        watcher.nextRevision = refusedAt;
        this.#index.delete(watcher);
        this.#exits.stall(watcher);
      } else if (whole < batch.length) {
        watcher.batch = whole === 0 ? batch : batch.slice(whole);
        if (watcher.batch.length <= WATCH_QUEUE_EVENTS_MAX) continue;
        // A stream puts together one revision of this size at a time, however many of its watchers want it.
        if (large.has(watcher.stream)) this.#giveBack(watcher, main);
        else large.add(watcher.stream);
      }
    }
  }

  /** Takes a watcher out in the middle of revision `main`, all of which it will have to read again. */
  #giveBack(watcher: Watcher, main: number): void {
    watcher.batch = [];
    watcher.nextRevision = main;
    this.#index.delete(watcher);
    this.#exits.defer(watcher);
  }

  /** Offers all at once if they fit, else revision by revision. @returns the first revision that found no room */
  #offer(watcher: Watcher, events: Event[]): number | undefined {
    if (events.length === 0) return undefined;
    watcher.isBusy = true;
    if (watcher.stream.offer(watcher, events)) return undefined;
    const first = events[0].kv.modRevision;
    return events[events.length - 1].kv.modRevision === first ? first : this.#offerEach(watcher, events);
  }

  #offerEach(watcher: Watcher, events: readonly Event[]): number | undefined {
    let from = 0;
    while (from < events.length) {
      const {modRevision} = events[from].kv;
      let to = from + 1;
      while (to < events.length && events[to].kv.modRevision === modRevision) to++;
      if (!watcher.stream.offer(watcher, events.slice(from, to))) return modRevision;
      from = to;
    }
    return undefined;
  }

  #stallFull(): void {
    for (const watcher of [...this.#index.watchers()]) {
      // In the middle of a revision a watcher stays: it would have to take in its beginning again.
      if (watcher.batch.length === 0 && watcher.stream.queue.isHalfFull)
        this.#leave(watcher, this.#exits.stall);
    }
  }

  #cancelCompacted(): void {
    const start = this.#reader.historyStart();
    if (this.#position.main >= start) return;
    const compactRevision = this.#reader.compactRevision();
    assert(start <= compactRevision, 'only what is compacted is gone');
    for (const watcher of [...this.#index.watchers()]) {
      if (Math.max(watcher.nextRevision, this.#position.main) >= start) continue;
      this.#leave(watcher, (lost) => this.#exits.cancel(lost, compactRevision));
    }
    this.#position = {main: start, sub: 0};
  }

  #leave(watcher: Watcher, exit: (watcher: Watcher) => void): void {
    this.#advance(watcher);
    this.#index.delete(watcher);
    exit(watcher);
  }

  /** Records how far the watcher has come. */
  #advance(watcher: Watcher): void {
    watcher.batch = [];
    watcher.nextRevision = Math.max(watcher.nextRevision, this.#position.main);
  }
}
