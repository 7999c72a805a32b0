/**
 * Keeps the log short and helps members that fell behind it. Cutting: after `snapshotCount` applied entries (or
 * too many bytes) the log is cut, in memory and on disk, up to what the backend holds durably, less the entries
 * kept for slow followers; not while one of them is brought back by an image. Sending: an image of the store at one mark, streamed beside raft's messages. Taking in:
 * the image fills a fresh backend; only when it is whole and durable does raft hear of it.
 */

import {EngineError} from '../errors.ts';
import {RAFT_LOG_BYTES_MAX, RAFT_LOG_CUT_BYTES_MIN, SNAPSHOT_LOG_HOLD_MS} from '../limits.ts';
import type {Backend, BackendOpener, Clock, Disk, Logger, PeerNetwork} from '../ports.ts';
import type {Message} from '../raft/message.ts';
import {storedConfState} from '../state-machine/member-record.ts';
import {readStateImage, writeStateImage} from '../storage/state-image.ts';
import type {Store} from '../storage/store.ts';
import {StoreFolder} from '../storage/store-folder.ts';
import type {Index, MemberId, Term} from '../types.ts';
import type {PeerAnswer, PeerCall} from './peer-call.ts';

export type SnapshotMessage = Message & {type: 'snapshot'};

export interface SnapshotterOptions {
  readonly store: Store;
  readonly disk: Disk;
  readonly backendOpener: BackendOpener;
  readonly network: PeerNetwork<Message, PeerCall, PeerAnswer>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly snapshotCount: number;
  readonly catchupEntries: number;
  readonly compact: (point: {index: Index; term: Term}) => void;
  readonly termAt: (index: Index) => Term | undefined;
  readonly logBytes: () => number;
  /** Of these, the applied entries': what a cut can free. */
  readonly appliedLogBytes: () => number;
  /** The lowest index to cut at that leaves fewer bytes than this. */
  readonly cutLeaving: (bytes: number) => Index;
  readonly snapshotFinished: (to: MemberId, ok: boolean) => void;
}

export class Snapshotter {
  readonly #options: SnapshotterOptions;
  readonly #sending = new Set<MemberId>();
  /** What was applied when the log was cut last. */
  #lastCut: Index;
  /** The last marker in the log on disk, which only goes forward. Raft's log may begin before it after a restart. */
  #marker: Index;
  #cutting = false;
  /** Until then an image that arrived keeps the log behind it from being cut, monotonic milliseconds. */
  #holdUntilMs = 0;
  /** An image that has arrived and that raft has not decided about. */
  #arrived: {index: Index; backend: Backend; path: string} | undefined;

  constructor(options: SnapshotterOptions, log: {readonly lastCut: Index; readonly marker: Index}) {
    this.#options = options;
    this.#lastCut = log.lastCut;
    this.#marker = log.marker;
  }

  /** After each batch of applied entries. */
  consider(applied: Index): void {
    if (this.#cutting) return;
    const isDue = applied - this.#lastCut >= this.#options.snapshotCount && !this.#isHeld();
    if (!isDue && !this.#isTooLarge()) return;
    this.#cutting = true;
    this.#cut(applied)
      // A store that fails ends the member by itself; one that stops needs no cut.
      .catch((error: unknown) => this.#options.logger.warn('log not cut', {error: String(error)}))
      .finally(() => {
        this.#cutting = false;
      });
  }

  /** Whether a member is being brought back by an image: cut now, the log could not take it on from there. */
  #isHeld(): boolean {
    return this.#sending.size > 0 || this.#options.clock.monotonicMs() < this.#holdUntilMs;
  }

  #isTooLarge(): boolean {
    const {logBytes, appliedLogBytes} = this.#options;
    return logBytes() > RAFT_LOG_BYTES_MAX && appliedLogBytes() >= RAFT_LOG_CUT_BYTES_MIN;
  }

  async #cut(applied: Index): Promise<void> {
    const {store, catchupEntries, compact, termAt, cutLeaving, logger} = this.#options;
    const durable = await store.flush();
    this.#lastCut = applied;
    const cutMax = Math.min(durable.index, applied);
    let index = cutMax - catchupEntries;
    if (this.#isTooLarge()) {
      // Slow followers will need an image, or memory would grow with the value size.
      const atLeast = Math.max(cutLeaving(RAFT_LOG_BYTES_MAX / 2), this.#marker + 1);
      index = Math.max(index, Math.min(atLeast, cutMax));
    }
    // Also: an image has taken the log's place meanwhile.
    if (index <= this.#marker) return;
    const term = termAt(index);
    if (term === undefined) return;
    this.#marker = index;
    compact({index, term});
    logger.info('log cut', {index, applied, durable: durable.index});
  }

  async send(message: SnapshotMessage): Promise<void> {
    const {network, store, clock, logger, snapshotFinished} = this.#options;
    if (this.#sending.has(message.to)) return;
    this.#sending.add(message.to);
    let ok = false;
    try {
      const {mark, reader} = await store.view();
      try {
        const meta = {index: mark.index, term: mark.term, confState: storedConfState(reader)};
        logger.info('snapshot to a member begins', {to: message.to, index: meta.index});
        await network.sendSnapshot(message.to, {...message, meta}, writeStateImage(reader, {clock}));
        ok = true;
        this.#holdUntilMs = clock.monotonicMs() + SNAPSHOT_LOG_HOLD_MS;
        logger.info('snapshot to a member done', {to: message.to, index: meta.index});
      } finally {
        reader.close();
      }
    } catch (error) {
      logger.warn('snapshot to a member failed', {to: message.to, error: String(error)});
    } finally {
      this.#sending.delete(message.to);
      snapshotFinished(message.to, ok);
    }
  }

  /**
   * Fills a fresh backend.
   * @returns false, with nothing read, when the own state is not behind this image
   * @throws EngineError `snapshotInvalid` when it is not the image that was announced, and what reading it throws
   */
  async receive(
    message: SnapshotMessage,
    chunks: AsyncIterable<Uint8Array>,
    applied: Index,
  ): Promise<boolean> {
    const {disk, backendOpener, logger} = this.#options;
    if (message.meta.index <= applied) return false;
    await this.discard();
    const folder = new StoreFolder(disk);
    const path = await folder.newPath();
    const backend = await backendOpener.open(path);
    try {
      const mark = await readStateImage(chunks, backend);
      const {index, term} = message.meta;
      if (mark.index !== index || mark.term !== term) {
        const detail = `the image is of ${mark.index}/${mark.term}, but ${index}/${term} was announced`;
        throw new EngineError({code: 'snapshotInvalid', detail});
      }
      this.#arrived = {index: mark.index, backend, path};
      logger.info('snapshot arrived', {
        from: message.from,
        index: mark.index,
        bytes: backend.size().fileBytes,
      });
      return true;
    } catch (error) {
      await backend.close();
      await folder.remove(path);
      throw error;
    }
  }

  /** Swaps the arrived image in. The caller has stopped applying. */
  async install(index: Index): Promise<void> {
    const arrived = this.#arrived;
    if (arrived === undefined || arrived.index !== index) {
      throw new Error(`no image of index ${index} has arrived`);
    }
    this.#arrived = undefined;
    const old = await this.#options.store.replaceBackend(arrived.backend);
    await old.close();
    await new StoreFolder(this.#options.disk).keepOnly(arrived.path);
    this.#lastCut = index;
    this.#marker = index;
  }

  /** Raft did not want it (a newer state came by the log). */
  async discard(): Promise<void> {
    const arrived = this.#arrived;
    this.#arrived = undefined;
    if (arrived === undefined) return;
    await arrived.backend.close();
    await new StoreFolder(this.#options.disk).remove(arrived.path);
  }
}
