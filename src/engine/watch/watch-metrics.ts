/** The watch part in numbers, under etcd's names. Gauges are set only when they change. */

import type {Metrics} from '../ports.ts';

export class WatchMetrics {
  readonly #streams: {set(value: number): void};
  readonly #watchers: {set(value: number): void};
  readonly #slowWatchers: {set(value: number): void};
  readonly #events: {add(amount: number): void};
  readonly #pendingEvents: {set(value: number): void};
  #pending = 0;
  #total = 0;
  #slow = 0;

  constructor(metrics: Metrics) {
    this.#streams = metrics.gauge('etcd_debugging_mvcc_watch_stream_total', 'Total number of watch streams.');
    this.#watchers = metrics.gauge('etcd_debugging_mvcc_watcher_total', 'Total number of watchers.');
    this.#slowWatchers = metrics.gauge(
      'etcd_debugging_mvcc_slow_watcher_total',
      'Total number of unsynced slow watchers.',
    );
    this.#pendingEvents = metrics.gauge(
      'etcd_debugging_mvcc_pending_events_total',
      'Total number of pending events to be sent.',
    );
    this.#events = metrics.counter(
      'etcd_debugging_mvcc_events_total',
      'Total number of events sent by this member.',
    );
  }

  streams(count: number): void {
    this.#streams.set(count);
  }

  watchers({total, slow}: {total: number; slow: number}): void {
    if (total !== this.#total) this.#watchers.set(total);
    if (slow !== this.#slow) this.#slowWatchers.set(slow);
    this.#total = total;
    this.#slow = slow;
  }

  /** Events were queued, or left a queue (negative). */
  queued(events: number): void {
    if (events === 0) return;
    if (events > 0) this.#events.add(events);
    this.#pending += events;
    this.#pendingEvents.set(this.#pending);
  }
}
