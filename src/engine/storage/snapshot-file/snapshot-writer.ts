/** Writes a snapshot file as a stream of chunks, from a plan and the same records that it was made from. */

import {assert} from '../../errors.ts';
import {fromLatin1} from '../../lib/bytes.ts';
import {SNAPSHOT_CHUNK_BYTES} from '../../limits.ts';
import type {BackendReader, Clock, Digest} from '../../ports.ts';
import type {TableRecord} from '../../types.ts';
import type {NodeList} from './node-list.ts';
import {Pace} from './pace.ts';
import {
  BUCKET_HEADER_BYTES,
  DIGEST_BYTES,
  ELEMENT_BUCKET,
  ELEMENT_BYTES,
  encodeMetaPage,
  PAGE_BRANCH,
  PAGE_BYTES,
  PAGE_HEADER_BYTES,
  PAGE_LEAF,
  writePageHeader,
} from './page-format.ts';
import {snapshotRecords} from './snapshot-buckets.ts';
import {type BucketPlan, branchBytes, LeafFill, pagesOf, type SnapshotPlan} from './snapshot-plan.ts';

export {planSnapshot, type SnapshotPlan} from './snapshot-plan.ts';

/**
 * The second walk: chunks of {@link SNAPSHOT_CHUNK_BYTES}, the last of the pages as long as it is, then the digest
 * by itself, as etcd sends it. Each chunk is the consumer's to keep. Holds a chunk and a leaf at a time.
 */
export async function* writeSnapshot(
  plan: SnapshotPlan,
  reader: BackendReader,
  options: {readonly clock: Clock; readonly sha256: () => Digest},
): AsyncGenerator<Uint8Array, void> {
  const digest = options.sha256();
  const pace = new Pace(options.clock);
  const sink = new PageSink();
  let sentBytes = 0;
  for (const {bytes, records} of pageRuns(plan, reader, sink)) {
    if (pace.isDue(bytes, records)) await pace.rest();
    for (const chunk of sink.takeFull()) {
      digest.update(chunk);
      sentBytes += chunk.length;
      yield chunk;
    }
  }
  const rest = sink.takeRest();
  if (rest !== undefined) {
    digest.update(rest);
    sentBytes += rest.length;
    yield rest;
  }
  const trailer = digest.finish();
  assert(trailer.length === DIGEST_BYTES, 'the digest is a SHA-256');
  assert(sentBytes + trailer.length === plan.totalBytes, 'a snapshot is as long as it was announced');
  yield trailer;
}

interface Work {
  readonly bytes: number;
  readonly records: number;
}

/** Writes one run of pages after the other into the sink. Yields what each took. */
function* pageRuns(plan: SnapshotPlan, reader: BackendReader, sink: PageSink): IterableIterator<Work> {
  const {rootPage, pageCount} = plan;
  // The newer meta page is the one that counts; bbolt keeps it at the page of its number's parity.
  sink.append(encodeMetaPage(0, {pageBytes: PAGE_BYTES, rootPage, pageCount, transaction: 2n}));
  sink.append(encodeMetaPage(1, {pageBytes: PAGE_BYTES, rootPage, pageCount, transaction: 1n}));
  yield {bytes: 2 * PAGE_BYTES, records: 0};
  for (const bucket of plan.buckets) {
    yield* leafRuns(bucket, reader, sink);
    yield* branchRuns(bucket, sink);
  }
  assert(sink.pages === rootPage, 'the root stands where it was planned');
  const roots = plan.buckets.map((bucket): TableRecord => {
    const header = Buffer.alloc(BUCKET_HEADER_BYTES);
    header.writeBigUInt64LE(BigInt(bucket.rootPage), 0);
    return [fromLatin1(bucket.bucket), header];
  });
  writeLeaf(sink, roots, ELEMENT_BUCKET);
  assert(sink.pages === pageCount, 'the file has as many pages as were planned');
  yield {bytes: PAGE_BYTES, records: roots.length};
}

function* leafRuns(plan: BucketPlan, reader: BackendReader, sink: PageSink): IterableIterator<Work> {
  const fill = new LeafFill();
  let records: TableRecord[] = [];
  let leaf = 0;
  const finish = (): Work => {
    assert(
      leaf < plan.leaves.length && plan.leaves.page(leaf) === sink.pages,
      'leaves stand where they were planned',
    );
    leaf++;
    const work = {bytes: writeLeaf(sink, records, 0), records: records.length};
    fill.clear();
    records = [];
    return work;
  };
  for (const record of snapshotRecords(reader, plan.bucket)) {
    if (!fill.takes(record[0], record[1])) yield finish();
    fill.add(record[0], record[1]);
    records.push(record);
  }
  yield finish();
  assert(leaf === plan.leaves.length, 'there are as many leaves as were planned');
}

function* branchRuns(plan: BucketPlan, sink: PageSink): IterableIterator<Work> {
  for (const {children, bounds, nodes} of plan.levels) {
    for (let node = 0; node < nodes.length; node++) {
      assert(nodes.page(node) === sink.pages, 'branches stand where they were planned');
      const bytes = writeBranch(sink, children, bounds[node], bounds[node + 1]);
      yield {bytes, records: bounds[node + 1] - bounds[node]};
    }
  }
}

function writeLeaf(sink: PageSink, records: readonly TableRecord[], flags: number): number {
  let bytes = PAGE_HEADER_BYTES;
  for (const [key, value] of records) bytes += ELEMENT_BYTES + key.length + value.length;
  const pages = pagesOf(bytes);
  const run = pages === 1 ? sink.page() : Buffer.allocUnsafe(pages * PAGE_BYTES);
  const overflow = pages - 1;
  writePageHeader(run, 0, {id: sink.pages, flags: PAGE_LEAF, count: records.length, overflow});
  let element = PAGE_HEADER_BYTES;
  let data = PAGE_HEADER_BYTES + ELEMENT_BYTES * records.length;
  for (const [key, value] of records) {
    run.writeUInt32LE(flags, element);
    run.writeUInt32LE(data - element, element + 4);
    run.writeUInt32LE(key.length, element + 8);
    run.writeUInt32LE(value.length, element + 12);
    run.set(key, data);
    run.set(value, data + key.length);
    data += key.length + value.length;
    element += ELEMENT_BYTES;
  }
  assert(data === bytes, 'a leaf holds what was counted');
  run.fill(0, data);
  if (pages === 1) sink.pageFilled();
  else sink.append(run);
  return run.length;
}

function writeBranch(sink: PageSink, children: NodeList, from: number, to: number): number {
  assert(to - from >= 2, 'a branch has two children at least');
  const run = Buffer.alloc(pagesOf(branchBytes(children, from, to)) * PAGE_BYTES);
  const overflow = run.length / PAGE_BYTES - 1;
  writePageHeader(run, 0, {id: sink.pages, flags: PAGE_BRANCH, count: to - from, overflow});
  let element = PAGE_HEADER_BYTES;
  let data = PAGE_HEADER_BYTES + ELEMENT_BYTES * (to - from);
  for (let child = from; child < to; child++) {
    const key = children.key(child);
    run.writeUInt32LE(data - element, element);
    run.writeUInt32LE(key.length, element + 4);
    run.writeBigUInt64LE(BigInt(children.page(child)), element + 8);
    assert(children.page(child) < sink.pages, 'children stand in front of their branch');
    run.set(key, data);
    data += key.length;
    element += ELEMENT_BYTES;
  }
  assert(data <= run.length, 'a branch keeps within its pages');
  sink.append(run);
  return run.length;
}

/** Cuts pages into chunks. A chunk is a whole number of pages, so that one page never lies in two. */
class PageSink {
  #pages = 0;
  #chunk = Buffer.allocUnsafeSlow(SNAPSHOT_CHUNK_BYTES);
  #filled = 0;
  #full: Buffer[] = [];

  /** Pages written: the number of the next one. */
  get pages(): number {
    return this.#pages;
  }

  /** The next page's own place in the chunk, to be filled completely; then {@link pageFilled}. */
  page(): Buffer {
    assert(this.#filled + PAGE_BYTES <= SNAPSHOT_CHUNK_BYTES, 'a page never lies in two chunks');
    return this.#chunk.subarray(this.#filled, this.#filled + PAGE_BYTES);
  }

  pageFilled(): void {
    this.#pages++;
    this.#advance(PAGE_BYTES);
  }

  append(run: Buffer): void {
    assert(run.length % PAGE_BYTES === 0, 'a run is whole pages');
    this.#pages += run.length / PAGE_BYTES;
    for (let at = 0; at < run.length; ) {
      const count = Math.min(run.length - at, SNAPSHOT_CHUNK_BYTES - this.#filled);
      run.copy(this.#chunk, this.#filled, at, at + count);
      at += count;
      this.#advance(count);
    }
  }

  takeFull(): Buffer[] {
    if (this.#full.length === 0) return this.#full;
    const full = this.#full;
    this.#full = [];
    return full;
  }

  takeRest(): Buffer | undefined {
    return this.#filled === 0 ? undefined : this.#chunk.subarray(0, this.#filled);
  }

  #advance(bytes: number): void {
    this.#filled += bytes;
    assert(this.#filled <= SNAPSHOT_CHUNK_BYTES, 'a chunk is never overfilled');
    if (this.#filled < SNAPSHOT_CHUNK_BYTES) return;
    this.#full.push(this.#chunk);
    this.#chunk = Buffer.allocUnsafeSlow(SNAPSHOT_CHUNK_BYTES);
    this.#filled = 0;
  }
}
