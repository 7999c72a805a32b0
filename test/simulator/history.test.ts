/** That the history notices what it is there for: for each rule a right answer that passes, and a wrong one. */

import {beforeEach, describe, expect, it} from 'vitest';
import type {Command} from '../../src/engine/state-machine/command.ts';
import {CompareResult, CompareTarget, type KeyValue, type TxnRequest} from '../../src/engine/types.ts';
import {History} from './history.ts';
import {KvModel} from './kv-model.ts';
import {bytesOf, compareOf, deleteOf, putOf, rangeOf} from './requests.ts';

let model: KvModel;
let history: History;
let found: string[];
let nowMs: number;

beforeEach(() => {
  model = new KvModel();
  found = [];
  nowMs = 0;
  history = new History({
    model,
    violate: (invariant) => found.push(invariant),
    nowMs: () => ++nowMs,
    keys: ['a', 'b'],
  });
});

/** The log takes it. @returns the revision after it */
function log(command: Command): number {
  model.apply(model.index + 1, 1, command);
  return model.revision;
}

const logPut = (key: string, value: string) => log({type: 'put', request: putOf(key, value)});

function kvOf(
  key: string,
  value: string,
  at: readonly [create: number, mod: number, version: number],
): KeyValue {
  const [createRevision, modRevision, version] = at;
  return {key: bytesOf(key), value: bytesOf(value), createRevision, modRevision, version, lease: 0n};
}

/** A client puts, the log takes it, and the client hears of this revision. */
function put(key: string, value: string, {at, prevKv}: {at?: number; prevKv?: KeyValue} = {}): void {
  const asked = history.ask('c1', [value]);
  const revision = logPut(key, value);
  const request = putOf(key, value, {prevKv: prevKv !== undefined});
  history.put(asked, request, at ?? revision, prevKv);
}

const read = (options: {serializable?: boolean; revision?: number} = {}) => rangeOf('a', '', options);
const answerOf = (...kvs: KeyValue[]) => ({kvs, count: kvs.length, more: false});
const A1 = kvOf('a', '1', [2, 2, 1]);
const A2 = kvOf('a', '2', [2, 3, 2]);

describe('what writers are told', () => {
  it('Ensure that right answers pass, to the end.', () => {
    put('a', '1');
    put('a', '2', {prevKv: A1});
    history.range(history.ask('c2'), read(), 3, answerOf(A2));
    history.range(history.ask('c2'), read({revision: 2}), 3, answerOf(A1));
    const asked = history.ask('c1');
    log({type: 'deleteRange', request: deleteOf('a')});
    history.deleteRange(asked, deleteOf('a', '', {prevKv: true}), 4, {deleted: 1, prevKvs: [A2]});
    history.finish();
    expect(found).toEqual([]);
  });

  it('Ensure that a put that is told the revision of another change is noticed.', () => {
    logPut('b', 'other');
    put('a', '1', {at: 2});
    expect(found).toEqual(['linearizability']);
  });

  it('Ensure that a revision that two writers are told is noticed.', () => {
    const [one, other] = [history.ask('c1', ['1']), history.ask('c2', ['1'])];
    logPut('a', '1');
    history.put(one, putOf('a', '1'), 2, undefined);
    history.put(other, putOf('a', '1'), 2, undefined);
    expect(found).toEqual(['linearizability']);
  });

  it('Ensure that a revision that was known before the write, or is none yet, is noticed.', () => {
    put('a', '1');
    put('a', '2', {at: 2});
    expect(found.length).toBeGreaterThan(0);
    found = [];
    put('a', '3', {at: 9});
    expect(found).toEqual(['linearizability']);
  });

  it('Ensure that a wrong previous value is noticed.', () => {
    put('a', '1');
    put('a', '2', {prevKv: {...A1, version: 7}});
    expect(found).toEqual(['linearizability']);
  });

  it('Ensure that a wrong count or list of deleted keys is noticed.', () => {
    put('a', '1');
    const asked = history.ask('c1');
    log({type: 'deleteRange', request: deleteOf('a')});
    history.deleteRange(asked, deleteOf('a'), 3, {deleted: 2, prevKvs: []});
    expect(found).toEqual(['linearizability']);
    found = [];
    put('a', '2');
    const again = history.ask('c1');
    log({type: 'deleteRange', request: deleteOf('a')});
    history.deleteRange(again, deleteOf('a', '', {prevKv: true}), 5, {deleted: 1, prevKvs: [A1]});
    expect(found).toEqual(['linearizability']);
  });
});

describe('what readers are told', () => {
  beforeEach(() => {
    put('a', '1');
    put('a', '2');
  });

  it('Ensure that a value that is not that of the revision is noticed.', () => {
    history.range(history.ask('c2'), read(), 3, answerOf(A1));
    history.range(history.ask('c2'), read({serializable: true}), 3, answerOf(A1));
    history.range(history.ask('c2'), read(), 3, answerOf());
    history.range(history.ask('c2'), read(), 3, {kvs: [A2], count: 2, more: false});
    expect(found).toEqual(Array(4).fill('linearizability'));
  });

  it('Ensure that a read behind an answer that was there before is noticed, unless it is serializable.', () => {
    history.range(history.ask('c2'), read({serializable: true}), 2, answerOf(A1));
    expect(found).toEqual([]);
    history.range(history.ask('c2'), read(), 2, answerOf(A1));
    expect(found).toEqual(['linearizability']);
  });

  it('Ensure that a read that was asked before that answer may be behind it.', () => {
    const asked = history.ask('c2');
    put('a', '3');
    history.range(asked, read(), 3, answerOf(A2));
    expect(found).toEqual([]);
  });

  it('Ensure that a revision of the future is noticed, asked for or told.', () => {
    history.range(history.ask('c2'), read({revision: 4}), 3, answerOf(A2));
    history.range(history.ask('c2'), read({serializable: true}), 4, answerOf(A2));
    history.other(history.ask('c2'), 4);
    expect(found).toEqual(Array(3).fill('linearizability'));
  });

  it('Ensure that other keys of a lease than hang on it at that revision are noticed.', () => {
    log({type: 'leaseGrant', id: 7n, ttlSeconds: 9});
    const hang = (key: string, lease: bigint) => log({type: 'put', request: putOf(key, '1', {lease})});
    const tell = (revision: number, ...keys: string[]) =>
      history.leaseKeys(history.ask('c1'), 7n, revision, keys.map(bytesOf));
    const [first, both, last] = [hang('b', 7n), hang('a', 7n), hang('b', 0n)];
    tell(first - 1);
    tell(first, 'b');
    tell(both, 'b', 'a');
    tell(last, 'a');
    expect(found).toEqual([]);
    tell(last, 'a', 'b');
    tell(last);
    expect(found).toEqual(['leases', 'leases']);
  });

  it('Ensure that two hashes of one revision are noticed, and those of two are not.', () => {
    const tell = (hash: number, compactRevision: number) =>
      history.hashKv(history.ask('c2'), 3, {hash, compactRevision, hashRevision: 3}, true);
    tell(1, 0);
    tell(1, 0);
    tell(2, 2);
    expect(found).toEqual([]);
    tell(2, 0);
    expect(found).toEqual(['hash kv']);
  });
});

describe('transactions', () => {
  const compare = compareOf('a', {
    target: CompareTarget.create,
    result: CompareResult.equal,
    createRevision: 0,
  });
  const request: TxnRequest = {
    compare: [compare],
    success: [{requestRange: rangeOf('a')}, {requestPut: putOf('a', 's')}],
    failure: [{requestRange: rangeOf('a')}],
  };
  const range = (...kvs: KeyValue[]) => ({responseRange: answerOf(...kvs)});

  function transact(
    revision: number,
    {succeeded, responses}: {succeeded: boolean; responses: Parameters<History['txn']>[3]['responses']},
  ): void {
    const asked = history.ask('c1', ['s']);
    log({type: 'txn', request});
    history.txn(asked, request, revision, {succeeded, responses});
  }

  it('Ensure that right ones pass, on either branch.', () => {
    transact(2, {succeeded: true, responses: [range(), {responsePut: {prevKv: undefined}}]});
    expect(found).toEqual([]);
    transact(2, {succeeded: false, responses: [range(kvOf('a', 's', [2, 2, 1]))]});
    expect(found).toEqual([]);
  });

  it('Ensure that a wrong decision, a range from after the write, and a put that is not there are noticed.', () => {
    transact(1, {succeeded: false, responses: [range()]});
    expect(found).toEqual(['linearizability']);
    found = [];
    const after = kvOf('a', 's', [2, 2, 1]);
    history.txn(history.ask('c2'), request, 2, {
      succeeded: true,
      responses: [range(after), {responsePut: {prevKv: undefined}}],
    });
    expect(found).toEqual(['linearizability']);
    found = [];
    logPut('b', 'x');
    history.txn(history.ask('c2'), request, 3, {
      succeeded: true,
      responses: [range(), {responsePut: {prevKv: undefined}}],
    });
    expect(found.length).toBeGreaterThan(0);
  });
});

describe('what became of writes', () => {
  it('Ensure that one that was refused and happened is noticed.', () => {
    history.ask('c1', ['1']);
    history.refused(['1']);
    history.finish();
    expect(found).toEqual([]);
    logPut('a', '1');
    history.finish();
    expect(found).toEqual(['exactly once']);
  });

  it('Ensure that one without an answer may happen once, and not twice.', () => {
    const asked = history.ask('c1', ['1']);
    history.unanswered(asked, {requestPut: putOf('a', '1')});
    history.finish();
    logPut('a', '1');
    history.finish();
    expect(found).toEqual([]);
    logPut('a', '1');
    history.finish();
    expect(found).toContain('exactly once');
  });

  it('Ensure that an acknowledged one that happened again, or never, is noticed.', () => {
    put('a', '1');
    logPut('a', '1');
    history.finish();
    expect(found).toContain('exactly once');
  });
});
