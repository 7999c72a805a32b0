/** Each way in which two could hold one lock is noticed. */

import {beforeEach, describe, expect, it} from 'vitest';
import {KvModel} from './kv-model.ts';
import {type Hold, LockBook} from './lock-book.ts';
import {deleteOf, putOf} from './requests.ts';

describe('the book of locks', () => {
  let found: string[];
  let nowMs: number;
  let locks: LockBook;
  const first: Hold = {lock: 'x', holder: 'l1', key: 'x/1', token: 2};
  const second: Hold = {lock: 'x', holder: 'l2', key: 'x/2', token: 3};

  beforeEach(() => {
    found = [];
    nowMs = 0;
    const model = new KvModel();
    model.apply(1, 1, {type: 'put', request: putOf('x/1', '')});
    model.apply(2, 1, {type: 'put', request: putOf('x/2', '')});
    model.apply(3, 1, {type: 'deleteRange', request: deleteOf('x/1')});
    model.apply(4, 1, {type: 'put', request: putOf('fenced/x', '')});
    locks = new LockBook({model, nowMs: () => nowMs, violate: (_name, detail) => found.push(detail)});
  });

  it('Ensure that holders one after the other are not blamed.', () => {
    locks.holds(first, {revision: 3, untilMs: 100});
    locks.letGo(first);
    locks.holds(second, {revision: 4, untilMs: 100});
    locks.wrote(second, 5);
    expect(found).toEqual([]);
    expect([locks.acquired, locks.fencedWrites]).toEqual([2, 1]);
  });

  it('Ensure that an expired belief makes room, and a standing one does not.', () => {
    locks.holds(first, {revision: 3, untilMs: 100});
    nowMs = 101;
    locks.holds(second, {revision: 4, untilMs: 200});
    expect(found).toEqual([]);
    nowMs = 150;
    locks.renewed(second, 300);
    locks.holds({...second, holder: 'l3', token: 4}, {revision: 5, untilMs: 300});
    expect(found.join()).toContain('while l2 does with 3');
  });

  it('Ensure that two holders of one token are noticed.', () => {
    locks.holds(first, {revision: 2, untilMs: 100});
    locks.holds({...first, holder: 'l2'}, {revision: 3, untilMs: 100});
    expect(found).toEqual(['l2 and l1 both hold x with token 2']);
  });

  it('Ensure that a holder that waits in the queue by the store, or whose key is gone, is noticed.', () => {
    locks.holds(second, {revision: 3, untilMs: 100});
    locks.wrote(first, 5);
    expect(found[0]).toContain('by the store x/1 does with 2');
    expect(found[1]).toContain('by the store x/2 does with 3');
  });

  it('Ensure that a token that falls is noticed.', () => {
    locks.wrote(second, 5);
    locks.holds({...second, token: 2}, {revision: 4, untilMs: 100});
    locks.wrote({...second, token: 2}, 6);
    expect(found.join()).toContain('token 2 at 6, but 3 at 5');
  });
});
