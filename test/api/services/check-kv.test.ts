/** Request checks: what is refused, for what, and in which order. */

import {describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {
  checkDeleteRange,
  checkPut,
  checkRange,
  checkTxn,
} from '../../../src/transport/api/services/check-kv.ts';
import {
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type PutRequestInput,
  type RangeRequestInput,
  type RequestOpInput,
  type TxnRequestInput,
} from '../../../src/transport/proto/generated/kv.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const put = (key: string): RequestOpInput => ({requestPut: {key: bytes(key)}});
const del = (key: string, rangeEnd = ''): RequestOpInput => ({
  requestDeleteRange: {key: bytes(key), rangeEnd: bytes(rangeEnd)},
});
const txn = (success: RequestOpInput[], failure: RequestOpInput[] = []): RequestOpInput => ({
  requestTxn: {success, failure},
});

function codeOf(check: () => void): string {
  try {
    check();
    return 'ok';
  } catch (error) {
    expect(error).toBeInstanceOf(EngineError);
    return (error as EngineError).code;
  }
}

const range = (input: RangeRequestInput) =>
  codeOf(() => checkRange(decodeRangeRequest(encodeRangeRequest(input))));
const onePut = (input: PutRequestInput) => codeOf(() => checkPut(decodePutRequest(encodePutRequest(input))));
const check = (input: TxnRequestInput, max = 128) =>
  codeOf(() => checkTxn(decodeTxnRequest(encodeTxnRequest(input)), max));

describe('request checks', () => {
  it('Ensure that a range needs a key and a known order.', () => {
    expect(range({key: bytes('a')})).toBe('ok');
    expect(range({sortOrder: 9})).toBe('emptyKey');
    expect(range({key: bytes('a'), sortOrder: 3})).toBe('invalidSortOption');
    expect(range({key: bytes('a'), sortOrder: -1})).toBe('invalidSortOption');
    expect(range({key: bytes('a'), sortTarget: 5})).toBe('invalidSortOption');
  });

  it('Ensure that a put that keeps value or lease must not bring one.', () => {
    expect(onePut({key: bytes('a'), value: bytes('v'), lease: 5n})).toBe('ok');
    expect(onePut({value: bytes('v'), ignoreValue: true})).toBe('emptyKey');
    expect(
      onePut({key: bytes('a'), value: bytes('v'), ignoreValue: true, lease: 1n, ignoreLease: true}),
    ).toBe('valueProvided');
    expect(onePut({key: bytes('a'), lease: -1n, ignoreLease: true})).toBe('leaseProvided');
    expect(onePut({key: bytes('a'), ignoreLease: true, ignoreValue: true})).toBe('ok');
  });

  it('Ensure that a delete needs a key.', () => {
    const empty = Buffer.alloc(0);
    expect(codeOf(() => checkDeleteRange({key: empty, rangeEnd: bytes('\0'), prevKv: false}))).toBe(
      'emptyKey',
    );
  });

  it('Ensure that the longest list of a transaction counts, and nested ones get what it leaves.', () => {
    const keys = (count: number) => Array.from({length: count}, (_, i) => put(`k${i}`));
    expect(check({success: keys(128)})).toBe('ok');
    expect(check({success: keys(129)})).toBe('tooManyOps');
    expect(check({compare: Array(129).fill({key: bytes('a')})})).toBe('tooManyOps');
    expect(check({success: keys(100), failure: keys(100)})).toBe('ok');
    expect(check({success: [...keys(27), txn(Array(100).fill({requestRange: {key: bytes('a')}}))]})).toBe(
      'ok',
    );
    expect(check({success: [...keys(28), txn(Array(100).fill({requestRange: {key: bytes('a')}}))]})).toBe(
      'tooManyOps',
    );
    expect(check({success: [txn([txn([txn([])])])]}, 2)).toBe('tooManyOps');
    expect(check({success: [txn([txn([])])]}, 2)).toBe('ok');
  });

  it('Ensure that each part is checked: compares first, then both branches in order.', () => {
    expect(check({compare: [{}], success: [{requestPut: {}}]})).toBe('emptyKey');
    expect(check({success: [{requestRange: {}}]})).toBe('emptyKey');
    expect(check({failure: [{requestDeleteRange: {}}]})).toBe('emptyKey');
    expect(check({success: [{}]})).toBe('keyNotFound');
    expect(check({success: [{}], failure: [{requestPut: {}}]})).toBe('keyNotFound');
    expect(check({success: [txn([{requestRange: {key: bytes('a'), sortOrder: 7}}])]})).toBe(
      'invalidSortOption',
    );
    expect(check({})).toBe('ok');
  });

  it('Ensure that no branch puts a key twice, nor puts what it deletes.', () => {
    expect(check({success: [put('a'), put('b')], failure: [put('a')]})).toBe('ok');
    expect(check({success: [put('a'), put('a')]})).toBe('duplicateKey');
    expect(check({failure: [put('a'), put('a')]})).toBe('duplicateKey');
    expect(check({success: [put('a'), del('a')]})).toBe('duplicateKey');
    expect(check({success: [del('a', 'c'), put('b')]})).toBe('duplicateKey');
    expect(check({success: [del('a', 'c'), put('c')]})).toBe('ok');
    expect(check({success: [del('a', 'c'), del('b', 'd')]})).toBe('ok');
    expect(check({success: [put('\xff\x00'), put('\xff\x01')]})).toBe('ok');
  });

  it('Ensure that nested branches exclude each other but not what lies around them.', () => {
    expect(check({success: [txn([put('a')], [put('a')])]})).toBe('ok');
    expect(check({success: [put('a'), txn([put('a')])]})).toBe('duplicateKey');
    expect(check({success: [put('a'), txn([], [put('a')])]})).toBe('duplicateKey');
    expect(check({success: [txn([put('a')]), txn([put('a')])]})).toBe('duplicateKey');
    expect(check({success: [txn([put('a')]), txn([], [put('a')])]})).toBe('duplicateKey');
    expect(check({success: [txn([put('a'), put('a')])]})).toBe('duplicateKey');
    expect(check({success: [del('a', 'z'), txn([put('b')])]})).toBe('duplicateKey');
    expect(check({success: [put('b'), txn([del('a', 'z')])]})).toBe('duplicateKey');
    expect(check({success: [txn([del('a', 'z')], [put('b')])]})).toBe('ok');
  });

  it('Ensure that a delete of all keys from one on does not forbid puts, as in etcd.', () => {
    expect(check({success: [del('a', '\0'), put('b')]})).toBe('ok');
  });
});
