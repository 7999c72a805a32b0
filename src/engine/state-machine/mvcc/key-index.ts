/**
 * Key → revisions, in memory, in key order. It answers which revision of a key shows at a given one; values are
 * read from the records by that revision. Entries beyond the current revision may exist while a long command is
 * being applied: whoever reads at the current revision does not see them. Entries that a pending deletion hides look
 * alive in here: all reads leave them out.
 */

import {assert} from '../../errors.ts';
import {SortedMap} from '../../lib/sorted-map.ts';
import type {Revision} from '../../types.ts';
import {
  type IndexEntry,
  isPackable,
  isVisibleAt,
  KeyHistory,
  pack,
  packedMain,
  packedSub,
  visibleAt,
} from './key-history.ts';
import {hidingAmong, type PendingDeletion, PendingDeletions} from './pending-deletions.ts';
import type {TextRange} from './text-range.ts';

/** A put's place in the life of its key. */
export interface Generation {
  /** Main revision of the put that created the key. */
  readonly created: number;
  readonly version: number;
}

export class KeyIndex {
  readonly deletions = new PendingDeletions();
  readonly #entries = new SortedMap<IndexEntry>();

  /** Keys with any remembered change, deleted ones included. */
  get size(): number {
    return this.#entries.size;
  }

  clear(): void {
    this.#entries.clear();
  }

  find(key: string, at: number): Revision | undefined {
    const entry = this.#entries.get(key);
    const shown = entry === undefined ? undefined : visibleAt(entry, at);
    if (shown === undefined || this.deletions.count === 0) return shown;
    return this.deletions.hiding(key, shown.main, at) === undefined ? shown : undefined;
  }

  /** The pending deletion of a key whose tombstone is to come. */
  hiding(key: string): PendingDeletion | undefined {
    if (this.deletions.count === 0) return undefined;
    const entry = this.#entries.get(key);
    if (entry === undefined || (typeof entry !== 'number' && entry.isDeleted)) return undefined;
    return this.deletions.hiding(key, newestMain(entry), Number.POSITIVE_INFINITY);
  }

  put(key: string, main: number, sub: number): Generation {
    assert(sub >= 0 && main >= 1, 'a put has a revision');
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      this.#entries.set(key, isPackable(main, sub) ? pack(main, sub) : new KeyHistory(main, sub, main, 1));
      return FRESH(main);
    }
    const history = this.#history(key, entry);
    if (history.isDeleted) {
      history.add(main, sub, main, 1);
      return FRESH(main);
    }
    history.add(main, sub, history.created, history.version + 1);
    return history;
  }

  /** Marks a living key as deleted. */
  delete(key: string, main: number, sub: number): void {
    const entry = this.#entries.get(key);
    assert(entry !== undefined, 'only a known key is deleted');
    const history = this.#history(key, entry);
    assert(!history.isDeleted, 'only a living key is deleted');
    assert(sub >= 0, 'a sub-revision is given as it is, not complemented');
    history.add(main, ~sub, 0, 0);
  }

  /**
   * Marks a key as deleted that lived when its pending deletion happened.
   * @returns false when that was done before
   */
  settle(key: string, main: number, sub: number): boolean {
    const entry = this.#entries.get(key);
    assert(entry !== undefined, 'a key that is to be deleted is known');
    if (newestMain(entry) >= main) return false;
    this.#history(key, entry).add(main, ~sub, 0, 0);
    return true;
  }

  /**
   * Takes in a stored change on start-up, in ascending order.
   * @returns false when it contradicts the changes of the key so far
   */
  restore(key: string, revision: Revision, generation: Generation | undefined): boolean {
    const {main, sub} = revision;
    const entry = this.#entries.get(key);
    if (generation === undefined) {
      if (entry === undefined) this.#entries.set(key, new KeyHistory(main, ~sub, 0, 0));
      else {
        const history = this.#history(key, entry);
        if (history.isDeleted) return false;
        history.add(main, ~sub, 0, 0);
      }
      return true;
    }
    const {created, version} = generation;
    if (entry === undefined) {
      const isPlain = version === 1 && created === main && isPackable(main, sub);
      this.#entries.set(key, isPlain ? pack(main, sub) : new KeyHistory(main, sub, created, version));
      return true;
    }
    const history = this.#history(key, entry);
    const isNext = history.isDeleted
      ? version === 1 && created === main
      : version === history.version + 1 && created === history.created;
    if (isNext) history.add(main, sub, created, version);
    return isNext;
  }

  /**
   * Visits the keys that show at revision `at`, in order, looking at no more than `countMax` entries.
   * The visitor ends the walk by returning true.
   * @returns the key to continue from, or undefined when the range is done
   */
  walk(
    range: TextRange & {readonly at: number; readonly countMax: number},
    visit: (key: string, main: number, sub: number) => boolean | undefined,
  ): string | undefined {
    const {at, countMax} = range;
    assert(countMax >= 1, 'a walk gets on');
    const hiding = this.deletions.within(range, at);
    if (hiding !== undefined) return this.#walkHiding(range, hiding, visit);
    return this.#entries.walk(range, (key, entry) => {
      if (typeof entry === 'number') {
        const main = packedMain(entry);
        return main <= at ? visit(key, main, packedSub(entry)) : undefined;
      }
      const position = entry.positionAt(at);
      if (position < 0) return undefined;
      const sub = entry.subOf(position);
      return sub < 0 ? undefined : visit(key, entry.mainOf(position), sub);
    });
  }

  /** Counts the keys that show at `at` among the next `countMax` entries. */
  countSlice(range: TextRange & {readonly at: number; readonly countMax: number}): {
    readonly count: number;
    readonly next: string | undefined;
  } {
    const {at} = range;
    let count = 0;
    const hiding = this.deletions.within(range, at);
    if (hiding !== undefined) {
      const next = this.#walkHiding(range, hiding, () => {
        count++;
        return undefined;
      });
      return {count, next};
    }
    const next = this.#entries.walk(range, (_key, entry) => {
      if (isVisibleAt(entry, at)) count++;
      return undefined;
    });
    return {count, next};
  }

  /** Visits whole entries, for compaction. */
  walkEntries(
    range: TextRange & {readonly countMax: number},
    visit: (key: string, entry: IndexEntry) => boolean | undefined,
  ): string | undefined {
    return this.#entries.walk(range, visit);
  }

  /** Keeps only the newest change of a key, after compaction forgot the others. */
  simplify(key: string, history: KeyHistory): void {
    assert(this.#entries.get(key) === history, 'what is simplified is what is remembered');
    const {main, sub, created, version, older} = history;
    if (older === undefined && version === 1 && created === main && isPackable(main, sub)) {
      this.#entries.set(key, pack(main, sub));
    }
  }

  forget(key: string): void {
    const isForgotten = this.#entries.delete(key);
    assert(isForgotten, 'only a known key is forgotten');
  }

  /** The same as `walk`, where pending deletions have a say. */
  #walkHiding(
    range: TextRange & {readonly at: number; readonly countMax: number},
    hiding: readonly PendingDeletion[],
    visit: (key: string, main: number, sub: number) => boolean | undefined,
  ): string | undefined {
    const {at} = range;
    return this.#entries.walk(range, (key, entry) => {
      const shown = visibleAt(entry, at);
      if (shown === undefined || hidingAmong(hiding, key, shown.main, at) !== undefined) return undefined;
      return visit(key, shown.main, shown.sub);
    });
  }

  #history(key: string, entry: IndexEntry): KeyHistory {
    if (typeof entry !== 'number') return entry;
    const main = packedMain(entry);
    const history = new KeyHistory(main, packedSub(entry), main, 1);
    this.#entries.set(key, history);
    return history;
  }
}

function newestMain(entry: IndexEntry): number {
  return typeof entry === 'number' ? packedMain(entry) : entry.main;
}

const FRESH = (main: number): Generation => ({created: main, version: 1});
