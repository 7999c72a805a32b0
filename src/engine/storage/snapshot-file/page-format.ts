/**
 * The pages of etcd's snapshot file: a bbolt database, and behind it the SHA-256 of all its bytes. Numbers are
 * little-endian. A page begins with a header; a run of pages that holds one thing has it only once.
 *
 *     header    id u64 | flags u16 | count u16 | overflow u32 (further pages of the run)
 *     meta      magic u32 | version u32 | page size u32 | flags u32 | root page u64 | sequence u64 |
 *               free list u64 | high-water mark u64 (pages in use) | transaction u64 | FNV-1a of all before u64
 *     leaf      count × (flags u32 | pos u32 | key size u32 | value size u32), then keys and values
 *     branch    count × (pos u32 | key size u32 | child page u64), then keys
 *     bucket    a leaf's value under a flagged element: root page u64 | sequence u64; root 0: a leaf page follows
 *
 * `pos` counts from the start of its own element.
 */

import {assert} from '../../errors.ts';

export const PAGE_HEADER_BYTES = 16;
export const ELEMENT_BYTES = 16;
export const META_BYTES = 64;
export const BUCKET_HEADER_BYTES = 16;
export const DIGEST_BYTES = 32;
/** What is written. Readers take any power of two in between. */
export const PAGE_BYTES = 4096;
export const PAGE_BYTES_MIN = 512;
export const PAGE_BYTES_MAX = 65_536;
/** The database part is a whole number of these: it tells a file with a digest from one without. */
export const DIGEST_SECTOR_BYTES = 512;

export const PAGE_BRANCH = 0x01;
export const PAGE_LEAF = 0x02;
export const PAGE_META = 0x04;

/** An element's flag: its value is a bucket. */
export const ELEMENT_BUCKET = 1;

const MAGIC = 0xed0cdaed;
const VERSION = 2;
const META_CHECKED_BYTES = 56;
/** "Not kept": readers look for free pages themselves. */
const NO_FREE_LIST = 0xffff_ffff_ffff_ffffn;

export interface Meta {
  readonly pageBytes: number;
  readonly rootPage: number;
  /** Pages in use: the first page number behind them. */
  readonly pageCount: number;
  readonly transaction: bigint;
}

export interface PageHeader {
  readonly id: bigint;
  readonly flags: number;
  readonly count: number;
  readonly overflow: number;
}

export function writePageHeader(
  target: Buffer,
  at: number,
  header: {id: number; flags: number; count: number; overflow: number},
): void {
  assert(header.count <= 0xffff, 'a page counts its elements in 16 bits');
  assert(header.overflow <= 0xffff_ffff, 'a run counts its pages in 32 bits');
  target.writeBigUInt64LE(BigInt(header.id), at);
  target.writeUInt16LE(header.flags, at + 8);
  target.writeUInt16LE(header.count, at + 10);
  target.writeUInt32LE(header.overflow, at + 12);
}

export function readPageHeader(page: Buffer): PageHeader {
  return {
    id: page.readBigUInt64LE(0),
    flags: page.readUInt16LE(8),
    count: page.readUInt16LE(10),
    overflow: page.readUInt32LE(12),
  };
}

/** One whole meta page. */
export function encodeMetaPage(id: number, meta: Meta): Buffer {
  assert(meta.rootPage >= 2 && meta.rootPage < meta.pageCount, 'the root is a page in use');
  const page = Buffer.alloc(meta.pageBytes);
  writePageHeader(page, 0, {id, flags: PAGE_META, count: 0, overflow: 0});
  const at = PAGE_HEADER_BYTES;
  page.writeUInt32LE(MAGIC, at);
  page.writeUInt32LE(VERSION, at + 4);
  page.writeUInt32LE(meta.pageBytes, at + 8);
  page.writeBigUInt64LE(BigInt(meta.rootPage), at + 16);
  page.writeBigUInt64LE(NO_FREE_LIST, at + 32);
  page.writeBigUInt64LE(BigInt(meta.pageCount), at + 40);
  page.writeBigUInt64LE(meta.transaction, at + 48);
  page.writeBigUInt64LE(fnv1a(page.subarray(at, at + META_CHECKED_BYTES)), at + META_CHECKED_BYTES);
  return page;
}

/** @returns what is wrong with it, in words, if anything is */
export function decodeMetaPage(page: Buffer): Meta | string {
  if (page.length < PAGE_HEADER_BYTES + META_BYTES) return 'it is cut short';
  const at = PAGE_HEADER_BYTES;
  if (page.readUInt32LE(at) !== MAGIC) return 'it does not begin as a bbolt database';
  if (page.readUInt32LE(at + 4) !== VERSION)
    return `its version is ${page.readUInt32LE(at + 4)}, not ${VERSION}`;
  const checksum = page.readBigUInt64LE(at + META_CHECKED_BYTES);
  if (fnv1a(page.subarray(at, at + META_CHECKED_BYTES)) !== checksum) return 'its checksum is wrong';
  const pageBytes = page.readUInt32LE(at + 8);
  if (pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX || (pageBytes & (pageBytes - 1)) !== 0) {
    return `its page size is ${pageBytes}`;
  }
  const rootPage = page.readBigUInt64LE(at + 16);
  const pageCount = page.readBigUInt64LE(at + 40);
  if (pageCount > BigInt(Number.MAX_SAFE_INTEGER) || rootPage < 2n || rootPage >= pageCount) {
    return `its root page is ${rootPage} of ${pageCount} pages`;
  }
  return {
    pageBytes,
    rootPage: Number(rootPage),
    pageCount: Number(pageCount),
    transaction: page.readBigUInt64LE(at + 48),
  };
}

/** FNV-1a, 64 bits. */
function fnv1a(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}
