/** Segment files: filling the next one with zeros ahead of its use, naming it, and reading one in parts. */

import {assert, EngineError} from '../errors.ts';
import {asBuffer} from '../lib/bytes.ts';
import {WAL_PREPARE_STEP_BYTES, WAL_READ_BYTES} from '../limits.ts';
import type {Disk, DiskFile} from '../ports.ts';
import type {Index} from '../types.ts';
import {PREPARED_NAME} from './wal-format.ts';

/** A segment that is part of the log. */
export interface Segment {
  readonly sequence: number;
  readonly path: string;
  readonly bytes: number;
  /** The highest index of any entry or marker in it; 0 when it has none. Raised by whoever appends. */
  highestIndex: Index;
}

/** A file full of zeros, not yet part of the log. */
export interface PreparedSegment {
  readonly file: DiskFile;
  readonly bytes: number;
}

/** Makes the next segment in the background, under its temporary name. */
export class SegmentPreparer {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #onFailure: (error: unknown) => void;
  /** Stays until it is taken; undefined inside: that attempt failed or was called off. */
  #prepared: Promise<PreparedSegment | undefined> | undefined;
  #isStopped = false;

  constructor(disk: Disk, folder: string, onFailure: (error: unknown) => void) {
    this.#disk = disk;
    this.#folder = folder;
    this.#onFailure = onFailure;
  }

  /** Begins with a segment of this size, once until `take`. */
  start(bytes: number): void {
    if (this.#prepared !== undefined || this.#isStopped) return;
    assert(Number.isSafeInteger(bytes) && bytes > 0, 'a segment has a size');
    this.#prepared = this.#make(bytes).catch((error: unknown) => {
      this.#onFailure(error);
      return undefined;
    });
  }

  /** The segment that was begun, or else one made now; larger than begun if one batch needs it. */
  async take(bytes: number): Promise<PreparedSegment> {
    const prepared = await this.#prepared;
    this.#prepared = undefined;
    if (prepared === undefined) {
      const made = await this.#make(bytes);
      if (made === undefined) throw new EngineError({code: 'stopped'});
      return made;
    }
    if (prepared.bytes >= bytes) return prepared;
    await prepared.file.preallocate(bytes);
    return {file: prepared.file, bytes};
  }

  /** Gives up what is not taken. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const prepared = await this.#prepared;
    this.#prepared = undefined;
    if (prepared !== undefined) await discard(this.#disk, `${this.#folder}/${PREPARED_NAME}`, prepared.file);
  }

  /** It syncs every few zeros, so that the log's own syncs in the meantime find the device free. */
  async #make(bytes: number): Promise<PreparedSegment | undefined> {
    const path = `${this.#folder}/${PREPARED_NAME}`;
    await this.#disk.remove(path);
    const file = await this.#disk.open(path, {create: true});
    try {
      for (let filled = 0; filled < bytes && !this.#isStopped; ) {
        filled = Math.min(bytes, filled + WAL_PREPARE_STEP_BYTES);
        await file.preallocate(filled);
        await file.sync();
      }
      if (!this.#isStopped) return {file, bytes};
    } catch (error) {
      await discard(this.#disk, path, file);
      throw error;
    }
    await discard(this.#disk, path, file);
    return undefined;
  }
}

/** Gives the space back; a failure here changes nothing: the file is removed at the next start. */
async function discard(disk: Disk, path: string, file: DiskFile): Promise<void> {
  await Promise.allSettled([file.close()]);
  await Promise.allSettled([disk.remove(path)]);
}

/** Reads a file in parts, from the front to the back. */
export class SegmentReader {
  readonly #file: DiskFile;
  readonly #path: string;
  /** Nothing behind it is read. */
  readonly #limit: number;
  #window: Buffer = Buffer.alloc(0);
  #windowStart = 0;

  constructor(file: DiskFile, options: {readonly path: string; readonly limit: number}) {
    this.#file = file;
    this.#path = options.path;
    this.#limit = options.limit;
  }

  get limit(): number {
    return this.#limit;
  }

  /** The bytes if they are at hand; else call `fill` first. Valid until then. */
  peek(offset: number, length: number): Buffer | undefined {
    const at = offset - this.#windowStart;
    if (at < 0 || at + length > this.#window.length) return undefined;
    return this.#window.subarray(at, at + length);
  }

  async fill(offset: number, length: number): Promise<Buffer> {
    assert(offset >= 0 && offset + length <= this.#limit, 'a read stays inside its segment');
    const count = Math.min(this.#limit - offset, Math.max(length, WAL_READ_BYTES));
    this.#window = asBuffer(await this.#file.read(offset, count));
    this.#windowStart = offset;
    if (this.#window.length < length) {
      const detail = 'the file became shorter while it was read';
      throw new EngineError({code: 'walCorrupt', path: this.#path, offset, detail});
    }
    return this.#window.subarray(0, length);
  }
}
