/**
 * The physical half of a compaction, local to a member: deletes the revisions that nothing can ask for any more.
 * What stays of a key at or before the compact revision C is the newest put, or a deletion exactly at C, which a
 * watcher that starts at C still has to see (etcd issue 19179).
 *
 *     before  put 2 · put 4 · delete 6 · put 9     C = 5:  put 4 stays     C = 6:  delete 6 stays
 *                                                  C = 7:  neither stays   C = 9:  put 9 stays
 *
 * Oldest first within a key, so that a store cut off in between never shows a deleted key as living.
 */

import {assert} from '../../errors.ts';
import {RECLAIM_SLICE_KEYS} from '../../limits.ts';
import type {Records} from '../records.ts';
import type {IndexEntry, KeyHistory} from './key-history.ts';
import type {KeyIndex} from './key-index.ts';
import {INDEX_STEPS_PER_KEY} from './range.ts';
import {encodeRevision, encodeTombstoneRevision} from './revision.ts';

const ALL_FROM = '';

/** Removes everything superseded at `compactRevision` from records and index. */
export function* compactSlices(
  index: KeyIndex,
  records: Records,
  compactRevision: number,
): Generator<undefined, void> {
  let from: string | undefined = ALL_FROM;
  while (from !== undefined) {
    const shrinking: [key: string, history: KeyHistory][] = [];
    const countMax = RECLAIM_SLICE_KEYS * INDEX_STEPS_PER_KEY;
    from = index.walkEntries({from, to: undefined, countMax}, (key, entry) => {
      if (hasSuperseded(entry, compactRevision)) shrinking.push([key, entry as KeyHistory]);
      return shrinking.length >= RECLAIM_SLICE_KEYS;
    });
    for (const [key, history] of shrinking) yield* shrink(index, records, key, history, compactRevision);
    if (from !== undefined) yield;
  }
}

function hasSuperseded(entry: IndexEntry, compactRevision: number): boolean {
  return (
    typeof entry !== 'number' &&
    (supersededCount(entry, compactRevision) > 0 || isSpent(entry, compactRevision))
  );
}

/** A key whose newest change is a deletion before the compact revision leaves nothing behind. */
function isSpent(history: KeyHistory, compactRevision: number): boolean {
  return history.isDeleted && history.main < compactRevision;
}

/** How many of the oldest changes go, not counting a newest one that goes with its key. */
function supersededCount(history: KeyHistory, compactRevision: number): number {
  const position = history.positionAt(compactRevision);
  if (position < 0) return 0;
  const isNewest = history.older === undefined || position * 2 >= history.older.length;
  const isOldDeletion = history.subOf(position) < 0 && history.mainOf(position) < compactRevision;
  return isOldDeletion && !isNewest ? position + 1 : position;
}

function* shrink(
  index: KeyIndex,
  records: Records,
  key: string,
  history: KeyHistory,
  compactRevision: number,
): Generator<undefined, void> {
  let left = supersededCount(history, compactRevision);
  while (left > 0) {
    const count = Math.min(left, RECLAIM_SLICE_KEYS);
    assert(history.mainOf(count - 1) <= compactRevision, 'nothing newer than the mark goes');
    for (let position = 0; position < count; position++) deleteChange(records, history, position);
    history.dropOldest(count);
    left -= count;
    if (left > 0) yield;
  }
  // Asked again: a long command may have put the key anew between two slices.
  if (isSpent(history, compactRevision) && history.older === undefined) {
    assert(history.main < compactRevision, 'a deletion at the mark stays');
    deleteChange(records, history, 0);
    index.forget(key);
  } else {
    index.simplify(key, history);
  }
}

function deleteChange(records: Records, history: KeyHistory, position: number): void {
  const main = history.mainOf(position);
  const sub = history.subOf(position);
  assert(position >= 0, 'a change that goes is remembered');
  records.delete('key', sub < 0 ? encodeTombstoneRevision(main, ~sub) : encodeRevision(main, sub));
}
