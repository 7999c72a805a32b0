/** What a client asks of a watch, with etcd's fields. */

import type {KeyRange} from '../types.ts';

export const WatchFilter = {noPut: 0, noDelete: 1} as const;

/** An empty key means the first possible one; a `rangeEnd` of a single 0 byte, all keys from `key` on. */
export interface WatchCreateRequest extends KeyRange {
  /** The first revision to see; 0: only what happens from now on. May lie in the future. */
  readonly startRevision: number;
  /** Wants a response without events now and then, while nothing happens. */
  readonly progressNotify: boolean;
  /** {@link WatchFilter}s; unknown ones are ignored. */
  readonly filters: readonly number[];
  readonly prevKv: boolean;
  /** 0n: the next free one. */
  readonly watchId: bigint;
  /** Accepts that the events of one revision are split over several responses. */
  readonly fragment: boolean;
}
