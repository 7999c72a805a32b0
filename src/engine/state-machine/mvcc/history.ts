/** Changes in the order they happened, read back from the records: what a watcher that lags catches up with. */

import {assert} from '../../errors.ts';
import {toLatin1} from '../../lib/bytes.ts';
import {type Event, EventType, type Revision} from '../../types.ts';
import type {KeyValueReader} from './key-value-reader.ts';
import {DeletedKeyValue, decodeKeyValue, StoredKeyValue} from './key-value-record.ts';
import {decodeRevision, encodeRevision, isTombstone} from './revision.ts';

export interface HistoryLimits {
  readonly recordsMax: number;
  readonly bytesMax: number;
}

export interface HistorySlice {
  readonly events: readonly Event[];
  /** Where the next slice begins: inside a revision, if the limits ended there. */
  readonly next: Revision;
}

/** The changes from `from` on, up to and including revision `to`, as many as the limits allow (at least one). */
export function readHistory(
  reader: KeyValueReader,
  range: {readonly from: Revision; readonly to: number},
  {recordsMax, bytesMax}: HistoryLimits,
): HistorySlice {
  assert(recordsMax >= 1 && bytesMax >= 1, 'a slice of history gets on');
  assert(range.from.main >= 0 && range.from.sub >= 0, 'history begins at a revision');
  const events: Event[] = [];
  let bytes = 0;
  const bounds = {from: encodeRevision(range.from.main, range.from.sub), to: encodeRevision(range.to + 1, 0)};
  for (const [key, value] of reader.records.range('key', bounds)) {
    const {main, sub} = decodeRevision(key);
    const isDelete = isTombstone(key);
    const kv = isDelete
      ? new DeletedKeyValue(toLatin1(decodeKeyValue(value).key), main)
      : new StoredKeyValue(value, main, undefined);
    events.push({type: isDelete ? EventType.delete : EventType.put, kv, prevKv: undefined});
    bytes += value.length;
    if (events.length >= recordsMax || bytes >= bytesMax) return {events, next: {main, sub: sub + 1}};
  }
  return {events, next: {main: range.to + 1, sub: 0}};
}
