import {describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {isReadOnlyTxn} from '../../../src/engine/state-machine/mvcc/txn.ts';
import {type Compare, CompareResult, CompareTarget, type TxnRequest} from '../../../src/engine/types.ts';
import {bytes, deleteOf, failure, Machine, plain, putOf, rangeOf, run, text} from './machine.ts';

function compareOf(key: string, fields: Partial<Compare> & {end?: string} = {}): Compare {
  const {end = '', ...rest} = fields;
  return {
    key: bytes(key),
    rangeEnd: bytes(end),
    result: CompareResult.equal,
    target: CompareTarget.version,
    ...rest,
  };
}

function txnOf(request: Partial<TxnRequest>): TxnRequest {
  return {compare: [], success: [], failure: [], ...request};
}

describe('transactions', () => {
  it('Ensure that guards hold by the rules for absent keys, empty fields and unknown results.', () => {
    const machine = new Machine();
    machine.put('a', '1');
    machine.put('a', '2');
    machine.response({type: 'leaseGrant', id: 7n, ttlSeconds: 10});
    machine.put('b', '', {lease: 7n});
    const {notEqual, greater, less} = CompareResult;
    const {version, create, mod, value, lease} = CompareTarget;
    const cases: [Compare, boolean][] = [
      [compareOf('a', {target: version, version: 2}), true],
      [compareOf('a', {target: version, version: 1, result: greater}), true],
      [compareOf('a', {target: create, createRevision: 2}), true],
      [compareOf('a', {target: mod, modRevision: 4, result: less}), true],
      [compareOf('a', {target: mod, modRevision: 3, result: notEqual}), false],
      [compareOf('a', {target: value, value: bytes('2')}), true],
      [compareOf('a', {target: value, value: bytes('10'), result: greater}), true],
      [compareOf('b', {target: value}), true],
      [compareOf('b', {target: lease, lease: 7n}), true],
      [compareOf('b', {target: lease, lease: -1n, result: greater}), true],
      // Absent: zero in everything, but no value is equal or unequal to it.
      [compareOf('x', {target: version}), true],
      [compareOf('x', {target: create, createRevision: 0}), true],
      [compareOf('x', {target: lease}), true],
      [compareOf('x', {target: value, value: bytes('')}), false],
      [compareOf('x', {target: value, value: bytes('1'), result: notEqual}), false],
      // Ranges: all keys; an empty one compares like an absent key.
      [compareOf('a', {end: 'c', target: version, version: 0, result: greater}), true],
      [compareOf('a', {end: '\0', target: version, version: 2}), false],
      [compareOf('x', {end: 'z', target: version}), true],
      [compareOf('x', {end: 'z', target: value, value: bytes('')}), false],
      // Beyond any revision, and unknown numbers.
      [compareOf('a', {target: mod, modRevision: 9.2e18, result: less}), true],
      [compareOf('a', {target: version, version: 9, result: 7}), true],
      [compareOf('a', {target: 9, version: 9}), true],
    ];
    const revision = machine.mvcc.currentRevision();
    for (const [compare, holds] of cases) {
      expect([compare, machine.txn({compare: [compare]}).succeeded]).toEqual([compare, holds]);
    }
    expect(machine.mvcc.currentRevision()).toBe(revision);
  });

  it('Ensure that operations see what those before them did, and answer in their places.', () => {
    const machine = new Machine();
    machine.put('b', 'old');
    const {succeeded, responses} = machine.txn({
      compare: [compareOf('a')],
      success: [
        {requestPut: putOf('a', '1')},
        {requestRange: rangeOf('a', 'z')},
        {requestDeleteRange: deleteOf('a', 'c', true)},
        {requestRange: rangeOf('a', 'z')},
        {requestRange: rangeOf('a', 'z', {revision: 2})},
        {
          requestTxn: txnOf({
            compare: [compareOf('a', {version: 1})],
            failure: [{requestPut: putOf('c', '3')}],
          }),
        },
      ],
    });
    expect(succeeded).toBe(true);
    const seen = responses.map(({responseRange}) =>
      responseRange?.kvs.map((kv) => `${text(kv.key)}=${text(kv.value)}`),
    );
    expect(seen).toEqual([undefined, ['a=1', 'b=old'], undefined, [], ['b=old'], undefined]);
    expect(responses[2].responseDeleteRange?.prevKvs.map((kv) => text(kv.value))).toEqual(['1', 'old']);
    // The inner guard was decided on the state before the transaction, where `a` was absent.
    expect(responses[5].responseTxn).toEqual({
      succeeded: false,
      responses: [{responsePut: {prevKv: undefined}}],
    });
    expect(machine.mvcc.currentRevision()).toBe(3);
    expect(machine.get('\0', '\0').map((kv) => kv?.key)).toEqual(['c']);
  });

  it('Ensure that nested guards are decided on the newest state before the transaction.', () => {
    const machine = new Machine();
    machine.put('a', '1');
    machine.put('a', '2');
    const inner = txnOf({compare: [compareOf('a', {version: 2})], success: [{requestPut: putOf('b')}]});
    const {responses} = machine.txn({success: [{requestTxn: inner}]});
    expect(responses[0].responseTxn?.succeeded).toBe(true);
  });

  it('Ensure that of two reasons to refuse a transaction, that of a put is told before that of a range.', () => {
    const machine = new Machine();
    const range = {requestRange: rangeOf('a', '', {revision: 9})};
    const put = {requestPut: putOf('x', '', {lease: 5n})};
    expect(failure(() => machine.txn({success: [range, {requestTxn: txnOf({success: [put]})}]}))).toBe(
      'leaseNotFound',
    );
  });

  it('Ensure that a transaction that cannot run as a whole leaves no trace.', () => {
    const machine = new Machine();
    machine.put('a', '1');
    machine.put('a', '2');
    machine.compact(3);
    const put = {requestPut: putOf('n', '1')};
    const impossible = [
      [{requestRange: rangeOf('a', '', {revision: 2})}, 'compacted'],
      [{requestRange: rangeOf('a', '', {revision: 4})}, 'futureRevision'],
      [{requestRange: rangeOf('a', '', {revision: -1})}, 'compacted'],
      [{requestPut: putOf('a', '', {lease: 5n})}, 'leaseNotFound'],
      [{requestPut: putOf('x', '', {ignoreValue: true})}, 'keyNotFound'],
      [{requestPut: putOf('x', '', {ignoreLease: true})}, 'keyNotFound'],
      [{requestPut: putOf('x', '', {ignoreValue: true, lease: 5n})}, 'keyNotFound'],
    ] as const;
    const before = machine.records.dump();
    const {hash} = machine.records.applied();
    for (const [operation, code] of impossible) {
      const nested = {requestTxn: txnOf({success: [put, operation]})};
      expect(failure(() => machine.txn({success: [put, operation]}))).toBe(code);
      expect(failure(() => machine.txn({success: [put, nested]}))).toBe(code);
      // The branch that is not taken is not looked at.
      expect(failure(() => machine.txn({failure: [put, operation]}))).toBe('none');
    }
    expect(machine.records.dump()).toEqual(before);
    expect(machine.records.applied().hash).toBe(hash);
    expect(machine.mvcc.currentRevision()).toBe(3);
  });

  it('Ensure that a put alone names its lease before its key, and keeps value or lease when asked to.', () => {
    const machine = new Machine();
    machine.response({type: 'leaseGrant', id: 7n, ttlSeconds: 10});
    expect(failure(() => machine.put('a', '', {ignoreValue: true, lease: 5n}))).toBe('leaseNotFound');
    expect(failure(() => machine.put('a', '', {ignoreValue: true}))).toBe('keyNotFound');
    machine.put('a', '1', {lease: 7n});
    machine.put('a', '2', {ignoreLease: true});
    expect(machine.get('a')[0]).toMatchObject({value: '2', lease: 7n, version: 2});
    const {prevKv} = machine.put('a', '', {ignoreValue: true, prevKv: true});
    expect(plain(prevKv)).toMatchObject({value: '2', lease: 7n, version: 2});
    expect(machine.get('a')[0]).toMatchObject({value: '2', lease: 0n, version: 3});
  });

  it('Ensure that a transaction which only reads runs without the log and costs no revision.', () => {
    const machine = new Machine();
    machine.put('a', '1');
    const request = txnOf({
      compare: [compareOf('a', {version: 1})],
      success: [{requestRange: rangeOf('a')}, {requestTxn: txnOf({success: [{requestRange: rangeOf('b')}]})}],
    });
    expect(isReadOnlyTxn(request)).toBe(true);
    expect(
      isReadOnlyTxn(txnOf({failure: [{requestTxn: txnOf({success: [{requestPut: putOf('a')}]})}]})),
    ).toBe(false);
    const {succeeded, responses} = run(machine.mvcc.readTxn(request));
    expect([succeeded, responses.length, machine.mvcc.currentRevision()]).toEqual([true, 2, 2]);
    const future = txnOf({success: [{requestRange: rangeOf('a', '', {revision: 9})}]});
    expect(failure(() => run(machine.mvcc.readTxn(future)))).toBe('futureRevision');
  });

  it('Ensure that a command in slices shows nothing before its last, and does what it would do at once.', () => {
    const sliced = new Machine();
    const whole = new Machine();
    for (const machine of [sliced, whole]) {
      for (let i = 0; i < 2600; i++) machine.put(`k${i}`, String(i), {prevKv: false});
    }
    const request = txnOf({
      success: [
        {requestPut: putOf('a', '1')},
        {requestDeleteRange: deleteOf('k', 'l', true)},
        {requestRange: rangeOf('a', 'z')},
        {requestPut: putOf('z', '1')},
      ],
    });
    const slices = sliced.start({type: 'txn', request});
    if (!('next' in slices)) throw new Error('expected slices');
    const applied = sliced.stateMachine.applied();
    let step = slices.next();
    let breaths = 0;
    while (!step.done) {
      breaths++;
      expect(sliced.mvcc.currentRevision()).toBe(2601);
      expect(sliced.mvcc.range(rangeOf('a', '\0', {countOnly: true})).count).toBe(2600);
      expect(sliced.get('a')).toEqual([]);
      expect(sliced.get('k7')[0]?.value).toBe('7');
      expect(sliced.stateMachine.applied()).toEqual(applied);
      step = slices.next();
    }
    expect(breaths).toBeGreaterThan(0);
    const atOnce = whole.apply({type: 'txn', request});
    expect(step.value.revision).toBe(atOnce.revision);
    expect(step.value.events.length).toBe(2602);
    if (step.value.response instanceof EngineError) throw step.value.response;
    expect(sliced.records.dump()).toEqual(whole.records.dump());
    expect(sliced.records.applied()).toEqual(whole.records.applied());
    expect(sliced.get('\0', '\0').map((kv) => kv?.key)).toEqual(['a', 'z']);
  });
});
