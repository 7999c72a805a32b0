/** That a damaged member counts as sound no sooner than its disk holds again what it may have lost. */

import {beforeEach, describe, expect, it} from 'vitest';
import type {OpenedMember} from '../../src/engine/server/open-member.ts';
import type {MemberId} from '../../src/engine/types.ts';
import {Casualties} from './casualties.ts';
import {EventQueue} from './event-queue.ts';
import type {MemberAdmin} from './member-admin.ts';
import type {Life, SimulatedMember} from './simulated-member.ts';

describe('a member whose files were meddled with', () => {
  const raft = {id: 1n, commit: 0, probation: 0};
  const life = {
    number: 2,
    isPublished: true,
    opened: {raft: {status: () => raft}} as unknown as OpenedMember,
  } as Life;
  let queue: EventQueue;
  let durable: number;
  let recovered: MemberId[];
  let member: SimulatedMember;
  let casualties: Casualties;

  const pass = async (ms: number) => {
    const untilMs = queue.nowMs + ms;
    queue.after(ms, () => undefined);
    await queue.run(() => queue.nowMs >= untilMs);
  };

  beforeEach(() => {
    queue = new EventQueue();
    durable = 4;
    recovered = [];
    Object.assign(raft, {commit: 4, probation: 0});
    member = {name: 'm1', lives: 1, life, isDamaged: false} as SimulatedMember;
    casualties = new Casualties({
      queue,
      members: [member],
      admin: {} as MemberAdmin,
      violate: (invariant, detail) => {
        throw new Error(`${invariant}: ${detail}`);
      },
      lastDurable: () => 7,
      durableOn: () => durable,
      restartsInLatest: () => true,
      onRecovered: (id) => recovered.push(id),
    });
    casualties.struck(member);
  });

  it('Ensure that one that only knows to be committed what it had lost is not sound yet.', async () => {
    raft.commit = 7;
    durable = 6;
    await pass(1_000);
    expect([member.isDamaged, casualties.areNone, recovered]).toEqual([true, false, []]);
    durable = 7;
    await pass(1_000);
    expect([member.isDamaged, casualties.areNone, recovered]).toEqual([false, true, [1n]]);
  });

  it.each([
    ['whose commit index has not come so far', {commit: 6, probation: 0}],
    ['that is on probation', {commit: 7, probation: 8}],
  ])('Ensure that one %s is not sound yet, whatever its disk holds.', async (_what, status) => {
    Object.assign(raft, status);
    durable = 8;
    await pass(1_000);
    expect([member.isDamaged, recovered]).toEqual([true, []]);
  });
});
