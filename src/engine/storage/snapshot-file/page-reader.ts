/**
 * Reads the pages of a snapshot file, any file that claims to be one included: whatever a page says of itself is
 * checked before it is believed, and nothing is allocated on its word alone.
 */

import {assert, EngineError} from '../../errors.ts';
import {asBuffer} from '../../lib/bytes.ts';
import {SNAPSHOT_READ_AHEAD_BYTES, SNAPSHOT_RUN_BYTES_MAX} from '../../limits.ts';
import {
  PAGE_BRANCH,
  PAGE_BYTES_MAX,
  PAGE_BYTES_MIN,
  PAGE_HEADER_BYTES,
  PAGE_LEAF,
  type PageHeader,
  readPageHeader,
} from './page-format.ts';

/** A file at rest; a DiskFile is one. */
export interface RandomAccess {
  /** May give less at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  size(): Promise<number>;
}

/** A run of pages that holds one branch or leaf. */
export interface PageRun {
  readonly page: number;
  readonly header: PageHeader;
  /** Header and all; a view. */
  readonly bytes: Buffer;
}

export class PageReader {
  readonly #file: RandomAccess;
  readonly #pageBytes: number;
  readonly #pageCount: number;
  /** What was read last. */
  #window: Buffer = Buffer.alloc(0);
  #windowAt = 0;

  constructor(file: RandomAccess, geometry: {readonly pageBytes: number; readonly pageCount: number}) {
    this.#file = file;
    assert(
      geometry.pageBytes >= PAGE_BYTES_MIN && geometry.pageBytes <= PAGE_BYTES_MAX,
      'the geometry is checked',
    );
    assert(Number.isSafeInteger(geometry.pageBytes * geometry.pageCount), 'the file fits its own positions');
    this.#pageBytes = geometry.pageBytes;
    this.#pageCount = geometry.pageCount;
  }

  /** @throws EngineError `snapshotInvalid` for anything but a branch or leaf that is where it says it is */
  async run(page: number): Promise<PageRun> {
    if (page < 2 || page >= this.#pageCount) {
      throw this.invalidPage(page, `it is referred to, but the file has pages 2 to ${this.#pageCount - 1}`);
    }
    const header = readPageHeader(await this.#read(page * this.#pageBytes, this.#pageBytes));
    if (header.id !== BigInt(page)) throw this.invalidPage(page, `it says that it is page ${header.id}`);
    if (header.flags !== PAGE_BRANCH && header.flags !== PAGE_LEAF) {
      throw this.invalidPage(page, `it is neither branch nor leaf (flags ${header.flags})`);
    }
    const pages = header.overflow + 1;
    if (page + pages > this.#pageCount)
      throw this.invalidPage(page, `its ${pages} pages run past the last one`);
    const length = pages * this.#pageBytes;
    if (length > SNAPSHOT_RUN_BYTES_MAX) throw this.invalidPage(page, `it claims ${length} bytes`);
    return {page, header, bytes: await this.#read(page * this.#pageBytes, length)};
  }

  invalidPage(page: number, detail: string): EngineError {
    return invalid(`page ${page} at byte ${page * this.#pageBytes}: ${detail}`);
  }

  async #read(position: number, length: number): Promise<Buffer> {
    const windowEnd = this.#windowAt + this.#window.length;
    if (position >= this.#windowAt && position + length <= windowEnd) return this.#view(position, length);
    // Walks go forward through the file, with gaps: what is asked for just behind the last window is followed by
    // more of it. Anything else is read by itself.
    const isForward = position >= this.#windowAt && position <= windowEnd + this.#window.length;
    const ahead = isForward
      ? Math.min(SNAPSHOT_READ_AHEAD_BYTES, 2 * this.#window.length)
      : 4 * this.#pageBytes;
    const fileEnd = this.#pageCount * this.#pageBytes;
    const wanted = Math.min(Math.max(length, ahead), fileEnd - position);
    assert(position >= 0 && position + length <= fileEnd, 'only pages in use are read');
    assert(wanted >= length && wanted <= SNAPSHOT_RUN_BYTES_MAX, 'a read is bounded');
    this.#window = asBuffer(await this.#file.read(position, wanted));
    this.#windowAt = position;
    if (this.#window.length < length)
      throw invalid(`the file ends at byte ${position + this.#window.length}`);
    return this.#view(position, length);
  }

  #view(position: number, length: number): Buffer {
    const start = position - this.#windowAt;
    assert(start >= 0 && start + length <= this.#window.length, 'a view lies in what was read');
    return this.#window.subarray(start, start + length);
  }
}

export function invalid(detail: string, cause?: unknown): EngineError {
  return new EngineError({code: 'snapshotInvalid', detail}, cause);
}

/** Room for this many elements of 16 bytes behind the header of a page of that length. */
export function elementRoom(bytes: number): number {
  return Math.floor((bytes - PAGE_HEADER_BYTES) / 16);
}
