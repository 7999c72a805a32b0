/** One watch of one client: what it wants and how far it has come. */

import {isWithin, overlap, type TextRange} from '../state-machine/mvcc/text-range.ts';
import {type Event, EventType} from '../types.ts';
import type {ResponseQueue} from './response-queue.ts';
import type {WatchCreateRequest} from './watch-request.ts';
import {WatchFilter} from './watch-request.ts';

/**
 *     synced ──── queue full ───▶ stalled ── room again ──▶ ready ── a pass begins ──▶ passing
 *       ▲                            ▲                      ▲ ▲                          │ │ │
 *       │                            └──── queue full ──────┼─┼──────────────────────────┘ │ │
 *       │               held ── its tombstones are written ─┘ │                            │ │
 *       │                 ▲                                   │                            │ │
 *       │                 └── a large deletion comes next ────┼────────────────────────────┘ │
 *       └──────────── the pass reaches the current revision ──┼──────────────────────────────┘
 *     created in the past, or the store was replaced ─────────┘
 */
export type WatcherState = 'synced' | 'ready' | 'passing' | 'stalled' | 'held' | 'gone';

/** The stream a watcher belongs to, as far as the hub deals with it. */
export interface WatcherHome {
  readonly queue: ResponseQueue;
  /** Watchers that wait for room in the queue; kept by the hub. */
  readonly stalled: Set<Watcher>;
  /** Watchers that are not synced; counted by the hub. */
  unsynced: number;
  /** Queues events of whole revisions. @returns false when there is no room */
  offer(watcher: Watcher, events: Event[]): boolean;
  /** Ends a watcher whose next revision is gone. */
  cancelCompacted(watcher: Watcher, compactRevision: number): void;
  /** Answers a waiting progress request, if all watchers are synced by now. */
  answerProgress(): void;
}

export class Watcher {
  readonly stream: WatcherHome;
  readonly id: bigint;
  readonly from: string;
  /** Undefined: to the end of keys. Meaningless for a single key. */
  readonly to: string | undefined;
  readonly isSingleKey: boolean;
  readonly prevKv: boolean;
  readonly fragment: boolean;
  readonly progressNotify: boolean;
  readonly #wantsPut: boolean;
  readonly #wantsDelete: boolean;
  /** Moved by the hub alone. */
  state: WatcherState = 'synced';
  /** No event before it is for this watcher any more. While synced, only a lower bound. Never goes back. */
  nextRevision: number;
  /** Events that are matched and not yet in the stream's queue; empty between two calls of the hub, but in a pass. */
  batch: Event[] = [];
  /** Had events since the last progress notification. */
  isBusy = false;

  constructor(options: {
    stream: WatcherHome;
    id: bigint;
    request: WatchCreateRequest;
    range: {from: string; to: string | undefined};
    nextRevision: number;
  }) {
    const {stream, id, request, range, nextRevision} = options;
    this.stream = stream;
    this.id = id;
    this.from = range.from;
    this.to = range.to;
    this.isSingleKey = request.rangeEnd.length === 0;
    this.prevKv = request.prevKv;
    this.fragment = request.fragment;
    this.progressNotify = request.progressNotify;
    this.#wantsPut = !request.filters.includes(WatchFilter.noPut);
    this.#wantsDelete = !request.filters.includes(WatchFilter.noDelete);
    this.nextRevision = nextRevision;
  }

  wants(event: Event): boolean {
    if (event.kv.modRevision < this.nextRevision) return false;
    return event.type === EventType.put ? this.#wantsPut : this.#wantsDelete;
  }

  /** Whether a deletion of this range may concern it. */
  looksAt(range: TextRange): boolean {
    if (!this.#wantsDelete) return false;
    return this.isSingleKey ? isWithin(range, this.from) : overlap(range, this);
  }

  takeBatch(): Event[] {
    const {batch} = this;
    this.batch = [];
    return batch;
  }
}
