import {describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {silentLogger} from '../../../src/engine/io/logger.ts';
import {PEER_CALL_TIMEOUT_MS} from '../../../src/engine/limits.ts';
import {type Entry, EntryType} from '../../../src/engine/raft/message.ts';
import {FounderCheck, type FounderCheckOptions} from '../../../src/engine/server/founder-check.ts';
import type {PeerAnswer} from '../../../src/engine/server/peer-call.ts';
import {PeerService, type PeerServiceOptions} from '../../../src/engine/server/peer-service.ts';
import {encodeProposal} from '../../../src/engine/state-machine/command-codec.ts';
import type {Member, MemberId} from '../../../src/engine/types.ts';
import {SimulatedClock} from '../../simulator/simulated-clock.ts';

const RETRY_MS = 100;
const memberOf = (id: MemberId, name = ''): Member => ({
  id,
  name,
  peerURLs: [`http://m${id}:2380`],
  clientURLs: [],
  isLearner: false,
});
const FOUNDERS = [1n, 2n, 3n, 4n, 5n].map((id) => memberOf(id));

type ClusterAnswer = PeerAnswer & {type: 'cluster'};

const answerOf = (members: readonly Member[], removed: readonly MemberId[] = []): ClusterAnswer => ({
  type: 'cluster',
  clusterId: 7n,
  memberId: 0n,
  members,
  removed,
});
const STRANGER = answerOf(FOUNDERS);
const KNOWS = answerOf([memberOf(1n, 'a'), ...FOUNDERS.slice(1)]);
const REMOVED = answerOf(FOUNDERS.slice(1), [1n]);
const JOINS = answerOf([]);

/** Member 1 of five. What others say when they are asked: an answer at once, or none before the time limit. */
class World {
  readonly clock = new SimulatedClock();
  readonly replies = new Map<MemberId, ClusterAnswer | 'hangs'>();
  readonly calls: MemberId[] = [];
  passes = 0;
  readonly failures: unknown[] = [];
  readonly check: FounderCheck;

  constructor({strangersMin}: {readonly strangersMin: number}) {
    const {clock, replies, calls} = this;
    const callUrl = async (url: string): Promise<ClusterAnswer> => {
      const id = BigInt(/m(\d+)/.exec(url)?.[1] ?? 0);
      calls.push(id);
      const reply = replies.get(id);
      if (reply === 'hangs')
        await new Promise<void>((resolve) => clock.after(PEER_CALL_TIMEOUT_MS, () => resolve()));
      if (reply === undefined || reply === 'hangs') throw new EngineError({code: 'timeout'});
      return {...reply, memberId: reply.memberId || id};
    };
    this.check = new FounderCheck({
      clusterId: 7n,
      self: {id: 1n, name: 'a'},
      strangersMin,
      members: () => FOUNDERS,
      network: {callUrl} as unknown as FounderCheckOptions['network'],
      clock,
      logger: silentLogger,
      retryMs: RETRY_MS,
      passed: () => this.passes++,
      failed: (error) => this.failures.push(error),
    });
  }

  async run(ms = 3 * RETRY_MS): Promise<void> {
    await this.clock.advance(ms);
  }
}

describe('the check of a founder', () => {
  it('Ensure that whoever has nothing to find out asks nobody.', async () => {
    const world = new World({strangersMin: 0});
    world.replies.set(2n, KNOWS);
    world.check.start();
    await world.run();
    expect([world.calls, world.passes, world.failures]).toEqual([[], 0, []]);
  });

  it('Ensure that a founder takes part once enough others do not know it, and not before.', async () => {
    const world = new World({strangersMin: 2});
    world.replies.set(2n, STRANGER);
    world.check.start();
    await world.run();
    expect(world.passes).toBe(0);
    expect(world.calls.filter((id) => id === 2n)).toHaveLength(1);
    expect(world.calls.filter((id) => id === 3n).length).toBeGreaterThan(1);
    world.replies.set(5n, STRANGER);
    await world.run();
    expect([world.passes, world.failures]).toEqual([1, []]);
    const asked = world.calls.length;
    world.replies.set(4n, KNOWS);
    await world.run();
    expect([world.calls.length, world.passes, world.failures]).toEqual([asked, 1, []]);
  });

  it('Ensure that one who knows it counts for more than all others, also when its answer comes last.', async () => {
    for (const objection of [KNOWS, REMOVED]) {
      const world = new World({strangersMin: 2});
      world.replies.set(2n, STRANGER).set(3n, STRANGER).set(4n, 'hangs').set(5n, objection);
      world.check.start();
      await world.run(10_000);
      expect(world.passes).toBe(0);
      expect(world.failures).toMatchObject([{failure: {code: 'clusterMismatch'}}]);
    }
  });

  it('Ensure that a member that hangs delays it for no longer than its answer is waited for.', async () => {
    const world = new World({strangersMin: 2});
    world.replies.set(2n, STRANGER).set(3n, STRANGER).set(4n, 'hangs');
    world.check.start();
    await world.run(PEER_CALL_TIMEOUT_MS - 1);
    expect(world.passes).toBe(0);
    await world.run(1);
    expect([world.passes, world.failures]).toEqual([1, []]);
  });

  it('Ensure that one that comes to know nobody yet, and one of another cluster, count for nothing.', async () => {
    const world = new World({strangersMin: 1});
    world.replies.set(2n, JOINS).set(3n, {...KNOWS, clusterId: 8n});
    world.check.start();
    await world.run();
    expect([world.passes, world.failures]).toEqual([0, []]);
    world.replies.set(2n, STRANGER);
    await world.run();
    expect([world.passes, world.failures]).toEqual([1, []]);
  });

  it('Ensure that members which came for founders are asked, at old URLs and at new ones.', async () => {
    const newcomer = {...memberOf(9n), peerURLs: ['http://m9:2380']};
    const list = [FOUNDERS[0], {...memberOf(8n), peerURLs: FOUNDERS[1].peerURLs}, newcomer];
    const world = new World({strangersMin: 2});
    world.replies.set(2n, {...answerOf(list), memberId: 8n}).set(9n, answerOf(list));
    world.check.start();
    await world.run();
    expect([world.passes, world.failures]).toEqual([1, []]);

    const wiped = new World({strangersMin: 2});
    wiped.replies.set(2n, {...answerOf(list), memberId: 8n});
    wiped.replies.set(9n, answerOf([memberOf(1n, 'a'), ...list.slice(1)]));
    wiped.check.start();
    await wiped.run();
    expect(wiped.passes).toBe(0);
    expect(wiped.failures).toMatchObject([{failure: {code: 'clusterMismatch'}}]);
  });

  it('Ensure that a member with two URLs counts once.', async () => {
    const world = new World({strangersMin: 2});
    world.replies.set(2n, {...STRANGER, memberId: 2n}).set(3n, {...STRANGER, memberId: 2n});
    world.check.start();
    await world.run();
    expect(world.passes).toBe(0);
  });

  it('Ensure that nothing comes of an answer after the stop.', async () => {
    for (const late of [STRANGER, KNOWS]) {
      const world = new World({strangersMin: 1});
      world.replies.set(2n, late);
      world.check.start();
      world.check.stop();
      await world.run();
      expect([world.passes, world.failures]).toEqual([0, []]);
    }
  });
});

describe('what a member tells of the cluster', () => {
  const told = async (unapplied: readonly Entry[]): Promise<PeerAnswer> => {
    const members = {list: () => [memberOf(1n), memberOf(2n, 'b')], removed: () => []};
    const service = new PeerService({
      identity: {clusterId: 7n, memberId: 2n},
      members: () => members,
      unapplied: () => unapplied,
    } as unknown as PeerServiceOptions);
    return service.answer(1n, {type: 'cluster'});
  };
  const entryOf = (payload: Uint8Array, type: Entry['type'] = EntryType.normal): Entry => ({
    index: 4,
    term: 2,
    type,
    payload,
  });
  const named = encodeProposal({
    proposer: 1n,
    requestId: 1,
    command: {type: 'memberAttributes', memberId: 1n, name: 'a', clientURLs: []},
  });

  it('Ensure that a name that stands in the log and is not applied yet is told.', async () => {
    const other = encodeProposal({
      proposer: 1n,
      requestId: 2,
      command: {type: 'clusterVersion', version: '3.5.0'},
    });
    const entries = [entryOf(new Uint8Array()), entryOf(other), entryOf(named)];
    expect(await told(entries)).toMatchObject({members: [{name: 'a'}, {name: 'b'}]});
  });

  it('Ensure that a change of the configuration is no name, whatever its bytes are.', async () => {
    expect(await told([entryOf(named, EntryType.confChange)])).toMatchObject({
      members: [{name: ''}, {name: 'b'}],
    });
  });
});
