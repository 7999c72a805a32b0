/** How a member asks the leader about leases while leadership moves. */

import {describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {LEASE_ASK_RETRY_MS_MAX, LEASE_ASK_RETRY_MS_MIN} from '../../../src/engine/limits.ts';
import {Leases, type LeasesOptions} from '../../../src/engine/server/leases.ts';
import {SimulatedClock} from '../../simulator/simulated-clock.ts';

const TIMEOUT_MS = 7_000;

function makeLeases(
  call: () => Promise<unknown>,
  confirm: () => Promise<void> = async () => undefined,
): {leases: Leases; clock: SimulatedClock} {
  const clock = new SimulatedClock();
  const leases = new Leases({
    clock,
    timeoutMs: TIMEOUT_MS,
    reads: {confirm},
    memberId: 1n,
    leader: () => 2n,
    network: {call},
  } as unknown as LeasesOptions);
  return {leases, clock};
}

/** What became of it, and when, as time passes. */
async function outcomeOf(
  clock: SimulatedClock,
  asked: Promise<unknown>,
): Promise<{outcome: unknown; tookMs: number}> {
  const startedMs = clock.monotonicMs();
  let outcome: unknown;
  let tookMs = 0;
  asked
    .catch((error: EngineError) => error.code)
    .then((result) => {
      outcome = result;
      tookMs = clock.monotonicMs() - startedMs;
    });
  for (let ms = 0; ms < 2 * TIMEOUT_MS && outcome === undefined; ms++) await clock.advance(1);
  return {outcome, tookMs};
}

describe('a question to the leader', () => {
  it('Ensure that it is put again with growing pauses, until the time of the request is over.', async () => {
    const askedAtMs: number[] = [];
    const {leases, clock} = makeLeases(async () => {
      askedAtMs.push(clock.monotonicMs());
      throw new EngineError({code: 'timeoutConnectionLost'});
    });
    const {outcome, tookMs} = await outcomeOf(clock, leases.renew(7n));
    expect(outcome).toBe('timeoutConnectionLost');
    expect(tookMs).toBeLessThanOrEqual(TIMEOUT_MS);
    expect(tookMs).toBeGreaterThan(TIMEOUT_MS - 2 * LEASE_ASK_RETRY_MS_MAX);
    const pauses = askedAtMs.slice(1).map((atMs, i) => atMs - askedAtMs[i]);
    expect(pauses[0]).toBeGreaterThanOrEqual(LEASE_ASK_RETRY_MS_MIN);
    expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
    expect(pauses.at(-1)).toBeLessThanOrEqual(LEASE_ASK_RETRY_MS_MAX + 1);
  });

  it('Ensure that a leader found meanwhile answers it, and a member that stops asks no more.', async () => {
    let refusals = 5;
    const moving = makeLeases(async () => {
      if (refusals-- > 0) throw new EngineError({code: 'notPrimaryLessor'});
      return {type: 'leaseRenew', ttlSeconds: 9};
    });
    expect((await outcomeOf(moving.clock, moving.leases.renew(7n))).outcome).toBe(9);
    let asked = 0;
    let isStopped = false;
    const stopping = makeLeases(
      async () => {
        asked++;
        isStopped = true;
        throw new EngineError({code: 'stopped'});
      },
      async () => {
        if (isStopped) throw new EngineError({code: 'stopped'});
      },
    );
    const {outcome, tookMs} = await outcomeOf(stopping.clock, stopping.leases.remaining(7n));
    expect(outcome).toBe('stopped');
    expect(tookMs).toBeLessThan(2 * LEASE_ASK_RETRY_MS_MIN);
    expect(asked).toBe(1);
  });
});
