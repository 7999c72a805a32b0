/**
 * Ranges, in etcd's order of things: find keys, filter, sort, cut to the limit, strip values. The count is that of
 * all keys of the range. Values are read only for keys that may be in the answer.
 */

import {assert} from '../../errors.ts';
import {compareBytes, toLatin1} from '../../lib/bytes.ts';
import {DISTANT_BYTES_MIN, RANGE_PART_BYTES, SLICE_KEYS} from '../../limits.ts';
import {type KeyValue, type RangeRequest, type RangeResult, SortOrder, SortTarget} from '../../types.ts';
import {SliceBudget} from '../slice-budget.ts';
import {DistantKeyValue, type ReadAgain} from './distant-key-value.ts';
import {type KeyValueReader, toTextRange} from './key-value-reader.ts';
import type {StoredKeyValue} from './key-value-record.ts';

/** Walking the index costs about this much less per key than reading its value. */
export const INDEX_STEPS_PER_KEY = 16;

interface Found {
  readonly key: string;
  readonly main: number;
  readonly sub: number;
}

/** Whether limit and filters can be told from the index without sorting: the answer is a prefix of the range. */
function isPlain(request: RangeRequest): boolean {
  return request.sortOrder === SortOrder.none && !hasFilters(request);
}

function hasFilters(request: RangeRequest): boolean {
  const {minModRevision, maxModRevision, minCreateRevision, maxCreateRevision} = request;
  return minModRevision !== 0 || maxModRevision !== 0 || minCreateRevision !== 0 || maxCreateRevision !== 0;
}

export interface RangeOptions {
  readonly budget?: SliceBudget;
  /** Values beyond it stay in the store and are read again when they are asked for; see distant-key-value.ts. */
  readonly keptBytes?: number;
}

/** The range as it stands at revision `at`. @throws EngineError compacted when that happens between two slices */
export function* rangeSlices(
  reader: KeyValueReader,
  request: RangeRequest,
  at: number,
  {budget = new SliceBudget(), keptBytes = Number.POSITIVE_INFINITY}: RangeOptions = {},
): Generator<undefined, RangeResult> {
  if (request.rangeEnd.length === 0) return rangeOne(reader, request, at);
  const {count, found} = yield* findKeys(reader, request, at, budget);
  if (request.countOnly) return {kvs: [], more: false, count};

  const {limit} = request;
  const isByIndex = sortsByIndex(request);
  const candidates = isByIndex ? cut(sortFound(found, request), limit) : found;
  if (isByIndex && !request.keysOnly && keptBytes !== Number.POSITIVE_INFINITY) {
    const kvs = yield* loadSome(reader, candidates, {at, budget, keptBytes});
    return {kvs, more: limit > 0 && found.length > limit, count};
  }
  let kvs: StoredKeyValue[] = [];
  for (const {key, main, sub} of candidates) {
    if (budget.isSpent) yield* pause(reader, budget, at);
    const kv = reader.load(key, main, sub);
    budget.spend(1, kv.encoded.length);
    if (isCreatedWithin(kv, request)) kvs.push(kv);
  }
  assert(kvs.length <= count && found.length <= count, 'an answer is part of its range');
  const more = limit > 0 && (isByIndex ? found.length : kvs.length) > limit;
  if (!isByIndex) kvs = cut(sortLoaded(kvs, request), limit);
  return {kvs: strip(kvs, request), more, count};
}

/** Between two slices others go on; what is read may be compacted meanwhile. @throws EngineError compacted */
function* pause(reader: KeyValueReader, budget: SliceBudget, at: number): Generator<undefined, void> {
  yield;
  budget.renew();
  reader.requireReadable(at);
}

/** Every value is looked at, since the answer tells its length before it; only the first of them are kept. */
function* loadSome(
  reader: KeyValueReader,
  candidates: readonly Found[],
  {at, budget, keptBytes}: {at: number; budget: SliceBudget; keptBytes: number},
): Generator<undefined, KeyValue[]> {
  const readAgain: ReadAgain = (kv) => reader.loadAgain(kv, at);
  const kvs: KeyValue[] = [];
  let bytes = 0;
  for (const {key, main, sub} of candidates) {
    if (budget.isSpent) yield* pause(reader, budget, at);
    const kv = reader.load(key, main, sub);
    const length = kv.encoded.length;
    budget.spend(1, length);
    bytes += length;
    const isKept = bytes <= keptBytes || length <= DISTANT_BYTES_MIN;
    kvs.push(isKept ? kv : new DistantKeyValue({modRevision: main, sub, bytes: length, readAgain}));
  }
  return kvs;
}

/**
 * The range in parts of bounded size and in key order; a part may be empty, for the loop to take breath. Only the
 * last carries count and `more`. For requests that neither sort nor filter; others come as one part.
 */
export function* rangeParts(
  reader: KeyValueReader,
  request: RangeRequest,
  at: number,
): Generator<RangeResult, void> {
  if (request.rangeEnd.length === 0 || request.countOnly || !isPlain(request)) {
    yield yield* breathing(rangeSlices(reader, request, at));
    return;
  }
  const {to, from} = toTextRange(request);
  const limit = request.limit > 0 ? request.limit : Number.POSITIVE_INFINITY;
  let next: string | undefined = from;
  let count = 0;
  let kvs: StoredKeyValue[] = [];
  while (next !== undefined && count < limit) {
    let bytes = 0;
    next = reader.index.walk({from: next, to, at, countMax: SLICE_KEYS}, (key, main, sub) => {
      const kv = reader.load(key, main, sub);
      kvs.push(kv);
      count++;
      bytes += kv.encoded.length;
      return bytes >= RANGE_PART_BYTES || count >= limit;
    });
    if (next === undefined) break;
    if (kvs.length > 0) {
      yield {kvs: strip(kvs, request), more: false, count: 0};
      kvs = [];
    } else yield EMPTY_PART;
    reader.requireReadable(at);
  }
  let rest = 0;
  if (next !== undefined) rest = yield* breathing(countKeys(reader, {from: next, to, at}, new SliceBudget()));
  yield {kvs: strip(kvs, request), more: rest > 0, count: count + rest};
}

const EMPTY_PART: RangeResult = {kvs: [], more: false, count: 0};

function* breathing<Result>(slices: Generator<undefined, Result>): Generator<RangeResult, Result> {
  for (;;) {
    const step = slices.next();
    if (step.done) return step.value;
    yield EMPTY_PART;
  }
}

/** Counts without reading a value. */
export function* countKeys(
  reader: KeyValueReader,
  range: {readonly from: string; readonly to: string | undefined; readonly at: number},
  budget: SliceBudget,
): Generator<undefined, number> {
  const {to, at} = range;
  let total = 0;
  let from: string | undefined = range.from;
  for (;;) {
    const countMax = budget.keys * INDEX_STEPS_PER_KEY;
    const {count, next} = reader.index.countSlice({from, to, at, countMax});
    assert(count <= countMax, 'a slice counts no more than it walks');
    total += count;
    budget.spend((next === undefined ? count : countMax) / INDEX_STEPS_PER_KEY, 0);
    if (next === undefined) return total;
    from = next;
    yield* pause(reader, budget, at);
  }
}

function rangeOne(reader: KeyValueReader, request: RangeRequest, at: number): RangeResult {
  const key = toLatin1(request.key);
  const revision = reader.index.find(key, at);
  if (revision === undefined) return {kvs: [], more: false, count: 0};
  if (request.countOnly || !isModifiedWithin(revision.main, request)) return {kvs: [], more: false, count: 1};
  const kv = reader.load(key, revision.main, revision.sub);
  return {kvs: isCreatedWithin(kv, request) ? strip([kv], request) : [], more: false, count: 1};
}

function* findKeys(
  reader: KeyValueReader,
  request: RangeRequest,
  at: number,
  budget: SliceBudget,
): Generator<undefined, {count: number; found: Found[]}> {
  const {from, to} = toTextRange(request);
  if (request.countOnly) return {count: yield* countKeys(reader, {from, to, at}, budget), found: []};
  // One more than the limit tells whether there is more. etcd cuts here even when the sort target will sort what
  // was fetched afterwards (order none, another target than the key), and so its clients see it.
  const foundMax = request.limit > 0 && isPlain(request) ? request.limit + 1 : Number.POSITIVE_INFINITY;
  const found: Found[] = [];
  let count = 0;
  let next: string | undefined = from;
  while (next !== undefined && found.length < foundMax) {
    const countMax = budget.keys;
    const before = count;
    next = reader.index.walk({from: next, to, at, countMax}, (key, main, sub) => {
      count++;
      if (isModifiedWithin(main, request)) found.push({key, main, sub});
      return found.length >= foundMax;
    });
    budget.spend((count - before) / INDEX_STEPS_PER_KEY + 1, 0);
    if (next !== undefined && budget.isSpent) yield* pause(reader, budget, at);
  }
  if (next !== undefined) count += yield* countKeys(reader, {from: next, to, at}, budget);
  return {count, found};
}

/** Whether order and limit follow from what the index knows (key and mod revision). */
function sortsByIndex(request: RangeRequest): boolean {
  const {sortTarget, minCreateRevision, maxCreateRevision} = request;
  const isKnown = sortTarget === SortTarget.key || sortTarget === SortTarget.mod;
  return isKnown && minCreateRevision === 0 && maxCreateRevision === 0;
}

/** `found` is in key order; sorting is stable, so equals stay in it. */
function sortFound(found: Found[], {sortTarget, sortOrder}: RangeRequest): Found[] {
  const isDescending = sortOrder === SortOrder.descend;
  if (sortTarget === SortTarget.key) return isDescending ? found.reverse() : found;
  return found.sort((a, b) => (isDescending ? b.main - a.main : a.main - b.main));
}

function sortLoaded(kvs: StoredKeyValue[], {sortTarget, sortOrder}: RangeRequest): StoredKeyValue[] {
  const isDescending = sortOrder === SortOrder.descend;
  if (sortTarget === SortTarget.key) return isDescending ? kvs.reverse() : kvs;
  const compare = COMPARISONS[sortTarget] ?? COMPARISONS[SortTarget.mod];
  return kvs.sort(isDescending ? (a, b) => compare(b, a) : compare);
}

const COMPARISONS: Readonly<Record<number, (a: KeyValue, b: KeyValue) => number>> = {
  [SortTarget.version]: (a, b) => a.version - b.version,
  [SortTarget.create]: (a, b) => a.createRevision - b.createRevision,
  [SortTarget.mod]: (a, b) => a.modRevision - b.modRevision,
  [SortTarget.value]: (a, b) => compareBytes(a.value, b.value),
};

function isModifiedWithin(main: number, {minModRevision, maxModRevision}: RangeRequest): boolean {
  return (maxModRevision === 0 || main <= maxModRevision) && (minModRevision === 0 || main >= minModRevision);
}

function isCreatedWithin(kv: KeyValue, {minCreateRevision, maxCreateRevision}: RangeRequest): boolean {
  if (maxCreateRevision !== 0 && kv.createRevision > maxCreateRevision) return false;
  return minCreateRevision === 0 || kv.createRevision >= minCreateRevision;
}

function cut<Item>(items: Item[], limit: number): Item[] {
  return limit > 0 && items.length > limit ? items.slice(0, limit) : items;
}

function strip(kvs: readonly StoredKeyValue[], request: RangeRequest): readonly KeyValue[] {
  return request.keysOnly ? kvs.map((kv) => kv.withoutValue()) : kvs;
}
