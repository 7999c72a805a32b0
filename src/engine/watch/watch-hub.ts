/**
 * All watchers of this member. `publish` finds those that a change concerns and queues it on their streams;
 * whoever cannot take it lags, and catches up from the stored history in slices, at its own cost.
 *
 * Promises to every watcher: events in order, each once, none missing, those of one revision together (unless it
 * accepts fragments), none before its start; what it missed beyond the compact revision ends it with a word.
 */

import {assert} from '../errors.ts';
import {SLICE_KEYS} from '../limits.ts';
import type {Logger, Metrics} from '../ports.ts';
import {keyTextOf} from '../state-machine/mvcc/key-value-record.ts';
import type {TextRange} from '../state-machine/mvcc/text-range.ts';
import type {Event} from '../types.ts';
import {CatchUpPass, PASS_WATCHERS_MAX, type WatchReader} from './catch-up.ts';
import {WatchMetrics} from './watch-metrics.ts';
import {type StreamHub, WatchStream, type WatchStreamOptions} from './watch-stream.ts';
import type {Watcher, WatcherState} from './watcher.ts';
import {WatcherIndex} from './watcher-index.ts';

export interface WatchHubOptions {
  readonly mvcc: WatchReader;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Called when `catchUp` has something to do after it had nothing (a past start, room in a full queue). */
  readonly wake?: (() => void) | undefined;
}

/** A progress response is not worth more than this many waiting responses before it: the client does not read. */
const PROGRESS_BACKLOG_MAX = 1_000;

export class WatchHub {
  readonly #mvcc: WatchReader;
  readonly #logger: Logger;
  readonly #metrics: WatchMetrics;
  readonly #wakeCatchUp: () => void;
  readonly #streams = new Set<WatchStream>();
  /** Watchers that have seen everything up to `#revision`. */
  readonly #synced = new WatcherIndex();
  /** Watchers that lag and wait for a pass, longest waiting first. */
  readonly #ready = new Set<Watcher>();
  #pass: CatchUpPass | undefined;
  #stalledCount = 0;
  /** Watchers whose next event is of a deletion that history cannot tell yet. */
  readonly #held = new Set<Watcher>();
  /** The last revision published. Never goes back. */
  #revision: number;
  readonly #woken = new Set<WatchStream>();
  #wantsCatchUp = false;
  readonly #face: StreamHub;

  constructor({mvcc, logger, metrics, wake}: WatchHubOptions) {
    this.#mvcc = mvcc;
    this.#logger = logger;
    this.#metrics = new WatchMetrics(metrics);
    this.#wakeCatchUp = wake ?? (() => {});
    this.#revision = mvcc.currentRevision();
    this.#face = this.#streamFace();
  }

  get streams(): number {
    return this.#streams.size;
  }

  get watchers(): number {
    return this.#synced.size + this.slowWatchers;
  }

  /** Watchers that lag behind the current revision. */
  get slowWatchers(): number {
    return this.#ready.size + this.#stalledCount + this.#held.size + (this.#pass?.size ?? 0);
  }

  /** Watchers that lag although their clients read: in a while they will not. */
  get watchersUnderWay(): number {
    return this.slowWatchers - this.#stalledCount;
  }

  openStream(options: WatchStreamOptions): WatchStream {
    // The hub may be older than the loaded store; nobody has been told a revision yet.
    if (this.#streams.size === 0) this.#revision = Math.max(this.#revision, this.#mvcc.currentRevision());
    const stream = new WatchStream(this.#face, options);
    this.#streams.add(stream);
    this.#metrics.streams(this.#streams.size);
    return stream;
  }

  /**
   * The changes of one applied entry, in log order; none for one that only moved the log. Instead of events a range,
   * of which all keys were deleted: who looks at it will read them from the history ({@link settled}).
   */
  publish(revision: number, events: readonly Event[], deletedRange?: TextRange): void {
    assert(revision >= this.#revision, 'published revisions never go back');
    assert(events.length === 0 || deletedRange === undefined, 'changes are told in one way');
    this.#revision = revision;
    if (events.length === 0 && deletedRange === undefined) return;
    if (this.#synced.size > 0) {
      if (deletedRange !== undefined) this.#demote(revision, (watcher) => watcher.looksAt(deletedRange));
      else if (events.length > SLICE_KEYS) this.#demote(revision, () => true);
      else this.#deliver(events, revision);
    }
    this.#finish();
  }

  /** History can tell more than before: the tombstones of a deletion are written. */
  settled(): void {
    this.#releaseHeld();
    this.#finish();
  }

  /** One slice of work for those that lag. @returns whether more can be done now */
  catchUp(): boolean {
    // Between the store's last change and its publication, and while it is being replaced, history says too much
    // or too little.
    if (!this.#mvcc.isReadable || this.#mvcc.currentRevision() !== this.#revision) return false;
    this.#pass ??= this.#beginPass();
    if (this.#pass === undefined) return false;
    const goesOn = this.#pass.step(this.#revision);
    if (!goesOn) this.#pass = undefined;
    this.#wantsCatchUp = false;
    this.#finish();
    return goesOn || this.#ready.size > 0;
  }

  /** Tells idle watchers that asked for it how far they have come. Called at a regular interval. */
  notifyProgress(): void {
    const revision = this.#revision;
    for (const stream of this.#streams) {
      for (const watcher of stream.watchers()) {
        if (!watcher.progressNotify) continue;
        const isIdle = !watcher.isBusy && watcher.state === 'synced' && stream.backlog < PROGRESS_BACKLOG_MAX;
        watcher.isBusy = false;
        if (isIdle) stream.push({...PROGRESS, watchId: watcher.id, revision});
      }
    }
    this.#finish();
  }

  /**
   * The store was replaced by a snapshot and is loaded: everybody goes on from the next revision it has not seen.
   * What the snapshot no longer holds ends the watcher, as a compaction does.
   */
  restored(): void {
    const seen = this.#revision;
    const pass = this.#pass;
    this.#pass = undefined;
    for (const watcher of pass?.abandon() ?? []) this.#toReady(watcher);
    this.#releaseHeld();
    for (const watcher of [...this.#synced.watchers()]) {
      watcher.nextRevision = Math.max(watcher.nextRevision, seen + 1);
      this.#synced.delete(watcher);
      watcher.stream.unsynced++;
      this.#toReady(watcher);
    }
    this.#revision = Math.max(seen, this.#mvcc.currentRevision());
    this.#logger.info('watchers go on after a snapshot', {revision: this.#revision, watchers: this.watchers});
    this.#finish();
  }

  #deliver(events: readonly Event[], revision: number): void {
    const touched: Watcher[] = [];
    for (const event of events) {
      let withPrevious: Event | undefined;
      assert(event.kv.modRevision === revision, 'the events of an entry are of its revision');
      this.#synced.visit(keyTextOf(event.kv), (watcher) => {
        if (!watcher.wants(event)) return;
        if (watcher.batch.length === 0) touched.push(watcher);
        if (watcher.prevKv) {
          withPrevious ??= {type: event.type, kv: event.kv, prevKv: this.#mvcc.previous(event.kv)};
          watcher.batch.push(withPrevious);
        } else watcher.batch.push(event);
      });
    }
    for (const watcher of touched) {
      const batch = watcher.takeBatch();
      watcher.isBusy = true;
      if (!watcher.stream.offer(watcher, batch)) {
        watcher.nextRevision = revision;
        this.#synced.delete(watcher);
        watcher.stream.unsynced++;
        this.#stall(watcher);
      }
    }
  }

  /** A change too large to match in one go: those whom it concerns read it from the history, in slices. */
  #demote(revision: number, concerns: (watcher: Watcher) => boolean): void {
    for (const watcher of [...this.#synced.watchers()]) {
      if (!concerns(watcher)) continue;
      watcher.nextRevision = Math.max(watcher.nextRevision, revision);
      this.#synced.delete(watcher);
      watcher.stream.unsynced++;
      this.#toReady(watcher);
    }
  }

  #beginPass(): CatchUpPass | undefined {
    const watchers: Watcher[] = [];
    for (const watcher of this.#ready) {
      if (watchers.length === PASS_WATCHERS_MAX) break;
      this.#ready.delete(watcher);
      watcher.state = 'passing';
      watchers.push(watcher);
    }
    if (watchers.length === 0) return undefined;
    const exits = {
      stall: (watcher: Watcher) => this.#stall(watcher),
      sync: (watcher: Watcher) => this.#sync(watcher),
      hold: (watcher: Watcher) => this.#hold(watcher),
      defer: (watcher: Watcher) => this.#toReady(watcher),
      cancel: (watcher: Watcher, compactRevision: number) => {
        watcher.stream.cancelCompacted(watcher, compactRevision);
      },
    };
    return new CatchUpPass({reader: this.#mvcc, exits, watchers});
  }

  #sync(watcher: Watcher): void {
    watcher.state = 'synced';
    this.#synced.add(watcher);
    watcher.stream.unsynced--;
    watcher.stream.answerProgress();
  }

  #stall(watcher: Watcher): void {
    assert(watcher.stream.queue.events > 0, 'an empty queue has room for anybody');
    watcher.state = 'stalled';
    watcher.stream.stalled.add(watcher);
    this.#stalledCount++;
  }

  #hold(watcher: Watcher): void {
    watcher.state = 'held';
    this.#held.add(watcher);
  }

  #releaseHeld(): void {
    for (const watcher of this.#held) this.#toReady(watcher);
    this.#held.clear();
  }

  #toReady(watcher: Watcher): void {
    watcher.state = 'ready';
    this.#ready.add(watcher);
    this.#wantsCatchUp = true;
  }

  #roomMade(stream: WatchStream): void {
    for (const watcher of stream.stalled) {
      stream.stalled.delete(watcher);
      this.#stalledCount--;
      this.#toReady(watcher);
    }
  }

  #register(watcher: Watcher): void {
    if (watcher.nextRevision > this.#revision) this.#synced.add(watcher);
    else {
      watcher.stream.unsynced++;
      this.#toReady(watcher);
    }
  }

  #unregister(watcher: Watcher): void {
    const {state, stream} = watcher;
    if (state === 'synced') this.#synced.delete(watcher);
    else stream.unsynced--;
    if (state === 'ready') this.#ready.delete(watcher);
    if (state === 'held') this.#held.delete(watcher);
    if (state === 'passing') this.#pass?.delete(watcher);
    if (state === 'stalled' && stream.stalled.delete(watcher)) this.#stalledCount--;
    watcher.state = 'gone' satisfies WatcherState;
  }

  /** What a call to the outside ends with: all state is settled, so that those told may call back at once. */
  #finish(): void {
    this.#metrics.watchers({total: this.watchers, slow: this.slowWatchers});
    if (this.#wantsCatchUp) {
      this.#wantsCatchUp = false;
      this.#wakeCatchUp();
    }
    if (this.#woken.size === 0) return;
    const woken = [...this.#woken];
    this.#woken.clear();
    for (const stream of woken) stream.notify();
  }

  #streamFace(): StreamHub {
    const revision = () => this.#revision;
    return {
      get revision() {
        return revision();
      },
      compactRevision: () => this.#mvcc.compactRevision(),
      register: (watcher) => this.#register(watcher),
      unregister: (watcher) => this.#unregister(watcher),
      roomMade: (stream) => this.#roomMade(stream),
      queued: (events) => this.#metrics.queued(events),
      wake: (stream) => this.#woken.add(stream),
      finish: () => this.#finish(),
      closed: (stream) => {
        this.#streams.delete(stream);
        this.#woken.delete(stream);
        this.#metrics.streams(this.#streams.size);
      },
    };
  }
}

const PROGRESS = {
  created: false,
  canceled: false,
  compactRevision: 0,
  cancelReason: '',
  fragment: false,
  events: [],
};
