import {beforeEach, describe, expect, it} from 'vitest';
import {type Entry, EntryType} from '../../../src/engine/raft/message.ts';
import {CommitGate} from '../../../src/engine/server/commit-gate.ts';

let noted: number;
let asked: number;
let applied: number[][];
let gate: CommitGate;

const entry = (index: number, type: Entry['type'] = EntryType.normal): Entry => ({
  index,
  term: 1,
  type,
  payload: new Uint8Array(0),
});
const change = (index: number) => entry(index, EntryType.confChange);

beforeEach(() => {
  noted = 2;
  asked = 0;
  applied = [];
  gate = new CommitGate({
    notedCommit: () => noted,
    noteCommit: () => asked++,
    apply: (entries) => applied.push(entries.map(({index}) => index)),
  });
});

describe('commit gate', () => {
  it('Ensure that whatever changes no configuration, or is known to be noted, passes at once.', () => {
    gate.take([change(1), change(2), entry(3)]);
    gate.take([entry(4)]);
    expect(applied).toEqual([[1, 2, 3], [4]]);
    expect(asked).toBe(0);
  });

  it('Ensure that a change and all behind it wait until the log says that it is committed.', () => {
    gate.take([entry(3), change(4), entry(5)]);
    gate.take([entry(6), change(7), entry(8)]);
    expect(applied).toEqual([[3]]);
    noted = 3;
    gate.release();
    expect(applied).toEqual([[3]]);
    noted = 5;
    gate.release();
    expect(applied).toEqual([[3], [4, 5, 6]]);
    expect(asked).toBe(2);
    noted = 8;
    gate.release();
    gate.take([entry(9)]);
    expect(applied).toEqual([[3], [4, 5, 6], [7, 8], [9]]);
  });
});
