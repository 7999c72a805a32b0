/**
 * The log on disk: every entry, vote and term that this member answered for. What `append` resolved for is durable.
 *
 * Two hard decisions. A batch is one write into zeros that are already there and one sync, and no batch starts
 * before the sync of the one before it; so the first damaged batch is also the only one that can be unsynced, and
 * its bytes tell whether it was (wal-tail.ts). And a failed write or sync ends the log for good: the system may
 * have dropped what it could not write, so no second sync proves anything; the member stops and reads what is there.
 *
 * A commit index alone is worth no write: it waits for the next batch or the stop. A start that has not got it
 * learns it from the leader.
 *
 * The format stands in wal-format.ts.
 */

import {assert, EngineError} from '../errors.ts';
import {WAL_SEGMENT_BYTES, WAL_SEGMENT_BYTES_FIRST, WAL_SLOW_SYNC_MS} from '../limits.ts';
import type {DiskFile, Logger} from '../ports.ts';
import type {Entry, HardState} from '../raft/message.ts';
import type {Index} from '../types.ts';
import {BatchEncoder, batchBytes} from './wal-batch.ts';
import type {WalBatch, WalContents, WalPorts} from './wal-contents.ts';
import {batchStart, PREPARED_NAME, SEGMENT_HEADER_BYTES, segmentName, sequenceOf} from './wal-format.ts';
import {encodeSegmentHeader, type SnapshotMarker, type WalMetadata} from './wal-header.ts';
import {createWalMetrics, type WalMetrics} from './wal-metrics.ts';
import {LogOutline} from './wal-outline.ts';
import type {BatchContents} from './wal-record.ts';
import {doubtLeft, foundDoubt, refusal, restoreTail} from './wal-recovery.ts';
import {type Replay, replayWal} from './wal-replay.ts';
import {type Segment, SegmentPreparer} from './wal-segment.ts';

/** The segment that is written on. */
interface ActiveSegment {
  readonly segment: Segment;
  readonly file: DiskFile;
  readonly seed: number;
  /** Behind its last batch; all below is synced. */
  end: number;
  /** The records' checksum up to there. */
  chain: number;
}

export class Wal {
  readonly #ports: WalPorts;
  readonly #logger: Logger;
  readonly #metrics: WalMetrics;
  readonly #metadata: WalMetadata;
  readonly #outline: LogOutline;
  readonly #encoder = new BatchEncoder();
  /** In order; the last one is active. Changed by rotation and purge. */
  readonly #segments: Segment[];
  /** Unset only until `create` or `open` have made it. */
  #active: ActiveSegment | undefined;
  /** As written. */
  #hardState: HardState;
  /** The last marker that is durable. */
  #syncedSnapshot: SnapshotMarker;
  #writtenBytes = 0;
  /** Newer than the written one by its commit index; waits for the next batch. */
  #waitingHardState: HardState | undefined;
  #doubtfulIndex: Index;
  readonly #preparer: SegmentPreparer;
  #isClosing = false;
  /** One append, close or rotation at a time. */
  #isBusy = false;
  /** Set once: the log is dead. */
  #failure: EngineError | undefined;

  private constructor(
    ports: WalPorts,
    start: {
      readonly metadata: WalMetadata;
      readonly outline: LogOutline;
      readonly segments: Segment[];
      readonly hardState: HardState;
      readonly doubtfulIndex: Index;
    },
  ) {
    this.#ports = ports;
    this.#logger = ports.logger.child('wal');
    this.#metrics = createWalMetrics(ports.metrics);
    this.#metadata = start.metadata;
    this.#outline = start.outline;
    this.#syncedSnapshot = start.outline.snapshot;
    this.#segments = start.segments;
    this.#hardState = start.hardState;
    this.#preparer = new SegmentPreparer(ports.disk, ports.folder, (error) => this.#prepareFailed(error));
    this.#doubtfulIndex = start.doubtfulIndex;
  }

  /**
   * Makes a new, empty log. The folder may exist but holds no log; the caller syncs the folder above it.
   * @param options.segmentBytes of the first segment; each next one is twice as large, up to WAL_SEGMENT_BYTES
   */
  static async create(
    options: WalPorts & {readonly metadata: WalMetadata; readonly segmentBytes?: number | undefined},
  ): Promise<Wal> {
    const {disk, folder, metadata} = options;
    await disk.makeFolder(folder);
    const names = await disk.list(folder);
    assert(
      names.every((name) => sequenceOf(name) === undefined),
      'a new log is not made over another',
    );
    const none = {index: 0, term: 0};
    const hardState = {term: 0, vote: 0n, commit: 0};
    const wal = new Wal(options, {
      metadata,
      outline: new LogOutline({lastIndex: 0, snapshot: none}),
      segments: [],
      hardState,
      doubtfulIndex: 0,
    });
    const contents = {snapshot: undefined, entries: [], hardState, cleanStop: false};
    const bytes = options.segmentBytes ?? WAL_SEGMENT_BYTES_FIRST;
    await wal.#rotate(contents, {previousEnd: 0, previousChain: 0, bytes});
    return wal;
  }

  /**
   * Reads the whole log and makes it ready to be written on.
   * @param options.allowDoubtfulTail a member of a cluster sets it: it can catch up from the others
   * @throws EngineError `walCorrupt`, `formatUnsupported`, `disk…`
   */
  static async open(
    options: WalPorts & {readonly allowDoubtfulTail: boolean},
  ): Promise<{wal: Wal; contents: WalContents}> {
    return await Wal.#open(options, options.allowDoubtfulTail ? 'keepDoubt' : 'refuseDoubt');
  }

  /**
   * Cuts a doubtful batch off for good, whatever it held: for a member that has no others to learn it from.
   * Damage anywhere else stays an error.
   * @returns the index up to which acknowledged entries may be lost, 0 when the log was in order; and the last
   *     index that is left
   */
  static async repair(options: WalPorts): Promise<{doubtfulIndex: Index; lastIndex: Index}> {
    const {wal, contents} = await Wal.#open(options, 'dropDoubt');
    const lastIndex = wal.#outline.lastIndex;
    await wal.close();
    return {doubtfulIndex: contents.doubtfulIndex, lastIndex};
  }

  static async #open(ports: WalPorts, mode: DoubtMode): Promise<{wal: Wal; contents: WalContents}> {
    const {disk, folder} = ports;
    const replay = await replayWal(disk, folder);
    const found = foundDoubt(replay);
    if (mode === 'refuseDoubt' && found.doubtfulIndex > 0) throw refusal(disk, replay, found.doubtfulIndex);
    await disk.remove(`${folder}/${PREPARED_NAME}`);
    const {metadata} = replay.lastHeader;
    const doubtfulIndex = mode === 'dropDoubt' ? 0 : found.doubtfulIndex;
    const {outline, segments} = replay;
    const wal = new Wal(ports, {metadata, outline, segments, hardState: found.hardState, doubtfulIndex});
    await wal.#continue(replay, doubtfulIndex !== found.doubtfulIndex);
    const {entries, cleanStop, verdict} = replay;
    const contents = {
      metadata,
      hardState: found.hardState,
      entries,
      snapshot: outline.snapshot,
      doubtfulIndex: found.doubtfulIndex,
      tornBytes: verdict.kind === 'torn' ? verdict.bytes : 0,
      cleanStop,
    };
    wal.#logOpened(contents, verdict);
    return {wal, contents};
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  get sizeBytes(): number {
    return this.#segments.reduce((sum, {bytes}) => sum + bytes, 0);
  }

  /**
   * Resolves when the batch is durable (without `sync`: at once). One call at a time. After a rejection
   * (`diskFull`, `diskError`) nothing is known of the batch, and every later call rejects, too.
   */
  async append(batch: WalBatch): Promise<void> {
    this.#checkAlive();
    if (!batch.sync) {
      this.#wait(batch);
      return;
    }
    const {entries, snapshot} = batch;
    const hardState = batch.hardState ?? this.#waitingHardState;
    if (entries.length === 0 && snapshot === undefined && hardState === undefined) return;
    if (hardState !== undefined) this.#checkHardState(hardState);
    const marker =
      snapshot === undefined ? undefined : {...snapshot, discards: this.#outline.isOutside(snapshot)};
    await this.#write({snapshot: marker, entries: newestEntries(entries), hardState, cleanStop: false});
  }

  /**
   * Removes the oldest segments whose entries all lie below `belowIndex` and not behind the last snapshot marker.
   * May run beside an append. A rejection harms nothing: the next call goes on.
   */
  async purge(belowIndex: Index): Promise<void> {
    this.#checkAlive();
    const {disk, folder} = this.#ports;
    while (this.#segments.length > 1) {
      const [oldest] = this.#segments;
      const isKept = oldest.highestIndex >= belowIndex || oldest.highestIndex > this.#syncedSnapshot.index;
      if (isKept) break;
      assert(oldest !== this.#active?.segment, 'the active segment stays');
      await disk.remove(oldest.path);
      // Before the next one goes: a gap between segments would count as damage.
      await disk.syncFolder(folder);
      this.#segments.shift();
      this.#logger.info('removed a log segment', {path: disk.userPath(oldest.path), belowIndex});
    }
  }

  /** Writes what waits, and the mark of a clean stop. A log that failed is only let go of. */
  async close(): Promise<void> {
    if (this.#isClosing) return;
    assert(!this.#isBusy, 'the log is closed between appends');
    this.#isClosing = true;
    const hardState = this.#waitingHardState;
    try {
      if (this.#failure === undefined) {
        await this.#write({snapshot: undefined, entries: [], hardState, cleanStop: true});
      }
    } finally {
      await this.#preparer.stop();
      await Promise.allSettled([this.#active?.file.close()]);
    }
  }

  /** Keeps a commit index for the next batch. */
  #wait(batch: WalBatch): void {
    assert(batch.entries.length === 0 && batch.snapshot === undefined, 'only a commit index needs no sync');
    if (batch.hardState === undefined) return;
    const {term, vote} = this.#hardState;
    assert(batch.hardState.term === term && batch.hardState.vote === vote, 'a term or a vote needs a sync');
    this.#checkHardState(batch.hardState);
    this.#waitingHardState = batch.hardState;
  }

  /** Raft's own promises, checked once more before they are kept for good. */
  #checkHardState(next: HardState): void {
    const {term, vote, commit} = this.#waitingHardState ?? this.#hardState;
    assert(next.term >= term, 'a term goes back');
    assert(next.term > term || vote === 0n || next.vote === vote, 'a vote changes within its term');
    assert(next.commit >= commit, 'a commit index goes back');
  }

  /** One batch: into the active segment, or as the first one of the next. */
  async #write(contents: BatchContents): Promise<void> {
    assert(!this.#isBusy, 'one append at a time');
    const active = this.#active;
    assert(active !== undefined, 'a log that is written to has been opened');
    this.#isBusy = true;
    try {
      const offset = batchStart(active.end);
      if (offset + batchBytes(contents) <= active.segment.bytes) {
        await this.#writeInto(active, offset, contents);
      } else {
        const bytes = nextSegmentBytes(active.segment);
        await this.#rotate(contents, {previousEnd: active.end, previousChain: active.chain, bytes});
        await active.file.close();
      }
    } catch (error) {
      throw this.#die(error);
    } finally {
      this.#isBusy = false;
    }
    this.#prepareNext();
  }

  async #writeInto(active: ActiveSegment, offset: number, contents: BatchContents): Promise<void> {
    const {seed, chain} = active;
    const summary = this.#take(contents);
    const encoded = this.#encoder.encode(contents, summary, {offset, syncedOffset: active.end, seed, chain});
    await this.#writeAndSync(active.file, offset, [encoded.bytes]);
    assert(offset >= active.end, 'a batch overwrites no other');
    active.end = offset + encoded.bytes.length;
    assert(active.end <= active.segment.bytes, 'a batch fits into its segment');
    active.chain = encoded.chain;
    this.#taken(contents, active.segment);
  }

  /** Begins the next segment with this batch. The file gets its name when both are durable. */
  async #rotate(
    contents: BatchContents,
    from: {readonly previousEnd: number; readonly previousChain: number; readonly bytes: number},
  ): Promise<void> {
    const {disk, folder} = this.#ports;
    const bytesMin = SEGMENT_HEADER_BYTES + batchBytes(contents);
    const {file, bytes} = await this.#preparer.take(Math.max(from.bytes, bytesMin));
    assert(bytes >= bytesMin, 'the next segment has room for the batch that begins it');
    const sequence = this.#segments.length === 0 ? 1 : this.#segments[this.#segments.length - 1].sequence + 1;
    const {lastIndex, snapshot} = this.#outline;
    const header = encodeSegmentHeader({
      sequence,
      segmentBytes: bytes,
      metadata: this.#metadata,
      previousEnd: from.previousEnd,
      previousChain: from.previousChain,
      lastIndex,
      snapshot,
      hardState: this.#hardState,
      doubtfulIndex: doubtLeft(this.#doubtfulIndex, this.#hardState),
    });
    const {seed} = header;
    const place = {offset: SEGMENT_HEADER_BYTES, syncedOffset: 0, seed, chain: seed};
    const encoded = this.#encoder.encode(contents, this.#take(contents), place);
    const path = `${folder}/${segmentName(sequence)}`;
    try {
      await this.#writeAndSync(file, 0, [header.bytes, encoded.bytes]);
      await disk.rename(`${folder}/${PREPARED_NAME}`, path);
      await disk.syncFolder(folder);
    } catch (error) {
      await Promise.allSettled([file.close()]);
      throw error;
    }
    const segment = {sequence, path, bytes, highestIndex: 0};
    const end = SEGMENT_HEADER_BYTES + encoded.bytes.length;
    this.#segments.push(segment);
    this.#active = {segment, file, seed, end, chain: encoded.chain};
    this.#taken(contents, segment);
    this.#logger.info('began a log segment', {path: disk.userPath(path), bytes, lastIndex});
  }

  /** Before the write: what the log will hold. */
  #take(contents: BatchContents) {
    const {snapshot, entries, hardState} = contents;
    if (snapshot !== undefined) {
      requireSound(this.#outline.takeSnapshot(snapshot, {discards: snapshot.discards}));
    }
    if (entries.length > 0) {
      // On a member that lost its tail, committed entries come a second time: behind what it still has.
      const committed = Math.min(this.#hardState.commit, this.#outline.lastIndex);
      assert(entries[0].index > committed, 'entries overwrite what is committed');
      requireSound(this.#outline.takeEntries(entries));
    }
    const {term} = hardState ?? this.#hardState;
    const carriesLog = snapshot !== undefined || entries.length > 0;
    return {lastIndex: this.#outline.lastIndex, term, carriesLog};
  }

  /** After the sync: what the log holds now. */
  #taken(contents: BatchContents, segment: Segment): void {
    const {lastIndex, snapshot} = this.#outline;
    if (contents.entries.length > 0) segment.highestIndex = Math.max(segment.highestIndex, lastIndex);
    if (contents.snapshot !== undefined) {
      segment.highestIndex = Math.max(segment.highestIndex, snapshot.index);
      this.#syncedSnapshot = snapshot;
    }
    if (contents.hardState !== undefined) {
      this.#hardState = contents.hardState;
      this.#waitingHardState = undefined;
    }
  }

  async #writeAndSync(file: DiskFile, offset: number, parts: readonly Buffer[]): Promise<void> {
    const {clock} = this.#ports;
    const startMs = clock.monotonicMs();
    // Without a wait between the two: what else the turn has to do goes on while the disk works.
    const writing = file.write(offset, parts);
    if (writing !== undefined) await writing;
    const writtenMs = clock.monotonicMs();
    await file.sync();
    const syncMs = clock.monotonicMs() - writtenMs;
    this.#metrics.writeSeconds.observe((writtenMs - startMs) / 1000);
    this.#metrics.syncSeconds.observe(syncMs / 1000);
    for (const part of parts) this.#writtenBytes += part.length;
    this.#metrics.writtenBytes.set(this.#writtenBytes);
    if (syncMs >= WAL_SLOW_SYNC_MS) {
      this.#logger.warn('slow sync of the log', {tookMs: Math.round(syncMs), expectedMs: WAL_SLOW_SYNC_MS});
    }
  }

  /** Goes on behind the replayed log: in its last segment, or behind a doubtful batch in a new one. */
  async #continue(replay: Replay, dropsDoubt: boolean): Promise<void> {
    const {disk, folder} = this.#ports;
    const {segments, end, chain, lastHeader} = replay;
    const segment = segments[segments.length - 1];
    const isDoubtful = replay.verdict.kind === 'doubtful';
    const file = await disk.open(segment.path, {create: false});
    try {
      // Behind a damaged batch this is not needed: it was begun after the sync of the one before it.
      if (!isDoubtful) await restoreTail(file, replay);
      // The segment's name may not have been durable yet when the last run ended.
      await disk.syncFolder(folder);
    } catch (error) {
      await Promise.allSettled([file.close()]);
      throw error;
    }
    if (isDoubtful || dropsDoubt) {
      await file.close();
      const contents = {snapshot: undefined, entries: [], hardState: this.#hardState, cleanStop: false};
      const bytes = nextSegmentBytes(segment);
      await this.#rotate(contents, {previousEnd: end, previousChain: chain, bytes});
      return;
    }
    this.#active = {segment, file, seed: lastHeader.seed, end, chain};
  }

  /** Starts to make the next segment once this one is in use. */
  #prepareNext(): void {
    const active = this.#active;
    if (active === undefined || active.end < active.segment.bytes / 8) return;
    this.#preparer.start(nextSegmentBytes(active.segment));
  }

  #prepareFailed(error: unknown): void {
    // The active segment still has room: space may be made until it is full.
    if (error instanceof EngineError && error.code === 'diskFull') {
      this.#logger.warn('no space for the next log segment', {error: error.message});
    } else {
      this.#die(error);
    }
  }

  #checkAlive(): void {
    if (this.#failure !== undefined) throw this.#failure;
    assert(!this.#isClosing, 'a closed log is not used');
  }

  /** @returns what to throw */
  #die(error: unknown): unknown {
    if (!(error instanceof EngineError) || this.#failure !== undefined) return error;
    this.#failure = error;
    this.#logger.error('the log has failed and is closed for good', {error: error.message});
    return error;
  }

  #logOpened(contents: WalContents, verdict: Replay['verdict']): void {
    const {hardState, snapshot, doubtfulIndex, tornBytes, cleanStop} = contents;
    const fields = {
      lastIndex: this.#outline.lastIndex,
      entries: contents.entries.length,
      snapshotIndex: snapshot.index,
      term: hardState.term,
      commit: hardState.commit,
      segments: this.#segments.length,
      cleanStop,
    };
    this.#logger.info('opened the log', fields);
    if (tornBytes > 0) this.#logger.info('cut off a batch that a crash left incomplete', {bytes: tornBytes});
    if (verdict.kind === 'doubtful' || doubtfulIndex > 0) {
      const detail = verdict.kind === 'doubtful' ? verdict.detail : 'found at an earlier start';
      this.#logger.warn('the end of the log is damaged and may have been acknowledged', {
        doubtfulIndex,
        detail,
      });
    }
  }
}

type DoubtMode = 'keepDoubt' | 'refuseDoubt' | 'dropDoubt';

function nextSegmentBytes(segment: Segment): number {
  return Math.min(WAL_SEGMENT_BYTES, segment.bytes * 2);
}

/** Of entries that overwrite others of the same batch (a leader changed while it was gathered), the later ones. */
function newestEntries(entries: readonly Entry[]): readonly Entry[] {
  const isInOrder = entries.every(({index}, i) => i === 0 || index > entries[i - 1].index);
  if (isInOrder) return entries;
  const newest: Entry[] = [];
  for (const entry of entries) {
    while (newest.length > 0 && newest[newest.length - 1].index >= entry.index) newest.pop();
    newest.push(entry);
  }
  return newest;
}

/** Raft hands over nothing that no log goes on with. */
function requireSound(flaw: string | undefined): void {
  assert(flaw === undefined, flaw ?? 'the batch is sound');
}
