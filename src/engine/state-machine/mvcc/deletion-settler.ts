/**
 * Writes the tombstones of pending deletions, in slices beside everything else, and remembers the deletions
 * themselves in the table `kvd`, so that commits of the store and restarts may happen in between.
 *
 * The deletion's record is the part of it that all members hash and agree on. When its tombstones are written is
 * each member's own business, and goes past the running hash, as compactions do.
 */

import {assert, EngineError} from '../../errors.ts';
import {ByteWriter} from '../../lib/byte-writer.ts';
import {EMPTY_BYTES, fromLatin1, toLatin1} from '../../lib/bytes.ts';
import {ByteReader, DamagedBytesError} from '../../lib/varint.ts';
import {RECLAIM_SLICE_KEYS} from '../../limits.ts';
import type {Effects} from '../effects.ts';
import type {Lessor} from '../lease/lessor.ts';
import {runSlices} from '../slice-budget.ts';
import type {KeyValueReader} from './key-value-reader.ts';
import {encodeTombstoneKey} from './key-value-record.ts';
import {type PendingDeletion, rankOf} from './pending-deletions.ts';
import {INDEX_STEPS_PER_KEY} from './range.ts';
import {decodeRevision, encodeRevision, encodeTombstoneRevision, isTombstone} from './revision.ts';
import type {TextRange} from './text-range.ts';

const NAME = 'pendingDeletion/';
/** Behind all names that begin so: '0' follows '/'. */
const NAMES = {from: fromLatin1(NAME), to: fromLatin1('pendingDeletion0')};
const OPEN_END = 0;
const CLOSED_END = 1;

export class DeletionSettler {
  readonly #reader: KeyValueReader;
  readonly #effects: Effects;
  readonly #lessor: Lessor;

  constructor(options: {reader: KeyValueReader; effects: Effects; lessor: Lessor}) {
    this.#reader = options.reader;
    this.#effects = options.effects;
    this.#lessor = options.lessor;
  }

  /** All `count` keys that live in the range are deleted at `revision`. */
  begin(range: TextRange, revision: number, count: number): PendingDeletion {
    const {deletions} = this.#reader.index;
    assert(count > 0, 'a revision has changes');
    const deletion = unlisted(range, revision, count);
    deletions.add(deletion);
    this.#effects.put('kvd', recordKey(revision), encodeDeletion(deletion));
    return deletion;
  }

  /** Lists in slices what was deleted together with a key: {@link settleKey} needs it, and does it at once otherwise. */
  *listSlices(key: string): Generator<undefined, void> {
    const deletion = this.#reader.index.hiding(key);
    if (deletion !== undefined) yield* this.#list(deletion);
  }

  /** Before a key changes: what hides it is written. */
  settleKey(key: string): void {
    const {index} = this.#reader;
    const deletion = index.hiding(key);
    if (deletion === undefined) return;
    runSlices(this.#list(deletion));
    this.#write(deletion, rankOf(deletion, key));
  }

  /** Writes what is left of one deletion. Ends by itself when another life of the store has begun. */
  *settle(deletion: PendingDeletion): Generator<undefined, void> {
    const {deletions} = this.#reader.index;
    const {keys, count, revision} = deletion;
    yield* this.#list(deletion);
    assert(keys.length === count || !deletions.has(deletion), 'as many keys are deleted as were counted');
    for (let rank = 0; rank < count; rank++) {
      if (rank % RECLAIM_SLICE_KEYS === 0 && rank > 0) yield;
      if (rank % RECLAIM_SLICE_KEYS === 0 && !deletions.has(deletion)) return;
      this.#write(deletion, rank);
    }
    if (!deletions.has(deletion)) return;
    deletions.remove(deletion);
    this.#effects.records.delete('kvd', recordKey(revision));
  }

  /** Brings back what was pending, over a loaded index. @throws EngineError storeCorrupt */
  *load(): Generator<undefined, void> {
    const {index} = this.#reader;
    index.deletions.clear();
    for (const [key, value] of [...this.#effects.records.range('kvd', NAMES)]) {
      const revisionKey = key.subarray(NAME.length);
      if (isTombstone(revisionKey)) throw corruptDeletion('a deletion that is to come has come');
      const revision = decodeRevision(revisionKey).main;
      const {range, count} = decodeDeletion(value);
      const deletion = unlisted(range, revision, count);
      yield* this.#list(deletion);
      const found = deletion.keys.length;
      if (found !== count) throw corruptDeletion(`${found} keys were deleted at ${revision}, not ${count}`);
      index.deletions.add(deletion);
    }
  }

  /**
   * Lists the keys, from the index as it was just before: nothing of that changes while the deletion is pending, since
   * whoever puts a hidden key lists them all first, and compactions wait.
   */
  *#list(deletion: PendingDeletion): Generator<undefined, void> {
    const {index} = this.#reader;
    const {keys, to} = deletion;
    const at = deletion.revision - 1;
    const countMax = RECLAIM_SLICE_KEYS * INDEX_STEPS_PER_KEY;
    while (deletion.listFrom !== undefined) {
      deletion.listFrom = index.walk({from: deletion.listFrom, to, at, countMax}, (key) => {
        keys.push(key);
        return undefined;
      });
      if (deletion.listFrom !== undefined) yield;
    }
  }

  #write(deletion: PendingDeletion, rank: number): void {
    const {index, records} = this.#reader;
    const {keys, revision} = deletion;
    const key = keys[rank];
    if (!index.settle(key, revision, rank)) return;
    const tombstone = encodeTombstoneKey(fromLatin1(key));
    records.put('key', encodeTombstoneRevision(revision, rank), tombstone);
    this.#lessor.attach(key, 0n);
  }
}

function unlisted({from, to}: TextRange, revision: number, count: number): PendingDeletion {
  return {from, to, revision, count, keys: [], listFrom: from};
}

function recordKey(revision: number): Uint8Array {
  return Buffer.concat([NAMES.from, encodeRevision(revision, 0)]);
}

/** count varint | whether the range has an end u8 | from, to: bytes behind their length */
function encodeDeletion({from, to, count}: PendingDeletion): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(count);
  writer.byte(to === undefined ? OPEN_END : CLOSED_END);
  writer.prefixed(fromLatin1(from));
  writer.prefixed(to === undefined ? EMPTY_BYTES : fromLatin1(to));
  return writer.finish();
}

function decodeDeletion(value: Uint8Array): {range: TextRange; count: number} {
  try {
    const reader = new ByteReader(value);
    const count = reader.varint();
    const end = reader.byte();
    const from = toLatin1(reader.prefixed());
    const to = toLatin1(reader.prefixed());
    if (end !== OPEN_END && end !== CLOSED_END) throw corruptDeletion(`an end of kind ${end}`);
    return {range: {from, to: end === OPEN_END ? undefined : to}, count};
  } catch (error) {
    if (error instanceof DamagedBytesError) throw corruptDeletion(error.message);
    throw error;
  }
}

function corruptDeletion(detail: string): EngineError {
  return new EngineError({code: 'storeCorrupt', path: 'kvd', detail});
}
