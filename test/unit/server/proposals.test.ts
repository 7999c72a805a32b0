import {beforeEach, describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {Proposals} from '../../../src/engine/server/proposals.ts';
import type {ApplyResult} from '../../../src/engine/state-machine/apply-result.ts';
import {decodeProposal} from '../../../src/engine/state-machine/command-codec.ts';
import {SeededRandom} from '../../simulator/seeded-random.ts';
import {SimulatedClock} from '../../simulator/simulated-clock.ts';

const command = {type: 'compact', revision: 5} as const;
const done: ApplyResult = {response: {type: 'compact'}, revision: 5, events: [], leaseChanges: []};

let clock: SimulatedClock;
let proposals: Proposals;
let wakes: number;

beforeEach(() => {
  clock = new SimulatedClock();
  wakes = 0;
  proposals = new Proposals({
    memberId: 7n,
    clock,
    random: new SeededRandom(1),
    timeoutMs: 7_000,
    requestBytesMax: 1_000,
    timeoutCause: () => 'timeoutLeaderFailed',
    wake: () => wakes++,
  });
});

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: unknown) => (error instanceof EngineError ? error.code : String(error)),
  );

describe('proposals', () => {
  it('Ensure that a command is handed out once, with who asked, and answered by its id.', async () => {
    const answer = codeOf(proposals.submit(command));
    expect(wakes).toBe(1);
    const [{requestId, payload}] = proposals.takeWaiting();
    expect(decodeProposal(payload)).toEqual({proposer: 7n, requestId, command});
    expect(proposals.takeWaiting()).toEqual([]);
    proposals.finish(requestId + 1, done);
    expect(proposals.waiting).toBe(1);
    proposals.finish(requestId, done);
    expect(await answer).toBe('done');
    expect(proposals.waiting).toBe(0);
  });

  it('Ensure that what raft refuses waits in its old place.', () => {
    for (const revision of [1, 2, 3]) proposals.submit({type: 'compact', revision}).catch(() => {});
    const [first, ...rest] = proposals.takeWaiting();
    proposals.submit({type: 'compact', revision: 4}).catch(() => {});
    proposals.putBack(rest);
    const revisions = proposals.takeWaiting().map(({payload}) => decodeProposal(payload).command);
    expect(revisions).toMatchObject([{revision: 2}, {revision: 3}, {revision: 4}]);
    expect(first.requestId).toBeGreaterThan(0);
  });

  it('Ensure that a refusal of the state machine reaches the caller.', async () => {
    const answer = codeOf(proposals.submit(command));
    const [{requestId}] = proposals.takeWaiting();
    proposals.finish(requestId, {
      ...done,
      response: new EngineError({code: 'futureRevision', currentRevision: 1}),
    });
    expect(await answer).toBe('futureRevision');
  });

  it('Ensure that a request beyond the limit is refused with its size, and sent nowhere.', async () => {
    const request = {
      key: Buffer.from('k'),
      value: Buffer.alloc(2_000),
      lease: 0n,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false,
    };
    expect(await codeOf(proposals.submit({type: 'put', request}))).toBe('requestTooLarge');
    expect(proposals.hasUnsent).toBe(false);
  });

  it('Ensure that the time limit ends the waiting, in order, and drops what was never sent.', async () => {
    const first = codeOf(proposals.submit(command));
    await clock.advance(1_000);
    const second = codeOf(proposals.submit(command));
    await clock.advance(6_000);
    proposals.sweep();
    expect(await first).toBe('timeoutLeaderFailed');
    expect(proposals.waiting).toBe(1);
    expect(proposals.takeWaiting()).toHaveLength(1);
    await clock.advance(1_000);
    proposals.sweep();
    expect(await second).toBe('timeoutLeaderFailed');
  });

  it("Ensure that the caller's signal ends the waiting at once.", async () => {
    const controller = new AbortController();
    const answer = codeOf(proposals.submit(command, controller.signal));
    controller.abort();
    expect(await answer).toBe('canceled');
    expect(proposals.takeWaiting()).toEqual([]);
    expect(await codeOf(proposals.submit(command, controller.signal))).toBe('canceled');
  });

  it('Ensure that what waits and holds in the term of this leader alone is withdrawn, and nothing else.', async () => {
    const leases = [{id: 1n, remainingTtlSeconds: 9}];
    const checkpoint = codeOf(proposals.submit({type: 'leaseCheckpoint', proposerTerm: 3, leases}));
    const revoke = codeOf(proposals.submit({type: 'leaseRevoke', id: 1n, proposerTerm: 3}));
    void proposals.submit({type: 'leaseRevoke', id: 1n, proposerTerm: 0});
    void proposals.submit(command);
    expect(proposals.hasLeadersOwn).toBe(true);
    proposals.withdrawLeadersOwn();
    expect(await Promise.all([checkpoint, revoke])).toEqual(['notLeader', 'notLeader']);
    const left = proposals.takeWaiting().map(({payload}) => decodeProposal(payload).command.type);
    expect(left).toEqual(['leaseRevoke', command.type]);
  });

  it('Ensure that stopping ends everybody.', async () => {
    const answers = [codeOf(proposals.submit(command)), codeOf(proposals.submit(command))];
    proposals.stop();
    expect(await Promise.all(answers)).toEqual(['stopped', 'stopped']);
    expect(proposals.hasUnsent).toBe(false);
  });
});
