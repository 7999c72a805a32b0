/** Reads the whole log: checks every byte up to its end, and judges the end. Changes nothing on disk. */

import {assert, EngineError} from '../errors.ts';
import {asBuffer} from '../lib/bytes.ts';
import {crc32c} from '../lib/crc32c.ts';
import type {Disk, DiskFile} from '../ports.ts';
import type {Entry, HardState} from '../raft/message.ts';
import type {Index} from '../types.ts';
import {applyMask, type BatchHeader, readBatchHeader} from './wal-batch.ts';
import {
  BATCH_BYTES_MIN,
  BATCH_HEADER_BYTES,
  BATCH_TRAILER_BYTES,
  batchStart,
  SEGMENT_HEADER_BYTES,
  segmentName,
  sequenceOf,
} from './wal-format.ts';
import {decodeSegmentHeader, type RootedHeader} from './wal-header.ts';
import {LogOutline} from './wal-outline.ts';
import {type BatchContents, readRecords} from './wal-record.ts';
import {type Segment, SegmentReader} from './wal-segment.ts';
import {judgeTail, type TailVerdict} from './wal-tail.ts';

export interface Replay {
  /** In order, the last one is written on. */
  readonly segments: Segment[];
  readonly lastHeader: RootedHeader;
  readonly outline: LogOutline;
  readonly entries: Entry[];
  readonly hardState: HardState;
  readonly doubtfulIndex: Index;
  /** Of the last valid batch; none in the last segment when its first batch is damaged. */
  readonly lastBatchOffset: number | undefined;
  /** The end of the last valid batch, and the records' checksum there. */
  readonly end: number;
  readonly chain: number;
  /** Where the judged tail begins: the place of the next batch. */
  readonly tailOffset: number;
  readonly verdict: TailVerdict;
  readonly cleanStop: boolean;
}

/** @throws EngineError `walCorrupt` for damage below what is known to be synced, `formatUnsupported`, `disk…` */
export async function replayWal(disk: Disk, folder: string): Promise<Replay> {
  const headers = await readHeaders(disk, folder);
  const replayer = new Replayer(disk, headers);
  for (let i = 0; i < headers.length - 1; i++) await replayer.readClosed(i);
  const replay = await replayer.readLast();
  checkBeginning(disk, folder, headers[0].header, replay.outline);
  return replay;
}

/** Segments are only removed when a snapshot marker stands for all that they held. */
function checkBeginning(disk: Disk, folder: string, first: RootedHeader, {snapshot}: LogOutline): void {
  if (first.lastIndex <= snapshot.index) return;
  throw corrupt(disk, `${folder}/${segmentName(first.sequence - 1)}`, 0, 'the segment is missing');
}

interface FoundSegment {
  readonly header: RootedHeader;
  readonly path: string;
}

async function readHeaders(disk: Disk, folder: string): Promise<FoundSegment[]> {
  const names = (await disk.exists(folder)) ? await disk.list(folder) : [];
  const sequences = names.map(sequenceOf).filter((sequence) => sequence !== undefined);
  if (sequences.length === 0) {
    const path = disk.userPath(folder);
    throw new EngineError({code: 'walCorrupt', path, offset: 0, detail: 'the log has no segment'});
  }
  const found: FoundSegment[] = [];
  for (let sequence = sequences[0]; sequence <= sequences[sequences.length - 1]; sequence++) {
    const path = `${folder}/${segmentName(sequence)}`;
    if (!sequences.includes(sequence)) throw corrupt(disk, path, 0, 'the segment is missing');
    const file = await disk.open(path, {create: false});
    try {
      const bytes = asBuffer(await file.read(0, SEGMENT_HEADER_BYTES));
      const header = decodeSegmentHeader(bytes, disk.userPath(path));
      if (header.sequence !== sequence) throw corrupt(disk, path, 0, 'the segment has the name of another');
      if ((await file.size()) < header.segmentBytes) {
        throw corrupt(disk, path, await file.size(), 'the file is shorter than its header says');
      }
      found.push({header, path});
    } finally {
      await file.close();
    }
  }
  return found;
}

class Replayer {
  readonly #disk: Disk;
  readonly #found: readonly FoundSegment[];
  readonly #segments: Segment[] = [];
  readonly #outline: LogOutline;
  #entries: Entry[] = [];
  #hardState: HardState;
  #doubtfulIndex: Index;
  #chain = 0;
  #end = 0;
  #lastBatchOffset: number | undefined;
  #cleanStop = false;

  constructor(disk: Disk, found: readonly FoundSegment[]) {
    this.#disk = disk;
    this.#found = found;
    const {header} = found[0];
    this.#outline = new LogOutline(header);
    this.#hardState = header.hardState;
    this.#doubtfulIndex = header.doubtfulIndex;
  }

  /** A segment with one behind it: all of it was synced, so all of it must be right. */
  async readClosed(i: number): Promise<void> {
    const {path} = this.#found[i];
    const next = this.#found[i + 1].header;
    await this.#withFile(path, async (file) => {
      this.#begin(i);
      const reader = new SegmentReader(file, {path: this.#disk.userPath(path), limit: next.previousEnd});
      const complete = await this.#readBatches(reader, this.#found[i].header, next.previousEnd);
      if (!complete || this.#end !== next.previousEnd) {
        throw corrupt(
          this.#disk,
          path,
          batchStart(this.#end),
          'a batch is damaged that was synced: a segment follows',
        );
      }
    });
  }

  async readLast(): Promise<Replay> {
    const i = this.#found.length - 1;
    const {header, path} = this.#found[i];
    return await this.#withFile(path, async (file) => {
      this.#begin(i);
      const limit = header.segmentBytes;
      const reader = new SegmentReader(file, {path: this.#disk.userPath(path), limit});
      await this.#readBatches(reader, header, limit);
      const offset = Math.min(batchStart(this.#end), limit);
      const bytes = asBuffer(await file.read(offset, limit - offset));
      const isFirstBatch = this.#lastBatchOffset === undefined;
      const verdict = judgeTail({bytes, offset, seed: header.seed, isFirstBatch});
      if (verdict.kind === 'corrupt') throw corrupt(this.#disk, path, offset, verdict.detail);
      return {
        segments: this.#segments,
        lastHeader: header,
        outline: this.#outline,
        entries: this.#entries,
        hardState: this.#hardState,
        doubtfulIndex: this.#doubtfulIndex,
        lastBatchOffset: this.#lastBatchOffset,
        end: this.#end,
        chain: this.#chain,
        tailOffset: offset,
        verdict,
        cleanStop: this.#cleanStop && verdict.kind === 'end',
      };
    });
  }

  async #withFile<Result>(path: string, use: (file: DiskFile) => Promise<Result>): Promise<Result> {
    const file = await this.#disk.open(path, {create: false});
    try {
      return await use(file);
    } finally {
      await file.close();
    }
  }

  /** The header must go on exactly where the segment before it ended. */
  #begin(i: number): void {
    const {header, path} = this.#found[i];
    if (i > 0) {
      const {metadata} = this.#found[0].header;
      const isSameLog =
        header.previousEnd === this.#end &&
        header.previousChain === this.#chain &&
        header.lastIndex === this.#outline.lastIndex &&
        header.metadata.clusterId === metadata.clusterId &&
        header.metadata.memberId === metadata.memberId;
      if (!isSameLog) throw corrupt(this.#disk, path, 0, 'the segment does not follow the one before it');
      this.#hardState = header.hardState;
      this.#doubtfulIndex = header.doubtfulIndex;
    }
    const {sequence, segmentBytes, seed} = header;
    this.#segments.push({sequence, path, bytes: segmentBytes, highestIndex: 0});
    this.#chain = seed;
    this.#end = SEGMENT_HEADER_BYTES;
    this.#lastBatchOffset = undefined;
  }

  /** Takes batches up to `limit`. @returns false when it met one that is not valid */
  async #readBatches(reader: SegmentReader, segment: RootedHeader, limit: number): Promise<boolean> {
    for (;;) {
      const offset = batchStart(this.#end);
      if (offset + BATCH_BYTES_MIN > limit) return true;
      const head = reader.peek(offset, BATCH_HEADER_BYTES) ?? (await reader.fill(offset, BATCH_HEADER_BYTES));
      const header = readBatchHeader(head, 0, offset, segment.seed);
      // The end bounds what a length field may make us read: never more than the file has.
      if (header === undefined || header.end > limit) return false;
      const length = header.bodyBytes + BATCH_TRAILER_BYTES;
      const at = offset + BATCH_HEADER_BYTES;
      const bytes = reader.peek(at, length) ?? (await reader.fill(at, length));
      const stored = bytes.subarray(0, header.bodyBytes);
      if (crc32c(stored, this.#chain) !== header.bodyCrc) return false;
      this.#take(header, offset, copyUnmasked(stored, header.mask));
    }
  }

  #take(header: BatchHeader, offset: number, body: Buffer): void {
    const contents = readRecords(body);
    const {path} = this.#segments[this.#segments.length - 1];
    if (contents === undefined) throw corrupt(this.#disk, path, offset, 'a batch holds what is no record');
    const flaw = this.#takeContents(contents);
    if (flaw !== undefined) throw corrupt(this.#disk, path, offset, flaw);
    if (header.lastIndex !== this.#outline.lastIndex) {
      throw corrupt(this.#disk, path, offset, 'a batch does not lead to the index that it names');
    }
    this.#chain = header.bodyCrc;
    this.#end = header.end;
    this.#lastBatchOffset = offset;
  }

  /** @returns what is wrong with them: their checksum is right, so a bug or another program wrote them */
  #takeContents({snapshot, entries, hardState, cleanStop}: BatchContents): string | undefined {
    const segment = this.#segments[this.#segments.length - 1];
    if (snapshot !== undefined) {
      const flaw = this.#outline.takeSnapshot(snapshot, {discards: snapshot.discards});
      if (flaw !== undefined) return flaw;
      if (snapshot.discards) this.#entries = [];
      segment.highestIndex = Math.max(segment.highestIndex, snapshot.index);
    }
    if (entries.length > 0) {
      const flaw = this.#outline.takeEntries(entries);
      if (flaw !== undefined) return flaw;
      this.#cutEntries(entries[0].index);
      for (const entry of entries) this.#entries.push(entry);
      segment.highestIndex = Math.max(segment.highestIndex, this.#outline.lastIndex);
    }
    if (hardState !== undefined) this.#hardState = hardState;
    const last = this.#entries.at(-1);
    assert(last === undefined || last.index === this.#outline.lastIndex, 'entries and outline end together');
    assert(
      last === undefined || last.term === this.#outline.termAt(last.index),
      'and agree on the last term',
    );
    this.#cleanStop = cleanStop;
    return undefined;
  }

  /** Removes the entries from `index` on. */
  #cutEntries(index: Index): void {
    if (this.#entries.length === 0) return;
    const kept = index - this.#entries[0].index;
    assert(kept <= this.#entries.length, 'entries leave a gap in the log');
    this.#entries.length = Math.max(0, kept);
  }
}

/** An own copy: entries keep it, and must not keep the whole window. */
function copyUnmasked(stored: Buffer, mask: number): Buffer {
  const body = Buffer.allocUnsafeSlow(stored.length);
  stored.copy(body);
  applyMask(body, mask);
  return body;
}

function corrupt(disk: Disk, path: string, offset: number, detail: string): EngineError {
  return new EngineError({code: 'walCorrupt', path: disk.userPath(path), offset, detail});
}
