import {describe, expect, it} from 'vitest';
import {EAGER_POLL_SKIPS_MAX, EagerPoll} from '../../../src/transport/eager-poll.ts';

const BUDGET_MS = 0.1;

/** A poll whose loop turns when told; `turnsUntilQuiet` counts the turns that it asks for from now on. */
function makePoll() {
  const due: (() => void)[] = [];
  let nowMs = 1;
  const poll = new EagerPoll(
    BUDGET_MS,
    () => nowMs,
    (action) => due.push(action),
  );
  const turnsUntilQuiet = (): number => {
    let turns = 0;
    for (let action = due.shift(); action !== undefined; action = due.shift()) {
      turns++;
      nowMs += BUDGET_MS / 10;
      action();
    }
    return turns;
  };
  return {poll, due, turnsUntilQuiet};
}

describe('eager poll', () => {
  it('Ensure that the loop keeps turning where an answer is awaited, for its time and no longer', () => {
    const {poll, turnsUntilQuiet} = makePoll();
    poll.expect();
    const turns = turnsUntilQuiet();
    expect(turns).toBeGreaterThanOrEqual(9);
    expect(turns).toBeLessThanOrEqual(11);
  });

  it('Ensure that it stops at the answer', () => {
    const {poll, turnsUntilQuiet} = makePoll();
    poll.expect();
    poll.arrived();
    expect(turnsUntilQuiet()).toBe(1);
  });

  it('Ensure that the loop turns for nobody where no answer is awaited', () => {
    const {poll, due} = makePoll();
    poll.arrived();
    expect(due).toEqual([]);
  });

  it('Ensure that to await a second answer begins no second loop', () => {
    const {poll, due} = makePoll();
    poll.expect();
    poll.expect();
    expect(due).toHaveLength(1);
  });

  it('Ensure that attempts grow rare where no answer comes in time, and come back with the first that does', () => {
    const {poll, turnsUntilQuiet} = makePoll();
    let attempts = 0;
    for (let i = 0; i < 10_000; i++) {
      poll.expect();
      if (turnsUntilQuiet() > 0) attempts++;
    }
    expect(attempts).toBeGreaterThan(10_000 / (EAGER_POLL_SKIPS_MAX + 1));
    expect(attempts).toBeLessThan(25);
    let seen = 0;
    for (let i = 0; i <= EAGER_POLL_SKIPS_MAX + 10; i++) {
      poll.expect();
      poll.arrived();
      if (turnsUntilQuiet() > 0) seen++;
    }
    expect(seen).toBeGreaterThanOrEqual(10);
  });
});
