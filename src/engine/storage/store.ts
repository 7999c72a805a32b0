/**
 * The store of one member: the state machine's records as it sees them, every change visible at once, over an image
 * in a backend that is written lazily.
 *
 *     active overlay   changes since the last freeze; grows with every put and delete
 *     frozen overlay   what the commit under way writes; absent between commits
 *     backend          the image, exactly at one mark
 *
 * A read asks from the top down. The log makes answers durable, so nothing here waits for a disk; what a crash takes
 * from the overlays is applied again from the log. Two generations, because the changes of a commit must stand still
 * while it is written. The overlays are bounded by those who ask first: who proposes looks at `overlayBytes`, who
 * applies at `hasRoom`.
 */

import {assert} from '../errors.ts';
import {toLatin1} from '../lib/bytes.ts';
import {BACKEND_COMMIT_INTERVAL_MS, BACKEND_COMMIT_RECORDS, OVERLAY_APPLY_BYTES_MAX} from '../limits.ts';
import type {Backend, BackendReader, Clock, Logger, Metrics} from '../ports.ts';
import type {Records} from '../state-machine/records.ts';
import type {AppliedMark, RecordRange, Table, TableRecord} from '../types.ts';
import {BackendWriter} from './backend-writer.ts';
import {Overlay} from './overlay.ts';
import {StoreRange} from './store-range.ts';

/** etcd's buckets: 100 ms, doubled 12 times. */
const DEFRAGMENT_BUCKETS_SECONDS = Array.from({length: 13}, (_, power) => 0.1 * 2 ** power);
const NO_MARK: AppliedMark = {index: 0, term: 0, hash: 0};

export interface StoreOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** A commit failed, and not because the disk is full: the member must stop. Called once. */
  readonly onFailure: (error: unknown) => void;
  readonly commitIntervalMs?: number | undefined;
  readonly commitRecords?: number | undefined;
  readonly overlayBytesMax?: number | undefined;
}

export class Store implements Records {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #writer: BackendWriter;
  readonly #fileBytes: {set(value: number): void};
  readonly #inUseBytes: {set(value: number): void};
  readonly #defragmentSeconds: {observe(seconds: number): void};
  /** Shared with standing ranges, which look here at every step. */
  readonly #layers: {backend: Backend; imageVersion: number; active: Overlay; frozen: Overlay | undefined};
  /** The last mark, and what it was when the frozen generation was taken, and when it was committed. */
  #applied: AppliedMark;
  #frozenMark: AppliedMark;
  #committed: AppliedMark;
  #markSequence = 0;
  /** Changes since the last mark: an entry is being applied. */
  #isBetweenMarks = false;
  #defragmenting: Promise<void> | undefined;
  readonly #overlayBytesMax: number;
  #roomWaiters: (() => void)[] = [];

  constructor(options: StoreOptions) {
    const {backend, clock, logger, metrics, onFailure} = options;
    this.#clock = clock;
    this.#logger = logger;
    this.#layers = {backend, imageVersion: 0, active: new Overlay(), frozen: undefined};
    this.#overlayBytesMax = options.overlayBytesMax ?? OVERLAY_APPLY_BYTES_MAX;
    this.#applied = backend.applied() ?? NO_MARK;
    this.#frozenMark = this.#applied;
    this.#committed = this.#applied;
    this.#fileBytes = metrics.gauge(
      'etcd_mvcc_db_total_size_in_bytes',
      'Total size of the underlying database physically allocated in bytes.',
    );
    this.#inUseBytes = metrics.gauge(
      'etcd_mvcc_db_total_size_in_use_in_bytes',
      'Total size of the underlying database logically in use in bytes.',
    );
    this.#defragmentSeconds = metrics.histogram(
      'etcd_disk_backend_defrag_duration_seconds',
      'The latency distribution of backend defragmentation.',
      DEFRAGMENT_BUCKETS_SECONDS,
    );
    this.#writer = new BackendWriter(backend, {
      source: {
        isAtMark: () => !this.#isBetweenMarks,
        markSequence: () => this.#markSequence,
        pendingChanges: () => this.#layers.active.changes,
        freeze: () => this.#freeze(),
        frozenBatch: () => this.#frozenBatch(),
        thaw: () => this.#thaw(),
      },
      clock,
      logger,
      metrics,
      onFailure,
      commitIntervalMs: options.commitIntervalMs ?? BACKEND_COMMIT_INTERVAL_MS,
      commitRecords: options.commitRecords ?? BACKEND_COMMIT_RECORDS,
    });
    this.#reportSize();
  }

  start(): void {
    this.#writer.start();
  }

  /** Commits what it can; then no flush or commit succeeds any more. The backend stays open: its owner closes it. */
  async stop(): Promise<void> {
    await this.#writer.stop();
    await this.#defragmenting?.catch(() => undefined);
  }

  /** The one in use: a snapshot from another member replaces it. */
  get backend(): Backend {
    return this.#layers.backend;
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    const {active, frozen, backend} = this.#layers;
    const newest = active.table(table);
    const older = frozen?.table(table);
    if (newest.size > 0 || (older !== undefined && older.size > 0)) {
      const text = toLatin1(key);
      const entry = newest.get(text) ?? older?.get(text);
      if (entry !== undefined) return entry.value;
    }
    return backend.get(table, key);
  }

  range(table: Table, range: RecordRange): IterableIterator<TableRecord> {
    return new StoreRange(this.#layers, table, range);
  }

  put(table: Table, key: Uint8Array, value: Uint8Array): void {
    assert(key.length > 0, 'a record without a key');
    this.#isBetweenMarks = true;
    this.#layers.active.set(table, toLatin1(key), key, value);
  }

  delete(table: Table, key: Uint8Array): void {
    assert(key.length > 0, 'a record without a key');
    this.#isBetweenMarks = true;
    this.#layers.active.set(table, toLatin1(key), key, undefined);
  }

  mark(applied: AppliedMark): void {
    assert(applied.index >= this.#applied.index, `mark ${applied.index} is behind ${this.#applied.index}`);
    assert(applied.term >= this.#applied.term, `term ${applied.term} is behind ${this.#applied.term}`);
    this.#applied = applied;
    this.#isBetweenMarks = false;
    this.#markSequence++;
    this.#writer.marked();
  }

  applied(): AppliedMark {
    return this.#applied;
  }

  /** What the backend holds durably: the log below it is not needed to restart. */
  committed(): AppliedMark {
    return this.#committed;
  }

  /**
   * Resolves when everything up to the last mark is durable in the backend. Calls share commits.
   * @returns the mark that is durable now: the one at the time of the call, or a later one
   * @throws EngineError stopped, or what the commit failed with
   */
  async flush(): Promise<AppliedMark> {
    await this.#writer.flush();
    return this.#committed;
  }

  /** Bytes of changes that the backend does not hold yet. */
  overlayBytes(): number {
    const {active, frozen} = this.#layers;
    return active.bytes + (frozen?.bytes ?? 0);
  }

  /** Bytes by which commits of all changes so far may make the backend grow; deletions count nothing. */
  overlayPutBytes(): number {
    const {active, frozen} = this.#layers;
    return active.putBytes + (frozen?.putBytes ?? 0);
  }

  /** Whether another entry may be applied: the overlays are below their bound. */
  hasRoom(): boolean {
    return this.overlayBytes() <= this.#overlayBytesMax;
  }

  /** Resolves when half of the overlays' bound is free again; never, if the store stops or fails before. */
  room(): Promise<void> {
    return new Promise((resolve) => {
      this.#roomWaiters.push(resolve);
      this.#tellRoom();
    });
  }

  /** A stable image of everything up to the last mark, or a later one. The caller closes the reader. */
  async view(): Promise<{mark: AppliedMark; reader: BackendReader & {close(): void}}> {
    await this.#writer.flush();
    const reader = this.#layers.backend.view();
    const mark = reader.applied() ?? NO_MARK;
    assert(mark.index >= this.#committed.index, 'a view is older than the last commit');
    return {mark, reader};
  }

  /** Calls share one run. */
  defragment(): Promise<void> {
    this.#defragmenting ??= this.#defragment().finally(() => {
      this.#defragmenting = undefined;
    });
    return this.#defragmenting;
  }

  size(): {readonly fileBytes: number; readonly inUseBytes: number} {
    return this.#layers.backend.size();
  }

  /**
   * Goes on with the state in `backend`; what the overlays hold is gone. The caller applies nothing meanwhile.
   * @returns the backend that was used so far, to be closed by the caller
   */
  async replaceBackend(backend: Backend): Promise<Backend> {
    await this.#writer.hold();
    await this.#defragmenting?.catch(() => undefined);
    const layers = this.#layers;
    const old = layers.backend;
    const applied = backend.applied();
    assert(applied !== undefined, 'a backend without a whole state cannot be taken over');
    layers.backend = backend;
    layers.active = new Overlay();
    layers.frozen = undefined;
    layers.imageVersion++;
    this.#applied = applied;
    this.#frozenMark = applied;
    this.#committed = applied;
    this.#isBetweenMarks = false;
    this.#markSequence++;
    this.#writer.release(backend);
    this.#reportSize();
    this.#tellRoom();
    return old;
  }

  async #defragment(): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    const before = this.size();
    await this.#layers.backend.defragment();
    const tookMs = this.#clock.monotonicMs() - startedMs;
    this.#defragmentSeconds.observe(tookMs / 1000);
    this.#reportSize();
    const {fileBytes} = this.size();
    this.#logger.info('store defragmented', {
      bytesBefore: before.fileBytes,
      bytes: fileBytes,
      tookMs: Math.round(tookMs),
    });
  }

  #freeze(): void {
    const layers = this.#layers;
    assert(layers.frozen === undefined, 'two generations are frozen');
    layers.frozen = layers.active;
    layers.active = new Overlay();
    this.#frozenMark = this.#applied;
  }

  #frozenBatch() {
    const {frozen} = this.#layers;
    assert(frozen !== undefined, 'a commit of nothing');
    return {puts: frozen.puts(), deletes: frozen.deletes(), applied: this.#frozenMark};
  }

  #thaw(): void {
    this.#layers.frozen = undefined;
    this.#layers.imageVersion++;
    this.#committed = this.#frozenMark;
    this.#reportSize();
    this.#tellRoom();
  }

  #tellRoom(): void {
    if (this.#roomWaiters.length === 0 || this.overlayBytes() > this.#overlayBytesMax / 2) return;
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }

  #reportSize(): void {
    const {fileBytes, inUseBytes} = this.size();
    this.#fileBytes.set(fileBytes);
    this.#inUseBytes.set(inUseBytes);
  }
}
