/**
 * Walks the tree of one bucket in key order, leaf by leaf. Keys must rise strictly through the whole walk, and keep
 * within what the branches above say: that also ends the walk through any tree that damage made circular.
 */

import {assert} from '../../errors.ts';
import {compareBytes} from '../../lib/bytes.ts';
import {SNAPSHOT_TREE_DEPTH_MAX} from '../../limits.ts';
import {
  BUCKET_HEADER_BYTES,
  ELEMENT_BUCKET,
  ELEMENT_BYTES,
  PAGE_BRANCH,
  PAGE_HEADER_BYTES,
  PAGE_LEAF,
  readPageHeader,
} from './page-format.ts';
import {elementRoom, invalid, type PageReader, type PageRun} from './page-reader.ts';

/** What stands under a bucket's name: the page of its root, or (root 0) a leaf in place. */
export interface BucketRoot {
  readonly page: number;
  readonly inline: Buffer | undefined;
}

/** Key and value are views of what was read; whoever keeps them long copies them. */
export interface Element {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly isBucket: boolean;
}

interface Branch {
  readonly page: number;
  readonly keys: readonly Buffer[];
  readonly children: readonly number[];
  /** The child that comes next. */
  next: number;
  /** First key that is too large for this branch; undefined: none is. */
  readonly before: Buffer | undefined;
}

/** @throws EngineError `snapshotInvalid`, of which `fail` tells the place */
export function readBucketRoot(value: Buffer, fail: Fail): BucketRoot {
  if (value.length < BUCKET_HEADER_BYTES) throw fail(`a bucket's header of ${value.length} bytes`);
  const page = value.readBigUInt64LE(0);
  if (page > BigInt(Number.MAX_SAFE_INTEGER)) throw fail(`a bucket's root at page ${page}`);
  const inline = page === 0n ? value.subarray(BUCKET_HEADER_BYTES) : undefined;
  return {page: Number(page), inline};
}

/** Yields the elements of one leaf after the other. @throws EngineError `snapshotInvalid` */
export async function* walkBucket(
  pages: PageReader,
  root: BucketRoot,
): AsyncGenerator<readonly Element[], void> {
  if (root.inline !== undefined) {
    yield readInlineLeaf(root.inline);
    return;
  }
  const branches: Branch[] = [];
  let last: Buffer | undefined;
  let page = root.page;
  let from: Buffer | undefined;
  let before: Buffer | undefined;
  for (;;) {
    const run = await pages.run(page);
    const fail = (detail: string) => pages.invalidPage(page, detail);
    if (run.header.flags === PAGE_BRANCH) {
      if (branches.length >= SNAPSHOT_TREE_DEPTH_MAX) throw fail('the tree is too deep');
      const branch = readBranch(run, {from, before}, fail);
      branches.push(branch);
    } else {
      const elements = readLeaf(run.bytes, run.header.count, fail);
      if (elements.length === 0 && branches.length > 0) throw fail('an empty leaf below a branch');
      checkOrder(elements, {last, from, before}, fail);
      last = elements.at(-1)?.key;
      if (elements.length > 0) yield elements;
    }
    while (
      branches.length > 0 &&
      branches[branches.length - 1].next === branches[branches.length - 1].children.length
    ) {
      branches.pop();
    }
    const branch = branches.at(-1);
    if (branch === undefined) return;
    const child = branch.next++;
    assert(child < branch.children.length, 'an exhausted branch is left');
    assert(branch.keys.length === branch.children.length, 'each child has its key');
    page = branch.children[child];
    from = branch.keys[child];
    before = child + 1 < branch.keys.length ? branch.keys[child + 1] : branch.before;
  }
}

type Fail = (detail: string) => Error;

function readInlineLeaf(bytes: Buffer): Element[] {
  const fail: Fail = (detail) => invalid(`a bucket in its parent's leaf: ${detail}`);
  if (bytes.length < PAGE_HEADER_BYTES) throw fail('it is cut short');
  const header = readPageHeader(bytes);
  if (header.flags !== PAGE_LEAF) throw fail(`it is no leaf (flags ${header.flags})`);
  const elements = readLeaf(bytes, header.count, fail);
  checkOrder(elements, {last: undefined, from: undefined, before: undefined}, fail);
  return elements;
}

function readLeaf(bytes: Buffer, count: number, fail: Fail): Element[] {
  if (count > elementRoom(bytes.length)) throw fail(`${count} elements do not fit`);
  const elements: Element[] = [];
  for (let i = 0; i < count; i++) {
    const at = PAGE_HEADER_BYTES + i * ELEMENT_BYTES;
    const flags = bytes.readUInt32LE(at);
    const keyStart = at + bytes.readUInt32LE(at + 4);
    const keyEnd = keyStart + bytes.readUInt32LE(at + 8);
    const valueEnd = keyEnd + bytes.readUInt32LE(at + 12);
    if (flags > ELEMENT_BUCKET) throw fail(`element ${i} has flags ${flags}`);
    if (keyEnd === keyStart) throw fail(`element ${i} has no key`);
    if (keyStart < PAGE_HEADER_BYTES + count * ELEMENT_BYTES || valueEnd > bytes.length) {
      throw fail(`element ${i} lies outside of its page`);
    }
    elements.push({
      key: bytes.subarray(keyStart, keyEnd),
      value: bytes.subarray(keyEnd, valueEnd),
      isBucket: flags === ELEMENT_BUCKET,
    });
  }
  return elements;
}

function readBranch(
  run: PageRun,
  bounds: {from: Buffer | undefined; before: Buffer | undefined},
  fail: Fail,
): Branch {
  const {bytes, header, page} = run;
  const {count} = header;
  if (count === 0) throw fail('a branch without a child');
  if (count > elementRoom(bytes.length)) throw fail(`${count} elements do not fit`);
  const keys: Buffer[] = [];
  const children: number[] = [];
  for (let i = 0; i < count; i++) {
    const at = PAGE_HEADER_BYTES + i * ELEMENT_BYTES;
    const keyStart = at + bytes.readUInt32LE(at);
    const keyEnd = keyStart + bytes.readUInt32LE(at + 4);
    const child = bytes.readBigUInt64LE(at + 8);
    if (keyStart < PAGE_HEADER_BYTES + count * ELEMENT_BYTES || keyEnd > bytes.length) {
      throw fail(`element ${i} lies outside of its page`);
    }
    if (child > BigInt(Number.MAX_SAFE_INTEGER)) throw fail(`element ${i} leads to page ${child}`);
    // Branches outlive the window that they were read in: there are few, so they get memory of their own.
    keys.push(Buffer.from(bytes.subarray(keyStart, keyEnd)));
    children.push(Number(child));
    if (i > 0 && compareBytes(keys[i - 1], keys[i]) >= 0) throw fail(`key ${i} is out of order`);
  }
  if (bounds.from !== undefined && compareBytes(keys[0], bounds.from) < 0)
    throw fail('its keys begin too early');
  const lastKey = keys[count - 1];
  if (bounds.before !== undefined && compareBytes(lastKey, bounds.before) >= 0)
    throw fail('its keys end too late');
  return {page, keys, children, next: 0, before: bounds.before};
}

function checkOrder(
  elements: readonly Element[],
  bounds: {last: Buffer | undefined; from: Buffer | undefined; before: Buffer | undefined},
  fail: Fail,
): void {
  let {last} = bounds;
  for (let i = 0; i < elements.length; i++) {
    const {key} = elements[i];
    if (last !== undefined && compareBytes(last, key) >= 0) throw fail(`key ${i} is out of order`);
    last = key;
  }
  if (elements.length === 0 || last === undefined) return;
  const {from, before} = bounds;
  if (from !== undefined && compareBytes(elements[0].key, from) < 0) throw fail('its keys begin too early');
  if (before !== undefined && compareBytes(last, before) >= 0) throw fail('its keys end too late');
}
