/** Files as kvd does not write them: other page sizes, buckets in place, buckets in buckets, newer second metas. */

import {describe, expect, it} from 'vitest';
import {encodeMetaPage} from '../../../src/engine/storage/snapshot-file/page-format.ts';
import {SnapshotFile} from '../../../src/engine/storage/snapshot-file/snapshot-file.ts';
import {bucketAt, fileWith, item, leaf} from './foreign-file.ts';
import {fileOf} from './snapshot-samples.ts';

async function read(bytes: Buffer, bucket: string): Promise<[string, string][]> {
  const file = await SnapshotFile.open(fileOf(bytes));
  await file.check();
  const found: [string, string][] = [];
  for await (const records of file.records(bucket)) {
    for (const [key, value] of records)
      found.push([Buffer.from(key).toString(), Buffer.from(value).toString()]);
  }
  return found;
}

describe('foreign snapshot files', () => {
  it.each([512, 1024, 4096, 16_384, 65_536])('Ensure that pages of %i bytes are read.', async (pageBytes) => {
    const inline = leaf(0, [item('a', '1'), item('b', '')]);
    const large = 'x'.repeat(70_000);
    const root = [
      {key: 'key', value: bucketAt(0, inline), isBucket: true},
      {key: 'lease', value: bucketAt(3), isBucket: true},
    ];
    const bytes = fileWith(pageBytes, root, [leaf(3, [item('large', large)], pageBytes)]);
    expect(await read(bytes, 'key')).toEqual([
      ['a', '1'],
      ['b', ''],
    ]);
    expect(await read(bytes, 'lease')).toEqual([['large', large]]);
    expect(await read(bytes, 'none')).toEqual([]);
    bytes.fill(0, 0, 100);
    expect(await read(bytes, 'key')).toHaveLength(2);
  });

  it('Ensure that buckets in buckets, and records beside buckets, are passed over.', async () => {
    const inner = bucketAt(0, leaf(0, [item('deep', 'x')]));
    const inline = leaf(0, [item('a', '1'), {key: 'b', value: inner, isBucket: true}, item('c', '2')]);
    const root = [item('beside', 'y'), {key: 'key', value: bucketAt(0, inline), isBucket: true}];
    expect(await read(fileWith(512, root), 'key')).toEqual([
      ['a', '1'],
      ['c', '2'],
    ]);
  });

  it('Ensure that the newer meta page counts.', async () => {
    const bytes = fileWith(512, [
      {key: 'key', value: bucketAt(0, leaf(0, [item('a', 'new')])), isBucket: true},
    ]);
    const old = leaf(3, [{key: 'key', value: bucketAt(0, leaf(0, [item('a', 'old')])), isBucket: true}], 512);
    const both = Buffer.concat([bytes, old]);
    const metaOf = (id: number, rootPage: number, transaction: bigint): Buffer =>
      encodeMetaPage(id, {pageBytes: 512, rootPage, pageCount: 4, transaction});
    metaOf(0, 3, 5n).copy(both, 0);
    metaOf(1, 2, 6n).copy(both, 512);
    expect(await read(both, 'key')).toEqual([['a', 'new']]);
    metaOf(0, 3, 7n).copy(both, 0);
    expect(await read(both, 'key')).toEqual([['a', 'old']]);
  });

  it('Ensure that keys out of order are refused, which etcd itself only notices when it reads.', async () => {
    const inline = leaf(0, [item('b', '1'), item('a', '2')]);
    const bytes = fileWith(512, [{key: 'key', value: bucketAt(0, inline), isBucket: true}]);
    await expect(read(bytes, 'key')).rejects.toThrow('out of order');
  });
});
