import {beforeEach, describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {
  LEASE_CHECKPOINTS_IN_FLIGHT_MAX,
  LEASE_REVOKES_IN_FLIGHT_MAX,
  LEASE_SLICE,
} from '../../../src/engine/limits.ts';
import {LeaseExpirer} from '../../../src/engine/server/lease-expirer.ts';
import type {Command} from '../../../src/engine/state-machine/command.ts';
import type {LeaseRecord} from '../../../src/engine/state-machine/lease/lease-record.ts';
import {SimulatedClock} from '../../simulator/simulated-clock.ts';

const TIMEOUT_MS = 7_000;

/** Counts the timers that are set. */
class CountingClock extends SimulatedClock {
  timers = 0;

  override after(delayMs: number, action: () => void): () => void {
    let isSet = true;
    const unset = () => {
      if (isSet) this.timers--;
      isSet = false;
    };
    this.timers++;
    const cancel = super.after(delayMs, () => {
      unset();
      action();
    });
    return () => {
      unset();
      cancel();
    };
  }
}

let clock: CountingClock;
let leases: Map<bigint, LeaseRecord>;
let proposed: Command[];
let fails: boolean;
/** Leases that are gone when their revoke is applied. */
let gone: Set<bigint>;
let expirer: LeaseExpirer;

beforeEach(() => {
  clock = new CountingClock();
  leases = new Map();
  proposed = [];
  fails = false;
  gone = new Set();
  expirer = new LeaseExpirer({
    clock,
    timeoutMs: TIMEOUT_MS,
    leases: () => leases.values(),
    lease: (id) => leases.get(id),
    propose: async (command) => {
      proposed.push(command);
      if (fails) throw new Error('no leader');
      if (command.type === 'leaseRevoke' && gone.has(command.id)) {
        await new Promise<void>((resolve) => clock.after(300, resolve));
        throw new EngineError({code: 'leaseNotFound'});
      }
    },
  });
});

function grant(id: bigint, ttlSeconds: number, remainingTtlSeconds = 0): void {
  leases.set(id, {id, ttlSeconds, remainingTtlSeconds});
  expirer.changed([{id, kind: 'granted'}]);
}

/** What a renewal has to tell the log is gathered over a turn of the loop. */
async function renew(id: bigint): Promise<number> {
  const renewed = expirer.renew(id);
  await clock.settle();
  return renewed;
}

const revokes = () => proposed.filter(({type}) => type === 'leaseRevoke');
const checkpoints = () => proposed.filter(({type}) => type === 'leaseCheckpoint');

describe('lease expirer', () => {
  it('Ensure that a lease is revoked within half a second after its TTL, and never before.', async () => {
    expirer.lead(3);
    grant(1n, 10);
    await clock.advance(9_999);
    expect(revokes()).toEqual([]);
    await clock.advance(1);
    expect(revokes()).toEqual([{type: 'leaseRevoke', id: 1n, proposerTerm: 3}]);
  });

  it('Ensure that a renewal starts the TTL anew.', async () => {
    expirer.lead(3);
    grant(1n, 10);
    await clock.advance(9_000);
    expect(await renew(1n)).toBe(10);
    await clock.advance(9_500);
    expect(revokes()).toEqual([]);
    expect(expirer.remainingSeconds(1n)).toBe(0);
    await clock.advance(500);
    expect(revokes()).toHaveLength(1);
  });

  it('Ensure that a new leader goes on from the checkpoint, and from the full TTL without one.', async () => {
    leases.set(1n, {id: 1n, ttlSeconds: 100, remainingTtlSeconds: 20});
    leases.set(2n, {id: 2n, ttlSeconds: 100, remainingTtlSeconds: 0});
    expirer.lead(4);
    expect(expirer.remainingSeconds(1n)).toBe(20);
    expect(expirer.remainingSeconds(2n)).toBe(100);
  });

  it('Ensure that what is left is checkpointed at least every quarter of the TTL.', async () => {
    expirer.lead(3);
    grant(1n, 100);
    await clock.advance(26_000);
    expect(checkpoints()).toHaveLength(1);
    await clock.advance(25_000);
    expect(checkpoints()).toHaveLength(2);
    expect(checkpoints()[1]).toMatchObject({leases: [{id: 1n}]});
  });

  it('Ensure that a renewal after a checkpoint takes the checkpoint back.', async () => {
    expirer.lead(3);
    grant(1n, 100);
    await clock.advance(30_000);
    proposed.length = 0;
    await renew(1n);
    expect(proposed).toEqual([
      {type: 'leaseCheckpoint', proposerTerm: 3, leases: [{id: 1n, remainingTtlSeconds: 0}]},
    ]);
    await renew(1n);
    expect(proposed).toHaveLength(1);
  });

  it('Ensure that a lease that a client has just revoked holds up no other.', async () => {
    gone.add(1n);
    expirer.lead(3);
    grant(1n, 2);
    await clock.advance(100);
    grant(2n, 2);
    await clock.advance(1_900);
    expect(revokes()).toHaveLength(1);
    await clock.advance(500);
    expect(revokes().at(-1)).toMatchObject({id: 2n});
  });

  it('Ensure that a failed revoke is tried again, and one under way is not doubled.', async () => {
    fails = true;
    expirer.lead(3);
    grant(1n, 2);
    await clock.advance(2_000);
    expect(revokes()).toHaveLength(1);
    await clock.advance(500);
    expect(revokes()).toHaveLength(2);
  });

  it('Ensure that a renewal that comes behind the revoke is answered when the lease is gone, and not before.', async () => {
    expirer.lead(3);
    grant(1n, 2);
    await clock.advance(2_000);
    expect(revokes()).toHaveLength(1);
    let answer: number | undefined;
    const renewals = Promise.all([expirer.renew(1n), expirer.renew(1n)]).then(([first, second]) => {
      expect(second).toBe(first);
      answer = first;
    });
    await clock.advance(5_000);
    expect(answer).toBe(undefined);
    leases.delete(1n);
    expirer.changed([{id: 1n, kind: 'revoked'}]);
    await renewals;
    expect(answer).toBe(0);
  });

  it('Ensure that a renewal behind the revoke of a leader that is deposed is no denial: the lease may live on.', async () => {
    expirer.lead(3);
    grant(1n, 2);
    await clock.advance(2_500);
    const late = expect(expirer.renew(1n)).rejects.toMatchObject({code: 'notPrimaryLessor'});
    expirer.resign();
    await late;
    expirer.lead(4);
    expect(await expirer.renew(1n)).toBe(2);
  });

  it('Ensure that a renewal behind revokes that are all refused is given up when its own time is over.', async () => {
    fails = true;
    expirer.lead(3);
    grant(1n, 2);
    await clock.advance(2_000);
    const ended: [string, number][] = [];
    const end = (name: string) => (error: EngineError) =>
      ended.push([`${name}: ${error.code}`, clock.monotonicMs()]);
    expirer.renew(1n).catch(end('first'));
    await clock.advance(1_000);
    expirer.renew(1n).catch(end('second'));
    await clock.advance(TIMEOUT_MS - 1_000 - 1);
    expect(ended).toEqual([]);
    await clock.advance(1);
    expect(ended).toEqual([['first: timeout', 2_000 + TIMEOUT_MS]]);
    await clock.advance(1_000);
    expect(ended.slice(1)).toEqual([['second: timeout', 3_000 + TIMEOUT_MS]]);
    // Who asks now waits anew, and learns of the end as ever.
    const late = expirer.renew(1n);
    await clock.advance(1_000);
    leases.delete(1n);
    expirer.changed([{id: 1n, kind: 'revoked'}]);
    expect(await late).toBe(0);
  });

  it('Ensure that renewals leave no timer behind, and set none unless they wait for a revoke.', async () => {
    fails = true;
    expirer.lead(3);
    grant(1n, 2);
    grant(2n, 100);
    await clock.advance(2_000);
    const atWork = clock.timers;
    expect(await renew(2n)).toBe(100);
    expect(clock.timers).toBe(atWork);
    const late = [expirer.renew(1n), expirer.renew(1n)];
    expect(clock.timers).toBe(atWork + 2);
    leases.delete(1n);
    expirer.changed([{id: 1n, kind: 'revoked'}]);
    expect(await Promise.all(late)).toEqual([0, 0]);
    expect(clock.timers).toBe(atWork);

    grant(3n, 2);
    await clock.advance(2_500);
    const deposed = expect(expirer.renew(3n)).rejects.toMatchObject({code: 'notPrimaryLessor'});
    expirer.resign();
    await deposed;
    expect(clock.timers).toBe(0);
  });

  it('Ensure that a revoke whose fate is unknown is not taken back by a renewal.', async () => {
    fails = true;
    expirer.lead(3);
    grant(1n, 2);
    await clock.advance(2_000);
    const late = expirer.renew(1n);
    leases.delete(1n);
    expirer.changed([{id: 1n, kind: 'revoked'}]);
    expect(await late).toBe(0);
  });

  it('Ensure that who does not lead revokes nothing.', async () => {
    expirer.lead(3);
    grant(1n, 2);
    expirer.resign();
    await clock.advance(60_000);
    expect(proposed).toEqual([]);
    await expect(expirer.renew(1n)).rejects.toMatchObject({code: 'notPrimaryLessor'});
  });

  it('Ensure that renewals of one turn that take checkpoints back share a command.', async () => {
    expirer.lead(3);
    for (let id = 1n; id <= 1_500n; id++) grant(id, 100);
    await clock.advance(30_000);
    proposed.length = 0;
    const renewals = Array.from(leases.keys(), (id) => expirer.renew(id));
    await clock.settle();
    expect(await Promise.all(renewals)).toEqual(Array(1_500).fill(100));
    const sizes = proposed.map((command) => command.type === 'leaseCheckpoint' && command.leases.length);
    expect(sizes).toEqual([1_000, 500]);
  });

  it('Ensure that a renewal that the log did not take is not answered, and the next one tells it again.', async () => {
    expirer.lead(3);
    grant(1n, 100);
    await clock.advance(30_000);
    proposed.length = 0;
    fails = true;
    const refused = expect(expirer.renew(1n)).rejects.toThrow('no leader');
    await clock.settle();
    await refused;
    fails = false;
    expect(await renew(1n)).toBe(100);
    expect(proposed).toHaveLength(2);
  });

  it('Ensure that a renewal is not answered by who lost the term while the log was told.', async () => {
    expirer.lead(3);
    grant(1n, 100);
    await clock.advance(30_000);
    const late = expect(expirer.renew(1n)).rejects.toMatchObject({code: 'notPrimaryLessor'});
    expirer.resign();
    expirer.lead(4);
    await clock.settle();
    await late;
    expect(proposed.at(-1)).toMatchObject({type: 'leaseCheckpoint', proposerTerm: 3});
  });

  it('Ensure that a revoke that failed keeps the others back for a moment, and all are tried again.', async () => {
    expirer.lead(3);
    for (let id = 1n; id <= 5_000n; id++) grant(id, 2);
    fails = true;
    await clock.advance(2_400);
    expect(revokes()).toHaveLength(500);
    await clock.advance(500);
    expect(revokes()).toHaveLength(1_000);
    fails = false;
    await clock.advance(10_000);
    expect(new Set(revokes().map((command) => 'id' in command && command.id)).size).toBe(5_000);
  });
});

const NONE = {begun: 0, revoked: 0, checkpoints: 0, checkpointed: 0};

/** Everything is done in timers of the clock: counts what one of them does, and the most that any did. */
class SliceClock extends SimulatedClock {
  now = {...NONE};
  most = {...NONE};

  override after(delayMs: number, action: () => void): () => void {
    return super.after(delayMs, () => {
      this.now = {...NONE};
      action();
      for (const kind of KINDS) this.most[kind] = Math.max(this.most[kind], this.now[kind]);
    });
  }
}

const KINDS = ['begun', 'revoked', 'checkpoints', 'checkpointed'] as const;

/** An expirer over very many leases, with a log that needs 10 ms for whatever it is given. */
class Many {
  readonly clock = new SliceClock();
  readonly living = new Set<bigint>();
  readonly inFlight = {leaseRevoke: 0, leaseCheckpoint: 0};
  readonly inFlightMax = {leaseRevoke: 0, leaseCheckpoint: 0};
  checkpointed = 0;
  readonly expirer: LeaseExpirer;
  #landing: (() => void)[] = [];

  constructor({count, ttlSeconds}: {count: number; ttlSeconds: number}) {
    for (let id = 1n; id <= count; id++) this.living.add(id);
    const {clock, living} = this;
    const lease = (id: bigint) => ({id, ttlSeconds, remainingTtlSeconds: 0});
    this.expirer = new LeaseExpirer({
      clock,
      timeoutMs: TIMEOUT_MS,
      *leases() {
        for (const id of living) {
          clock.now.begun++;
          yield lease(id);
        }
      },
      lease: (id) => (living.has(id) ? lease(id) : undefined),
      propose: (command) => this.#propose(command),
    });
  }

  async #propose(command: Command): Promise<void> {
    const {clock, inFlight, inFlightMax} = this;
    if (command.type !== 'leaseRevoke' && command.type !== 'leaseCheckpoint') throw new Error(command.type);
    inFlightMax[command.type] = Math.max(inFlightMax[command.type], ++inFlight[command.type]);
    if (command.type === 'leaseCheckpoint') {
      clock.now.checkpoints++;
      clock.now.checkpointed += command.leases.length;
      this.checkpointed += command.leases.length;
    } else clock.now.revoked++;
    await this.#landed();
    inFlight[command.type]--;
    if (command.type !== 'leaseRevoke') return;
    this.living.delete(command.id);
    this.expirer.changed([{id: command.id, kind: 'revoked'}]);
  }

  #landed(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#landing.push(resolve) > 1) return;
      this.clock.after(10, () => {
        for (const land of this.#landing.splice(0)) land();
      });
    });
  }
}

describe('very many leases', () => {
  it('Ensure that a million begin and expire in bounded slices, and that none waits for its turn to be asked.', {
    timeout: 120_000,
  }, async () => {
    const many = new Many({count: 1_000_000, ttlSeconds: 8});
    const {clock, expirer} = many;
    expirer.lead(3);
    await clock.advance(1_500);
    // Far from its turn: it has what is left since this leader leads.
    expect(expirer.remainingSeconds(999_999n)).toBe(6);
    expect(await expirer.renew(1_000_000n)).toBe(8);
    await clock.advance(6_000);
    expect(clock.most.begun).toBe(LEASE_SLICE);
    expect(clock.most.revoked).toBe(0);
    await clock.advance(30_000);
    expect(many.living.size).toBe(0);
    expect(clock.most.revoked).toBe(LEASE_SLICE);
    expect(many.inFlightMax.leaseRevoke).toBe(LEASE_REVOKES_IN_FLIGHT_MAX);
    expirer.resign();
  });

  it('Ensure that those that are due for a checkpoint at once are told in bounded slices, each once.', async () => {
    const many = new Many({count: 100_000, ttlSeconds: 60});
    const {clock, expirer} = many;
    expirer.lead(3);
    await clock.advance(14_900);
    expect(clock.most.checkpoints).toBe(0);
    await clock.advance(10_000);
    expect(many.checkpointed).toBe(100_000);
    expect(clock.most).toMatchObject({checkpoints: 1, checkpointed: LEASE_SLICE});
    expect(many.inFlightMax.leaseCheckpoint).toBe(LEASE_CHECKPOINTS_IN_FLIGHT_MAX);
    expirer.resign();
  });
});
