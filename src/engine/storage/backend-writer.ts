/**
 * When the overlay is committed: lazily, a little after the first change or once there are many, and at once when
 * somebody waits for it. One commit at a time; what changes meanwhile is the next one.
 *
 * A full disk is not the end: the log has everything, so the same changes are tried again with growing pauses while
 * the overlay goes on growing. Any other failure is.
 */

import {assert, EngineError} from '../errors.ts';
import {BACKEND_RETRY_MS_MAX, BACKEND_RETRY_MS_MIN} from '../limits.ts';
import type {Backend, BackendBatch, Clock, Logger, Metrics} from '../ports.ts';

/** etcd's buckets: 1 ms, doubled 13 times. */
const COMMIT_BUCKETS_SECONDS = Array.from({length: 14}, (_, power) => 0.001 * 2 ** power);

/** Where the changes come from. A sequence number counts the marks; a later mark has a larger one. */
export interface CommitSource {
  /** Whether the changes end at a mark right now: only then they can be taken. */
  isAtMark(): boolean;
  markSequence(): number;
  /** Changes since the last `freeze`. */
  pendingChanges(): number;
  /** Takes all changes out of the way of newer ones, to be written. */
  freeze(): void;
  /** What was frozen, to be iterated once. */
  frozenBatch(): BackendBatch;
  /** The backend holds what was frozen. */
  thaw(): void;
}

export interface BackendWriterOptions {
  readonly source: CommitSource;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly onFailure: (error: unknown) => void;
  readonly commitIntervalMs: number;
  readonly commitRecords: number;
}

interface Waiter {
  readonly sequence: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class BackendWriter {
  readonly #options: BackendWriterOptions;
  readonly #commitSeconds: {observe(seconds: number): void};
  #backend: Backend;
  /** Commits by time; by number of changes and for flushes it does so without. */
  #isStarted = false;
  /** No commit may begin, and one that waits for room on the disk is given up: the backend is being replaced. */
  #isHeld = false;
  /** The same, for good. */
  #isStopped = false;
  /** A commit was given up: its changes are frozen for good, and nothing can follow them. */
  #isGivenUp = false;
  /** A commit is due as soon as the changes end at a mark. */
  #isDue = false;
  #cancelTimer: (() => void) | undefined;
  #committing: Promise<void> | undefined;
  /** Ends the pause after a full disk; the commit is then given up if the writer is held. */
  #endPause: (() => void) | undefined;
  /** The mark up to which the backend has everything. Only grows. */
  #committedSequence: number;
  #waiters: Waiter[] = [];
  #failure: {readonly error: unknown} | undefined;

  constructor(backend: Backend, options: BackendWriterOptions) {
    this.#backend = backend;
    this.#options = options;
    this.#committedSequence = options.source.markSequence();
    this.#commitSeconds = options.metrics.histogram(
      'etcd_disk_backend_commit_duration_seconds',
      'The latency distributions of commit called by backend.',
      COMMIT_BUCKETS_SECONDS,
    );
  }

  start(): void {
    assert(!this.#isStarted, 'the writer is started twice');
    this.#isStarted = true;
    this.marked();
  }

  /** Commits what ends at a mark, unless the disk is full; then nothing more is written. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#disarm();
    this.#endPause?.();
    await this.#committing;
    const canCommit = !this.#isHeld && !this.#isGivenUp && this.#options.source.isAtMark();
    if (canCommit && this.#hasMarked()) {
      this.#begin();
      await this.#committing;
    }
    this.#rejectWaiters(new EngineError({code: 'stopped'}));
  }

  /** The changes have come to a mark. */
  marked(): void {
    if (this.#committing !== undefined || this.#isHeld || this.#isStopped || !this.#hasMarked()) return;
    if (this.#isDue || this.#options.source.pendingChanges() >= this.#options.commitRecords) this.#begin();
    else this.#arm();
  }

  /**
   * Resolves when the backend holds everything up to the last mark.
   * @throws EngineError stopped, or what a commit failed with
   */
  flush(): Promise<void> {
    const sequence = this.#options.source.markSequence();
    if (this.#committedSequence >= sequence) return Promise.resolve();
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    if (this.#isStopped) return Promise.reject(new EngineError({code: 'stopped'}));
    return new Promise((resolve, reject) => {
      this.#waiters.push({sequence, resolve, reject});
      this.#isDue = true;
      if (this.#options.source.isAtMark()) this.marked();
    });
  }

  /** Lets a standing commit end and holds all others until `release`. */
  async hold(): Promise<void> {
    assert(!this.#isHeld, 'the writer is held twice');
    this.#isHeld = true;
    this.#disarm();
    this.#endPause?.();
    await this.#committing;
  }

  /** Goes on with another backend, which holds everything up to now. */
  release(backend: Backend): void {
    assert(this.#isHeld && this.#committing === undefined, 'the writer is released but was not held');
    this.#backend = backend;
    this.#isHeld = false;
    this.#isDue = false;
    this.#isGivenUp = false;
    this.#settle(this.#options.source.markSequence());
  }

  #hasMarked(): boolean {
    return this.#options.source.markSequence() > this.#committedSequence && this.#failure === undefined;
  }

  #arm(): void {
    if (this.#cancelTimer !== undefined || !this.#isStarted) return;
    this.#cancelTimer = this.#options.clock.after(this.#options.commitIntervalMs, () => {
      this.#cancelTimer = undefined;
      this.#isDue = true;
      if (this.#options.source.isAtMark()) this.marked();
    });
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #begin(): void {
    const {source, onFailure} = this.#options;
    assert(this.#committing === undefined && source.isAtMark(), 'a commit begins between two marks');
    this.#disarm();
    this.#isDue = false;
    const sequence = source.markSequence();
    source.freeze();
    this.#committing = this.#commit().then(
      (isDone) => {
        this.#committing = undefined;
        if (isDone) this.#finish(sequence);
        else this.#isGivenUp = true;
      },
      (error: unknown) => {
        this.#committing = undefined;
        this.#failure = {error};
        this.#rejectWaiters(error);
        onFailure(error);
      },
    );
  }

  #finish(sequence: number): void {
    this.#options.source.thaw();
    this.#settle(sequence);
    if (this.#waiters.length > 0) this.#isDue = true;
    if (this.#options.source.isAtMark()) this.marked();
  }

  /** @returns false when it was given up on a full disk */
  async #commit(): Promise<boolean> {
    const {source, clock, logger} = this.#options;
    for (let pauseMs = BACKEND_RETRY_MS_MIN; ; pauseMs = Math.min(2 * pauseMs, BACKEND_RETRY_MS_MAX)) {
      const startedMs = clock.monotonicMs();
      try {
        await this.#backend.commit(source.frozenBatch());
        this.#commitSeconds.observe((clock.monotonicMs() - startedMs) / 1000);
        return true;
      } catch (error) {
        if (!(error instanceof EngineError && error.code === 'diskFull')) throw error;
        logger.warn('the disk is full: the store is behind the log', {
          error: error.message,
          retryMs: pauseMs,
        });
      }
      if (this.#isEnding()) return false;
      await this.#pause(pauseMs);
      if (this.#isEnding()) return false;
    }
  }

  #isEnding(): boolean {
    return this.#isHeld || this.#isStopped;
  }

  #pause(pauseMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#endPause = undefined;
        resolve();
      };
      const cancel = this.#options.clock.after(pauseMs, end);
      this.#endPause = () => {
        cancel();
        end();
      };
    });
  }

  #settle(sequence: number): void {
    assert(sequence >= this.#committedSequence, 'the committed mark goes back');
    this.#committedSequence = sequence;
    const waiters = this.#waiters;
    this.#waiters = waiters.filter((waiter) => waiter.sequence > sequence);
    for (const waiter of waiters) if (waiter.sequence <= sequence) waiter.resolve();
  }

  #rejectWaiters(error: unknown): void {
    for (const {reject} of this.#waiters.splice(0)) reject(error);
  }
}
