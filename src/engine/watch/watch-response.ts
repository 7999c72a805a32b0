/** One message to a watching client; the listener adds ids and term to the header. */

import type {Event} from '../types.ts';

/** In responses that concern no watcher, or all of a stream. */
export const NO_WATCH_ID = -1n;

export interface WatchResponse {
  /** For the header. Never goes back within a stream; 0 only where a compaction canceled the watcher (etcd's way). */
  readonly revision: number;
  readonly watchId: bigint;
  readonly created: boolean;
  readonly canceled: boolean;
  /** With `canceled`: the lowest revision that a new watch could start at; else 0. */
  readonly compactRevision: number;
  readonly cancelReason: string;
  /** More of the same response follows. */
  readonly fragment: boolean;
  readonly events: readonly Event[];
}

/** etcd's reasons for refusing a watch; clients compare them as text. */
export const CancelReason = {
  duplicateId: 'mvcc: duplicate watch ID provided on the WatchStream',
  emptyRange: 'mvcc: watcher range is empty',
  compacted: 'etcdserver: mvcc: required revision has been compacted',
  tooMany: 'etcdserver: too many watchers on the stream',
} as const;
