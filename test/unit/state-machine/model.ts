/** A store so simple that it must be right: every revision is a whole copy of all keys. */

import {type RangeRequest, SortOrder, SortTarget} from '../../../src/engine/types.ts';
import {text} from './machine.ts';

export interface ModelKeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

export class ModelStore {
  /** By revision; index 0 is unused, 1 is the empty store. */
  readonly #states: ReadonlyMap<string, ModelKeyValue>[] = [new Map(), new Map()];
  /** All changes, as `put key=value@revision` and `del key@revision`. */
  readonly changes: string[] = [];
  #open: Map<string, ModelKeyValue> | undefined;

  get revision(): number {
    return this.#states.length - 1;
  }

  get now(): ReadonlyMap<string, ModelKeyValue> {
    return this.#open ?? this.#states[this.revision];
  }

  at(revision: number): ReadonlyMap<string, ModelKeyValue> {
    return this.#states[revision];
  }

  /** Runs changes as one revision; none, if there were none. */
  write<Result>(changes: () => Result): Result {
    const result = changes();
    if (this.#open !== undefined) this.#states.push(this.#open);
    this.#open = undefined;
    return result;
  }

  put(key: string, value: string, lease = 0n): void {
    const before = this.now.get(key);
    const modRevision = this.revision + 1;
    const createRevision = before?.createRevision ?? modRevision;
    const version = (before?.version ?? 0) + 1;
    this.#edit().set(key, {key, value, createRevision, modRevision, version, lease});
    this.changes.push(`put ${key}=${value}@${modRevision}`);
  }

  /** @returns how many keys went */
  delete(key: string, rangeEnd: string): number {
    const keys = this.keys(this.now, key, rangeEnd);
    for (const one of keys) {
      this.#edit().delete(one);
      this.changes.push(`del ${one}@${this.revision + 1}`);
    }
    return keys.length;
  }

  keys(state: ReadonlyMap<string, ModelKeyValue>, key: string, rangeEnd: string): string[] {
    const isIn = (one: string) =>
      rangeEnd === '' ? one === key : one >= key && (rangeEnd === '\0' || one < rangeEnd);
    return [...state.keys()].filter(isIn).sort();
  }

  range(request: RangeRequest): {kvs: ModelKeyValue[]; more: boolean; count: number} {
    const state = request.revision > 0 ? this.at(request.revision) : this.now;
    const keys = this.keys(state, text(request.key), text(request.rangeEnd));
    if (request.countOnly) return {kvs: [], more: false, count: keys.length};
    const {limit, sortOrder, sortTarget} = request;
    const found = keys.map((key) => state.get(key) as ModelKeyValue);
    // etcd fetches limit + 1 keys when it thinks that order and filters are not asked for.
    const fetched =
      limit > 0 && sortOrder === SortOrder.none && !hasFilters(request) ? found.slice(0, limit + 1) : found;
    const kept = fetched.filter((kv) => passes(kv, request));
    const isSorted = sortOrder !== SortOrder.none || sortTarget !== SortTarget.key;
    const sorted = isSorted
      ? kept.sort((a, b) => order(a, b, sortTarget) * (sortOrder === SortOrder.descend ? -1 : 1))
      : kept;
    const more = limit > 0 && sorted.length > limit;
    const kvs = (more ? sorted.slice(0, limit) : sorted).map((kv) =>
      request.keysOnly ? {...kv, value: ''} : kv,
    );
    return {kvs, more, count: keys.length};
  }

  #edit(): Map<string, ModelKeyValue> {
    this.#open ??= new Map(this.#states[this.revision]);
    return this.#open;
  }
}

function hasFilters({
  minModRevision,
  maxModRevision,
  minCreateRevision,
  maxCreateRevision,
}: RangeRequest): boolean {
  return [minModRevision, maxModRevision, minCreateRevision, maxCreateRevision].some((bound) => bound !== 0);
}

function passes(kv: ModelKeyValue, request: RangeRequest): boolean {
  const {minModRevision, maxModRevision, minCreateRevision, maxCreateRevision} = request;
  return (
    kv.modRevision >= minModRevision &&
    (maxModRevision === 0 || kv.modRevision <= maxModRevision) &&
    kv.createRevision >= minCreateRevision &&
    (maxCreateRevision === 0 || kv.createRevision <= maxCreateRevision)
  );
}

function order(a: ModelKeyValue, b: ModelKeyValue, target: number): number {
  const field = {
    [SortTarget.key]: 'key',
    [SortTarget.version]: 'version',
    [SortTarget.create]: 'createRevision',
    [SortTarget.mod]: 'modRevision',
    [SortTarget.value]: 'value',
  }[target] as keyof ModelKeyValue;
  return a[field] < b[field] ? -1 : a[field] > b[field] ? 1 : 0;
}
