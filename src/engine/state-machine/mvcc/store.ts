/**
 * The multi-version store: every key at every revision since the last compaction. One writer (the state machine),
 * many readers; a reader names the revision it reads at, and what it sees there never changes.
 */

import {assert, EngineError} from '../../errors.ts';
import type {Logger} from '../../ports.ts';
import type {
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
import {HASH_OF_NOTHING, hashKvSlices} from './hash-kv.ts';
import {type HistoryLimits, type HistorySlice, readHistory} from './history.ts';
import {KeyValueReader} from './key-value-reader.ts';
import {keyTextOf} from './key-value-record.ts';
import {loadIndex} from './load-index.ts';
import {rangeParts, rangeSlices} from './range.ts';
import {decodeRevision, encodeRevision} from './revision.ts';
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
  /** The last revision that readers see; moved by `endWrite` alone, by one. */
  #currentRevision = FIRST_REVISION;
  /** Counts loads: a walk that changes the index ends when it was begun in an earlier life. */
  #life = 0;
  /** Up to here superseded revisions are deleted. Never above `reader.compactRevision`. */
  #finishedRevision = NEVER_COMPACTED;

  constructor(options: {effects: Effects; lessor: Lessor; logger: Logger}) {
    this.reader = new KeyValueReader(options.effects);
    this.#effects = options.effects;
    this.#lessor = options.lessor;
    this.#logger = options.logger;
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
  *rangeSlices(request: RangeRequest): Generator<undefined, RangeResult> {
    return yield* rangeSlices(this.reader, request, this.#readableRevision(request.revision));
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

  /** Changes from `from` on, for watchers. Bounded; it ends with the current revision. */
  history(from: Revision, limits: HistoryLimits): HistorySlice {
    return readHistory(this.reader, {from, to: this.#currentRevision}, limits);
  }

  /** What `kv`'s key was just before that change; undefined if it was not there or is compacted. */
  previous(kv: KeyValue): KeyValue | undefined {
    const at = kv.modRevision - 1;
    return at < this.reader.compactRevision ? undefined : this.reader.get(keyTextOf(kv), at);
  }

  keysOfLease(id: LeaseId): Uint8Array[] {
    return this.#lessor.keys(id);
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
    this.#finishedRevision = finished;
    this.#currentRevision = Math.max(FIRST_REVISION, lastRevision, scheduled, finished);
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
    return new WriteTxn({reader: this.reader, effects: this.#effects, lessor: this.#lessor, main});
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
