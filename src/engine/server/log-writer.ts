/**
 * Brings what raft wants on disk into the WAL, one batch at a time, while the loop goes on. All Readys that arise
 * during a batch's sync make up the next one: group commit without a timer. Messages that promise something (votes,
 * acknowledgements) wait here for the sync of everything before them.
 */

import {EngineError} from '../errors.ts';
import type {Clock, Logger} from '../ports.ts';
import type {Entry, HardState, Message, Ready} from '../raft/message.ts';
import type {Wal} from '../storage/wal.ts';
import type {Index, Term} from '../types.ts';

/** A log position as raft told it: the term tells apart entries that overwrote each other. */
interface Position {
  readonly index: Index;
  readonly term: Term;
}

interface Batch {
  entries: Entry[];
  /** The last entry of each Ready in the batch: raft hears of every one. */
  lastEntries: Position[];
  hardState: HardState | undefined;
  snapshot: Position | undefined;
  messagesAfterSync: Message[];
  mustSync: boolean;
}

export interface LogWriterOptions {
  readonly wal: Wal;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the log, or the store, says to be committed as it is opened. */
  readonly commit: Index;
  /** A batch is on disk: the last entries of its Readys, in order, and the messages that may leave now. */
  readonly onStored: (lastEntries: readonly Position[], messages: readonly Message[]) => void;
  /** The disk failed: the member must stop. */
  readonly onFailure: (error: unknown) => void;
}

const emptyBatch = (): Batch => ({
  entries: [],
  lastEntries: [],
  hardState: undefined,
  snapshot: undefined,
  messagesAfterSync: [],
  mustSync: false,
});

export class LogWriter {
  readonly #options: LogWriterOptions;
  #next: Batch = emptyBatch();
  #writing = false;
  #writingSinceMs = 0;
  /** Segments below it may go as soon as the cut is noted on disk; 0: none. */
  #purgeBelow: Index = 0;
  /** The last cut or snapshot that is noted on disk. */
  #notedIndex: Index = 0;
  #notedCommit: Index;
  #purging: Promise<void> | undefined;
  /** The log is dead: nothing more is written. */
  #failed = false;
  #idle: (() => void)[] = [];

  constructor(options: LogWriterOptions) {
    this.#options = options;
    this.#notedCommit = options.commit;
  }

  /** Up to here the disk itself says that entries are committed. */
  get notedCommit(): Index {
    return this.#notedCommit;
  }

  add(ready: Ready): void {
    const next = this.#next;
    if (ready.snapshot !== undefined) {
      next.snapshot = {index: ready.snapshot.index, term: ready.snapshot.term};
      next.mustSync = true;
      // The snapshot stands for them, and the log takes it in before the entries of its batch.
      next.entries = [];
      next.lastEntries = [];
    }
    for (const entry of ready.entries) next.entries.push(entry);
    const last = ready.entries.at(-1);
    if (last !== undefined) next.lastEntries.push({index: last.index, term: last.term});
    if (ready.hardState !== undefined) next.hardState = ready.hardState;
    if (ready.mustSync) next.mustSync = true;
    for (const message of ready.messagesAfterSync) next.messagesAfterSync.push(message);
    this.#writeNext();
  }

  /** Notes in the log that it may begin after this point, and removes what lies before it. */
  compact(point: Position): void {
    // A snapshot that waits to be noted lies behind any cut.
    this.#next.snapshot ??= point;
    this.#next.mustSync = true;
    this.#purgeBelow = point.index + 1;
    this.#writeNext();
  }

  /** The latest commit index goes to the disk without waiting for entries, unless it is on its way there. */
  noteCommit(): void {
    if (this.#next.hardState === undefined) return;
    this.#next.mustSync = true;
    this.#writeNext();
  }

  /** Milliseconds that the batch being written has taken so far; 0 when none is. */
  busyMs(): number {
    return this.#writing ? this.#options.clock.monotonicMs() - this.#writingSinceMs : 0;
  }

  /** Resolves when nothing is left to write; a commit index that waits for the next batch goes with the log's end. */
  async drained(): Promise<void> {
    if (this.#writing) await new Promise<void>((resolve) => this.#idle.push(resolve));
    await this.#purging;
    const {hardState} = this.#next;
    if (this.#failed || hardState === undefined) return;
    try {
      await this.#options.wal.append({entries: [], hardState, sync: false});
    } catch (error) {
      // The log died beside its batches and has said so. It lacks nothing but a commit index.
      if (!(error instanceof EngineError)) throw error;
    }
  }

  #writeNext(): void {
    if (this.#writing || this.#failed) return;
    const batch = this.#next;
    if (!batch.mustSync) {
      // A newer commit index alone can wait for the next batch; nothing before these messages is unsynced.
      if (batch.messagesAfterSync.length > 0) {
        const messages = batch.messagesAfterSync;
        batch.messagesAfterSync = [];
        this.#options.onStored([], messages);
      }
      this.#becomeIdle();
      return;
    }
    this.#next = emptyBatch();
    this.#writing = true;
    this.#writingSinceMs = this.#options.clock.monotonicMs();
    const {entries, hardState, snapshot} = batch;
    const appended = this.#options.wal.append({entries, hardState, sync: true, ...(snapshot && {snapshot})});
    appended.then(
      () => this.#written(batch),
      (error: unknown) => this.#fail(error),
    );
  }

  #fail(error: unknown): void {
    this.#writing = false;
    this.#failed = true;
    this.#options.onFailure(error);
    // Whoever stops the member waits no longer than for this.
    this.#becomeIdle();
  }

  /** Answers first: removing files takes its time. */
  #written(batch: Batch): void {
    this.#writing = false;
    if (batch.snapshot !== undefined) this.#notedIndex = batch.snapshot.index;
    this.#notedCommit = Math.max(this.#notedCommit, batch.hardState?.commit ?? 0);
    this.#purgeDue();
    this.#options.onStored(batch.lastEntries, batch.messagesAfterSync);
    this.#writeNext();
  }

  /** One at a time; what could not be removed goes with a later one. */
  #purgeDue(): void {
    const below = this.#purgeBelow;
    if (below === 0 || this.#notedIndex < below - 1 || this.#purging !== undefined) return;
    this.#purgeBelow = 0;
    this.#purging = this.#options.wal
      .purge(below)
      .catch((error: unknown) => {
        if (!(error instanceof EngineError)) this.#fail(error);
        else this.#options.logger.warn('old log segments not removed', {below, error: error.message});
      })
      .finally(() => {
        this.#purging = undefined;
      });
  }

  #becomeIdle(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}
