/**
 * Responses of one stream that wait to be written, in the order the client will see them. Bounded by events and
 * bytes: who offers too much is told so, and nothing is kept of it.
 */

import {assert} from '../errors.ts';
import {WATCH_QUEUE_BYTES_MAX, WATCH_QUEUE_EVENTS_MAX, WATCH_RESPONSE_BYTES} from '../limits.ts';
import {DeletedKeyValue} from '../state-machine/mvcc/key-value-record.ts';
import type {Event, KeyValue} from '../types.ts';
import type {WatchResponse} from './watch-response.ts';

/** Tags, lengths and the revision of one event on the wire, bytes: an estimate. */
const EVENT_OVERHEAD = 16;

interface Queued {
  readonly response: Omit<WatchResponse, 'events' | 'fragment' | 'revision'>;
  revision: number;
  readonly events: Event[];
  bytes: number;
  readonly isFragmentable: boolean;
  /** Events already handed out as fragments. */
  taken: number;
}

export class ResponseQueue {
  readonly #fragmentBytes: number;
  #queue: Queued[] = [];
  #head = 0;
  #events = 0;
  #bytes = 0;

  constructor(fragmentBytes: number) {
    this.#fragmentBytes = fragmentBytes;
  }

  /** Responses that wait. */
  get length(): number {
    return this.#queue.length - this.#head;
  }

  get events(): number {
    return this.#events;
  }

  /** So full that catching up is not worth a walk. */
  get isHalfFull(): boolean {
    return this.#events * 2 >= WATCH_QUEUE_EVENTS_MAX || this.#bytes * 2 >= WATCH_QUEUE_BYTES_MAX;
  }

  /** Appends a response without events, whatever waits already. */
  push(response: WatchResponse): void {
    const {events, fragment: _fragment, revision, ...rest} = response;
    assert(events.length === 0, 'events are offered, not pushed');
    const last = this.#queue.at(-1);
    const isProgress = !response.created && !response.canceled;
    if (isProgress && this.length > 0 && last !== undefined && isSameProgress(last, response)) {
      // Progress behind progress: the newer says it all, and a client that does not read cannot pile them up.
      last.revision = revision;
      return;
    }
    this.#queue.push({response: rest, revision, events: [], bytes: 0, isFragmentable: false, taken: 0});
  }

  /**
   * Appends events of whole revisions. One revision alone is taken by an empty queue whatever its size, so that
   * everybody gets on; several must fit into one response.
   * @returns false when there is no room: nothing is queued then
   */
  offer(offered: {
    readonly watchId: bigint;
    readonly revision: number;
    readonly events: Event[];
    readonly isFragmentable: boolean;
  }): boolean {
    const {watchId, revision, events, isFragmentable} = offered;
    assert(events.length > 0, 'an offer has events');
    let bytes = 0;
    for (const event of events) bytes += eventBytes(event);
    if (!this.#hasRoom(events, bytes)) return false;
    this.#events += events.length;
    this.#bytes += bytes;
    const last = this.length > 0 ? this.#queue.at(-1) : undefined;
    if (last !== undefined && canJoin(last, watchId) && last.bytes + bytes <= WATCH_RESPONSE_BYTES) {
      for (const event of events) last.events.push(event);
      last.bytes += bytes;
      last.revision = revision;
      return true;
    }
    const response = {watchId, created: false, canceled: false, compactRevision: 0, cancelReason: ''};
    this.#queue.push({response, revision, events, bytes, isFragmentable, taken: 0});
    return true;
  }

  take(): WatchResponse | undefined {
    if (this.length === 0) return undefined;
    const head = this.#queue[this.#head];
    const isWhole = !head.isFragmentable || head.bytes <= this.#fragmentBytes;
    if (isWhole && head.taken === 0) {
      this.#drop(head);
      this.#events -= head.events.length;
      this.#bytes -= head.bytes;
      return {...head.response, revision: head.revision, fragment: false, events: head.events};
    }
    const events = this.#takeFragment(head);
    const isLast = head.taken === head.events.length;
    if (isLast) this.#drop(head);
    return {...head.response, revision: head.revision, fragment: !isLast, events};
  }

  #hasRoom(events: readonly Event[], bytes: number): boolean {
    const isSeveral = events[0].kv.modRevision !== events[events.length - 1].kv.modRevision;
    if (isSeveral && bytes > WATCH_RESPONSE_BYTES) return false;
    if (this.#events === 0 && !isSeveral) return true;
    return (
      this.#events + events.length <= WATCH_QUEUE_EVENTS_MAX && this.#bytes + bytes <= WATCH_QUEUE_BYTES_MAX
    );
  }

  #takeFragment(head: Queued): Event[] {
    const from = head.taken;
    let bytes = 0;
    let to = from;
    while (to < head.events.length) {
      const size = eventBytes(head.events[to]);
      if (to > from && bytes + size > this.#fragmentBytes) break;
      bytes += size;
      to++;
    }
    head.taken = to;
    this.#events -= to - from;
    this.#bytes -= bytes;
    return head.events.slice(from, to);
  }

  #drop(head: Queued): void {
    assert(this.#queue[this.#head] === head, 'responses leave in order');
    this.#head++;
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head >= 64 && this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }
}

function canJoin(last: Queued, watchId: bigint): boolean {
  return last.events.length > 0 && last.taken === 0 && last.response.watchId === watchId;
}

function isSameProgress(last: Queued, response: WatchResponse): boolean {
  const {created, canceled, watchId} = last.response;
  return last.events.length === 0 && !created && !canceled && watchId === response.watchId;
}

function eventBytes({kv, prevKv}: Event): number {
  return EVENT_OVERHEAD + keyValueBytes(kv) + (prevKv === undefined ? 0 : keyValueBytes(prevKv));
}

function keyValueBytes(kv: KeyValue): number {
  if (kv.encoded !== undefined) return kv.encoded.length;
  return (
    EVENT_OVERHEAD + (kv instanceof DeletedKeyValue ? kv.keyText.length : kv.key.length + kv.value.length)
  );
}
