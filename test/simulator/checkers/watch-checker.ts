/**
 * What a watching client is promised, each promise by its name (etcd's nine, and what follows from them), held against
 * what happened. One checker follows one range of keys over all the streams on which it is watched.
 */

import {type Event, EventType} from '../../../src/engine/types.ts';
import {WatchFilter} from '../../../src/engine/watch/watch-request.ts';
import type {WatchResponse} from '../../../src/engine/watch/watch-response.ts';
import {isSame, type KvModel, type ModelEvent, textOf} from '../kv-model.ts';

export type WatchGuarantee =
  /** Events come by ascending revision, within a revision as they were made. */
  | 'ordered'
  /** No event comes twice. */
  | 'unique'
  /** None between two that came is left out. */
  | 'reliable'
  /** All of a revision come together. */
  | 'atomic'
  /** A watch from a revision on begins just there. */
  | 'resumable'
  /** A progress notice says that nothing up to its revision is still to come. */
  | 'bookmarkable'
  /** Only what was asked for comes. */
  | 'filtered'
  /** The previous value is what stood there before, and comes only where it was asked for. */
  | 'prevKv'
  /** A put tells rightly whether it made the key. */
  | 'isCreate'
  /** An event is what was written. */
  | 'exact'
  /** Nothing follows an end, and an end has a reason. */
  | 'final';

export interface WatchCheckerOptions {
  readonly model: Pick<KvModel, 'eventsOf' | 'revision' | 'compactRevision'>;
  readonly from: string;
  /** Empty: the one key. */
  readonly to: string;
  readonly prevKv: boolean;
  readonly filters: readonly number[];
  /** Where the first stream begins; 0: with whatever comes next. */
  readonly firstRevision: number;
  readonly violate: (guarantee: WatchGuarantee, detail: string) => void;
}

export class WatchChecker {
  readonly #options: WatchCheckerOptions;
  #next = 0;
  // Of the present stream:
  #start = 0;
  #last = 0;
  /** Everything up to here was announced as complete. */
  #progress = 0;
  #isEnded = false;
  /** Events of one revision that are still to come in the present response. */
  #pending: ModelEvent[] = [];
  events = 0;

  constructor(options: WatchCheckerOptions) {
    this.#options = options;
    this.#next = options.firstRevision;
  }

  /** The revision to watch from; 0 until the first stream told where it began. */
  get next(): number {
    return this.#next;
  }

  /** Everything that has happened has been seen. */
  get isComplete(): boolean {
    return this.#next > 0 && this.#missing(this.#options.model.revision) === undefined;
  }

  /** A new stream, from `next` on. What the last one left in pieces comes again as a whole. */
  opened(): void {
    if (this.#pending.length > 0) this.#next = this.#pending[0].revision;
    this.#pending = [];
    this.#start = this.#next;
    this.#last = 0;
    this.#progress = 0;
    this.#isEnded = false;
  }

  /** @returns whether the watch ended by a compaction: a new one may begin at `next` */
  take(response: WatchResponse): 'ended' | undefined {
    if (this.#isEnded) this.#wrong('final', 'a response after the end');
    if (response.created) {
      if (response.revision > this.#options.model.revision)
        this.#wrong('resumable', `begins behind ${response.revision}, of ${this.#options.model.revision}`);
      if (this.#next === 0) this.#next = response.revision + 1;
      this.#start = this.#next;
      return undefined;
    }
    if (response.canceled) {
      this.#canceled(response);
      return 'ended';
    }
    for (const event of response.events) this.#event(event);
    if (response.events.length === 0) this.#told(response.revision);
    else if (this.#pending.length > 0 && !response.fragment)
      this.#wrong('atomic', `revision ${this.#next - 1} came in pieces`);
    return undefined;
  }

  #event(event: Event): void {
    const revision = event.kv.modRevision;
    const key = textOf(event.kv.key);
    const type = event.type === EventType.put ? 'put' : 'delete';
    if (!this.#isWanted(key, type)) this.#wrong('filtered', `${type} ${key}@${revision} was not asked for`);
    if (revision <= this.#progress)
      this.#wrong('bookmarkable', `an event of ${revision} after progress ${this.#progress}`);
    const rest = this.#pending.at(0);
    if (rest !== undefined && rest.revision !== revision)
      this.#wrong('atomic', `${revision} came before all of ${rest.revision}`);
    if (rest === undefined) this.#begin(revision);
    const wanted = this.#pending.shift();
    if (wanted === undefined) {
      this.#wrong('exact', `${type} ${key}@${revision} never happened`);
      return;
    }
    this.events++;
    if (wanted.key !== key && this.#pending.some((other) => other.key === key))
      this.#wrong('ordered', `${key}@${revision} came before ${wanted.key}`);
    this.#compare(event, wanted);
  }

  /** The first event of a revision. */
  #begin(revision: number): void {
    if (revision < this.#start)
      this.#wrong('resumable', `an event of ${revision} on a watch from ${this.#start}`);
    else if (revision < this.#last) this.#wrong('ordered', `${revision} after ${this.#last}`);
    else if (revision < this.#next) this.#wrong('unique', `revision ${revision} again`);
    const missing = this.#missing(revision - 1);
    if (missing !== undefined)
      this.#wrong(
        this.#last === 0 ? 'resumable' : 'reliable',
        `${missing.type} ${missing.key}@${missing.revision} was left out before ${revision}`,
      );
    this.#pending = this.#eventsOf(revision);
    this.#last = revision;
    this.#next = Math.max(this.#next, revision + 1);
  }

  #compare(event: Event, wanted: ModelEvent): void {
    const {kv, prevKv} = event;
    const isRight =
      wanted.kv === undefined
        ? event.type === EventType.delete && textOf(kv.key) === wanted.key
        : event.type === EventType.put && isSame(kv, wanted.kv);
    const isCreate = kv.createRevision === kv.modRevision;
    if (event.type === EventType.put && isCreate !== (wanted.before === undefined))
      this.#wrong('isCreate', `${wanted.key}@${wanted.revision} says ${isCreate}`);
    else if (!isRight)
      this.#wrong('exact', `an event of ${wanted.revision} is not ${wanted.type} ${wanted.key}`);
    if (!this.#options.prevKv) {
      if (prevKv !== undefined)
        this.#wrong('prevKv', `${wanted.key}@${wanted.revision}: nobody asked for it`);
      return;
    }
    // What is compacted is not there any more.
    if (prevKv === undefined && this.#options.model.compactRevision >= wanted.revision - 1) return;
    const isPrevious =
      prevKv === undefined
        ? wanted.before === undefined
        : wanted.before !== undefined && isSame(prevKv, wanted.before);
    if (!isPrevious) this.#wrong('prevKv', `that of ${wanted.key}@${wanted.revision} is wrong`);
  }

  #told(revision: number): void {
    const {model} = this.#options;
    const missing = this.#missing(revision);
    if (missing !== undefined)
      this.#wrong(
        'bookmarkable',
        `progress ${revision}, but ${missing.key}@${missing.revision} has not come`,
      );
    if (revision > model.revision)
      this.#wrong('bookmarkable', `progress ${revision}, but there are only ${model.revision}`);
    this.#progress = Math.max(this.#progress, revision);
  }

  #canceled({compactRevision, cancelReason}: WatchResponse): void {
    const {model} = this.#options;
    this.#isEnded = true;
    if (compactRevision === 0) {
      this.#wrong('final', `canceled: ${cancelReason}`);
      return;
    }
    if (this.#next >= compactRevision && this.#next > 0)
      this.#wrong('final', `canceled by compaction ${compactRevision}, but was at ${this.#next}`);
    if (compactRevision > model.compactRevision)
      this.#wrong('final', `compaction ${compactRevision} has not happened`);
    this.#next = Math.max(this.#next, compactRevision);
    this.#pending = [];
  }

  /** The first event up to this revision that should have come. */
  #missing(revision: number): ModelEvent | undefined {
    for (let at = this.#next; at <= revision && at <= this.#options.model.revision; at++) {
      const [event] = this.#eventsOf(at);
      if (event !== undefined) return event;
    }
    return undefined;
  }

  #eventsOf(revision: number): ModelEvent[] {
    const {model} = this.#options;
    if (revision > model.revision) return [];
    return model.eventsOf(revision).filter(({key, type}) => this.#isWanted(key, type));
  }

  #isWanted(key: string, type: 'put' | 'delete'): boolean {
    const {from, to, filters} = this.#options;
    const isIn = to === '' ? key === from : key >= from && key < to;
    return isIn && !filters.includes(type === 'put' ? WatchFilter.noPut : WatchFilter.noDelete);
  }

  #wrong(guarantee: WatchGuarantee, detail: string): void {
    this.#options.violate(guarantee, detail);
  }
}
