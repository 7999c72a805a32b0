import {isDeepStrictEqual} from 'node:util';
import {describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {silentLogger} from '../../../src/engine/io/logger.ts';
import {STATE_HASH_STRIDE, STATE_HASHES_REMEMBERED} from '../../../src/engine/limits.ts';
import {AutoCompactor} from '../../../src/engine/server/auto-compactor.ts';
import {CorruptionChecker, majorityHash} from '../../../src/engine/server/corruption-checker.ts';
import type {ServerConfig} from '../../../src/engine/server/server-config.ts';
import {StateHashes} from '../../../src/engine/server/state-hashes.ts';
import {type Alarm, AlarmType} from '../../../src/engine/types.ts';
import {SimulatedClock} from '../../simulator/simulated-clock.ts';

function autoCompactor(rule: ServerConfig['autoCompaction']) {
  const clock = new SimulatedClock();
  const state = {revision: 1, compacted: [] as number[], isLeader: true};
  const compactor = new AutoCompactor({
    rule,
    clock,
    logger: silentLogger,
    isLeader: () => state.isLeader,
    currentRevision: () => state.revision,
    compactRevision: () => state.compacted.at(-1) ?? -1,
    compact: async (revision) => state.compacted.push(revision),
  });
  compactor.start();
  return {clock, state, compactor};
}

describe('auto compactor', () => {
  it('Ensure that mode revision keeps the newest N revisions.', async () => {
    const {clock, state} = autoCompactor({mode: 'revision', retentionRevisions: 100});
    state.revision = 90;
    await clock.advance(5 * 60_000);
    expect(state.compacted).toEqual([]);
    state.revision = 250;
    await clock.advance(5 * 60_000);
    expect(state.compacted).toEqual([150]);
  });

  it('Ensure that mode periodic never takes a revision younger than the retention.', async () => {
    const {clock, state} = autoCompactor({mode: 'periodic', retentionMs: 3_600_000});
    const madeMs: number[] = [];
    for (let minute = 0; minute < 180; minute++) {
      state.revision++;
      madeMs[state.revision] = clock.monotonicMs();
      await clock.advance(60_000);
      const newest = state.compacted.at(-1);
      if (newest !== undefined)
        expect(clock.monotonicMs() - madeMs[newest]).toBeGreaterThanOrEqual(3_600_000);
    }
    expect(state.compacted.length).toBeGreaterThan(10);
  });

  it('Ensure that only the leader compacts, and nobody does where it is off.', async () => {
    const follower = autoCompactor({mode: 'revision', retentionRevisions: 10});
    follower.state.isLeader = false;
    follower.state.revision = 1_000;
    await follower.clock.advance(3_600_000);
    const off = autoCompactor({mode: 'off'});
    off.state.revision = 1_000;
    await off.clock.advance(3_600_000);
    expect([follower.state.compacted, off.state.compacted]).toEqual([[], []]);
  });
});

describe('state hashes', () => {
  it('Ensure that a bounded number of round indexes is remembered.', () => {
    const hashes = new StateHashes();
    const last = STATE_HASH_STRIDE * (STATE_HASHES_REMEMBERED + 10);
    for (let index = 1; index <= last; index++) hashes.remember({index, term: 1, hash: index});
    expect(hashes.newest()).toBe(last);
    expect(hashes.at(last)).toBe(last);
    expect(hashes.at(STATE_HASH_STRIDE)).toBeUndefined();
    expect(hashes.at(last - 1)).toBeUndefined();
  });
});

describe('corruption checker', () => {
  function checker(own: number, others: Record<string, number | undefined | 'down'>) {
    const raised: Alarm[] = [];
    const asked: string[] = [];
    const state = {raises: true};
    const hashes = new StateHashes();
    hashes.remember({index: STATE_HASH_STRIDE, term: 1, hash: own});
    const made = new CorruptionChecker({
      memberId: 1n,
      clock: new SimulatedClock(),
      logger: silentLogger,
      hashes,
      isLeader: () => true,
      others: () => Object.keys(others).map(BigInt),
      askHash: async (member, index) => {
        asked.push(`${member} at ${index}`);
        const answer = others[String(member)];
        if (answer === 'down') throw new EngineError({code: 'timeoutConnectionLost'});
        return answer;
      },
      alarmed: (alarm) => raised.some((other) => isDeepStrictEqual(other, alarm)),
      raise: async (alarm) => {
        if (!state.raises) throw new EngineError({code: 'timeout'});
        raised.push(alarm);
      },
    });
    return {made, raised, asked, others, hashes, state};
  }
  const alarmOf = (memberId: bigint) => ({memberId, alarm: AlarmType.corrupt});

  it('Ensure that the member that differs from the majority is the one that is blamed, the leader too.', async () => {
    const follower = checker(7, {2: 7, 3: 8});
    await follower.made.check();
    await follower.made.check();
    expect(follower.raised).toEqual([alarmOf(3n)]);
    const leader = checker(8, {2: 7, 3: 7});
    await leader.made.check();
    await leader.made.check();
    expect(leader.raised).toEqual([alarmOf(1n)]);
  });

  it('Ensure that a member that does not answer is not blamed.', async () => {
    const {made, raised} = checker(7, {2: undefined, 3: 7});
    await made.check();
    await made.check();
    expect(raised).toEqual([]);
  });

  it('Ensure that without a majority of all members the alarm names nobody.', async () => {
    const pair = checker(7, {2: 8});
    await pair.made.check();
    await pair.made.check();
    expect(pair.raised).toEqual([alarmOf(0n)]);
    const silent = checker(7, {2: 8, 3: undefined});
    await silent.made.check();
    await silent.made.check();
    expect(silent.raised).toEqual([alarmOf(0n)]);
    expect(majorityHash([1, 2, 3], 3)).toBeUndefined();
    expect(majorityHash([1, 2, 2], 3)).toBe(2);
  });

  it("Ensure that members are compared where they have been for a while, not at the leader's newest index.", async () => {
    const {made, raised} = checker(7, {2: 8, 3: 7});
    await made.check();
    expect(raised).toEqual([]);
    await made.check();
    expect(raised).toEqual([alarmOf(2n)]);
  });

  it('Ensure that who was down when the others were compared is asked until it answers, and they are not.', async () => {
    const {made, raised, asked, others} = checker(7, {2: 7, 3: 'down'});
    await made.check();
    await made.check();
    await made.check();
    expect(asked).toEqual(['2 at 64', '3 at 64', '3 at 64']);
    // It is back, and on its way to the index.
    others[3] = undefined;
    await made.check();
    expect(raised).toEqual([]);
    others[3] = 8;
    await made.check();
    expect(raised).toEqual([alarmOf(3n)]);
    expect(asked.splice(0)).toHaveLength(5);
    await made.check();
    expect(asked).toEqual([]);
  });

  it('Ensure that who was removed is asked no more, and no longer counts.', async () => {
    const {made, raised, asked, others} = checker(7, {2: 8, 3: 'down', 4: 'down'});
    await made.check();
    await made.check();
    expect(raised.splice(0)).toEqual([alarmOf(0n)]);
    delete others[2];
    delete others[4];
    others[3] = 7;
    asked.length = 0;
    await made.check();
    await made.check();
    expect([asked, raised]).toEqual([['3 at 64'], []]);
  });

  it('Ensure that all are asked anew at a later index, and none about the old one.', async () => {
    const {made, asked, hashes} = checker(7, {2: 7, 3: 'down'});
    await made.check();
    hashes.remember({index: 2 * STATE_HASH_STRIDE, term: 1, hash: 9});
    await made.check();
    await made.check();
    expect(asked).toEqual(['2 at 64', '3 at 64', '2 at 128', '3 at 128']);
  });

  it('Ensure that an alarm that could not be raised is raised by a later check.', async () => {
    const {made, raised, state} = checker(7, {2: 7, 3: 8});
    state.raises = false;
    await made.check();
    await expect(made.check()).rejects.toMatchObject({code: 'timeout'});
    state.raises = true;
    await made.check();
    expect(raised).toEqual([alarmOf(3n)]);
  });
});
