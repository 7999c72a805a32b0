/**
 * A snapshot file at rest, of kvd or of etcd 3.4 to 3.7: what is in it, and whether it is whole. Memory is bounded
 * whatever its size, and damage of any kind ends in `snapshotInvalid` with the place, never in a crash or a hang.
 */

import {EngineError} from '../../errors.ts';
import {asBuffer, toLatin1} from '../../lib/bytes.ts';
import {SNAPSHOT_READ_AHEAD_BYTES} from '../../limits.ts';
import type {Clock, Digest} from '../../ports.ts';
import type {TableRecord} from '../../types.ts';
import {type BucketRoot, readBucketRoot, walkBucket} from './bucket-walk.ts';
import {
  DIGEST_BYTES,
  DIGEST_SECTOR_BYTES,
  decodeMetaPage,
  META_BYTES,
  type Meta,
  PAGE_BYTES_MAX,
  PAGE_BYTES_MIN,
  PAGE_HEADER_BYTES,
} from './page-format.ts';
import {invalid, PageReader, type RandomAccess} from './page-reader.ts';

/** etcd has ten; a file with more than this was not made by it. */
const BUCKETS_MAX = 1_000;

export class SnapshotFile {
  readonly #file: RandomAccess;
  readonly #meta: Meta;
  readonly #buckets: ReadonlyMap<string, BucketRoot>;
  /** Bytes before the digest. */
  readonly #databaseBytes: number;
  readonly #hasDigest: boolean;

  private constructor(options: {
    file: RandomAccess;
    meta: Meta;
    buckets: ReadonlyMap<string, BucketRoot>;
    databaseBytes: number;
    hasDigest: boolean;
  }) {
    this.#file = options.file;
    this.#meta = options.meta;
    this.#buckets = options.buckets;
    this.#databaseBytes = options.databaseBytes;
    this.#hasDigest = options.hasDigest;
  }

  /** The file stays open and unchanged while this is in use. @throws EngineError `snapshotInvalid` */
  static async open(file: RandomAccess): Promise<SnapshotFile> {
    const bytes = await file.size();
    const hasDigest = bytes % DIGEST_SECTOR_BYTES === DIGEST_BYTES;
    const databaseBytes = hasDigest ? bytes - DIGEST_BYTES : bytes;
    const meta = await chooseMeta(file, databaseBytes);
    if (meta.pageCount > databaseBytes / meta.pageBytes) {
      const needed = meta.pageCount * meta.pageBytes;
      throw invalid(`the database has ${databaseBytes} bytes of ${needed}: the file is cut short`);
    }
    const buckets = await readBuckets(file, meta);
    return new SnapshotFile({file, meta, buckets, databaseBytes, hasDigest});
  }

  /** Bytes of the pages in use: what etcd calls the total size. */
  get totalSize(): number {
    return this.#meta.pageCount * this.#meta.pageBytes;
  }

  /** False: the file is a copy of a database, not a snapshot that was streamed. */
  get hasDigest(): boolean {
    return this.#hasDigest;
  }

  /** Names as latin1, in order. */
  bucketNames(): string[] {
    return [...this.#buckets.keys()];
  }

  /**
   * The records of a bucket in key order, a leaf at a time; none when there is no such bucket. Buckets inside it
   * are passed over. Records are views of what was read: whoever keeps them long copies them.
   * @throws EngineError `snapshotInvalid`
   */
  async *records(bucket: string): AsyncGenerator<readonly TableRecord[], void> {
    const root = this.#buckets.get(bucket);
    if (root === undefined) return;
    for await (const elements of walkBucket(new PageReader(this.#file, this.#meta), root)) {
      yield elements.filter(({isBucket}) => !isBucket).map(({key, value}): TableRecord => [key, value]);
    }
  }

  /** One record, looked for from the bucket's start: for small buckets. */
  async get(bucket: string, key: string): Promise<Uint8Array | undefined> {
    for await (const records of this.records(bucket)) {
      for (const [found, value] of records) if (toLatin1(found) === key) return value;
    }
    return undefined;
  }

  /** @throws EngineError `snapshotInvalid` when the digest is missing or is not that of the bytes */
  async verifyDigest(options: {readonly sha256: () => Digest; readonly clock: Clock}): Promise<void> {
    if (!this.#hasDigest)
      throw invalid('it has no SHA-256 digest: it is a copy of a database, not a saved snapshot');
    const digest = options.sha256();
    for (let at = 0; at < this.#databaseBytes; ) {
      const wanted = Math.min(SNAPSHOT_READ_AHEAD_BYTES, this.#databaseBytes - at);
      const bytes = await this.#file.read(at, wanted);
      if (bytes.length === 0) throw invalid(`the file ends at byte ${at}`);
      digest.update(bytes);
      at += bytes.length;
      await options.clock.yield();
    }
    const found = asBuffer(digest.finish()).toString('hex');
    const stored = asBuffer(await this.#file.read(this.#databaseBytes, DIGEST_BYTES)).toString('hex');
    if (found === stored) return;
    const last = this.#databaseBytes + DIGEST_BYTES - 1;
    const place = await this.#damage();
    throw invalid(
      `something between byte 0 and byte ${last} has changed since it was saved${place}: ` +
        `its SHA-256 digest is ${stored}, but its bytes give ${found}`,
    );
  }

  /** @returns what its structure shows of a damage; empty: nothing, it is in the records themselves */
  async #damage(): Promise<string> {
    try {
      await this.check();
      return '';
    } catch (error) {
      if (error instanceof EngineError && error.failure.code === 'snapshotInvalid')
        return ` (${error.failure.detail})`;
      throw error;
    }
  }

  /**
   * Walks every bucket: all pages referred to are there, are what they should be, and are in order.
   * @throws EngineError `snapshotInvalid`
   */
  async check(): Promise<void> {
    for (const root of this.#buckets.values()) {
      const pages = new PageReader(this.#file, this.#meta);
      for await (const elements of walkBucket(pages, root)) {
        for (const {isBucket, value} of elements) if (isBucket) readBucketRoot(value, invalid);
      }
    }
  }
}

/** The meta page with the higher transaction number among the sound ones; a crash may have spoilt the other. */
async function chooseMeta(file: RandomAccess, databaseBytes: number): Promise<Meta> {
  const metaBytes = PAGE_HEADER_BYTES + META_BYTES;
  if (databaseBytes < 2 * PAGE_BYTES_MIN) throw invalid(`the file has only ${databaseBytes} bytes`);
  const read = async (at: number) => decodeMetaPage(asBuffer(await file.read(at, metaBytes)));
  const first = await read(0);
  if (typeof first !== 'string') {
    const second = await read(first.pageBytes);
    const isSecondNewer =
      typeof second !== 'string' &&
      second.pageBytes === first.pageBytes &&
      second.transaction > first.transaction;
    return isSecondNewer ? second : first;
  }
  // Without the first one, where the second stands depends on the page size that it tells.
  for (let pageBytes = PAGE_BYTES_MIN; pageBytes <= PAGE_BYTES_MAX; pageBytes *= 2) {
    const second = await read(pageBytes);
    if (typeof second !== 'string' && second.pageBytes === pageBytes) return second;
  }
  throw invalid(`its first page cannot be used: ${first}`);
}

async function readBuckets(file: RandomAccess, meta: Meta): Promise<Map<string, BucketRoot>> {
  const buckets = new Map<string, BucketRoot>();
  const root: BucketRoot = {page: meta.rootPage, inline: undefined};
  const pages = new PageReader(file, meta);
  for await (const elements of walkBucket(pages, root)) {
    for (const {key, value, isBucket} of elements) {
      if (!isBucket) continue;
      // The value is a view of what the reader read last; a bucket in place is kept.
      buckets.set(
        toLatin1(key),
        readBucketRoot(Buffer.from(value), (detail) => pages.invalidPage(meta.rootPage, detail)),
      );
      if (buckets.size > BUCKETS_MAX) throw invalid('it has more buckets than any etcd makes');
    }
  }
  return buckets;
}
