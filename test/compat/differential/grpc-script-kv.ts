/** Steps of the differential script by raw gRPC: KV. */

import type {Message} from '../../process/raw-grpc.ts';
import {bytes, type GrpcStep, prefixEnd, type Request, unary} from './grpc-step.ts';

const ALL = {key: bytes('\0'), range_end: bytes('\0')};
const R = {key: bytes('r/'), range_end: prefixEnd('r/')};
const INT64_MAX = '9223372036854775807';
const INT64_MIN = '-9223372036854775808';

const range = (name: string, request: Request): GrpcStep => unary(`range ${name}`, 'KV/Range', request);
const put = (name: string, request: Request): GrpcStep => unary(`put ${name}`, 'KV/Put', request);
const del = (name: string, request: Request): GrpcStep => unary(`delete ${name}`, 'KV/DeleteRange', request);
const txn = (name: string, request: Request): GrpcStep => unary(`txn ${name}`, 'KV/Txn', request);
const compact = (name: string, request: Request): GrpcStep => unary(`compact ${name}`, 'KV/Compact', request);

const filled = (key: string, value: string): GrpcStep =>
  put(`${key}=${value}`, {key: bytes(key), value: bytes(value)});

export const RANGE_STEPS: readonly GrpcStep[] = [
  range('of an empty store', ALL),
  filled('r/a', '3'),
  filled('r/b', '1'),
  filled('r/c', '2'),
  filled('r/a', '4'),
  filled('r/d', '1'),
  filled('r/b', '1'),
  filled('r/\xff', '9'),
  filled('r/\0', ''),
  range('all', ALL),
  range('from key', {key: bytes('r/b'), range_end: bytes('\0')}),
  range('prefix', R),
  range('one key', {key: bytes('r/a')}),
  range('absent key', {key: bytes('r/absent')}),
  range('empty range', {key: bytes('r/c'), range_end: bytes('r/a')}),
  range('range of its own key', {key: bytes('r/c'), range_end: bytes('r/c')}),
  range('without key', {}),
  range('without key, with end', {range_end: bytes('z')}),
  range('limit 1', {...R, limit: 1}),
  range('limit equal to count', {...R, limit: 6}),
  range('limit above count', {...R, limit: 7}),
  range('limit negative', {...R, limit: -1}),
  range('limit largest', {...R, limit: INT64_MAX}),
  range('limit 2 from key', {key: bytes('r/b'), range_end: bytes('\0'), limit: 2}),
  range('count only', {...R, count_only: true}),
  range('count only with limit', {...R, count_only: true, limit: 2}),
  range('keys only', {...R, keys_only: true}),
  range('keys only and count only', {...R, keys_only: true, count_only: true}),
  range('serializable', {...R, serializable: true}),
  ...['KEY', 'VERSION', 'CREATE', 'MOD', 'VALUE'].flatMap((target) =>
    ['NONE', 'ASCEND', 'DESCEND'].map((order) =>
      range(`sorted by ${target} ${order}`, {...R, sort_target: target, sort_order: order, keys_only: true}),
    ),
  ),
  range('sorted with limit', {...R, sort_target: 'VALUE', sort_order: 'DESCEND', limit: 2}),
  range('sorted, limit, keys only, count', {
    ...R,
    sort_target: 'MOD',
    sort_order: 'DESCEND',
    limit: 3,
    keys_only: true,
  }),
  range('at an older revision', ({revision}) => ({...R, revision: revision - 3})),
  range('at the current revision', ({revision}) => ({...R, revision})),
  range('at a future revision', ({revision}) => ({...R, revision: revision + 1})),
  range('at revision 1', {...R, revision: 1}),
  range('at a negative revision', {...R, revision: -1}),
  range('at the smallest revision', {...R, revision: INT64_MIN}),
  range('at the largest revision', {...R, revision: INT64_MAX}),
  range('min mod revision', ({revision}) => ({...R, min_mod_revision: revision - 2})),
  range('max mod revision', ({revision}) => ({...R, max_mod_revision: revision - 2})),
  range('min create revision', ({revision}) => ({...R, min_create_revision: revision - 3})),
  range('max create revision', ({revision}) => ({...R, max_create_revision: revision - 3})),
  range('all four filters', ({revision}) => ({
    ...R,
    min_mod_revision: revision - 5,
    max_mod_revision: revision - 1,
    min_create_revision: 2,
    max_create_revision: revision - 1,
  })),
  range('filter and limit', ({revision}) => ({...R, min_mod_revision: revision - 2, limit: 1})),
  range('filter, limit and count', ({revision}) => ({...R, max_mod_revision: revision - 2, limit: 2})),
  range('filter and count only', ({revision}) => ({...R, min_mod_revision: revision, count_only: true})),
  range('filter with nothing left', ({revision}) => ({...R, min_mod_revision: revision + 5})),
  range('filter with nothing left and limit', ({revision}) => ({
    ...R,
    min_mod_revision: revision + 5,
    limit: 1,
  })),
  range('filter negative', {...R, max_mod_revision: -1}),
  range('filter, sort and limit', ({revision}) => ({
    ...R,
    max_mod_revision: revision - 1,
    sort_target: 'MOD',
    sort_order: 'DESCEND',
    limit: 2,
  })),
  range('sort order unknown', {...R, sort_order: 9}),
];

export const PUT_STEPS: readonly GrpcStep[] = [
  put('empty value', {key: bytes('p/a')}),
  put('without key', {value: bytes('x')}),
  put('prev_kv of nothing', {key: bytes('p/b'), value: bytes('1'), prev_kv: true}),
  put('prev_kv', {key: bytes('p/b'), value: bytes('2'), prev_kv: true}),
  put('all bytes', {key: Buffer.from(Array.from({length: 256}, (_, n) => n)), value: bytes('v')}),
  put('a long key', {key: Buffer.alloc(10_000, 'k'), value: bytes('v')}),
  range('of the long key', {key: Buffer.alloc(10_000, 'k')}),
  put('ignore_value', {key: bytes('p/b'), ignore_value: true, prev_kv: true}),
  put('ignore_value with value', {key: bytes('p/b'), value: bytes('x'), ignore_value: true}),
  put('ignore_value of nothing', {key: bytes('p/none'), ignore_value: true}),
  put('ignore_lease', {key: bytes('p/b'), value: bytes('3'), ignore_lease: true}),
  put('ignore_lease with lease', {key: bytes('p/b'), value: bytes('3'), ignore_lease: true, lease: 7}),
  put('ignore_lease of nothing', {key: bytes('p/none'), value: bytes('3'), ignore_lease: true}),
  put('ignore both', {key: bytes('p/b'), ignore_value: true, ignore_lease: true}),
  put('unknown lease', {key: bytes('p/b'), value: bytes('x'), lease: 424_242}),
  put('negative lease', {key: bytes('p/b'), value: bytes('x'), lease: -1}),
  put('without key, unknown lease', {lease: 424_242}),
  put('too large', {key: bytes('p/large'), value: Buffer.alloc(1_572_864, 'x')}),
  put('just small enough', {key: bytes('p/large'), value: Buffer.alloc(1_572_700, 'x')}),
  put('larger than a message may be', {key: bytes('p/large'), value: Buffer.alloc(2_200_000, 'x')}),
  del('the large one', {key: bytes('p/large')}),
];

export const DELETE_STEPS: readonly GrpcStep[] = [
  filled('d/a', '1'),
  filled('d/b', '2'),
  filled('d/c', '3'),
  filled('d/d', '4'),
  del('one', {key: bytes('d/a')}),
  del('one again', {key: bytes('d/a')}),
  del('one with prev_kv', {key: bytes('d/b'), prev_kv: true}),
  del('without key', {}),
  del('without key, with end', {range_end: bytes('z')}),
  del('empty range', {key: bytes('d/z'), range_end: bytes('d/a')}),
  del('range with prev_kv', {key: bytes('d/'), range_end: prefixEnd('d/'), prev_kv: true}),
  range('before the deletion', ({revision}) => ({
    key: bytes('d/'),
    range_end: prefixEnd('d/'),
    revision: revision - 1,
  })),
  filled('d/a', 'again'),
  range('a new generation', {key: bytes('d/a')}),
];

const rPut = (key: string, value = 'v', more: Message = {}) => ({
  request_put: {key: bytes(key), value: bytes(value), ...more},
});
const rGet = (key: string, more: Message = {}) => ({request_range: {key: bytes(key), ...more}});
const rDel = (key: string, more: Message = {}) => ({request_delete_range: {key: bytes(key), ...more}});
const rTxn = (request: Message) => ({request_txn: request});
const many = (count: number, make: (n: number) => Message) => Array.from({length: count}, (_, n) => make(n));

const compare = (key: string, target: string, result: string, more: Message = {}): Message => ({
  key: bytes(key),
  target,
  result,
  ...more,
});
const ifElse = (...compares: readonly Message[]): Message => ({
  compare: compares,
  success: [rGet('x/yes')],
  failure: [rGet('x/no')],
});
const X = {range_end: prefixEnd('x/')};

const RESULTS = ['EQUAL', 'GREATER', 'LESS', 'NOT_EQUAL'];
const FIELDS: readonly (readonly [target: string, operand: Message])[] = [
  ['VERSION', {version: 2}],
  ['CREATE', {create_revision: 3}],
  ['MOD', {mod_revision: 0}],
  ['VALUE', {value: bytes('2')}],
  ['LEASE', {lease: 0}],
];

export const TXN_STEPS: readonly GrpcStep[] = [
  filled('x/a', '1'),
  filled('x/a', '2'),
  filled('x/b', '2'),
  txn('empty', {}),
  txn('only a range', {success: [rGet('x/a')]}),
  ...FIELDS.flatMap(([target, operand]) =>
    RESULTS.flatMap((result) =>
      ['x/a', 'x/absent'].map((key) =>
        txn(`${target} ${result} of ${key}`, ifElse(compare(key, target, result, operand))),
      ),
    ),
  ),
  ...FIELDS.map(([target, operand]) =>
    txn(`range ${target}`, ifElse(compare('x/', target, 'EQUAL', {...operand, ...X}))),
  ),
  txn(
    'range compare of nothing',
    ifElse(compare('none/', 'VERSION', 'EQUAL', {version: 5, range_end: prefixEnd('none/')})),
  ),
  txn(
    'range compare of nothing, 0',
    ifElse(compare('none/', 'VERSION', 'EQUAL', {version: 0, range_end: prefixEnd('none/')})),
  ),
  txn(
    'range compare from key',
    ifElse(compare('x/', 'VERSION', 'GREATER', {version: 0, range_end: bytes('\0')})),
  ),
  txn('compare without operand', ifElse(compare('x/a', 'VALUE', 'EQUAL'))),
  txn(
    'compare with the operand of another target',
    ifElse(compare('x/a', 'VERSION', 'EQUAL', {value: bytes('2')})),
  ),
  txn('compare without key', ifElse({target: 'VERSION', result: 'EQUAL'})),
  txn(
    'two compares, one false',
    ifElse(
      compare('x/a', 'VALUE', 'EQUAL', {value: bytes('2')}),
      compare('x/b', 'VERSION', 'EQUAL', {version: 7}),
    ),
  ),
  txn('reads its own writes', {
    success: [rGet('x/w'), rPut('x/w'), rGet('x/w'), rDel('x/w2'), rGet('x/w', {count_only: true})],
  }),
  txn('put and prev_kv', {success: [rPut('x/w', 'new', {prev_kv: true}), rDel('x/b', {prev_kv: true})]}),
  txn('delete then put in its range', {success: [rDel('x/', X), rPut('y/w', 'after')]}),
  txn('several revisions of one', {success: [rPut('x/1'), rPut('x/2'), rDel('x/1'), rPut('x/3')]}),
  txn('sub-revisions', {success: [rPut('x/1'), rPut('x/2'), rPut('x/3'), rGet('x/', X)]}),
  txn('nested', {
    success: [
      rPut('x/n1'),
      rTxn({
        compare: [compare('x/n1', 'VERSION', 'EQUAL', {version: 1})],
        success: [rPut('x/n2'), rTxn({success: [rGet('x/n1'), rPut('x/n3')]})],
        failure: [rPut('x/n4')],
      }),
      rGet('x/n', {range_end: prefixEnd('x/n')}),
    ],
  }),
  txn('nested, compares before the outer’s writes', {
    success: [
      rPut('x/o', '2'),
      rTxn({
        compare: [compare('x/o', 'VERSION', 'GREATER', {version: 0})],
        success: [rGet('x/o')],
        failure: [rGet('none')],
      }),
    ],
  }),
  txn('nested failure branch', {
    success: [rTxn({compare: [compare('x/o', 'VERSION', 'GREATER', {version: 99})], failure: [rPut('x/f')]})],
  }),
  txn('nested empty', {success: [rTxn({}), rTxn({success: [rTxn({})]})]}),
  txn('duplicate key', {success: [rPut('x/d'), rPut('x/d')]}),
  txn('duplicate key in failure', {failure: [rPut('x/d'), rPut('x/d')]}),
  txn('same key in both branches', {success: [rPut('x/d')], failure: [rPut('x/d')]}),
  txn('duplicate key in a nested one', {success: [rPut('x/d'), rTxn({success: [rPut('x/d')]})]}),
  txn('duplicate key in a nested one’s failure', {success: [rPut('x/d'), rTxn({failure: [rPut('x/d')]})]}),
  txn('same key in the branches of a nested one', {
    success: [rTxn({success: [rPut('x/d')], failure: [rPut('x/d')]})],
  }),
  txn('same key in two nested ones', {
    success: [rTxn({success: [rPut('x/d')]}), rTxn({success: [rPut('x/d')]})],
  }),
  txn('put in a deleted range', {success: [rDel('x/', X), rPut('x/d')]}),
  txn('put before a deleted range', {success: [rPut('x/d'), rDel('x/', X)]}),
  txn('put in a range deleted from key', {success: [rDel('x/', {range_end: bytes('\0')}), rPut('x/d')]}),
  txn('put of a deleted key', {success: [rDel('x/d'), rPut('x/d')]}),
  txn('delete in a nested one, put outside', {success: [rTxn({success: [rDel('x/d')]}), rPut('x/d')]}),
  txn('put in a nested one, delete outside', {success: [rTxn({success: [rPut('x/d')]}), rDel('x/d')]}),
  txn('delete twice', {success: [rDel('x/d'), rDel('x/d'), rDel('x/', X)]}),
  txn('128 operations', {success: many(128, (n) => rPut(`x/m/${n}`))}),
  txn('129 operations', {success: many(129, (n) => rPut(`x/m/${n}`))}),
  txn('129 in the failure branch', {failure: many(129, (n) => rPut(`x/m/${n}`))}),
  txn('128 compares', {compare: many(128, () => compare('x/a', 'VERSION', 'GREATER', {version: -1}))}),
  txn('129 compares', {compare: many(129, () => compare('x/a', 'VERSION', 'GREATER', {version: -1}))}),
  txn('127 nested in 1', {success: [rTxn({success: many(127, (n) => rPut(`x/m/${n}`))})]}),
  txn('128 nested in 1', {success: [rTxn({success: many(128, (n) => rPut(`x/m/${n}`))})]}),
  txn('128 ranges', {success: many(128, () => rGet('x/a', {count_only: true}))}),
  txn('an operation that is none', {success: [{}]}),
  txn('a put without key', {success: [rPut('')]}),
  txn('a put without key in a nested one', {success: [rTxn({success: [rPut('')]})]}),
  txn('a range without key in the other branch', {success: [rGet('x/a')], failure: [rGet('')]}),
  txn('a range at a future revision', {success: [rGet('x/a', {revision: 999_999})]}),
  txn('a range at a past revision', ({revision}) => ({
    success: [rGet('x/', {...X, revision: revision - 2})],
  })),
  txn('a put on an unknown lease', {success: [rPut('x/l', 'v', {lease: 424_242})]}),
  txn('ignore_value of nothing', {success: [rPut('x/none', '', {ignore_value: true})]}),
  txn('ignore_value with value', {success: [rPut('x/none', 'v', {ignore_value: true})]}),
  txn('ignore_lease with lease', {success: [rPut('x/none', 'v', {ignore_lease: true, lease: 5})]}),
  range('that nothing of the failed ones is there', {
    key: bytes('x/'),
    range_end: prefixEnd('x/'),
    keys_only: true,
  }),
];

export const COMPACT_STEPS: readonly GrpcStep[] = [
  filled('c/a', '1'),
  filled('c/a', '2'),
  filled('c/b', '1'),
  del('c/b', {key: bytes('c/b')}),
  compact('an old revision', ({revision}) => ({revision: revision - 1})),
  compact('the same again', ({revision}) => ({revision: revision - 1})),
  compact('an older one', ({revision}) => ({revision: revision - 2})),
  compact('a future one', ({revision}) => ({revision: revision + 1})),
  compact('0', {revision: 0}),
  compact('negative', {revision: -3}),
  compact('largest', {revision: INT64_MAX}),
  compact('the current, physically', ({revision}) => ({revision, physical: true})),
  compact('again, physically', ({revision}) => ({revision, physical: true})),
  range('at the compacted revision', ({revision}) => ({key: bytes('c/a'), revision})),
  range('below the compacted revision', ({revision}) => ({key: bytes('c/a'), revision: revision - 1})),
  range('of one absent below it', ({revision}) => ({key: bytes('c/none'), revision: revision - 1})),
  range('with count only below it', ({revision}) => ({
    key: bytes('c/a'),
    revision: revision - 1,
    count_only: true,
  })),
  txn('with a range below it', ({revision}) => ({success: [rGet('c/a', {revision: revision - 1})]})),
];
