import {describe, expect, it} from 'vitest';
import type {ConfState} from '../../../src/engine/state-machine/member-record.ts';
import type {MembershipChange} from '../../../src/engine/state-machine/members.ts';
import type {Member} from '../../../src/engine/types.ts';
import {Machine, text} from './machine.ts';

const BIG = 0xfedcba9876543210n;
const SMALL = 0x0123456789abcden;

function member(id: bigint, fields: Partial<Member> = {}): Member {
  return {id, name: '', peerURLs: [`http://m${id}:2380`], clientURLs: [], isLearner: false, ...fields};
}

const EMPTY: ConfState = {voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false};

function change(machine: Machine, type: MembershipChange['type'], one: Member, confState = EMPTY): string {
  const {stateMachine} = machine;
  const refused = stateMachine.members.check({type, member: one});
  const index = stateMachine.applied().index + 1;
  const {response} = stateMachine.applyMembership({
    index,
    term: 1,
    change: refused === undefined ? {type, member: one} : undefined,
    confState,
  });
  expect('type' in response).toBe(true);
  return refused?.code ?? 'ok';
}

describe('members', () => {
  it('Ensure that each change keeps the rules, and that a removed id never comes back.', () => {
    const machine = new Machine();
    const {members} = machine.stateMachine;
    expect(change(machine, 'add', member(1n))).toBe('ok');
    expect(change(machine, 'add', member(1n))).toBe('memberExists');
    expect(change(machine, 'add', member(2n, {peerURLs: ['http://x:1', 'http://m1:2380']}))).toBe(
      'peerUrlExists',
    );
    expect(change(machine, 'add', member(2n, {isLearner: true}))).toBe('ok');
    expect(change(machine, 'add', member(3n, {isLearner: true}))).toBe('tooManyLearners');
    expect(change(machine, 'update', member(2n, {peerURLs: ['http://new:2380'], isLearner: false}))).toBe(
      'ok',
    );
    expect(members.get(2n)).toMatchObject({peerURLs: ['http://new:2380'], isLearner: true});
    expect(change(machine, 'update', member(2n, {peerURLs: ['http://m1:2380']}))).toBe('peerUrlExists');
    expect(change(machine, 'update', member(9n))).toBe('memberNotFound');
    expect(change(machine, 'promote', member(1n))).toBe('memberNotLearner');
    expect(change(machine, 'promote', member(2n))).toBe('ok');
    expect(change(machine, 'remove', member(1n))).toBe('ok');
    expect(change(machine, 'remove', member(1n))).toBe('memberNotFound');
    expect(change(machine, 'add', member(1n))).toBe('memberNotFound');
    expect(members.list().map(({id, isLearner}) => [id, isLearner])).toEqual([[2n, false]]);
    expect([members.isRemoved(1n), members.isKnown(1n), members.removed()]).toEqual([true, true, [1n]]);
  });

  it('Ensure that members and configuration are stored as etcd stores them, with exact 64-bit ids.', () => {
    const machine = new Machine();
    const confState = {...EMPTY, voters: [SMALL, BIG], learners: [3n], autoLeave: true};
    change(machine, 'add', member(BIG, {peerURLs: ['http://"id":5/']}), confState);
    change(machine, 'add', member(SMALL, {isLearner: true}), confState);
    machine.apply({type: 'memberAttributes', memberId: BIG, name: 'ä"id":7', clientURLs: ['http://c:1']});
    machine.apply({type: 'memberAttributes', memberId: 77n, name: 'nobody', clientURLs: []});
    const stored = [...machine.records.range('members', {})].map(([key, value]) => [
      text(key),
      Buffer.from(value).toString(),
    ]);
    expect(stored).toEqual([
      ['123456789abcde', `{"id":${SMALL},"peerURLs":["http://m${SMALL}:2380"],"isLearner":true}`],
      [
        'fedcba9876543210',
        `{"id":${BIG},"peerURLs":["http://\\"id\\":5/"],"name":"ä\\"id\\":7","clientURLs":["http://c:1"]}`,
      ],
    ]);
    const meta = [...machine.records.range('meta', {})].map(([key, value]) => [text(key), text(value)]);
    expect(meta).toEqual([['confState', `{"voters":[${SMALL},${BIG}],"learners":[3],"auto_leave":true}`]]);
    const {members, ...restarted} = new Machine(machine.records).stateMachine;
    expect(restarted).toBeDefined();
    expect(members.list()).toEqual(machine.stateMachine.members.list());
    expect(new Machine(machine.records).stateMachine.confState()).toEqual(confState);
  });

  it('Ensure that a refused change still moves the configuration it came with.', () => {
    const machine = new Machine();
    const confState = {...EMPTY, voters: [1n]};
    machine.stateMachine.applyMembership({index: 1, term: 1, change: undefined, confState});
    expect(machine.stateMachine.confState()).toEqual(confState);
    expect(machine.stateMachine.applied()).toMatchObject({index: 1, term: 1});
  });
});
