/** CI's share of chaos on real processes; `npm run chaos` goes on for as long as asked. */

import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {describe, expect, it} from 'vitest';
import {putOf, rangeOf} from '../../simulator/requests.ts';
import {EtcdCalls} from '../etcd-calls.ts';
import {eventually} from '../eventually.ts';
import {freePorts} from '../free-ports.ts';
import {MemberProcess} from '../member-process.ts';
import {CHAOS_KEYS} from './chaos-client.ts';
import {ChaosCluster} from './chaos-cluster.ts';
import {FAULT_KINDS} from './chaos-fault.ts';
import {ChaosHistory, type TruthEvent} from './chaos-history.ts';
import {runChaos} from './chaos-run.ts';
import {describeReport} from './describe-report.ts';
import {wrongPrevious} from './previous-values.ts';

/** Room for each kind of fault; those that still lack get more time. */
const LASTS_MS = {3: 25_000, 5: 15_000};
const TIMEOUT_MS = 400_000;
/** A quiet machine does more in a second. */
const ANSWERED_MIN = 1_000;

describe('chaos', () => {
  it.each([3, 5] as const)(
    'Ensure that %i members that are killed, stopped, cut off and out of space break no promise.',
    async (members) => {
      const report = await runChaos({
        seed: members,
        members,
        lastsMs: LASTS_MS[members],
        answeredMin: ANSWERED_MIN,
      });
      console.log(describeReport(members, report));
      expect(report.violations).toEqual([]);
      expect(report.undecidedParts).toBe(0);
      // Something must have been asked, watched, let go and broken, or nothing was shown.
      expect(report.watchEvents).toBeGreaterThan(ANSWERED_MIN / 4);
      expect(report.emptyWatches).toBe(0);
      expect(report.resumed).toBeGreaterThan(0);
      expect(report.expired).toBeGreaterThan(0);
      for (const kind of FAULT_KINDS) {
        // Mounting a small file system needs privileges: the report says so where they lack.
        const isPossible = kind !== 'full disk' || report.faults.has(kind);
        if (isPossible) expect(report.faults.get(kind)?.felt, kind).toBeGreaterThan(0);
      }
    },
    TIMEOUT_MS,
  );

  it('Ensure that a member whose ways are cut answers nobody, until they are whole again.', async () => {
    const cluster = await ChaosCluster.start(3);
    try {
      const [alone, ...others] = cluster.members.map(({options}) => options.name);
      using calls = new EtcdCalls(cluster.members[0].endpoint);
      await calls.put('k', 'v');
      const ways = others.flatMap((other) => [[alone, other] as const, [other, alone] as const]);
      for (const [from, to] of ways) cluster.relay.cut(from, to);
      await expect(calls.get('k', {timeoutMs: 2_000})).rejects.toThrow();
      expect((await calls.get('k', {serializable: true}))?.value.toString()).toBe('v');
      for (const [from, to] of ways) cluster.relay.heal(from, to, false);
      await eventually(() => calls.get('k', {timeoutMs: 2_000}), {what: 'an answer after the cut'});
    } finally {
      await cluster.destroy();
    }
  });
});

describe('members under chaos', () => {
  it('Ensure that one that ends by itself is told with its last words, and one that is made to end is not.', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kvd-ends-'));
    try {
      const [clientPort, peerPort] = await freePorts(2);
      const initialCluster = `m=http://127.0.0.1:${peerPort}`;
      const options = {program: 'kvd', name: 'm', folder, clientPort, peerPort, initialCluster} as const;
      const killed = new MemberProcess(options);
      await killed.start();
      await killed.kill();
      expect(killed.ends).toEqual([]);
      const broken = new MemberProcess({...options, extraArguments: ['--snapshot-count=many']});
      broken.spawn();
      await eventually(() => broken.ends.length > 0, {what: 'an end'});
      expect(broken.ends).toEqual([expect.stringMatching(/^m ended with code \d+:\n.*snapshot-count/s)]);
    } finally {
      rmSync(folder, {recursive: true, force: true});
    }
  });
});

describe('history of chaos', () => {
  const [key] = CHAOS_KEYS;
  const header = {revision: '2'};
  const bytes = (text: string) => Buffer.from(text);
  const kvOf = (value: string, revision: number, version = 1) => ({
    key: bytes(key),
    value: bytes(value),
    createRevision: 2,
    modRevision: revision,
    version,
    lease: 0n,
  });
  const putAt = (revision: number, value: string, version = 1): TruthEvent => ({
    revision,
    key,
    kv: kvOf(value, revision, version),
    text: value,
  });
  const violationsOf = (fill: (history: ChaosHistory) => void, truth: readonly TruthEvent[]) => {
    const history = new ChaosHistory(CHAOS_KEYS);
    fill(history);
    history.check(truth);
    return history.violations.length;
  };

  it('Ensure that a lost, a moved and a doubled write are noticed, and a right one is not.', () => {
    const fill = (history: ChaosHistory) => history.put(0, putOf(key, 'a'), {header, prev_kv: null});
    expect(violationsOf(fill, [putAt(2, 'a')])).toBe(0);
    expect(violationsOf(fill, [])).toBeGreaterThan(0);
    expect(violationsOf(fill, [putAt(3, 'a')])).toBeGreaterThan(0);
    expect(violationsOf(fill, [putAt(2, 'a'), putAt(3, 'a', 2)])).toBeGreaterThan(0);
  });

  it('Ensure that a write which was never sent is noticed.', () => {
    const fill = (history: ChaosHistory) => history.notSent(['a', 'as', 'af']);
    expect(violationsOf(fill, [putAt(2, 'b')])).toBe(0);
    expect(violationsOf(fill, [putAt(2, 'as')])).toBe(1);
  });

  it('Ensure that a read of what its revision does not hold, and a stale one, are noticed.', () => {
    const read =
      (revision: string, kvs: readonly object[], serializable = false) =>
      (history: ChaosHistory) => {
        history.put(0, putOf(key, 'a'), {header, prev_kv: null});
        const answer = {header: {revision}, kvs, count: `${kvs.length}`, more: false};
        history.range(performance.now(), rangeOf(key, '', {serializable}), answer);
      };
    const found = {
      key: bytes(key),
      value: bytes('a'),
      create_revision: '2',
      mod_revision: '2',
      version: '1',
      lease: '0',
    };
    const truth = [putAt(2, 'a')];
    expect(violationsOf(read('2', [found]), truth)).toBe(0);
    expect(violationsOf(read('2', []), truth)).toBeGreaterThan(0);
    // As it was before a write that was acknowledged already: right only for who asked for no more.
    expect(violationsOf(read('1', []), truth)).toBeGreaterThan(0);
    expect(violationsOf(read('1', [], true), truth)).toBe(0);
  });

  it('Ensure that a watch that tells another previous value than there was is noticed.', () => {
    const truth = [putAt(2, 'a'), putAt(4, 'b', 2), {...putAt(5, ''), kv: undefined}, putAt(7, 'c')];
    const told = (before: readonly (string | undefined)[]) =>
      wrongPrevious(
        truth.map((event, place) => ({...event, before: before[place]})),
        truth,
      );
    const right = ['nothing', `${key}=a@2,2,1`, `${key}=b@2,4,2`, 'nothing'];
    expect(told(right)).toBeUndefined();
    expect(told([undefined, undefined, right[2]])).toBeUndefined();
    for (const place of right.keys()) {
      const wrong = right.map((one, at) => (at === place ? `${key}=x@2,2,1` : one));
      expect(told(wrong)).toContain(
        `came with ${key}=x@2,2,1 as what was before it, which is ${right[place]}`,
      );
    }
  });
});
