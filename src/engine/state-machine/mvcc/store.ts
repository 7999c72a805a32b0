/**
 * The multi-version store: every key at every revision since the last compaction. One writer (the state machine),
 * many readers; a reader names the revision it reads at, and what it sees there never changes.
 */

import {assert, EngineError} from '../../errors.ts';
import {fromLatin1} from '../../lib/bytes.ts';
import {PENDING_DELETES_MAX, SLICE_KEYS} from '../../limits.ts';
import type {Logger} from '../../ports.ts';
import type {
  DeleteRangeRequest,
  KeyValue,
  LeaseId,
  RangeRequest,
  RangeResult,
  Revision,
  TxnRequest,
  TxnResult,
} from '../../types.ts';
import type {Effects} from '../effects.ts';
import type {Lessor} from '../lease/lessor.ts';
import type {Records} from '../records.ts';
import {runSlices, SliceBudget} from '../slice-budget.ts';
import {compactSlices} from './compaction.ts';
import {DeletionSettler} from './deletion-settler.ts';
import {HASH_OF_NOTHING, hashKvSlices} from './hash-kv.ts';
import {type HistoryLimits, type HistorySlice, readHistory} from './history.ts';
import {KeyValueReader, toTextRange} from './key-value-reader.ts';
import {keyTextOf} from './key-value-record.ts';
import {loadIndex} from './load-index.ts';
import type {PendingDeletion} from './pending-deletions.ts';
import {countKeys, type RangeOptions, rangeParts, rangeSlices} from './range.ts';
import {decodeRevision, encodeRevision} from './revision.ts';
import type {TextRange} from './text-range.ts';
import {checkTxn, decideTxn, executeTxn} from './txn.ts';
import {WriteTxn} from './write-txn.ts';

const SCHEDULED = Buffer.from('scheduledCompactRev', 'latin1');
const FINISHED = Buffer.from('finishedCompactRev', 'latin1');
/** etcd starts counting here: an empty store is at revision 1. */
const FIRST_REVISION = 1;
const NEVER_COMPACTED = -1;

export class MvccStore {
  readonly reader: KeyValueReader;
  readonly #effects: Effects;
  readonly #lessor: Lessor;
  readonly #logger: Logger;
  readonly #settler: DeletionSettler;
  readonly #pendingDeleteKeysMin: number;
  /** Who needs a store without pending deletions: while there is any, new ones are settled at once. */
  #settledWanted = 0;
  /** The last revision that readers see; moved by `endWrite` and `deleteManySlices` alone, by one. */
  #currentRevision = FIRST_REVISION;
  /** Counts loads: a walk that changes the index ends when it was begun in an earlier life. */
  #life = 0;
  /** The last compaction that has begun to delete. Never above `reader.compactRevision`. */
  #historyStart = NEVER_COMPACTED;
  /** Up to here superseded revisions are deleted. Never above `#historyStart`. */
  #finishedRevision = NEVER_COMPACTED;

  constructor(options: {effects: Effects; lessor: Lessor; logger: Logger; pendingDeleteKeysMin: number}) {
    const {effects, lessor} = options;
    const reader = new KeyValueReader(effects);
    this.reader = reader;
    this.#effects = effects;
    this.#lessor = lessor;
    this.#logger = options.logger;
    this.#settler = new DeletionSettler({reader, effects, lessor});
    this.#pendingDeleteKeysMin = options.pendingDeleteKeysMin;
  }

  /** False while a snapshot that replaced the records is not loaded yet: nothing may be read then. */
  get isReadable(): boolean {
    return this.reader.isInStep;
  }

  currentRevision(): number {
    return this.#currentRevision;
  }

  /** Reads below it are refused; -1 before the first compaction, as etcd reports it. */
  compactRevision(): number {
    return this.reader.compactRevision;
  }

  /** Keys that the index knows, deleted ones since the last compaction included. */
  keysTotal(): number {
    return this.reader.index.size;
  }

  // ---- Reading ----------------------------------------------------------------------------------------------

  /** The whole range at once: for single keys, or where nothing else runs. @throws EngineError as rangeSlices */
  range(request: RangeRequest): RangeResult {
    return runSlices(this.rangeSlices(request));
  }

  /**
   * The range in slices, at the revision that is current when the first slice runs (or the one asked for).
   * @throws EngineError compacted, futureRevision; compacted also when it happens between two slices
   */
  *rangeSlices(request: RangeRequest, options?: RangeOptions): Generator<undefined, RangeResult> {
    return yield* rangeSlices(this.reader, request, this.#readableRevision(request.revision), options);
  }

  /** Runs the first slice: the result if that was all, else the rest of the slices. @throws as rangeSlices */
  startRange(request: RangeRequest): RangeResult | Generator<undefined, RangeResult> {
    const slices = this.rangeSlices(request);
    const first = slices.next();
    return first.done ? first.value : slices;
  }

  /** For RangeStream: parts in key order, some may be empty. Count and `more` come with the last. */
  *rangeParts(request: RangeRequest): Generator<RangeResult, void> {
    yield* rangeParts(this.reader, request, this.#readableRevision(request.revision));
  }

  /** A transaction that `isReadOnlyTxn`, without the log. @throws EngineError compacted, futureRevision */
  *readTxn(request: TxnRequest): Generator<undefined, TxnResult> {
    const budget = new SliceBudget();
    const at = this.#currentRevision;
    const decided = yield* decideTxn(this.reader, request, at, budget);
    const refused = checkTxn(this.reader, decided, {at, lessor: this.#lessor});
    if (refused !== undefined) throw refused;
    const txn = this.#openTxn(at + 1);
    const result = yield* executeTxn(txn, decided, budget);
    assert(!txn.hasChanges, 'a read-only transaction changes nothing');
    return result;
  }

  /**
   * Changes from `from` on, for watchers. Bounded; it ends with the current revision, or before one whose tombstones
   * are still being written.
   */
  history(from: Revision, limits: HistoryLimits): HistorySlice {
    const unsettled = this.unsettledFrom(from.main);
    const to = unsettled === undefined ? this.#currentRevision : unsettled.revision - 1;
    return to < from.main ? {events: [], next: from} : readHistory(this.reader, {from, to}, limits);
  }

  /** The first deletion at or after `revision` whose tombstones are not all written. */
  unsettledFrom(revision: number): PendingDeletion | undefined {
    return this.reader.index.deletions.from(revision);
  }

  /** What `kv`'s key was just before that change; undefined if it was not there or may be deleted by a compaction. */
  previous(kv: KeyValue): KeyValue | undefined {
    // It may have been deleted within that revision: what was before then is the deletion's to tell.
    if (kv.createRevision === kv.modRevision) return undefined;
    const at = kv.modRevision - 1;
    return at < this.#historyStart ? undefined : this.reader.get(keyTextOf(kv), at);
  }

  /**
   * History is whole from here on. It may lie below the compact revision, for watchers that are on their way: nobody
   * begins there any more.
   */
  historyStart(): number {
    return this.#historyStart;
  }

  /** The keys on a lease, ascending; none that were not there at the first slice. @throws EngineError timeoutWaitingForApply */
  *keysOfLeaseSlices(id: LeaseId): Generator<undefined, Uint8Array[]> {
    const {index} = this.reader;
    const keys: Uint8Array[] = [];
    let left = SLICE_KEYS;
    for (const key of yield* this.#lessor.keySlices(id)) {
      // One that is deleted and whose tombstone is to come still hangs on its lease.
      if (index.find(key, this.#currentRevision) !== undefined) keys.push(fromLatin1(key));
      if (--left > 0) continue;
      yield;
      this.reader.requireReadable(this.#currentRevision);
      left = SLICE_KEYS;
    }
    return keys;
  }

  /** etcd's HashKV at a revision (0: the current one). @throws EngineError compacted, futureRevision */
  *hashKv(
    revision: number,
  ): Generator<undefined, {hash: number; compactRevision: number; hashRevision: number}> {
    const {compactRevision} = this.reader;
    if (revision < 0) return {hash: HASH_OF_NOTHING, compactRevision, hashRevision: revision};
    const hashRevision = this.#readableRevision(revision);
    const hash = yield* hashKvSlices(this.reader, hashRevision);
    return {hash, compactRevision, hashRevision};
  }

  // ---- Writing: for the state machine -----------------------------------------------------------------------

  beginWrite(): WriteTxn {
    return this.#openTxn(this.#currentRevision + 1);
  }

  /** Shows a command's changes to readers. */
  endWrite(txn: WriteTxn): void {
    if (!txn.hasChanges) return;
    assert(txn.main === this.#currentRevision + 1, 'revisions follow each other without a gap');
    assert(txn.events.length > 0, 'a revision has changes');
    this.#currentRevision = txn.main;
  }

  /**
   * Deletes a range that holds very many keys, as one revision at once; its tombstones come with
   * {@link settleSlices}. `undefined`, and nothing has happened, when the keys are not so many.
   */
  *deleteManySlices(
    request: DeleteRangeRequest,
  ): Generator<undefined, {readonly deleted: number; readonly range: TextRange} | undefined> {
    if (request.rangeEnd.length === 0 || request.prevKv) return undefined;
    const range = toTextRange(request);
    const at = this.#currentRevision;
    const deleted = yield* countKeys(this.reader, {...range, at}, new SliceBudget());
    if (deleted < this.#pendingDeleteKeysMin) return undefined;
    const revision = at + 1;
    const deletion = this.#settler.begin(range, revision, deleted);
    const isTooMany = this.reader.index.deletions.count > PENDING_DELETES_MAX;
    if (isTooMany || this.#settledWanted > 0) yield* this.#settler.settle(deletion);
    this.#currentRevision = revision;
    return {deleted, range};
  }

  /** Whether there are deletions whose tombstones are not all written. */
  get hasUnsettled(): boolean {
    return this.reader.index.deletions.count > 0;
  }

  /** Before a key is put or settled, so that it is not held up by all that was deleted with it. */
  listSlices(key: string): Generator<undefined, void> {
    return this.#settler.listSlices(key);
  }

  /** Before a lease ends: those of its keys that are deleted already let go of it. */
  settleKey(key: string): void {
    this.#settler.settleKey(key);
  }

  checkCompact(revision: number): EngineError | undefined {
    const {compactRevision} = this.reader;
    if (revision <= compactRevision) return new EngineError({code: 'compacted', compactRevision});
    const currentRevision = this.#currentRevision;
    return revision > currentRevision
      ? new EngineError({code: 'futureRevision', currentRevision})
      : undefined;
  }

  /** Sets the mark; the deleting comes with {@link compactionSlices}. */
  compact(revision: number): void {
    assert(this.checkCompact(revision) === undefined, 'a compaction is checked first');
    assert(revision >= 0 && revision >= this.#finishedRevision, 'the mark never goes back');
    this.reader.compactRevision = revision;
    this.#effects.put('meta', SCHEDULED, encodeRevision(revision, 0));
  }

  // ---- Local housekeeping -----------------------------------------------------------------------------------

  /** The revision up to which this member has deleted what it may; -1: it never has. */
  finishedCompactRevision(): number {
    return this.#finishedRevision;
  }

  /** Keeps tombstones from being written late, until the function it returns is called. */
  wantSettled(): () => void {
    this.#settledWanted++;
    return () => {
      this.#settledWanted--;
      assert(this.#settledWanted >= 0, 'a wish ends once');
    };
  }

  /** Whether all tombstones up to a revision are written; nobody knows while a snapshot is being loaded. */
  isSettled(revision: number): boolean {
    const first = this.unsettledFrom(0);
    return this.isReadable && (first === undefined || first.revision > revision);
  }

  /**
   * Writes the tombstones of the deletions that are pending now; undefined when there are none. May end early when
   * the store is loaded anew meanwhile.
   */
  settleSlices(): Generator<undefined, void> | undefined {
    return this.isSettled(Number.POSITIVE_INFINITY) ? undefined : this.#settleTo(this.#currentRevision);
  }

  *#settleTo(revision: number): Generator<undefined, void> {
    for (const deletion of this.reader.index.deletions.list()) {
      if (deletion.revision <= revision) yield* this.#settler.settle(deletion);
    }
  }

  /**
   * Deletes superseded revisions, up to the mark as it is now; undefined when there is nothing to do. One at a
   * time. One that was begun before the store was loaded anew ends by itself.
   */
  compactionSlices(): Generator<undefined, void> | undefined {
    const {compactRevision} = this.reader;
    return compactRevision > this.#finishedRevision ? this.#compactTo(compactRevision) : undefined;
  }

  *#compactTo(revision: number): Generator<undefined, void> {
    const {index, records} = this.reader;
    const life = this.#life;
    const settling = this.#settleTo(revision);
    while (!settling.next().done) {
      yield;
      if (life !== this.#life) return;
    }
    this.#historyStart = revision;
    const slices = compactSlices(index, records, revision);
    while (!slices.next().done) {
      yield;
      if (life !== this.#life) return;
    }
    assert(revision > this.#finishedRevision, 'compactions finish in order');
    this.#finishedRevision = revision;
    records.put('meta', FINISHED, encodeRevision(revision, 0));
    this.#logger.info('finished compaction', {revision});
  }

  /** Reads everything anew from the records. @throws EngineError storeCorrupt */
  *load(): Generator<undefined, void> {
    this.#life++;
    const {records} = this.reader;
    const scheduled = readRevision(records, SCHEDULED);
    const finished = readRevision(records, FINISHED);
    const {lastRevision, leaseOfKey} = yield* loadIndex(this.reader);
    // A finished mark alone comes from other tools; what is finished was scheduled.
    this.reader.compactRevision = Math.max(scheduled, finished);
    this.#historyStart = this.reader.compactRevision;
    this.#finishedRevision = finished;
    yield* this.#settler.load();
    const lastDeletion = this.reader.index.deletions.list().at(-1)?.revision ?? 0;
    this.#currentRevision = Math.max(FIRST_REVISION, lastRevision, lastDeletion, scheduled, finished);
    assert(this.#finishedRevision <= this.reader.compactRevision, 'what is finished was scheduled');
    assert(this.reader.compactRevision <= this.#currentRevision, 'nothing is compacted before it happened');
    let orphans = 0;
    let count = 0;
    for (const [key, lease] of leaseOfKey) {
      if (this.#lessor.has(lease)) this.#lessor.attach(key, lease);
      else orphans++;
      if (++count % 10_000 === 0) yield;
    }
    if (orphans > 0) this.#logger.warn('keys name leases that do not exist', {keys: orphans});
  }

  #openTxn(main: number): WriteTxn {
    return new WriteTxn({
      reader: this.reader,
      effects: this.#effects,
      lessor: this.#lessor,
      settler: this.#settler,
      main,
    });
  }

  #readableRevision(asked: number): number {
    const currentRevision = this.#currentRevision;
    if (asked > currentRevision) throw new EngineError({code: 'futureRevision', currentRevision});
    const at = asked <= 0 ? currentRevision : asked;
    this.reader.requireReadable(at);
    return at;
  }
}

function readRevision(records: Records, name: Uint8Array): number {
  const value = records.get('meta', name);
  return value === undefined ? NEVER_COMPACTED : decodeRevision(value).main;
}
