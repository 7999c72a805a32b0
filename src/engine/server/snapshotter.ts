/**
 * Keeps the log short and helps members that fell behind it. Cutting: after `snapshotCount` applied entries (or
 * too many bytes) the log is cut, in memory and on disk, up to what the backend holds durably, less the entries
 * kept for slow followers. Sending: an image of the store at one mark, streamed beside raft's messages. Taking in:
 * the image fills a fresh backend; only when it is whole and durable does raft hear of it.
 */

import {RAFT_LOG_BYTES_MAX} from '../limits.ts';
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
  readonly snapshotFinished: (to: MemberId, ok: boolean) => void;
}

export class Snapshotter {
  readonly #options: SnapshotterOptions;
  readonly #sending = new Set<MemberId>();
  #lastCut: Index;
  #cutting = false;
  /** An image that has arrived and that raft has not decided about. */
  #arrived: {index: Index; backend: Backend; path: string} | undefined;

  constructor(options: SnapshotterOptions, lastCut: Index) {
    this.#options = options;
    this.#lastCut = lastCut;
  }

  /** After each batch of applied entries. */
  consider(applied: Index): void {
    const {snapshotCount, logBytes} = this.#options;
    const due = applied - this.#lastCut >= snapshotCount || logBytes() > RAFT_LOG_BYTES_MAX;
    if (!due || this.#cutting) return;
    this.#cutting = true;
    this.#cut(applied)
      // A store that fails ends the member by itself; one that stops needs no cut.
      .catch((error: unknown) => this.#options.logger.warn('log not cut', {error: String(error)}))
      .finally(() => {
        this.#cutting = false;
      });
  }

  async #cut(applied: Index): Promise<void> {
    const {store, catchupEntries, compact, termAt, logBytes, logger} = this.#options;
    const durable = await store.flush();
    this.#lastCut = applied;
    // Too many bytes: slow followers will need an image, or memory would grow with the value size.
    const kept = logBytes() > RAFT_LOG_BYTES_MAX ? Math.floor(catchupEntries / 10) : catchupEntries;
    const index = Math.min(durable.index, applied) - kept;
    const term = index > 0 ? termAt(index) : undefined;
    if (term === undefined) return;
    compact({index, term});
    logger.info('log cut', {index, applied, durable: durable.index, keptEntries: kept});
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

  /** Fills a fresh backend; resolves with whether raft should be told. */
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
