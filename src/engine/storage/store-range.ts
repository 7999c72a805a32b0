/**
 * One ordered walk over what the overlay's generations and the backend hold together: the newest version of a
 * record counts, a deletion hides what lies below.
 *
 * The walk may stand while changes are made, generations are frozen and commits finish: each step looks whether its
 * places are still good, and finds them anew behind the last record otherwise. So no record comes twice, and none
 * that was deleted before the walk began comes at all.
 */

import {assert} from '../errors.ts';
import {compareBytes, successor, toLatin1} from '../lib/bytes.ts';
import type {BackendReader} from '../ports.ts';
import type {RecordRange, Table, TableRecord} from '../types.ts';
import type {Overlay, OverlayEntry, OverlayTable} from './overlay.ts';

/** The layers as they are now; `imageVersion` changes whenever the backend's records do. */
export interface Layers {
  readonly backend: BackendReader;
  readonly imageVersion: number;
  /** Newest first. */
  readonly active: Overlay;
  readonly frozen: Overlay | undefined;
}

const DONE = {done: true, value: undefined} as const;

export class StoreRange implements IterableIterator<TableRecord> {
  readonly #layers: Layers;
  readonly #table: Table;
  readonly #range: RecordRange;
  readonly #active: OverlayCursor;
  readonly #frozen: OverlayCursor;
  #backend: IterableIterator<TableRecord> | undefined;
  /** The backend's next record, taken from its iterator and not yet handed out. */
  #head: TableRecord | undefined;
  #imageVersion = -1;
  /** The last key handed out or passed over. */
  #lastKey: Uint8Array | undefined;
  #isDone = false;

  constructor(layers: Layers, table: Table, range: RecordRange) {
    this.#layers = layers;
    this.#table = table;
    this.#range = range;
    this.#active = new OverlayCursor(range);
    this.#frozen = new OverlayCursor(range);
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<TableRecord, undefined> {
    while (!this.#isDone) {
      const {active, frozen, imageVersion} = this.#layers;
      if (imageVersion !== this.#imageVersion) this.#openBackend();
      const newest = this.#active.peek(active.table(this.#table), this.#lastKey);
      const older = this.#frozen.peek(frozen?.table(this.#table), this.#lastKey);
      if (newest === undefined && older === undefined) return this.#nextOfBackend();
      const found = this.#step(newest, older);
      if (found !== undefined) return {done: false, value: found};
    }
    return DONE;
  }

  return(): IteratorResult<TableRecord, undefined> {
    this.#isDone = true;
    this.#backend?.return?.();
    return DONE;
  }

  #nextOfBackend(): IteratorResult<TableRecord, undefined> {
    const record = this.#head;
    if (record === undefined) {
      this.#isDone = true;
      return DONE;
    }
    this.#lastKey = record[0];
    this.#advanceBackend();
    return {done: false, value: record};
  }

  /** Passes the next key in all layers. @returns its record, or undefined when it is deleted */
  #step(newest: OverlayEntry | undefined, older: OverlayEntry | undefined): TableRecord | undefined {
    const order = this.#order(newest, older);
    const entry = order <= 0 ? newest : older;
    assert(entry !== undefined, 'a step of the overlay without an entry');
    const head = this.#head;
    const headOrder = head === undefined ? 1 : compareBytes(head[0], entry.key) * this.#direction;
    if (head !== undefined && headOrder <= 0) this.#advanceBackend();
    if (head !== undefined && headOrder < 0) {
      this.#lastKey = head[0];
      return head;
    }
    if (order <= 0) this.#active.advance();
    if (order >= 0) this.#frozen.advance();
    this.#lastKey = entry.key;
    return entry.value === undefined ? undefined : [entry.key, entry.value];
  }

  /** Negative: the newest generation's entry comes first; 0: both are of one key. An absent one comes last. */
  #order(newest: OverlayEntry | undefined, older: OverlayEntry | undefined): number {
    if (newest === undefined) return 1;
    if (older === undefined) return -1;
    if (newest.text === older.text) return 0;
    return newest.text < older.text === (this.#direction === 1) ? -1 : 1;
  }

  get #direction(): 1 | -1 {
    return this.#range.reverse ? -1 : 1;
  }

  #openBackend(): void {
    const {backend, imageVersion} = this.#layers;
    this.#imageVersion = imageVersion;
    this.#backend?.return?.();
    this.#backend = backend.range(this.#table, rangeBehind(this.#range, this.#lastKey));
    this.#advanceBackend();
  }

  #advanceBackend(): void {
    const step = this.#backend!.next();
    this.#head = step.done ? undefined : step.value;
  }
}

/** What is left of the range behind `lastKey`. */
function rangeBehind(range: RecordRange, lastKey: Uint8Array | undefined): RecordRange {
  if (lastKey === undefined) return range;
  return range.reverse ? {...range, to: lastKey} : {...range, from: successor(lastKey)};
}

/** A place in one table of one generation. */
class OverlayCursor {
  readonly #fromText: string;
  readonly #toText: string | undefined;
  readonly #isReverse: boolean;
  #table: OverlayTable | undefined;
  #insertions = -1;
  #block = 0;
  #position = 0;

  constructor(range: RecordRange) {
    this.#fromText = range.from === undefined ? '' : toLatin1(range.from);
    this.#toText = range.to === undefined ? undefined : toLatin1(range.to);
    this.#isReverse = range.reverse === true;
  }

  /** The entry at this place; the place is found anew, behind `lastKey`, if the table is another or has grown. */
  peek(table: OverlayTable | undefined, lastKey: Uint8Array | undefined): OverlayEntry | undefined {
    if (table === undefined || table.size === 0) {
      this.#table = undefined;
      return undefined;
    }
    if (table !== this.#table || table.insertions !== this.#insertions) {
      this.#table = table;
      this.#insertions = table.insertions;
      this.#find(table, lastKey);
    }
    const entry = table.block(this.#block)?.[this.#position];
    return entry !== undefined && this.#isWithin(entry.text) ? entry : undefined;
  }

  advance(): void {
    if (this.#isReverse) {
      this.#stepBack();
      return;
    }
    this.#position++;
    this.#skipBlockEnd();
  }

  #isWithin(text: string): boolean {
    return this.#isReverse ? text >= this.#fromText : this.#toText === undefined || text < this.#toText;
  }

  #find(table: OverlayTable, lastKey: Uint8Array | undefined): void {
    const lastText = lastKey === undefined ? undefined : toLatin1(lastKey);
    if (!this.#isReverse) {
      this.#moveTo(table.find(lastText ?? this.#fromText, lastText !== undefined));
      this.#skipBlockEnd();
      return;
    }
    const upper = lastText ?? this.#toText;
    this.#moveTo(upper === undefined ? {block: table.blockCount, position: 0} : table.find(upper, false));
    this.#stepBack();
  }

  #moveTo(place: {readonly block: number; readonly position: number}): void {
    this.#block = place.block;
    this.#position = place.position;
  }

  #skipBlockEnd(): void {
    if (this.#position < (this.#table?.block(this.#block)?.length ?? 0)) return;
    this.#block++;
    this.#position = 0;
  }

  #stepBack(): void {
    this.#position--;
    if (this.#position >= 0) return;
    this.#block--;
    this.#position = (this.#table?.block(this.#block)?.length ?? 0) - 1;
  }
}
