import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {
  changeConf,
  decodeConfChange,
  encodeConfChange,
  LEAVE_JOINT,
} from '../../../src/engine/raft/conf-change.ts';
import type {ConfChange, ConfState} from '../../../src/engine/raft/message.ts';
import type {MemberId} from '../../../src/engine/types.ts';
import {confStateOf} from './raft-member.ts';

const stepTypes = ['addVoter', 'addLearner', 'remove', 'update'] as const;
const step = fc.record({type: fc.constantFrom(...stepTypes), memberId: fc.bigInt({min: 1n, max: 6n})});
const change: fc.Arbitrary<ConfChange> = fc.record({
  steps: fc.array(step, {maxLength: 4}),
  joint: fc.constantFrom('auto' as const, 'implicit' as const, 'explicit' as const),
  context: fc.uint8Array({maxLength: 8}),
});

/** What every member is, after the steps alone: the simplest model. */
function naiveRoles(conf: ConfState, steps: ConfChange['steps']): Map<MemberId, 'voter' | 'learner'> {
  const roles = new Map<MemberId, 'voter' | 'learner'>();
  for (const id of conf.voters) roles.set(id, 'voter');
  for (const id of conf.learners) roles.set(id, 'learner');
  for (const {type, memberId} of steps) {
    if (type === 'addVoter') roles.set(memberId, 'voter');
    if (type === 'addLearner') roles.set(memberId, 'learner');
    if (type === 'remove') roles.delete(memberId);
  }
  return roles;
}

function rolesOf(conf: ConfState): Map<MemberId, 'voter' | 'learner'> {
  const roles = new Map<MemberId, 'voter' | 'learner'>();
  for (const id of conf.voters) roles.set(id, 'voter');
  for (const id of conf.learners) roles.set(id, 'learner');
  return roles;
}

const sorted = (roles: Map<MemberId, string>) => [...roles].sort(([a], [b]) => (a < b ? -1 : 1));
const start = confStateOf({voters: [1n, 2n, 3n], learners: [4n]});

describe('conf change', () => {
  it('Ensure that entering and leaving a joint configuration has the effect of the steps.', () => {
    fc.assert(
      fc.property(fc.array(step, {minLength: 1, maxLength: 5}), (steps) => {
        const joint = changeConf(start, {steps, joint: 'explicit', context: Buffer.alloc(0)});
        const expected = naiveRoles(start, steps);
        if ('refused' in joint) {
          expect([...expected.values()]).not.toContain('voter');
          return;
        }
        expect(joint.conf.votersOutgoing).toEqual(start.voters);
        const left = changeConf(joint.conf, LEAVE_JOINT);
        expect('conf' in left && sorted(rolesOf(left.conf))).toEqual(sorted(expected));
      }),
    );
  });

  it('Ensure that a simple change changes at most one voter, as the joint way would.', () => {
    fc.assert(
      fc.property(step, (one) => {
        const result = changeConf(start, {steps: [one], joint: 'auto', context: Buffer.alloc(0)});
        if ('refused' in result) throw new Error('a single step from three voters is always possible');
        expect(sorted(rolesOf(result.conf))).toEqual(sorted(naiveRoles(start, [one])));
        expect(result.conf.votersOutgoing).toEqual([]);
      }),
    );
  });

  it('Ensure that any sequence of changes keeps voters and learners apart, sorted, and somebody voting.', () => {
    fc.assert(
      fc.property(fc.array(change, {maxLength: 12}), (changes) => {
        let conf = start;
        for (const one of changes) {
          const result = changeConf(conf, one);
          if ('conf' in result) conf = result.conf;
          expect(conf.voters.length).toBeGreaterThan(0);
          for (const list of [conf.voters, conf.votersOutgoing, conf.learners, conf.learnersNext]) {
            expect([...list].sort((a, b) => (a < b ? -1 : 1))).toEqual(list);
            expect(new Set(list).size).toBe(list.length);
          }
          const voting = new Set([...conf.voters, ...conf.votersOutgoing]);
          expect(conf.learners.filter((id) => voting.has(id))).toEqual([]);
          expect(conf.learnersNext.every((id) => conf.votersOutgoing.includes(id))).toBe(true);
        }
      }),
    );
  });

  it('Ensure that the three modes enter a joint configuration when they should and leave it as they say.', () => {
    const one = [{type: 'addVoter', memberId: 5n}] as const;
    const two = [...one, {type: 'remove', memberId: 1n}] as const;
    const context = Buffer.alloc(0);
    const enter = (steps: ConfChange['steps'], joint: ConfChange['joint']) => {
      const result = changeConf(start, {steps, joint, context});
      return 'conf' in result
        ? [result.conf.votersOutgoing.length > 0, result.conf.autoLeave]
        : result.refused;
    };
    expect(enter(one, 'auto')).toEqual([false, false]);
    expect(enter(two, 'auto')).toEqual([true, true]);
    expect(enter(one, 'implicit')).toEqual([true, true]);
    expect(enter(one, 'explicit')).toEqual([true, false]);
    expect(enter([], 'auto')).toBe('not in a joint configuration');
  });

  it('Ensure that the bytes of a change come back as the change, and other bytes as nothing.', () => {
    fc.assert(
      fc.property(change, (one) => {
        const back = decodeConfChange(encodeConfChange(one));
        expect(back && {...back, context: [...back.context]}).toEqual({...one, context: [...one.context]});
      }),
    );
    fc.assert(fc.property(fc.uint8Array({maxLength: 40}), (bytes) => void decodeConfChange(bytes)));
    const bytes = encodeConfChange({
      steps: [{type: 'remove', memberId: 7n}],
      joint: 'auto',
      context: Buffer.alloc(0),
    });
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeConfChange(bytes.subarray(0, length))).toBeUndefined();
    }
  });
});
