import {beforeEach, describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {AppliedWaiters} from '../../../src/engine/server/applied-waiters.ts';
import {Reads} from '../../../src/engine/server/reads.ts';
import {SeededRandom} from '../../simulator/seeded-random.ts';
import {SimulatedClock} from '../../simulator/simulated-clock.ts';

let clock: SimulatedClock;
let appliedWaiters: AppliedWaiters;
let asked: number[];
let hasLeader: boolean;
let reads: Reads;

beforeEach(() => {
  clock = new SimulatedClock();
  appliedWaiters = new AppliedWaiters(5);
  asked = [];
  hasLeader = true;
  reads = new Reads({
    clock,
    random: new SeededRandom(1),
    appliedWaiters,
    timeoutMs: 7_000,
    retryMs: 500,
    timeoutCause: () => 'timeoutLeaderFailed',
    ask: (context) => {
      if (hasLeader) asked.push(context);
      return hasLeader;
    },
    wake: () => {},
  });
});

/** What became of a promise so far. */
function watch(promise: Promise<void>): {state: string} {
  const seen = {state: 'waiting'};
  promise.then(
    () => (seen.state = 'done'),
    (error: unknown) => (seen.state = error instanceof EngineError ? error.code : String(error)),
  );
  return seen;
}

describe('reads', () => {
  it('Ensure that all reads of a turn share one question.', async () => {
    const seen = [watch(reads.confirm()), watch(reads.confirm())];
    reads.ask();
    reads.ask();
    expect(asked).toHaveLength(1);
    reads.answered([{context: asked[0], index: 5}]);
    await clock.settle();
    expect(seen.map(({state}) => state)).toEqual(['done', 'done']);
  });

  it('Ensure that a read waits until this member has applied the index of the answer.', async () => {
    const seen = watch(reads.confirm());
    reads.ask();
    reads.answered([{context: asked[0], index: 8}]);
    await clock.settle();
    expect(seen.state).toBe('waiting');
    appliedWaiters.advance(7);
    await clock.settle();
    expect(seen.state).toBe('waiting');
    appliedWaiters.advance(8);
    await clock.settle();
    expect(seen.state).toBe('done');
  });

  it('Ensure that a question repeated under a new number is not confirmed by the answer to the old one.', async () => {
    const seen = watch(reads.confirm());
    reads.ask();
    await clock.advance(500);
    reads.sweep();
    reads.ask();
    expect(asked).toHaveLength(2);
    expect(asked[0]).not.toBe(asked[1]);
    reads.answered([{context: asked[0], index: 1}]);
    await clock.settle();
    expect(seen.state).toBe('waiting');
    reads.answered([{context: asked[1], index: 1}]);
    await clock.settle();
    expect(seen.state).toBe('done');
  });

  it('Ensure that a change of leader puts the question again.', async () => {
    const seen = watch(reads.confirm());
    reads.ask();
    reads.leaderChanged();
    reads.ask();
    reads.answered([{context: asked[1], index: 5}]);
    await clock.settle();
    expect(seen.state).toBe('done');
  });

  it('Ensure that a read without a leader ends at its time limit with the cause.', async () => {
    hasLeader = false;
    const seen = watch(reads.confirm());
    reads.ask();
    await clock.advance(6_999);
    reads.sweep();
    await clock.settle();
    expect(seen.state).toBe('waiting');
    await clock.advance(1);
    reads.sweep();
    await clock.settle();
    expect(seen.state).toBe('timeoutLeaderFailed');
  });

  it('Ensure that a read that was answered ends at its time limit when this member does not get there.', async () => {
    const seen = watch(reads.confirm());
    reads.ask();
    reads.answered([{context: asked[0], index: 99}]);
    await clock.advance(7_000);
    reads.sweep();
    await clock.settle();
    expect(seen.state).toBe('timeoutWaitingForApply');
  });

  it('Ensure that stopping ends every waiting read.', async () => {
    const seen = [watch(reads.confirm())];
    reads.ask();
    seen.push(watch(reads.confirm()));
    reads.stop();
    seen.push(watch(reads.confirm()));
    await clock.settle();
    expect(seen.map(({state}) => state)).toEqual(['stopped', 'stopped', 'stopped']);
  });
});
