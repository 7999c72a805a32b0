/**
 * What is wrong with a key-value request in itself, whatever the state: found before anything is proposed, in etcd's
 * order, so that a request with two faults is refused for the same one.
 */

import {EngineError, type EngineFailure} from '../../../engine/errors.ts';
import {compareBytes, toLatin1} from '../../../engine/lib/bytes.ts';
import {
  type DeleteRangeRequest,
  type KeyRange,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  SortOrder,
  SortTarget,
  type TxnRequest,
} from '../../../engine/types.ts';

export function checkRange(request: RangeRequest): void {
  if (request.key.length === 0) fail({code: 'emptyKey'});
  if (isOutside(request.sortOrder, SortOrder.descend) || isOutside(request.sortTarget, SortTarget.value)) {
    fail({code: 'invalidSortOption'});
  }
}

export function checkPut(request: PutRequest): void {
  if (request.key.length === 0) fail({code: 'emptyKey'});
  if (request.ignoreValue && request.value.length > 0) fail({code: 'valueProvided'});
  if (request.ignoreLease && request.lease !== 0n) fail({code: 'leaseProvided'});
}

export function checkDeleteRange(request: DeleteRangeRequest): void {
  if (request.key.length === 0) fail({code: 'emptyKey'});
}

/** `operationsMax` is the longest list the transaction may have (--max-txn-ops); nested ones get what it leaves. */
export function checkTxn(request: TxnRequest, operationsMax: number): void {
  checkOperations(request, operationsMax);
  checkTouched(request.success);
  checkTouched(request.failure);
}

const isOutside = (value: number, last: number): boolean => value < 0 || value > last;

function fail(failure: EngineFailure): never {
  throw new EngineError(failure);
}

// ---- Each operation by itself -------------------------------------------------------------------------------

function checkOperations({compare, success, failure}: TxnRequest, operationsMax: number): void {
  const operations = Math.max(compare.length, success.length, failure.length);
  if (operations > operationsMax) fail({code: 'tooManyOps', operations, operationsMax});
  for (const {key} of compare) {
    if (key.length === 0) fail({code: 'emptyKey'});
  }
  for (const operation of success) checkOperation(operation, operationsMax - operations);
  for (const operation of failure) checkOperation(operation, operationsMax - operations);
}

function checkOperation(operation: RequestOp, operationsLeft: number): void {
  if (operation.requestRange !== undefined) checkRange(operation.requestRange);
  else if (operation.requestPut !== undefined) checkPut(operation.requestPut);
  else if (operation.requestDeleteRange !== undefined) checkDeleteRange(operation.requestDeleteRange);
  else if (operation.requestTxn !== undefined) checkOperations(operation.requestTxn, operationsLeft);
  // etcd's word for an operation that is none.
  else fail({code: 'keyNotFound'});
}

// ---- Operations against each other --------------------------------------------------------------------------

/** What a list of operations may write: keys put, as sorted text, and ranges deleted. */
interface Touched {
  readonly puts: Set<string>;
  readonly deletes: KeyRange[];
}

/**
 * No key may be put twice, nor put and deleted, by one branch. A nested transaction takes one of its two branches, so
 * these may touch the same keys; what lies around it may not.
 */
function checkTouched(operations: readonly RequestOp[]): Touched {
  const touched: Touched = {puts: new Set(), deletes: []};
  for (const {requestDeleteRange} of operations) {
    if (requestDeleteRange !== undefined) touched.deletes.push(requestDeleteRange);
  }
  for (const {requestTxn} of operations) {
    if (requestTxn !== undefined) joinNested(touched, requestTxn);
  }
  for (const {requestPut} of operations) {
    if (requestPut !== undefined) addPut(touched, toLatin1(requestPut.key), requestPut.key);
  }
  return touched;
}

function joinNested(touched: Touched, {success, failure}: TxnRequest): void {
  const then = checkTouched(success);
  const otherwise = checkTouched(failure);
  for (const key of then.puts) addPut(touched, key, Buffer.from(key, 'latin1'));
  for (const key of otherwise.puts) {
    if (!then.puts.has(key)) addPut(touched, key, Buffer.from(key, 'latin1'));
  }
  touched.deletes.push(...then.deletes, ...otherwise.deletes);
}

function addPut({puts, deletes}: Touched, text: string, key: Uint8Array): void {
  if (puts.has(text) || deletes.some((range) => contains(range, key))) fail({code: 'duplicateKey'});
  puts.add(text);
}

/**
 * As etcd compares them: an end of one 0 byte ("all keys from here") is below every key, so that such a range
 * overlaps with nothing, and a put may follow it.
 */
function contains({key: from, rangeEnd}: KeyRange, key: Uint8Array): boolean {
  const order = compareBytes(key, from);
  return rangeEnd.length === 0 ? order === 0 : order >= 0 && compareBytes(key, rangeEnd) < 0;
}
