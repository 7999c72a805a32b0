/**
 * The watchers of one client connection, and the one queue of what they get. Create, cancel and progress are
 * answered in the same queue, so that the client sees everything in the order it became true.
 */

import {toLatin1} from '../lib/bytes.ts';
import {WATCHERS_PER_STREAM_MAX} from '../limits.ts';
import type {Event} from '../types.ts';
import {ResponseQueue} from './response-queue.ts';
import type {WatchCreateRequest} from './watch-request.ts';
import {CancelReason, NO_WATCH_ID, type WatchResponse} from './watch-response.ts';
import {Watcher, type WatcherHome} from './watcher.ts';

/** What a stream needs of its hub. */
export interface StreamHub {
  readonly revision: number;
  compactRevision(): number;
  register(watcher: Watcher): void;
  unregister(watcher: Watcher): void;
  /** The stream's queue has room again. */
  roomMade(stream: WatchStream): void;
  /** Events were queued (or, negative, left a queue). */
  queued(events: number): void;
  /** Responses were queued on a stream that had none. */
  wake(stream: WatchStream): void;
  /** Ends a call into the watch part: tells those streams that were woken. */
  finish(): void;
  closed(stream: WatchStream): void;
}

export interface WatchStreamOptions {
  /**
   * Called when `take` has something after it had nothing: as the last thing that a call of hub or stream does,
   * when all their state is settled. It may call them again.
   */
  readonly readable: () => void;
  /** Bytes of events above which responses are split, for watchers that accept fragments. */
  readonly fragmentBytes: number;
}

const NOTHING = {
  created: false,
  canceled: false,
  compactRevision: 0,
  cancelReason: '',
  fragment: false,
  events: [],
};

export class WatchStream implements WatcherHome {
  readonly #hub: StreamHub;
  readonly #options: WatchStreamOptions;
  readonly #queue: ResponseQueue;
  readonly #watchers = new Map<bigint, Watcher>();
  readonly stalled = new Set<Watcher>();
  unsynced = 0;
  #nextId = 0n;
  #wantsProgress = false;
  #isClosed = false;

  constructor(hub: StreamHub, options: WatchStreamOptions) {
    this.#hub = hub;
    this.#options = options;
    this.#queue = new ResponseQueue(options.fragmentBytes);
  }

  /** Responses that wait to be taken: a listener stops reading requests while a client lets them grow. */
  get backlog(): number {
    return this.#queue.length;
  }

  get queue(): ResponseQueue {
    return this.#queue;
  }

  get watcherCount(): number {
    return this.#watchers.size;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  watchers(): IterableIterator<Watcher> {
    return this.#watchers.values();
  }

  /** Answers with `created`; a refused watch is `created` and `canceled` at once, under the id -1. */
  create(request: WatchCreateRequest): void {
    if (this.#isClosed) return;
    const refused = this.#refuse(request);
    if (refused === undefined) this.#create(request);
    else this.push({...NOTHING, revision: this.#hub.revision, ...REJECTED, cancelReason: refused});
    this.#hub.finish();
  }

  /** A watch that the listener refuses (permissions), answered in its place among the others. */
  rejectCreate(cancelReason: string): void {
    if (this.#isClosed) return;
    this.push({...NOTHING, revision: this.#hub.revision, ...REJECTED, cancelReason});
    this.#hub.finish();
  }

  /** Ends a watcher and answers; an unknown id is ignored. What was queued before still comes before the answer. */
  cancel(watchId: bigint): void {
    const watcher = this.#watchers.get(watchId);
    if (watcher === undefined) return;
    this.#remove(watcher);
    this.push({...NOTHING, revision: this.#hub.revision, watchId, canceled: true});
    this.answerProgress();
    this.#hub.finish();
  }

  /**
   * Answers under the id -1 that everything up to the current revision has been queued, as soon as that is so for
   * all watchers of the stream. Requests that come while one waits are answered together.
   */
  requestProgress(): void {
    if (this.#isClosed) return;
    this.#wantsProgress = true;
    this.answerProgress();
    this.#hub.finish();
  }

  /** The next response for the wire. Taking makes room for watchers that wait for it. */
  take(): WatchResponse | undefined {
    const queue = this.#queue;
    const wasFull = queue.isHalfFull;
    const eventsBefore = queue.events;
    const response = queue.take();
    if (queue.events !== eventsBefore) this.#hub.queued(queue.events - eventsBefore);
    // A revision too large for what room there is waits until the queue is empty, which takes anything.
    const hasRoom = (wasFull && !queue.isHalfFull) || queue.events === 0;
    if (hasRoom && this.stalled.size > 0) {
      this.#hub.roomMade(this);
      this.#hub.finish();
    }
    return response;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#hub.queued(-this.#queue.events);
    for (const watcher of [...this.#watchers.values()]) this.#remove(watcher);
    this.#hub.closed(this);
    this.#hub.finish();
  }

  // ---- For the hub ------------------------------------------------------------------------------------------

  push(response: WatchResponse): void {
    if (this.#isClosed) return;
    if (this.#queue.length === 0) this.#hub.wake(this);
    this.#queue.push(response);
  }

  offer(watcher: Watcher, events: Event[]): boolean {
    const wasEmpty = this.#queue.length === 0;
    const {revision} = this.#hub;
    const isTaken = this.#queue.offer({
      watchId: watcher.id,
      revision,
      events,
      isFragmentable: watcher.fragment,
    });
    if (isTaken) this.#hub.queued(events.length);
    if (isTaken && wasEmpty) this.#hub.wake(this);
    return isTaken;
  }

  cancelCompacted(watcher: Watcher, compactRevision: number): void {
    this.#remove(watcher);
    this.push({...NOTHING, revision: 0, watchId: watcher.id, canceled: true, compactRevision});
    this.answerProgress();
  }

  answerProgress(): void {
    if (!this.#wantsProgress || this.unsynced > 0) return;
    this.#wantsProgress = false;
    this.push({...NOTHING, revision: this.#hub.revision, watchId: NO_WATCH_ID});
  }

  /** Tells the listener, if there still is something to tell. */
  notify(): void {
    if (!this.#isClosed && this.#queue.length > 0) this.#options.readable();
  }

  #refuse({key, rangeEnd, startRevision, watchId}: WatchCreateRequest): string | undefined {
    if (startRevision < 0) return CancelReason.compacted;
    if (isEmptyRange(key, rangeEnd)) return CancelReason.emptyRange;
    if (watchId !== 0n && this.#watchers.has(watchId)) return CancelReason.duplicateId;
    return this.#watchers.size >= WATCHERS_PER_STREAM_MAX ? CancelReason.tooMany : undefined;
  }

  #create(request: WatchCreateRequest): void {
    const {revision} = this.#hub;
    const id = request.watchId === 0n ? this.#freeId() : request.watchId;
    this.push({...NOTHING, revision, watchId: id, created: true});
    const {startRevision} = request;
    const compactRevision = this.#hub.compactRevision();
    if (startRevision > 0 && startRevision < compactRevision) {
      this.push({...NOTHING, revision: 0, watchId: id, canceled: true, compactRevision});
      return;
    }
    const isOpen = request.rangeEnd.length === 1 && request.rangeEnd[0] === 0;
    const range = {
      from: request.key.length === 0 ? FIRST_KEY : toLatin1(request.key),
      to: isOpen ? undefined : toLatin1(request.rangeEnd),
    };
    const nextRevision = startRevision === 0 ? revision + 1 : startRevision;
    const watcher = new Watcher({stream: this, id, request, range, nextRevision});
    this.#watchers.set(id, watcher);
    this.#hub.register(watcher);
  }

  #freeId(): bigint {
    while (this.#watchers.has(this.#nextId)) this.#nextId++;
    return this.#nextId++;
  }

  #remove(watcher: Watcher): void {
    this.#watchers.delete(watcher.id);
    this.#hub.unregister(watcher);
  }
}

const REJECTED = {watchId: NO_WATCH_ID, created: true, canceled: true} as const;
/** An empty key stands for the smallest one there can be. */
const FIRST_KEY = '\0';

function isEmptyRange(key: Uint8Array, rangeEnd: Uint8Array): boolean {
  if (rangeEnd.length === 0 || (rangeEnd.length === 1 && rangeEnd[0] === 0)) return false;
  return (key.length === 0 ? FIRST_KEY : toLatin1(key)) >= toLatin1(rangeEnd);
}
