/**
 * Deletions of very many keys that have happened and whose tombstones are not all written yet. Such a deletion is
 * two facts: from its revision R on, every key of its range that was last put before R is gone; and the key at rank
 * n among those that lived at R − 1 gets the tombstone R.n. The first holds at once, in every read, through
 * {@link PendingDeletions.hides}; the second follows in slices (see deletion-settler.ts) and changes nothing that
 * a reader sees.
 *
 *     put a@2 · put b@3 · put c@4 · delete [a,c) = 5 · put b@6
 *     pending:  {revision 5, keys [a, b]}     a: hidden, 5.0 to come     b: 5.1 was written before the put 6
 *
 * A key belongs to one pending deletion at most: who puts a hidden key again settles it first, and a hidden key does
 * not live for a later deletion.
 */

import {assert} from '../../errors.ts';
import {isWithin, overlap, type TextRange} from './text-range.ts';

export interface PendingDeletion extends TextRange {
  readonly revision: number;
  /** Keys that lived just before. */
  readonly count: number;
  /** Those, ascending, as far as they are listed: a key's place is the sub-revision of its tombstone. */
  readonly keys: string[];
  /** Where listing goes on; undefined: all are. */
  listFrom: string | undefined;
}

export class PendingDeletions {
  /** By ascending revision. Mostly none. */
  #pending: readonly PendingDeletion[] = [];

  get count(): number {
    return this.#pending.length;
  }

  list(): readonly PendingDeletion[] {
    return this.#pending;
  }

  /** The first one at or after a revision: history is whole before it. */
  from(revision: number): PendingDeletion | undefined {
    return this.#pending.find((deletion) => deletion.revision >= revision);
  }

  has(deletion: PendingDeletion): boolean {
    return this.#pending.includes(deletion);
  }

  add(deletion: PendingDeletion): void {
    const last = this.#pending.at(-1);
    assert(last === undefined || last.revision < deletion.revision, 'deletions happen one after the other');
    this.#pending = [...this.#pending, deletion];
  }

  remove(deletion: PendingDeletion): void {
    assert(this.has(deletion), 'what is settled was pending');
    this.#pending = this.#pending.filter((other) => other !== deletion);
  }

  clear(): void {
    this.#pending = [];
  }

  /** Those that have a say about keys of `range` at revision `at`; undefined: none, the usual case. */
  within(range: TextRange, at: number): readonly PendingDeletion[] | undefined {
    if (this.#pending.length === 0) return undefined;
    const found = this.#pending.filter((deletion) => deletion.revision <= at && overlap(deletion, range));
    return found.length === 0 ? undefined : found;
  }

  /** The one that deleted a key whose newest put at or before `at` is of revision `main`. */
  hiding(key: string, main: number, at: number): PendingDeletion | undefined {
    return this.#pending.length === 0 ? undefined : hidingAmong(this.#pending, key, main, at);
  }
}

export function hidingAmong(
  deletions: readonly PendingDeletion[],
  key: string,
  main: number,
  at: number,
): PendingDeletion | undefined {
  for (const deletion of deletions) {
    if (deletion.revision > at) return undefined;
    if (main < deletion.revision && isWithin(deletion, key)) return deletion;
  }
  return undefined;
}

/** A key's place among the keys of the deletion that hides it. */
export function rankOf({keys, count}: PendingDeletion, key: string): number {
  assert(keys.length === count, 'ranks are known when all keys are listed');
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle] < key) low = middle + 1;
    else high = middle;
  }
  assert(keys[low] === key, 'a hidden key lived when it was deleted');
  return low;
}
