/**
 * What the index remembers of one key. Most keys were put once: those are a single number (see `pack`). All others
 * are a {@link KeyHistory}: the newest change inline, earlier ones as pairs in one flat array.
 *
 *     put 4, put 6, delete 9, put 12  →  main 12, sub 0, created 12, version 1, older [4, 0, 6, 0, 9, ~0]
 *
 * A sub-revision is kept as it is for a put and as its bitwise complement (~sub, negative) for a deletion.
 */

import {assert} from '../../errors.ts';
import type {Revision} from '../../types.ts';

/** A packed number: a key whose only known change is a put that created it, with a small sub-revision. */
export type IndexEntry = number | KeyHistory;

const SUB_LIMIT = 2 ** 13;
const MAIN_LIMIT = 2 ** 39;
/** Arrays up to this many numbers are grown by copying, exactly; `push` would reserve room for a dozen more. */
const EXACT_NUMBERS_MAX = 16;

export function isPackable(main: number, sub: number): boolean {
  return sub < SUB_LIMIT && main < MAIN_LIMIT;
}

export function pack(main: number, sub: number): number {
  assert(isPackable(main, sub), 'only small revisions are packed');
  assert(main >= 0 && sub >= 0, 'a packed revision is a put');
  return main * SUB_LIMIT + sub;
}

export function packedMain(entry: number): number {
  return Math.floor(entry / SUB_LIMIT);
}

export function packedSub(entry: number): number {
  return entry % SUB_LIMIT;
}

export class KeyHistory {
  /** The newest change. Changed by `add` only; never goes back. */
  main: number;
  /** Its sub-revision; complemented when the newest change is a deletion. */
  sub: number;
  /** Main revision of the put that began the living generation; 0 while the key is deleted. */
  created: number;
  /** Puts in the living generation; 0 while the key is deleted. */
  version: number;
  /** Earlier changes, ascending: main, sub, main, sub … Shortened from the front by compaction. */
  older: number[] | undefined;

  constructor(main: number, sub: number, created: number, version: number) {
    assertChange({main, sub, created, version});
    this.main = main;
    this.sub = sub;
    this.created = created;
    this.version = version;
    this.older = undefined;
  }

  get isDeleted(): boolean {
    return this.sub < 0;
  }

  /** Appends a change; a negative `sub` is a complemented one: a deletion. */
  add(main: number, sub: number, created: number, version: number): void {
    assert(isAfter(main, sub, this.main, this.sub), 'a key changes in ascending revisions');
    assert(sub >= 0 || this.sub >= 0, 'what is deleted is not deleted again');
    assert(sub < 0 || this.sub < 0 || version === this.version + 1, 'a put counts on in its generation');
    assertChange({main, sub, created, version});
    const {older} = this;
    if (older === undefined) this.older = [this.main, this.sub];
    else if (older.length < EXACT_NUMBERS_MAX) this.older = [...older, this.main, this.sub];
    else older.push(this.main, this.sub);
    this.main = main;
    this.sub = sub;
    this.created = created;
    this.version = version;
  }

  /** The newest change at or before `at`: its number counted from the oldest, or -1. */
  positionAt(at: number): number {
    const {older} = this;
    const count = older === undefined ? 0 : older.length / 2;
    if (this.main <= at) return count;
    if (older === undefined) return -1;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (older[middle * 2] <= at) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  mainOf(position: number): number {
    const {older} = this;
    return older === undefined || position * 2 >= older.length ? this.main : older[position * 2];
  }

  subOf(position: number): number {
    const {older} = this;
    return older === undefined || position * 2 >= older.length ? this.sub : older[position * 2 + 1];
  }

  /** Forgets the oldest `count` changes, which must leave the newest. */
  dropOldest(count: number): void {
    if (count === 0) return;
    assert(count > 0, 'a count is not negative');
    const {older} = this;
    assert(older !== undefined && count * 2 <= older.length, 'the newest change of a key stays');
    this.older = count * 2 === older.length ? undefined : older.slice(count * 2);
  }
}

/** The put that shows at revision `at`, or undefined: not there yet, or deleted. */
export function visibleAt(entry: IndexEntry, at: number): Revision | undefined {
  if (typeof entry === 'number') {
    const main = packedMain(entry);
    return main <= at ? {main, sub: packedSub(entry)} : undefined;
  }
  const position = entry.positionAt(at);
  if (position < 0) return undefined;
  const sub = entry.subOf(position);
  return sub < 0 ? undefined : {main: entry.mainOf(position), sub};
}

export function isVisibleAt(entry: IndexEntry, at: number): boolean {
  if (typeof entry === 'number') return entry < (at + 1) * SUB_LIMIT;
  const position = entry.positionAt(at);
  return position >= 0 && entry.subOf(position) >= 0;
}

function assertChange(change: {main: number; sub: number; created: number; version: number}): void {
  const {main, sub, created, version} = change;
  if (sub < 0) assert(created === 0 && version === 0, 'a deletion ends the generation');
  else assert(version >= 1 && created >= 1 && created <= main, 'a put belongs to a generation');
}

function isAfter(main: number, sub: number, otherMain: number, otherSub: number): boolean {
  if (main !== otherMain) return main > otherMain;
  return (sub < 0 ? ~sub : sub) > (otherSub < 0 ? ~otherSub : otherSub);
}
