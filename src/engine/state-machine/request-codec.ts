/** The key-value requests inside a proposal's bytes (see command-codec.ts). Bits and tags stand in logs: add, never change. */

import {EngineError} from '../errors.ts';
import type {ByteWriter} from '../lib/byte-writer.ts';
import {type ByteReader, DamagedBytesError} from '../lib/varint.ts';
import {TXN_DEPTH_MAX} from '../limits.ts';
import type {Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest} from '../types.ts';

const PUT = {prevKv: 1, ignoreValue: 2, ignoreLease: 4, hasLease: 8} as const;

export function writePut(to: ByteWriter, request: PutRequest): void {
  const {key, value, lease, prevKv, ignoreValue, ignoreLease} = request;
  to.byte(
    (prevKv ? PUT.prevKv : 0) |
      (ignoreValue ? PUT.ignoreValue : 0) |
      (ignoreLease ? PUT.ignoreLease : 0) |
      (lease === 0n ? 0 : PUT.hasLease),
  );
  to.prefixed(key);
  to.prefixed(value);
  if (lease !== 0n) to.uint64(lease);
}

export function readPut(from: ByteReader): PutRequest {
  const flags = from.byte();
  const key = from.prefixed();
  const value = from.prefixed();
  const lease = flags & PUT.hasLease ? BigInt.asIntN(64, from.uint64()) : 0n;
  return {
    key,
    value,
    lease,
    prevKv: (flags & PUT.prevKv) !== 0,
    ignoreValue: (flags & PUT.ignoreValue) !== 0,
    ignoreLease: (flags & PUT.ignoreLease) !== 0,
  };
}

export function writeDeleteRange(to: ByteWriter, {key, rangeEnd, prevKv}: DeleteRangeRequest): void {
  to.byte(prevKv ? 1 : 0);
  to.prefixed(key);
  to.prefixed(rangeEnd);
}

export function readDeleteRange(from: ByteReader): DeleteRangeRequest {
  const prevKv = from.byte() === 1;
  return {key: from.prefixed(), rangeEnd: from.prefixed(), prevKv};
}

const RANGE_BOOLEANS = ['serializable', 'keysOnly', 'countOnly'] as const;
const RANGE_NUMBERS = [
  'limit',
  'revision',
  'sortOrder',
  'sortTarget',
  'minModRevision',
  'maxModRevision',
  'minCreateRevision',
  'maxCreateRevision',
] as const;

function writeRange(to: ByteWriter, request: RangeRequest): void {
  let booleans = 0;
  RANGE_BOOLEANS.forEach((name, bit) => {
    if (request[name]) booleans |= 1 << bit;
  });
  let numbers = 0;
  RANGE_NUMBERS.forEach((name, bit) => {
    if (request[name] !== 0) numbers |= 1 << bit;
  });
  to.byte(booleans);
  to.byte(numbers);
  to.prefixed(request.key);
  to.prefixed(request.rangeEnd);
  for (const name of RANGE_NUMBERS) {
    if (request[name] !== 0) to.float64(request[name]);
  }
}

function readRange(from: ByteReader): RangeRequest {
  const booleans = from.byte();
  const numbers = from.byte();
  const key = from.prefixed();
  const rangeEnd = from.prefixed();
  const [limit, revision, sortOrder, sortTarget, minMod, maxMod, minCreate, maxCreate] = RANGE_NUMBERS.map(
    (_name, bit) => (numbers & (1 << bit) ? from.float64() : 0),
  );
  return {
    key,
    rangeEnd,
    limit,
    revision,
    sortOrder,
    sortTarget,
    minModRevision: minMod,
    maxModRevision: maxMod,
    minCreateRevision: minCreate,
    maxCreateRevision: maxCreate,
    serializable: (booleans & 1) !== 0,
    keysOnly: (booleans & 2) !== 0,
    countOnly: (booleans & 4) !== 0,
  };
}

const COMPARE = {version: 1, createRevision: 2, modRevision: 4, value: 8, lease: 16} as const;

function writeCompare(to: ByteWriter, compare: Compare): void {
  const {version, createRevision, modRevision, value, lease} = compare;
  to.prefixed(compare.key);
  to.prefixed(compare.rangeEnd);
  to.float64(compare.result);
  to.float64(compare.target);
  to.byte(
    (version === undefined ? 0 : COMPARE.version) |
      (createRevision === undefined ? 0 : COMPARE.createRevision) |
      (modRevision === undefined ? 0 : COMPARE.modRevision) |
      (value === undefined ? 0 : COMPARE.value) |
      (lease === undefined ? 0 : COMPARE.lease),
  );
  if (version !== undefined) to.float64(version);
  if (createRevision !== undefined) to.float64(createRevision);
  if (modRevision !== undefined) to.float64(modRevision);
  if (value !== undefined) to.prefixed(value);
  if (lease !== undefined) to.uint64(lease);
}

function readCompare(from: ByteReader): Compare {
  const key = from.prefixed();
  const rangeEnd = from.prefixed();
  const result = from.float64();
  const target = from.float64();
  const present = from.byte();
  return {
    key,
    rangeEnd,
    result,
    target,
    version: present & COMPARE.version ? from.float64() : undefined,
    createRevision: present & COMPARE.createRevision ? from.float64() : undefined,
    modRevision: present & COMPARE.modRevision ? from.float64() : undefined,
    value: present & COMPARE.value ? from.prefixed() : undefined,
    lease: present & COMPARE.lease ? BigInt.asIntN(64, from.uint64()) : undefined,
  };
}

/** `depth`: 1 for the outermost transaction. @throws EngineError tooManyOps */
export function writeTxn(to: ByteWriter, {compare, success, failure}: TxnRequest, depth: number): void {
  if (depth > TXN_DEPTH_MAX) {
    throw new EngineError({code: 'tooManyOps', operations: depth, operationsMax: TXN_DEPTH_MAX});
  }
  to.varint(compare.length);
  for (const one of compare) writeCompare(to, one);
  for (const branch of [success, failure]) {
    to.varint(branch.length);
    for (const operation of branch) writeOperation(to, operation, depth);
  }
}

export function readTxn(from: ByteReader, depth: number): TxnRequest {
  if (depth > TXN_DEPTH_MAX) throw new DamagedBytesError('transactions nested too deep', from.position);
  const compare = readList(from, COMPARE_BYTES_MIN, () => readCompare(from));
  const success = readList(from, 1, () => readOperation(from, depth));
  const failure = readList(from, 1, () => readOperation(from, depth));
  return {compare, success, failure};
}

const COMPARE_BYTES_MIN = 19;
const OPERATION = {empty: 0, range: 1, put: 2, deleteRange: 3, txn: 4} as const;

function writeOperation(to: ByteWriter, operation: RequestOp, depth: number): void {
  const {requestRange, requestPut, requestDeleteRange, requestTxn} = operation;
  if (requestRange !== undefined) {
    to.byte(OPERATION.range);
    writeRange(to, requestRange);
  } else if (requestPut !== undefined) {
    to.byte(OPERATION.put);
    writePut(to, requestPut);
  } else if (requestDeleteRange !== undefined) {
    to.byte(OPERATION.deleteRange);
    writeDeleteRange(to, requestDeleteRange);
  } else if (requestTxn !== undefined) {
    to.byte(OPERATION.txn);
    writeTxn(to, requestTxn, depth + 1);
  } else {
    to.byte(OPERATION.empty);
  }
}

function readOperation(from: ByteReader, depth: number): RequestOp {
  const tag = from.byte();
  if (tag === OPERATION.range) return {requestRange: readRange(from)};
  if (tag === OPERATION.put) return {requestPut: readPut(from)};
  if (tag === OPERATION.deleteRange) return {requestDeleteRange: readDeleteRange(from)};
  if (tag === OPERATION.txn) return {requestTxn: readTxn(from, depth + 1)};
  if (tag === OPERATION.empty) return {};
  throw new DamagedBytesError(`unknown operation ${tag}`, from.position);
}

/** A list behind its length, which the bytes that are left must be able to hold. */
export function readList<Item>(from: ByteReader, itemBytesMin: number, readItem: () => Item): Item[] {
  const count = from.varint();
  if (count * itemBytesMin > from.remaining) throw new DamagedBytesError('list too long', from.position);
  return Array.from({length: count}, readItem);
}
