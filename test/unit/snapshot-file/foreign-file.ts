/** Snapshot files by hand: any page size, buckets in place, buckets in buckets. */

import {
  encodeMetaPage,
  PAGE_LEAF,
  writePageHeader,
} from '../../../src/engine/storage/snapshot-file/page-format.ts';

export interface Item {
  readonly key: string;
  readonly value: Buffer;
  readonly isBucket?: boolean;
}

export function leaf(id: number, items: readonly Item[], pageBytes?: number): Buffer {
  const bytes = 16 + items.reduce((sum, {key, value}) => sum + 16 + key.length + value.length, 0);
  const pages = pageBytes === undefined ? 1 : Math.ceil(bytes / pageBytes);
  const page = Buffer.alloc(pageBytes === undefined ? bytes : pages * pageBytes);
  writePageHeader(page, 0, {id, flags: PAGE_LEAF, count: items.length, overflow: pages - 1});
  let data = 16 + 16 * items.length;
  items.forEach(({key, value, isBucket}, i) => {
    const at = 16 + 16 * i;
    page.writeUInt32LE(isBucket ? 1 : 0, at);
    page.writeUInt32LE(data - at, at + 4);
    page.writeUInt32LE(key.length, at + 8);
    page.writeUInt32LE(value.length, at + 12);
    page.write(key, data, 'latin1');
    value.copy(page, data + key.length);
    data += key.length + value.length;
  });
  return page;
}

export function bucketAt(page: number, inline: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(16);
  header.writeBigUInt64LE(BigInt(page), 0);
  return Buffer.concat([header, inline]);
}

export const item = (key: string, value: string): Item => ({key, value: Buffer.from(value, 'latin1')});

/** Metas, a root on page 2 and whatever comes behind. */
export function fileWith(pageBytes: number, root: readonly Item[], rest: readonly Buffer[] = []): Buffer {
  const rootPage = leaf(2, root, pageBytes);
  const pageCount = 2 + [rootPage, ...rest].reduce((sum, run) => sum + run.length / pageBytes, 0);
  const metas = [0, 1].map((id) =>
    encodeMetaPage(id, {pageBytes, rootPage: 2, pageCount, transaction: BigInt(9 - id)}),
  );
  return Buffer.concat([...metas, rootPage, ...rest]);
}
