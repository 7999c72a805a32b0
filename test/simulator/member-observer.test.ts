/** That only what was synced passes for durable. */

import {describe, expect, it} from 'vitest';
import type {OpenedMember} from '../../src/engine/server/open-member.ts';
import type {WalBatch} from '../../src/engine/storage/wal-contents.ts';
import {type MemberObserver, observeMember} from './member-observer.ts';
import type {Life, SimulatedMember} from './simulated-member.ts';

const nothing = () => undefined;

describe('the observer of a member', () => {
  it('Ensure that a batch is told to be durable when its sync is done, and one without a sync never is.', async () => {
    const told: string[] = [];
    const opened = {
      store: {mark: nothing},
      stateMachine: {apply: nothing, applyMembership: nothing},
      wal: {append: async ({sync}: WalBatch) => told.push(`writes, sync ${sync}`)},
    } as unknown as OpenedMember;
    observeMember({
      member: {} as SimulatedMember,
      life: {network: {send: nothing, sendSnapshot: nothing}} as unknown as Life,
      opened,
      observer: {
        opened: nothing,
        appending: () => told.push('appending'),
        appended: () => told.push('appended'),
      } as Partial<MemberObserver> as MemberObserver,
    });
    const hardState = {term: 1, vote: 0n, commit: 1};
    await opened.wal.append({entries: [], hardState, sync: false});
    expect(told.splice(0)).toEqual(['appending', 'writes, sync false']);
    await opened.wal.append({entries: [], hardState, sync: true});
    expect(told).toEqual(['appending', 'writes, sync true', 'appended']);
  });
});
