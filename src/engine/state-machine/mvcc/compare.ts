/** The guards of a transaction, by etcd's rules for what is missing or unknown. */

import {compareBytes, EMPTY_BYTES, toLatin1} from '../../lib/bytes.ts';
import {type Compare, CompareResult, CompareTarget, type KeyValue} from '../../types.ts';
import type {SliceBudget} from '../slice-budget.ts';
import {type KeyValueReader, toTextRange} from './key-value-reader.ts';

/** What an absent key compares as: zero in everything but its value, which equals nothing. */
const ABSENT: KeyValue = {
  key: EMPTY_BYTES,
  createRevision: 0,
  modRevision: 0,
  version: 0,
  value: EMPTY_BYTES,
  lease: 0n,
};

/** Whether all guards hold at `at`; with a range end, for every key of the range. */
export function* compareSlices(
  reader: KeyValueReader,
  compares: readonly Compare[],
  at: number,
  budget: SliceBudget,
): Generator<undefined, boolean> {
  for (const compare of compares) {
    const holds =
      compare.rangeEnd.length === 0
        ? holdsFor(compare, reader.get(toLatin1(compare.key), at))
        : yield* holdsForRange(reader, compare, at, budget);
    if (!holds) return false;
  }
  return true;
}

function* holdsForRange(
  reader: KeyValueReader,
  compare: Compare,
  at: number,
  budget: SliceBudget,
): Generator<undefined, boolean> {
  const {from, to} = toTextRange(compare);
  let next: string | undefined = from;
  let holds = true;
  let isEmpty = true;
  while (next !== undefined && holds) {
    if (budget.isSpent) {
      yield;
      budget.renew();
      reader.requireReadable(at);
    }
    next = reader.index.walk({from: next, to, at, countMax: budget.keys}, (key, main, sub) => {
      const kv = reader.load(key, main, sub);
      budget.spend(1, kv.encoded.length);
      isEmpty = false;
      holds = holdsFor(compare, kv);
      return !holds || budget.isSpent;
    });
  }
  return isEmpty ? holdsFor(compare, undefined) : holds;
}

function holdsFor(compare: Compare, kv: KeyValue | undefined): boolean {
  if (kv === undefined && compare.target === CompareTarget.value) return false;
  const order = orderOf(compare, kv ?? ABSENT);
  if (compare.result === CompareResult.equal) return order === 0;
  if (compare.result === CompareResult.notEqual) return order !== 0;
  if (compare.result === CompareResult.greater) return order > 0;
  if (compare.result === CompareResult.less) return order < 0;
  // etcd lets a guard with an unknown result pass.
  return true;
}

function orderOf(compare: Compare, kv: KeyValue): number {
  const {target} = compare;
  if (target === CompareTarget.version) return kv.version - (compare.version ?? 0);
  if (target === CompareTarget.create) return kv.createRevision - (compare.createRevision ?? 0);
  if (target === CompareTarget.mod) return kv.modRevision - (compare.modRevision ?? 0);
  if (target === CompareTarget.value) return compareBytes(kv.value, compare.value ?? EMPTY_BYTES);
  if (target !== CompareTarget.lease) return 0;
  const lease = compare.lease ?? 0n;
  return kv.lease === lease ? 0 : kv.lease < lease ? -1 : 1;
}
