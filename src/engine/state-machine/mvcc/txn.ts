/**
 * Transactions in three steps, as etcd does it: (1) all guards, nested ones too, are decided on the state before;
 * (2) everything that could fail in the branches taken is checked; (3) they run, each operation seeing the changes
 * of those before it. After step 2 nothing fails: a transaction happens as a whole or leaves no trace.
 */

import {assert, EngineError} from '../../errors.ts';
import {EMPTY_BYTES, toLatin1} from '../../lib/bytes.ts';
import type {
  DeleteRangeRequest,
  DeleteRangeResult,
  KeyValue,
  PutRequest,
  PutResult,
  RangeRequest,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResult,
} from '../../types.ts';
import type {Lessor} from '../lease/lessor.ts';
import type {SliceBudget} from '../slice-budget.ts';
import {compareSlices} from './compare.ts';
import {type KeyValueReader, toTextRange} from './key-value-reader.ts';
import {rangeSlices} from './range.ts';
import type {WriteTxn} from './write-txn.ts';

/** A transaction whose guards are decided. `nested` holds one for each transaction among `operations`, in order. */
export interface DecidedTxn {
  readonly succeeded: boolean;
  readonly operations: readonly RequestOp[];
  readonly nested: readonly DecidedTxn[];
}

export function* decideTxn(
  reader: KeyValueReader,
  request: TxnRequest,
  at: number,
  budget: SliceBudget,
): Generator<undefined, DecidedTxn> {
  assert(at >= 1, 'guards are decided on a revision');
  const succeeded = yield* compareSlices(reader, request.compare, at, budget);
  const operations = succeeded ? request.success : request.failure;
  const nested: DecidedTxn[] = [];
  for (const {requestTxn} of operations) {
    if (requestTxn !== undefined) nested.push(yield* decideTxn(reader, requestTxn, at, budget));
  }
  return {succeeded, operations, nested};
}

/** Why the branches taken cannot run on the state at `at`, the current revision: puts are looked at first (etcd's way). */
export function checkTxn(
  reader: KeyValueReader,
  decided: DecidedTxn,
  context: {readonly at: number; readonly lessor: Lessor},
): EngineError | undefined {
  return (
    checkEach(decided, ({requestPut}) => requestPut && checkPutInTxn(reader, requestPut, context)) ??
    checkEach(decided, ({requestRange}) => requestRange && checkRange(reader, requestRange, context.at))
  );
}

/** The first refusal among the operations of the branches taken, nested ones in their places. */
function checkEach(
  {operations, nested}: DecidedTxn,
  check: (operation: RequestOp) => EngineError | undefined,
): EngineError | undefined {
  let nestedCount = 0;
  for (const operation of operations) {
    const isTxn = operation.requestTxn !== undefined;
    const refused = isTxn ? checkEach(nested[nestedCount++], check) : check(operation);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

/** Unlike outside a transaction, a negative revision counts as a very old one (etcd's way). */
function checkRange(reader: KeyValueReader, {revision}: RangeRequest, at: number): EngineError | undefined {
  if (revision === 0) return undefined;
  if (revision > at) return new EngineError({code: 'futureRevision', currentRevision: at});
  const {compactRevision} = reader;
  return revision < compactRevision ? new EngineError({code: 'compacted', compactRevision}) : undefined;
}

function checkPutInTxn(
  reader: KeyValueReader,
  request: PutRequest,
  {at, lessor}: {readonly at: number; readonly lessor: Lessor},
): EngineError | undefined {
  const needsKey = request.ignoreValue || request.ignoreLease;
  if (needsKey && reader.index.find(toLatin1(request.key), at) === undefined) {
    return new EngineError({code: 'keyNotFound'});
  }
  return checkLease(request, lessor);
}

/** The checks of a put by itself: the lease first, as etcd does it there. */
export function checkPut(
  reader: KeyValueReader,
  request: PutRequest,
  {at, lessor}: {readonly at: number; readonly lessor: Lessor},
): EngineError | undefined {
  return checkLease(request, lessor) ?? checkPutInTxn(reader, request, {at, lessor});
}

function checkLease({lease}: PutRequest, lessor: Lessor): EngineError | undefined {
  return lease === 0n || lessor.has(lease) ? undefined : new EngineError({code: 'leaseNotFound'});
}

export function* executeTxn(
  txn: WriteTxn,
  decided: DecidedTxn,
  budget: SliceBudget,
): Generator<undefined, TxnResult> {
  const responses: ResponseOp[] = [];
  let nestedCount = 0;
  for (const {requestRange, requestPut, requestDeleteRange, requestTxn} of decided.operations) {
    if (budget.isSpent) {
      yield;
      budget.renew();
    }
    if (requestRange !== undefined) {
      const at = requestRange.revision > 0 ? requestRange.revision : txn.at;
      responses.push({responseRange: yield* rangeSlices(txn.reader, requestRange, at, {budget})});
    } else if (requestPut !== undefined) {
      if (txn.hasUnsettled) yield* txn.listSlices(requestPut.key);
      responses.push({responsePut: put(txn, requestPut)});
      budget.spend(1, requestPut.value.length);
    } else if (requestDeleteRange !== undefined) {
      responses.push({responseDeleteRange: yield* deleteRangeSlices(txn, requestDeleteRange, budget)});
    } else if (requestTxn !== undefined) {
      responses.push({responseTxn: yield* executeTxn(txn, decided.nested[nestedCount++], budget)});
    } else {
      // The listener refuses an empty operation; should one get here, it answers with nothing on every member.
      responses.push({});
    }
  }
  assert(nestedCount === decided.nested.length, 'every decided transaction ran');
  assert(responses.length === decided.operations.length, 'every operation is answered in its place');
  return {succeeded: decided.succeeded, responses};
}

/** Runs a checked put. */
export function put(txn: WriteTxn, request: PutRequest): PutResult {
  const {key, ignoreValue, ignoreLease, prevKv} = request;
  // A key that an earlier operation of the same transaction deleted cannot lend its value: it counts as empty.
  const previous = ignoreValue || ignoreLease || prevKv ? txn.reader.get(toLatin1(key), txn.at) : undefined;
  txn.put({
    key,
    value: ignoreValue ? (previous?.value ?? EMPTY_BYTES) : request.value,
    lease: ignoreLease ? (previous?.lease ?? 0n) : request.lease,
  });
  return {prevKv: prevKv ? previous : undefined};
}

export function* deleteRangeSlices(
  txn: WriteTxn,
  request: DeleteRangeRequest,
  budget: SliceBudget,
): Generator<undefined, DeleteRangeResult> {
  if (request.rangeEnd.length === 0) return deleteKeys(txn, [toLatin1(request.key)], request.prevKv, budget);
  const {from, to} = toTextRange(request);
  const prevKvs: KeyValue[] = [];
  let deleted = 0;
  let next: string | undefined = from;
  while (next !== undefined) {
    if (budget.isSpent) {
      yield;
      budget.renew();
    }
    const keys: string[] = [];
    next = txn.reader.index.walk({from: next, to, at: txn.main, countMax: budget.keys}, (key) => {
      keys.push(key);
      return undefined;
    });
    // A stretch of keys that were deleted earlier costs its walk, too.
    if (keys.length === 0) budget.spend(1, 0);
    const result = deleteKeys(txn, keys, request.prevKv, budget);
    deleted += result.deleted;
    for (const kv of result.prevKvs) prevKvs.push(kv);
  }
  return {deleted, prevKvs};
}

/** Deletes those of the keys that live. */
export function deleteKeys(
  txn: WriteTxn,
  keys: readonly string[],
  prevKv: boolean,
  budget: SliceBudget,
): DeleteRangeResult {
  const prevKvs: KeyValue[] = [];
  let deleted = 0;
  for (const key of keys) {
    const revision = txn.reader.index.find(key, txn.main);
    if (revision === undefined) continue;
    if (prevKv) {
      const kv = txn.reader.load(key, revision.main, revision.sub);
      prevKvs.push(kv);
      budget.spend(0, kv.encoded.length);
    }
    txn.delete(key);
    deleted++;
  }
  assert(prevKvs.length === (prevKv ? deleted : 0), 'what is deleted is shown if asked for');
  budget.spend(keys.length, 0);
  return {deleted, prevKvs};
}

/** Whether no branch at any depth writes: such a transaction needs no log entry. */
export function isReadOnlyTxn({success, failure}: TxnRequest): boolean {
  const isReadOnly = ({requestPut, requestDeleteRange, requestTxn}: RequestOp): boolean =>
    requestPut === undefined &&
    requestDeleteRange === undefined &&
    (requestTxn === undefined || isReadOnlyTxn(requestTxn));
  return success.every(isReadOnly) && failure.every(isReadOnly);
}
