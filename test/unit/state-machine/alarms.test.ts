import {describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import type {Command} from '../../../src/engine/state-machine/command.ts';
import {requestCost} from '../../../src/engine/state-machine/quota.ts';
import {AlarmType, type TxnRequest} from '../../../src/engine/types.ts';
import {deleteOf, Machine, putOf, rangeOf} from './machine.ts';

const txnOf = (fields: Partial<TxnRequest>): TxnRequest => ({
  compare: [],
  success: [],
  failure: [],
  ...fields,
});

const put: Command = {type: 'put', request: putOf('n', '12')};
const putting: Command = {type: 'txn', request: txnOf({failure: [{requestPut: putOf('n', '12')}]})};
const nested: Command = {
  type: 'txn',
  request: txnOf({success: [{requestTxn: txnOf({success: [{requestPut: putOf('n', '12')}]})}]}),
};
const grant: Command = {type: 'leaseGrant', id: 9n, ttlSeconds: 10};
const reading: Command = {type: 'txn', request: txnOf({success: [{requestRange: rangeOf('a')}]})};
const deletion: Command = {type: 'deleteRange', request: deleteOf('a')};
const compaction: Command = {type: 'compact', revision: 2};
const revoke: Command = {type: 'leaseRevoke', id: 7n, proposerTerm: 0};

function code(machine: Machine, command: Command): string {
  const {response} = machine.apply(command);
  return response instanceof EngineError ? response.code : 'ok';
}

function alarmed(alarm: number): Machine {
  const machine = new Machine();
  machine.put('a', '1');
  machine.response({type: 'leaseGrant', id: 7n, ttlSeconds: 10});
  machine.response({type: 'alarm', action: 'activate', memberId: 2n ** 64n - 1n, alarm});
  return new Machine(machine.records);
}

describe('alarms', () => {
  it('Ensure that without space only what takes none goes on, until the alarm is lifted.', () => {
    const machine = alarmed(AlarmType.noSpace);
    expect([put, putting, nested, grant].map((command) => code(machine, command))).toEqual(
      Array(4).fill('noSpace'),
    );
    expect([reading, deletion, compaction, revoke].map((command) => code(machine, command))).toEqual(
      Array(4).fill('ok'),
    );
    const lift = {
      type: 'alarm',
      action: 'deactivate',
      memberId: 2n ** 64n - 1n,
      alarm: AlarmType.noSpace,
    } as const;
    expect(machine.response(lift).alarms.length).toBe(1);
    expect(machine.response(lift).alarms).toEqual([]);
    expect([put, grant].map((command) => code(machine, command))).toEqual(['ok', 'ok']);
    expect([...machine.records.range('alarm', {})]).toEqual([]);
  });

  it('Ensure that a corrupt cluster neither reads nor writes keys and leases.', () => {
    const machine = alarmed(AlarmType.corrupt);
    const all = [put, putting, grant, reading, deletion, compaction, revoke];
    expect(all.map((command) => code(machine, command))).toEqual(Array(7).fill('corrupt'));
    expect(machine.stateMachine.alarms.refuseAll()?.code).toBe('corrupt');
    expect(code(machine, {type: 'memberAttributes', memberId: 1n, name: 'a', clientURLs: []})).toBe('ok');
    const lift = {
      type: 'alarm',
      action: 'deactivate',
      memberId: 2n ** 64n - 1n,
      alarm: AlarmType.corrupt,
    } as const;
    expect(code(machine, lift)).toBe('ok');
    expect(code(machine, put)).toBe('ok');
  });

  it('Ensure that alarms are told by member and kind, each once.', () => {
    const machine = new Machine();
    const activate = (memberId: bigint, alarm: number) =>
      machine.response({type: 'alarm', action: 'activate', memberId, alarm});
    activate(5n, 2);
    activate(5n, 1);
    activate(3n, 1);
    expect(activate(5n, 1).alarms).toEqual([{memberId: 5n, alarm: 1}]);
    const expected = [
      [3n, 1],
      [5n, 1],
      [5n, 2],
    ];
    const list = (one: Machine) =>
      one.stateMachine.alarms.list().map(({memberId, alarm}) => [memberId, alarm]);
    expect(list(machine)).toEqual(expected);
    expect(list(new Machine(machine.records))).toEqual(expected);
  });

  it('Ensure that the cost of a command is that of its dearer branch, at any depth.', () => {
    expect([put, putting, nested].map(requestCost)).toEqual([259, 259, 259]);
    expect([grant, reading, deletion, compaction, revoke].map(requestCost)).toEqual([64, 0, 0, 0, 0]);
  });
});
