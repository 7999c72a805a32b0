/** Rebuilds the key index from the stored revisions at start-up, and checks what they say about each other. */

import {toLatin1} from '../../lib/bytes.ts';
import {SLICE_KEYS} from '../../limits.ts';
import type {LeaseId, TableRecord} from '../../types.ts';
import type {KeyValueReader} from './key-value-reader.ts';
import {decodeKeyValue} from './key-value-record.ts';
import {corruptRecord, decodeRevision, isTombstone} from './revision.ts';

/** The index complements them, as numbers of 32 bits. No entry makes nearly as many changes. */
const SUB_REVISION_MAX = 2 ** 31 - 1;

export interface LoadedIndex {
  /** 0: there are no records. */
  readonly lastRevision: number;
  /** Living keys that name a lease, whether it exists or not. */
  readonly leaseOfKey: ReadonlyMap<string, LeaseId>;
}

/** @throws EngineError storeCorrupt */
export function* loadIndex(reader: KeyValueReader): Generator<undefined, LoadedIndex> {
  const leaseOfKey = new Map<string, LeaseId>();
  let lastRevision = 0;
  let lastSub = -1;
  let count = 0;
  reader.index.clear();
  for (const record of reader.records.range('key', {})) {
    const {main, sub} = decodeRevision(record[0]);
    if (main < lastRevision || (main === lastRevision && sub <= lastSub)) {
      throw corruptRecord(`revision ${main}.${sub} stands behind ${lastRevision}.${lastSub}`);
    }
    if (sub > SUB_REVISION_MAX) throw corruptRecord(`revision ${main}.${sub} is one of too many at once`);
    lastRevision = main;
    lastSub = sub;
    loadRecord(reader, record, {main, sub}, leaseOfKey);
    if (++count % SLICE_KEYS === 0) yield;
  }
  return {lastRevision, leaseOfKey};
}

function loadRecord(
  reader: KeyValueReader,
  [recordKey, value]: TableRecord,
  {main, sub}: {main: number; sub: number},
  leaseOfKey: Map<string, LeaseId>,
): void {
  const {key, createRevision, modRevision, version, lease} = decodeKeyValue(value);
  const keyText = toLatin1(key);
  if (isTombstone(recordKey)) {
    const isSound = reader.index.restore(keyText, {main, sub}, undefined);
    if (!isSound) throw corruptRecord(`revision ${main}.${sub} deletes what was deleted`);
    if (leaseOfKey.size > 0) leaseOfKey.delete(keyText);
    return;
  }
  // `etcdutl snapshot restore --bump-revision` leaves one record without any field, just to raise the revision.
  const isMarker = value.length === 0;
  const isOwn =
    isMarker || (modRevision === main && version >= 1 && createRevision >= 1 && createRevision <= main);
  const generation = {created: isMarker ? main : createRevision, version: isMarker ? 1 : version};
  if (!isOwn || !reader.index.restore(keyText, {main, sub}, generation)) {
    throw corruptRecord(`revision ${main}.${sub} does not follow from those before it`);
  }
  if (lease !== 0n) leaseOfKey.set(keyText, lease);
  else if (leaseOfKey.size > 0) leaseOfKey.delete(keyText);
}
