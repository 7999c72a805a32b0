/**
 * Where everything will stand in a snapshot file, from the lengths of keys and values alone. The stream announces
 * its length before its first byte, and the pages in front name pages behind them, so the records are walked twice:
 * once to lay them out, once to write them.
 *
 *     0 meta | 1 meta | bucket "alarm": leaves, branches level by level | … | bucket "meta" | root leaf
 *
 * Equal records give an equal file: leaves are filled in key order, a page each unless one record needs more.
 */

import {assert} from '../../errors.ts';
import {compareBytes} from '../../lib/bytes.ts';
import {SNAPSHOT_RUN_BYTES_MAX} from '../../limits.ts';
import type {BackendReader, Clock} from '../../ports.ts';
import {NodeList} from './node-list.ts';
import {Pace} from './pace.ts';
import {DIGEST_BYTES, ELEMENT_BYTES, PAGE_BYTES, PAGE_HEADER_BYTES} from './page-format.ts';
import {BUCKETS, type Bucket, snapshotRecords} from './snapshot-buckets.ts';

/** `bounds[i]` to `bounds[i + 1]`: the children of node i. */
export interface BranchLevel {
  readonly children: NodeList;
  readonly bounds: readonly number[];
  readonly nodes: NodeList;
}

export interface BucketPlan {
  readonly bucket: Bucket;
  /** An empty bucket has one leaf without a record. */
  readonly leaves: NodeList;
  /** From the level above the leaves up to the root; none when the one leaf is the root. */
  readonly levels: readonly BranchLevel[];
  readonly rootPage: number;
}

export interface SnapshotPlan {
  readonly buckets: readonly BucketPlan[];
  /** The leaf that names the buckets; the last page. */
  readonly rootPage: number;
  readonly pageCount: number;
  /** The file: its pages and the digest. */
  readonly totalBytes: number;
}

const NO_KEY = Buffer.alloc(0);
/** bbolt's bounds. */
const KEY_BYTES_MAX = 32_768;
const ELEMENTS_MAX = 65_535;
/** A run of pages that kvd's own reader still takes. */
const VALUE_BYTES_MAX = SNAPSHOT_RUN_BYTES_MAX - 2 * PAGE_BYTES - KEY_BYTES_MAX;

/** Decides with which record a new leaf begins; the same in both walks. */
export class LeafFill {
  #bytes = PAGE_HEADER_BYTES;
  #records = 0;

  get records(): number {
    return this.#records;
  }

  /** Pages of the leaf as it is. */
  get pages(): number {
    return pagesOf(this.#bytes);
  }

  takes(key: Uint8Array, value: Uint8Array): boolean {
    return this.#records === 0 || this.#bytes + ELEMENT_BYTES + key.length + value.length <= PAGE_BYTES;
  }

  add(key: Uint8Array, value: Uint8Array): void {
    assert(key.length > 0, 'bbolt has no place for an empty key');
    assert(key.length <= KEY_BYTES_MAX, 'a key is no longer than bbolt takes');
    assert(value.length <= VALUE_BYTES_MAX, 'a value is no longer than a file of kvd holds');
    assert(this.#records < ELEMENTS_MAX, 'a page counts its elements in 16 bits');
    this.#bytes += ELEMENT_BYTES + key.length + value.length;
    this.#records++;
  }

  clear(): void {
    this.#bytes = PAGE_HEADER_BYTES;
    this.#records = 0;
  }
}

export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

/** The first walk. Takes breath between slices; what it keeps grows with the leaves, not with the records. */
export async function planSnapshot(reader: BackendReader, clock: Clock): Promise<SnapshotPlan> {
  const pace = new Pace(clock);
  const buckets: BucketPlan[] = [];
  let nextPage = 2;
  for (const bucket of BUCKETS) {
    const laidOut = await layOutLeaves({reader, bucket, firstPage: nextPage, pace});
    const {levels, endPage} = layOutBranches(laidOut.leaves, laidOut.endPage);
    const top = levels.length === 0 ? laidOut.leaves : levels[levels.length - 1].nodes;
    assert(top.length === 1, 'a tree has one root');
    buckets.push({bucket, leaves: laidOut.leaves, levels, rootPage: top.page(0)});
    nextPage = endPage;
  }
  assert(buckets.length === BUCKETS.length, 'every bucket has its place');
  const rootPage = nextPage;
  const pageCount = nextPage + 1;
  return {buckets, rootPage, pageCount, totalBytes: pageCount * PAGE_BYTES + DIGEST_BYTES};
}

async function layOutLeaves(options: {
  reader: BackendReader;
  bucket: Bucket;
  firstPage: number;
  pace: Pace;
}): Promise<{leaves: NodeList; endPage: number}> {
  const {reader, bucket, firstPage, pace} = options;
  const leaves = new NodeList();
  const fill = new LeafFill();
  let page = firstPage;
  let last = NO_KEY as Uint8Array;
  for (const [key, value] of snapshotRecords(reader, bucket)) {
    // etcd's tools take a file with keys out of order, and etcd then fails on the first read.
    assert(compareBytes(last, key) < 0, 'a store gives its records in key order');
    last = key;
    if (pace.isDue(key.length + value.length)) await pace.rest();
    if (!fill.takes(key, value)) {
      page += fill.pages;
      fill.clear();
    }
    if (fill.records === 0) leaves.add(page, key);
    fill.add(key, value);
  }
  if (leaves.length === 0) leaves.add(page, NO_KEY);
  return {leaves, endPage: page + fill.pages};
}

function layOutBranches(leaves: NodeList, firstPage: number): {levels: BranchLevel[]; endPage: number} {
  const levels: BranchLevel[] = [];
  let children = leaves;
  let page = firstPage;
  while (children.length > 1) {
    const bounds = groupChildren(children);
    const nodes = new NodeList();
    for (let group = 0; group + 1 < bounds.length; group++) {
      nodes.add(page, children.key(bounds[group]));
      page += pagesOf(branchBytes(children, bounds[group], bounds[group + 1]));
    }
    assert(nodes.length < children.length, 'each level is smaller than the one below');
    levels.push({children, bounds, nodes});
    children = nodes;
  }
  return {levels, endPage: page};
}

/** As many children as fit on a page, but two at least. */
function groupChildren(children: NodeList): number[] {
  const bounds = [0];
  let bytes = PAGE_HEADER_BYTES;
  for (let child = 0; child < children.length; child++) {
    const start = bounds[bounds.length - 1];
    const added = ELEMENT_BYTES + children.key(child).length;
    if (child - start >= 2 && bytes + added > PAGE_BYTES) {
      bounds.push(child);
      bytes = PAGE_HEADER_BYTES;
    }
    bytes += added;
  }
  const last = bounds[bounds.length - 1];
  if (bounds.length > 1 && children.length - last === 1) {
    // A branch with a single child: it gets another from its neighbour, or goes to it when that has just two.
    bounds.pop();
    if (last - bounds[bounds.length - 1] >= 3) bounds.push(last - 1);
  }
  bounds.push(children.length);
  assert(bounds[0] === 0 && bounds.length >= 2, 'every child has a parent');
  return bounds;
}

export function branchBytes(children: NodeList, from: number, to: number): number {
  let bytes = PAGE_HEADER_BYTES;
  for (let child = from; child < to; child++) bytes += ELEMENT_BYTES + children.key(child).length;
  return bytes;
}
