import {describe, expect, it} from 'vitest';
import {deleteOf, failure, Machine, putOf} from './machine.ts';

describe('HashKV', () => {
  it('Ensure that the hashes are those of a real etcd after the same operations.', () => {
    const machine = new Machine();
    const expectHash = (hash: number, compactRevision: number, hashRevision: number) =>
      expect(machine.hashKv()).toEqual({hash, compactRevision, hashRevision});

    expectHash(1084519789, -1, 1);
    machine.put('a', '1');
    expectHash(2587454935, -1, 2);
    machine.put('b', '2');
    expectHash(1827592406, -1, 3);
    machine.put('a', '3');
    expectHash(2069675932, -1, 4);
    machine.delete('b');
    expectHash(1125682900, -1, 5);
    machine.txn({
      success: [
        {requestPut: putOf('x', '1')},
        {requestPut: putOf('y', '2')},
        {requestDeleteRange: deleteOf('a')},
      ],
    });
    expectHash(1126788610, -1, 6);
    machine.compact(5);
    expectHash(544664069, 5, 6);
    machine.reclaim();
    expectHash(544664069, 5, 6);
    machine.compact(6);
    expectHash(1708052348, 6, 6);
    machine.reclaim();
    expectHash(1708052348, 6, 6);
  });

  it('Ensure that revisions outside what stands are refused.', () => {
    const machine = new Machine();
    machine.put('a');
    machine.put('a');
    machine.compact(2);
    expect(failure(() => machine.hashKv(1))).toBe('compacted');
    expect(failure(() => machine.hashKv(2))).toBe('none');
    expect(failure(() => machine.hashKv(4))).toBe('futureRevision');
  });

  it('Ensure that below all revisions there is nothing to hash.', () => {
    const machine = new Machine();
    machine.put('a');
    expect(machine.hashKv(-1)).toEqual({hash: 1084519789, compactRevision: -1, hashRevision: -1});
  });
});
