/** That leases which go too late while leaders change are noticed, and no others; and what counts as leaders' work. */

import {beforeEach, describe, expect, it} from 'vitest';
import {LeaderWork} from './leader-work.ts';
import {LeaseBound} from './lease-bound.ts';
import type {Life} from './simulated-member.ts';

const GAP_MS = 100;
const ELECTION_MS = 300;

/** Leaders that log, commit and apply one entry after the other. */
class Leaders {
  readonly work = new LeaderWork({gapMsMax: GAP_MS});
  #nowMs = 0;
  #term = 0;
  #index = 0;
  #life = this.#newLife();

  constructor() {
    this.next();
  }

  get life(): Life {
    return this.#life;
  }

  #newLife(): Life {
    return {clock: {monotonicMs: () => this.#nowMs}, isAlive: true} as unknown as Life;
  }

  next(): void {
    this.#life = this.#newLife();
    this.work.leads(this.#life, ++this.#term);
    this.logs();
    this.applies();
  }

  logs(term = this.#term): void {
    this.work.logging(this.#life, [{index: ++this.#index, term}]);
  }

  applies(): void {
    this.work.applying(this.#life, {index: this.#index, term: this.#term});
  }

  appliesElsewhere(): void {
    this.work.applying(this.#newLife(), {index: this.#index, term: this.#term});
  }

  pass(ms: number): void {
    this.#nowMs += ms;
  }

  worksFor(ms: number): void {
    for (let left = ms; left > 0; left -= 50) {
      this.pass(50);
      this.logs();
      this.applies();
    }
  }
}

describe('the work of leaders', () => {
  const sumOf = ({work}: Leaders) =>
    work.since({leadership: 0, workedMs: 0}).reduce((sum, {workedMs}) => sum + workedMs, 0);

  it('Ensure that time counts in which entries are logged one soon after the other, and are committed.', () => {
    const leaders = new Leaders();
    leaders.worksFor(1_000);
    expect(sumOf(leaders)).toBe(1_000);
    leaders.pass(GAP_MS + 1);
    leaders.logs();
    leaders.applies();
    expect(sumOf(leaders)).toBe(1_000);
    leaders.pass(GAP_MS);
    leaders.logs();
    expect(sumOf(leaders)).toBe(1_000);
    leaders.appliesElsewhere();
    expect(sumOf(leaders)).toBe(1_000 + GAP_MS);
  });

  it('Ensure that a deposed leader, and one that has applied nothing of its term, do no work.', () => {
    const leaders = new Leaders();
    const {work} = leaders;
    work.leads({clock: {monotonicMs: () => 0}} as unknown as Life, 5);
    const before = sumOf(leaders);
    leaders.pass(50);
    leaders.logs();
    leaders.applies();
    leaders.logs(5);
    work.applying({} as Life, {index: 3, term: 5});
    expect(sumOf(leaders)).toBe(before);
  });

  it('Ensure that a mark divides what one leader does, and that it is known how long entries took.', () => {
    const leaders = new Leaders();
    leaders.worksFor(200);
    const mark = leaders.work.mark();
    leaders.worksFor(300);
    leaders.next();
    leaders.worksFor(100);
    leaders.logs();
    leaders.pass(40);
    leaders.applies();
    expect(leaders.work.since(mark)).toEqual([
      {workedMs: 300, latencyMs: 0, isLast: false},
      {workedMs: 100, latencyMs: 40, isLast: true},
    ]);
  });
});

describe('the bound of leases', () => {
  let found: string[];
  let leaders: Leaders;
  let bound: LeaseBound;
  const BOUND_MS = 8_000 + 1_000 + 2 * ELECTION_MS;

  beforeEach(() => {
    found = [];
    leaders = new Leaders();
    bound = new LeaseBound({
      work: leaders.work,
      electionMs: ELECTION_MS,
      violate: (_name, detail) => found.push(detail),
    });
    bound.granted(1n, 8);
  });

  it('Ensure that one that outlives its TTL under one leader is noticed.', () => {
    leaders.worksFor(BOUND_MS);
    bound.granted(2n, 8);
    leaders.worksFor(50);
    bound.expired(1n);
    bound.expired(2n);
    expect(found).toEqual(['lease 1 of 8 s went 50 ms too late by the clocks of those who led']);
  });

  it('Ensure that a leader that is replaced may lose what it had not written down, and no more.', () => {
    // A quarter of the TTL, two looks and a rounding.
    const untoldMs = 2_000 + 1_000 + 1_000;
    leaders.worksFor(untoldMs + 1_000);
    leaders.next();
    leaders.worksFor(untoldMs);
    leaders.next();
    leaders.worksFor(BOUND_MS - 1_000);
    bound.expired(1n);
    expect(found).toEqual([]);
    bound.granted(2n, 8);
    leaders.worksFor(untoldMs + 1_000);
    leaders.next();
    leaders.worksFor(BOUND_MS - 950);
    bound.expired(2n);
    expect(found.join()).toContain('50 ms too late');
  });

  it('Ensure that a renewal begins its time anew, whenever it has its effect.', () => {
    const renewed = bound.renewing(leaders.life, 1n);
    leaders.worksFor(9_000);
    renewed();
    leaders.worksFor(9_000);
    bound.expired(1n);
    bound.granted(2n, 8);
    bound.renewing(leaders.life, 2n);
    leaders.worksFor(20_000);
    bound.expired(2n);
    expect(found).toEqual([]);
  });

  it('Ensure that the renewal of a process that ends has its effect before the next one leads, or never.', () => {
    for (const lease of [2n, 3n]) {
      bound.granted(lease, 8);
      const {life} = leaders;
      bound.renewing(life, lease);
      leaders.worksFor(9_000);
      Object.assign(life, {isAlive: false});
      leaders.next();
      leaders.worksFor(lease === 2n ? BOUND_MS : BOUND_MS + 50);
      bound.expired(lease);
    }
    expect(found.join()).toContain('lease 3 of 8 s went 50 ms too late');
    expect(found.length).toBe(1);
  });
});
