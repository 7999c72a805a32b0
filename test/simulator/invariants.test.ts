/** That the invariants notice what they are there for: for each rule a right state that passes, and a wrong one. */

import {beforeEach, describe, expect, it} from 'vitest';
import type {Proposal} from '../../src/engine/state-machine/command.ts';
import {Invariants} from './invariants.ts';
import {KvModel} from './kv-model.ts';
import {putOf} from './requests.ts';
import type {Life, SimulatedMember} from './simulated-member.ts';

let model: KvModel;
let invariants: Invariants;
let found: string[];
let leading: string[];
let led: string[];
let revoked: [id: bigint, isExpired: boolean][];

beforeEach(() => {
  model = new KvModel();
  found = [];
  leading = [];
  led = [];
  revoked = [];
  invariants = new Invariants({
    model,
    violate: (invariant) => found.push(invariant),
    onRevoked: (id, {isExpired}) => revoked.push([id, isExpired]),
    onLeading: ({name}, term) => leading.push(`${name} ${term}`),
    onLed: ({name}, {before}) => led.push(`${name} ${before}`),
  });
});

interface Shown {
  term: number;
  commit: number;
  applied: number;
  lastIndex: number;
  marked: number;
  role: string;
  revision: number;
}

/** A member that shows what a test has it show. */
function memberOf(name: string): {
  member: SimulatedMember;
  shown: Shown;
  check: () => void;
  dies: () => void;
} {
  const shown: Shown = {
    term: 1,
    commit: 5,
    applied: 5,
    lastIndex: 9,
    marked: 5,
    role: 'follower',
    revision: 1,
  };
  const clock = {turns: 0};
  const lifeOf = () => ({
    clock,
    replica: {loop: {status: () => shown}},
    opened: {
      store: {applied: () => ({index: shown.marked})},
      stateMachine: {mvcc: {currentRevision: () => shown.revision}},
    },
  });
  const member = {name, life: lifeOf()} as unknown as SimulatedMember;
  return {
    member,
    shown,
    check: () => {
      clock.turns++;
      invariants.check(member);
    },
    dies: () => {
      member.life = lifeOf() as unknown as Life;
    },
  };
}

const proposalOf = (value: string): Proposal => ({
  proposer: 1n,
  requestId: 1,
  command: {type: 'put', request: putOf('a', value)},
});

describe('what a member shows after each step', () => {
  it.each(['term', 'commit', 'applied', 'marked'] as const)(
    'Ensure that a %s that goes back is noticed, and one that a new process begins with is not.',
    (what) => {
      const one = memberOf('m1');
      one.check();
      one.shown[what]++;
      // Applied is never beyond commit.
      if (what === 'applied') one.shown.commit++;
      one.check();
      expect(found).toEqual([]);
      one.shown[what]--;
      one.dies();
      one.check();
      expect(found).toEqual([]);
      one.shown[what]--;
      one.check();
      expect(found).toContain('monotone');
    },
  );

  it('Ensure that what is applied beyond the commit index, or committed beyond the log, is noticed.', () => {
    const one = memberOf('m1');
    one.check();
    one.shown.applied = one.shown.commit + 1;
    one.check();
    expect(found).toEqual(['raft']);
    one.shown.applied = one.shown.commit = one.shown.lastIndex + 1;
    one.check();
    expect(found).toEqual(['raft', 'raft']);
  });

  it('Ensure that two leaders of a term are noticed, and leaders of two terms are not.', () => {
    const [one, other] = [memberOf('m1'), memberOf('m2')];
    one.shown.role = other.shown.role = 'leader';
    other.shown.term = 2;
    one.check();
    other.check();
    one.check();
    expect(found).toEqual([]);
    expect(leading).toEqual(['m1 1', 'm2 2']);
    expect(invariants.elections).toBe(2);
    one.shown.term = 2;
    one.check();
    expect(found).toEqual(['election safety']);
  });

  it('Ensure that who goes on leading a term is told, with its commit index before.', () => {
    const one = memberOf('m1');
    one.shown.role = 'leader';
    one.check();
    expect(led).toEqual([]);
    one.shown.commit = 7;
    one.check();
    one.shown.term = 2;
    one.check();
    expect(led).toEqual(['m1 5']);
  });

  it('Ensure that the next process of a lone leader counts as another one of the same term.', () => {
    const one = memberOf('m1');
    one.shown.role = 'leader';
    one.check();
    one.dies();
    one.check();
    expect(found).toEqual([]);
    expect(leading).toEqual(['m1 1', 'm1 1']);
  });
});

describe('what members apply', () => {
  const entry = (index: number, term: number, value: string) => ({index, term, proposal: proposalOf(value)});

  it('Ensure that the first to apply an entry moves the model, and others must apply the same one.', () => {
    const [one, other] = [memberOf('m1').member, memberOf('m2').member];
    invariants.applying(one, entry(1, 1, 'x'));
    expect(model.at(model.revision).get('a')?.value).toBe('x');
    invariants.marked(one, memberOf('m1').member.life as Life, {index: 1, term: 1, hash: 7});
    expect(found).toEqual(['state']);
    found = [];
    invariants.applying(other, entry(1, 1, 'x'));
    expect(found).toEqual([]);
    expect(model.revision).toBe(2);
    invariants.applying(other, entry(1, 2, 'y'));
    expect(found).toEqual(['log matching']);
  });

  it('Ensure that an entry that nobody can have reached is noticed.', () => {
    invariants.applying(memberOf('m1').member, entry(2, 1, 'x'));
    expect(found).toEqual(['log matching']);
  });

  it('Ensure that another hash, revision or term at the same index is noticed.', () => {
    const one = memberOf('m1');
    const life = one.member.life as Life;
    invariants.applying(one.member, entry(1, 1, 'x'));
    one.shown.revision = 2;
    const mark = {index: 1, term: 1, hash: 7};
    invariants.marked(one.member, life, mark);
    invariants.marked(one.member, life, mark);
    expect(found).toEqual([]);
    invariants.marked(one.member, life, {...mark, hash: 8});
    invariants.marked(one.member, life, {...mark, term: 2});
    one.shown.revision = 3;
    invariants.marked(one.member, life, mark);
    expect(found).toEqual(['state hash', 'state hash', 'state hash']);
  });

  it('Ensure that leases that go are told, with whether they expired.', () => {
    const {member} = memberOf('m1');
    const apply = (index: number, command: Proposal['command']) =>
      invariants.applying(member, {index, term: 1, proposal: {proposer: 1n, requestId: index, command}});
    apply(1, {type: 'leaseGrant', id: 5n, ttlSeconds: 3});
    apply(2, {type: 'leaseGrant', id: 6n, ttlSeconds: 3});
    apply(3, {type: 'leaseRevoke', id: 5n, proposerTerm: 0});
    // Of a term that is over: it takes nothing.
    apply(4, {type: 'leaseRevoke', id: 6n, proposerTerm: 9});
    apply(5, {type: 'leaseRevoke', id: 6n, proposerTerm: 1});
    apply(6, {type: 'leaseRevoke', id: 6n, proposerTerm: 1});
    expect(revoked).toEqual([
      [5n, false],
      [6n, true],
    ]);
    expect(found).toEqual([]);
  });
});
