/** Records of a store that have passed their checksums, or come from another program, and are wrong all the same. */

import {describe, expect, it} from 'vitest';
import {decodeProposal, encodeProposal} from '../../../src/engine/state-machine/command-codec.ts';
import {decodeLease, encodeLeaseKey} from '../../../src/engine/state-machine/lease/lease-record.ts';
import {decodeConfState, decodeMember} from '../../../src/engine/state-machine/member-record.ts';
import {encodeTombstoneKey} from '../../../src/engine/state-machine/mvcc/key-value-record.ts';
import {encodeTombstoneRevision} from '../../../src/engine/state-machine/mvcc/revision.ts';
import {MemoryRecords} from '../../simulator/memory-records.ts';
import {bytes, failure, Machine} from './machine.ts';

describe('damaged records', () => {
  it.each([
    'null',
    '[]',
    '5',
    '{"id":"x","peerURLs":[]}',
    '{"id":99999999999999999999999,"peerURLs":[]}',
    '{}',
  ])('Ensure that the member %s is refused as damage.', (json) => {
    expect(failure(() => decodeMember(bytes(json)))).toBe('storeCorrupt');
  });

  it.each([
    'null',
    '{"voters":["x"]}',
    '{"voters":[-1]}',
    '{"voters":[18446744073709551616]}',
    '{"learners":5}',
  ])('Ensure that the configuration %s is refused as damage.', (json) => {
    expect(failure(() => decodeConfState(bytes(json)))).toBe('storeCorrupt');
  });

  it('Ensure that no lease has the id that means none, or more left than it had.', () => {
    expect(failure(() => decodeLease(encodeLeaseKey(0n), Buffer.from([0x08, 0, 0x10, 5])))).toBe(
      'storeCorrupt',
    );
    const value = Buffer.from([0x08, 7, 0x10, 5, 0x18, 9]);
    expect(decodeLease(encodeLeaseKey(7n), value)).toEqual({id: 7n, ttlSeconds: 5, remainingTtlSeconds: 5});
  });

  it('Ensure that a deletion with a number that no entry reaches is refused, not taken for a put.', () => {
    const records = new MemoryRecords();
    for (const main of [3, 4]) {
      records.put('key', encodeTombstoneRevision(main, 2 ** 32), encodeTombstoneKey(bytes('a')));
    }
    expect(failure(() => new Machine(records))).toBe('storeCorrupt');
  });

  it('Ensure that a pending deletion that stands there twice is refused.', () => {
    const machine = new Machine(new MemoryRecords(), {pendingDeleteKeysMin: 2});
    for (const key of ['a', 'b', 'c']) machine.put(key);
    machine.delete('a', 'z');
    const [[key, value]] = [...machine.records.range('kvd', {})];
    machine.records.put('kvd', Buffer.concat([key, bytes('t')]), value);
    expect(failure(() => new Machine(machine.records))).toBe('storeCorrupt');
  });

  it('Ensure that a command whose request id is no number is damage.', () => {
    const proposal = {proposer: 1n, requestId: 1, command: {type: 'compact', revision: 5} as const};
    const payload = Buffer.from(encodeProposal(proposal));
    for (const requestId of [Number.NaN, 0.5, 2 ** 53]) {
      payload.writeDoubleBE(requestId, 10);
      expect(failure(() => decodeProposal(payload))).toBe('walCorrupt');
    }
  });
});
