/** Leases that go too early, too late, or come back are noticed; by the clocks of those who lead. */

import {beforeEach, describe, expect, it} from 'vitest';
import {EventQueue} from './event-queue.ts';
import {LeaderClock} from './leader-clock.ts';
import {LeaseBook} from './lease-book.ts';
import {MemberClock} from './member-clock.ts';
import {SeededRandom} from './seeded-random.ts';
import type {Life} from './simulated-member.ts';

describe('the book of leases', () => {
  let found: string[];
  let nowMs: number;
  let leaderMs: number;
  let leases: LeaseBook;

  beforeEach(() => {
    found = [];
    nowMs = 0;
    leaderMs = 0;
    leases = new LeaseBook({
      nowMs: () => nowMs,
      leaderMs: () => leaderMs,
      violate: (_name, detail) => found.push(detail),
    });
    leases.granted(1n, {ttlSeconds: 4, asked: leases.ask(), isShared: true});
  });

  it('Ensure that one that goes early by the time of leaders is noticed, whatever the true time.', () => {
    nowMs = 60_000;
    leaderMs = 3_900;
    leases.gone(1n, {isExpired: true});
    expect(found.join()).toContain('99 ms early');
  });

  it('Ensure that one that has lived by the time of leaders, or was revoked, is not.', () => {
    leases.granted(2n, {ttlSeconds: 4, asked: leases.ask(), isShared: true});
    leases.revoking(2n);
    leases.gone(2n, {isExpired: true});
    leaderMs = 4_000;
    leases.gone(1n, {isExpired: true});
    expect(found).toEqual([]);
    expect(leases.expired).toBe(2);
  });

  it('Ensure that a renewal counts from when it was asked for, even if it is answered after the end.', () => {
    nowMs = leaderMs = 1_000;
    const asked = leases.ask();
    nowMs = leaderMs = 4_000;
    leases.gone(1n, {isExpired: true});
    expect(found).toEqual([]);
    leases.renewed(1n, {ttlSeconds: 4, asked});
    expect(found.join()).toContain('999 ms early');
  });

  it('Ensure that a renewal of what is gone, and a denial of what lives, are noticed.', () => {
    leases.told(1n, {ttlSeconds: -1, grantedTtlSeconds: 0});
    leases.told(1n, {ttlSeconds: 5, grantedTtlSeconds: 4});
    nowMs = leaderMs = 5_000;
    leases.gone(1n, {isExpired: true});
    nowMs = 5_001;
    leases.renewed(1n, {ttlSeconds: 4, asked: leases.ask()});
    expect(found.slice(0, 3)).toEqual([
      'lease 1 lives but was denied',
      'lease 1 has 5 s left',
      'lease 1, gone at 5000, was renewed at 5001',
    ]);
  });

  it('Ensure that a renewal that finds nothing where a lease lives, or is for another time, is noticed.', () => {
    leases.denied(2n);
    leases.renewed(1n, {ttlSeconds: 4, asked: leases.ask()});
    leases.told(1n, {ttlSeconds: 3, grantedTtlSeconds: 4});
    expect(found).toEqual([]);
    expect([1n, 2n].map((id) => leases.livesSurely(id))).toEqual([true, false]);
    leases.denied(1n);
    leases.renewed(1n, {ttlSeconds: 3, asked: leases.ask()});
    leases.told(1n, {ttlSeconds: 3, grantedTtlSeconds: 3});
    expect(found).toHaveLength(3);
    nowMs = leaderMs = 5_000;
    leases.gone(1n, {isExpired: true});
    leases.denied(1n);
    expect(found).toHaveLength(3);
    expect(leases.livesSurely(1n)).toBe(false);
  });

  it('Ensure that one that stays when all is well is noticed.', () => {
    nowMs = leaderMs = 10_000;
    const endMs = leases.expectEnd(new Map([[1n, {ttlSeconds: 4}]]), {electionMs: 1_000, clockRateMin: 0.8});
    // What is on its way still arrives; the TTL and a quarter of it by a slow clock, and two election timeouts.
    expect(endMs).toBe(10_000 + 6_000 + 5_000 / 0.8 + 2_000);
    nowMs = endMs + 7;
    leases.gone(1n, {isExpired: true});
    expect(found).toEqual(['lease 1 went 7 ms too late']);
  });
});

describe('the clock of those who lead', () => {
  it('Ensure that it sums what each leader measured, stands without one, and heeds the later term.', async () => {
    const queue = new EventQueue();
    const random = new SeededRandom(1);
    const lifeOf = (rate: number) => {
      const clock = new MemberClock(queue, random, {ownMs: 5_000, rate});
      const state = {isLeader: true};
      const life = {clock, isAlive: true, replica: {loop: state}} as unknown as Life;
      return {life, state};
    };
    const pass = async (ms: number) => {
      queue.after(ms, () => undefined);
      await queue.step();
    };
    const clock = new LeaderClock();
    const [slow, fast] = [lifeOf(0.5), lifeOf(2)];
    clock.leads(slow.life, 1);
    await pass(100);
    expect(clock.nowMs()).toBe(50);
    clock.leads(fast.life, 2);
    clock.leads(slow.life, 1);
    await pass(100);
    expect(clock.nowMs()).toBe(250);
    fast.state.isLeader = false;
    clock.check();
    await pass(1_000);
    expect(clock.nowMs()).toBe(250);
    // The same term once more: a lone voter's next process, when a crash undid the term.
    clock.leads(slow.life, 2);
    await pass(100);
    expect(clock.nowMs()).toBe(300);
  });
});
