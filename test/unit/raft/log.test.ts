import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {Log} from '../../../src/engine/raft/log.ts';
import {LogTail} from '../../../src/engine/raft/log-tail.ts';
import type {Entry} from '../../../src/engine/raft/message.ts';
import {confStateOf} from './raft-member.ts';
import {entriesOf, FIRST} from './small-cluster.ts';

const logOf = (terms: readonly number[], commit = 1) =>
  new Log({compacted: FIRST, entries: entriesOf(terms), commit, applied: 1});
const entry = (index: number, term: number): Entry => ({index, term, type: 0, payload: Buffer.from('x')});
const termsOf = (log: Log) =>
  log.lastIndex < log.firstIndex ? [] : log.slice(log.firstIndex, log.lastIndex, 1e9).map(({term}) => term);

describe('log', () => {
  it('Ensure that merging keeps what agrees and replaces from the first entry that differs on.', () => {
    const log = logOf([1, 1, 2]);
    expect(log.merge(3, 1, [entry(4, 2)])).toBe('ok');
    expect(termsOf(log)).toEqual([1, 1, 2]);
    expect(log.merge(2, 1, [entry(3, 3)])).toBe('ok');
    expect(termsOf(log)).toEqual([1, 3]);
    expect(log.merge(3, 2, [])).toBe('mismatch');
    expect(log.merge(9, 3, [])).toBe('mismatch');
  });

  it('Ensure that a committed entry is never replaced.', () => {
    const log = logOf([1, 1, 2], 3);
    expect(log.merge(2, 1, [entry(3, 3)])).toBe('conflict');
    expect(termsOf(log)).toEqual([1, 1, 2]);
  });

  it('Ensure that an old append that is shorter does not cut the log.', () => {
    const log = logOf([1, 1, 1]);
    expect(log.merge(1, 1, [entry(2, 1)])).toBe('ok');
    expect(termsOf(log)).toEqual([1, 1, 1]);
  });

  it('Ensure that bytes are counted through appending, cutting, compacting and restoring.', () => {
    const log = logOf([1, 1, 2]);
    const whole = log.bytes;
    log.append([entry(5, 2)]);
    log.merge(3, 1, [entry(4, 3)]);
    log.commitTo(4);
    log.takeUnwritten();
    expect(log.tail.confirmed({index: 4, term: 3})).toBe(true);
    log.takeCommitted(1e9);
    log.appliedTo(4);
    log.compact(3);
    expect(log.bytes).toBeLessThan(whole);
    expect(log.firstIndex).toBe(4);
    expect(log.term(3)).toBe(1);
    expect(log.term(2)).toBeUndefined();
    log.restore({index: 9, term: 4, confState: confStateOf({voters: [1n]})});
    expect([log.bytes, log.commit, log.lastIndex, log.lastTerm]).toEqual([0, 9, 9, 4]);
  });

  it('Ensure that a cut is found by what it leaves, and what it may free is counted.', () => {
    const log = logOf([1, 1, 1, 1]);
    const one = log.bytes / 4;
    expect(log.cutLeaving(one * 2 + 1)).toBe(3);
    expect(log.cutLeaving(one * 2)).toBe(4);
    expect(log.cutLeaving(1)).toBe(5);
    expect(log.cutLeaving(one * 9)).toBe(1);
    log.commitTo(5);
    log.takeUnwritten();
    log.tail.confirmed({index: 5, term: 1});
    log.takeCommitted(1e9);
    expect(log.appliedBytes).toBe(0);
    log.appliedTo(3);
    log.appliedTo(4);
    expect(log.appliedBytes).toBe(one * 3);
    log.compact(3);
    expect(log.appliedBytes).toBe(one);
    log.restore({index: 9, term: 4, confState: confStateOf({voters: [1n]})});
    log.appliedTo(9);
    expect(log.appliedBytes).toBe(0);
  });

  it('Ensure that committed entries are handed out once, in bounded parts, and only when they are on disk.', () => {
    const log = logOf([]);
    log.append([entry(2, 1), entry(3, 1), entry(4, 1)]);
    log.commitTo(4);
    expect(log.takeCommitted(1)).toEqual([]);
    expect(log.takeUnwritten().length).toBe(3);
    expect(log.takeUnwritten()).toEqual([]);
    log.tail.confirmed({index: 4, term: 1});
    expect(log.takeCommitted(2).map(({index}) => index)).toEqual([2, 3]);
    expect(log.takeCommitted(0).map(({index}) => index)).toEqual([4]);
    expect(log.hasCommitted()).toBe(false);
  });
});

describe('log tail', () => {
  it('Ensure that the confirmation of an entry that was replaced and written again counts for the last write.', () => {
    const tail = new LogTail(4);
    tail.handedOut(5, 1);
    tail.truncated(4);
    tail.handedOut(5, 2);
    tail.truncated(4);
    tail.handedOut(5, 1);
    expect(tail.confirmed({index: 5, term: 1})).toBe(false);
    expect(tail.confirmed({index: 5, term: 2})).toBe(false);
    expect(tail.stored).toBe(4);
    expect(tail.confirmed({index: 5, term: 1})).toBe(true);
    expect(tail.stored).toBe(5);
  });

  it('Ensure that a confirmation counts as far as no later write replaces it, and that strange ones are ignored.', () => {
    const tail = new LogTail(0);
    tail.handedOut(10, 1);
    tail.truncated(7);
    tail.handedOut(9, 2);
    expect(tail.confirmed({index: 10, term: 7})).toBe(false);
    tail.confirmed({index: 10, term: 1});
    expect(tail.stored).toBe(7);
    tail.confirmed({index: 9, term: 2});
    expect(tail.stored).toBe(9);
    expect(tail.confirmed({index: 9, term: 2})).toBe(false);
  });

  it('Ensure that what is called stored is what a disk that writes in order would hold.', () => {
    const action = fc.oneof(
      fc.record({
        kind: fc.constant('append' as const),
        count: fc.integer({min: 1, max: 3}),
        term: fc.integer({min: 1, max: 3}),
      }),
      fc.record({
        kind: fc.constant('truncate' as const),
        count: fc.integer({min: 1, max: 3}),
        term: fc.constant(0),
      }),
      fc.record({
        kind: fc.constantFrom('write' as const, 'sync' as const),
        count: fc.constant(0),
        term: fc.constant(0),
      }),
    );
    fc.assert(
      fc.property(fc.array(action, {maxLength: 40}), (actions) => {
        const tail = new LogTail(0);
        let log: number[] = [];
        let disk: number[] = [];
        const writes: {first: number; terms: number[]}[] = [];
        for (const {kind, count, term} of actions) {
          if (kind === 'append') log.push(...new Array<number>(count).fill(term));
          if (kind === 'truncate' && log.length >= count) {
            log = log.slice(0, -count);
            tail.truncated(log.length);
          }
          if (kind === 'write' && tail.next <= log.length) {
            writes.push({first: tail.next, terms: log.slice(tail.next - 1)});
            tail.handedOut(log.length, log[log.length - 1]);
          }
          const write = kind === 'sync' ? writes.shift() : undefined;
          if (write !== undefined) {
            disk = [...disk.slice(0, write.first - 1), ...write.terms];
            tail.confirmed({index: disk.length, term: disk[disk.length - 1]});
          }
          // Everything called stored is on the disk as the log has it, and no write under way will take it away.
          expect(tail.stored).toBeLessThanOrEqual(log.length);
          expect(disk.slice(0, tail.stored)).toEqual(log.slice(0, tail.stored));
          for (const {first} of writes) expect(tail.stored).toBeLessThan(first);
        }
      }),
    );
  });
});
