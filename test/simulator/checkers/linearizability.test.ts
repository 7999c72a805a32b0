/** The checker of orders against one that tries them all, on histories that are right and on such that are not. */

import {describe, expect, it} from 'vitest';
import {SeededRandom} from '../seeded-random.ts';
import {
  type DeletionSeen,
  type HistoryAnswer,
  type HistoryRequest,
  type HistoryStep,
  type HistoryValue,
  KEYS_MODEL,
  type KeysState,
  keysOfRequest,
  prepareHistory,
} from './kv-history.ts';
import {checkLinearizable, partitionHistory, type TimedOperation} from './linearizability.ts';

type Timed = TimedOperation<HistoryRequest>;

/** Tries every order, and every choice of the unanswered operations that happened. */
function bruteForce(history: readonly Timed[], state: KeysState = KEYS_MODEL.initial): boolean {
  if (history.every(({returnAt}) => returnAt === undefined)) return true;
  for (const next of history) {
    const others = history.filter((one) => one !== next);
    // Nobody who had been answered before this one was called may come behind it.
    if (others.some(({returnAt}) => returnAt !== undefined && returnAt < next.callAt)) continue;
    const after = KEYS_MODEL.step(state, next.operation);
    if (after !== undefined && bruteForce(others, after)) return true;
  }
  return false;
}

const KEYS = ['a', 'b'];

const nothingSeen = () => ({puts: new Map<string, number>(), unansweredDeletions: [] as DeletionSeen[]});

/** A store that really does one thing after the other, and what its clients would see: overlapping, one in so many unanswered. */
function playHistory(
  random: SeededRandom,
  {count, keys, oneIn}: {count: number; keys: readonly string[]; oneIn: number},
  seen = nothingSeen(),
): Timed[] {
  let revision = 1;
  const store = new Map<string, HistoryValue>();
  const history: Timed[] = [];
  const find = (key: string) => ({kv: store.get(key)});
  const act = (step: HistoryStep): {kv: HistoryValue | undefined} => {
    const found = find(step.key);
    if (step.type === 'delete') store.delete(step.key);
    if (step.type !== 'put') return found;
    const createRevision = found.kv?.createRevision ?? revision;
    const version = (found.kv?.version ?? 0) + 1;
    store.set(step.key, {value: step.value, createRevision, modRevision: revision, version});
    seen.puts.set(step.value, revision);
    return found;
  };
  for (let place = 0; place < count; place++) {
    const [key, other] = [keys[random.below(keys.length)], keys[random.below(keys.length)]];
    const dice = random.below(10);
    let compares: HistoryRequest['compares'] = [];
    let success: HistoryStep[];
    let failure: HistoryStep[] = [];
    if (dice < 4) success = [{type: 'put', key, value: `v${place}`}];
    else if (dice < 7) success = [{type: 'get', key}];
    else if (dice < 8) success = [{type: 'delete', key}];
    else {
      const version = random.below(3);
      compares = [{key, name: `version > ${version}`, holds: (kv) => (kv?.version ?? 0) > version}];
      success = [
        {type: 'get', key},
        {type: 'put', key: other, value: `t${place}`},
      ];
      failure = [{type: 'get', key: other}];
    }
    const succeeded = compares.every((one) => one.holds(store.get(one.key)));
    const steps = succeeded ? success : failure;
    const writes = steps.some(
      (step) => step.type === 'put' || (step.type === 'delete' && store.has(step.key)),
    );
    const isUnknown = random.below(oneIn) === 0;
    // What is never answered need not happen.
    const happens = !isUnknown || random.below(2) === 0;
    if (happens && writes) revision++;
    if (happens && writes && isUnknown && steps[0].type === 'delete')
      seen.unansweredDeletions.push({revision, keys: [steps[0].key]});
    const found = happens ? steps.map(act) : [];
    const isTold = random.below(2) === 0;
    const answer: HistoryAnswer = {
      succeeded,
      revision,
      found: steps.map((step, i) => (step.type === 'get' || isTold ? found[i] : undefined)),
    };
    const at = place * 10;
    history.push({
      callAt: at - random.below(40),
      returnAt: isUnknown ? undefined : at + random.below(40),
      operation: {compares, success, failure, answer: isUnknown ? undefined : answer},
    });
  }
  return history;
}

/** One lie: a stale or foreign answer, a wrong revision, or a return before its time. */
function spoil(history: Timed[], random: SeededRandom): Timed[] {
  const spoiled = [...history];
  const place = random.below(spoiled.length);
  const {operation, callAt} = spoiled[place];
  const {answer} = operation;
  if (answer === undefined) return spoiled;
  const kind = random.below(4);
  const other = spoiled[random.below(spoiled.length)].operation.answer;
  const told = kind === 0 ? other?.found : undefined;
  const changed: HistoryAnswer = {
    succeeded: kind === 1 ? !answer.succeeded : answer.succeeded,
    revision: kind === 2 ? Math.max(1, answer.revision + random.below(3) - 1) : answer.revision,
    found: kind === 0 ? answer.found.map((found) => found && (told?.[0] ?? {kv: undefined})) : answer.found,
  };
  const shift = kind === 3 ? random.below(60) - 30 : 0;
  const returnAt = spoiled[place].returnAt ?? callAt;
  spoiled[place] = {
    callAt: callAt + shift,
    returnAt: Math.max(callAt + shift, returnAt + shift),
    operation: {...operation, answer: changed},
  };
  return spoiled;
}

describe('the checker of orders', () => {
  it('Ensure that it agrees with the trial of all orders on small histories.', {timeout: 120_000}, () => {
    const random = new SeededRandom(4711);
    const verdicts = {linearizable: 0, violated: 0, undecided: 0};
    for (let round = 0; round < 12_000; round++) {
      const count = 2 + random.below(5);
      let history = playHistory(random, {count, keys: KEYS, oneIn: 6});
      for (let lies = random.below(3); lies > 0; lies--) history = spoil(history, random);
      const {verdict} = checkLinearizable(KEYS_MODEL, round % 2 === 0 ? history : prepareHistory(history));
      verdicts[verdict]++;
      const wanted = bruteForce(history) ? 'linearizable' : 'violated';
      expect(verdict, JSON.stringify(history)).toBe(wanted);
    }
    // Both verdicts are put to the test, not one alone.
    expect(verdicts.linearizable).toBeGreaterThan(3_000);
    expect(verdicts.violated).toBeGreaterThan(3_000);
    expect(verdicts.undecided).toBe(0);
  });

  it('Ensure that it finds lies where it is told of unanswered deletions, and nothing else.', {
    timeout: 120_000,
  }, () => {
    const random = new SeededRandom(815);
    let violated = 0;
    for (let round = 0; round < 6_000; round++) {
      const seen = nothingSeen();
      let history = playHistory(random, {count: 2 + random.below(5), keys: KEYS, oneIn: 3}, seen);
      const verdict = () => checkLinearizable(KEYS_MODEL, prepareHistory(history, seen)).verdict;
      expect(verdict(), JSON.stringify(history)).toBe('linearizable');
      history = spoil(history, random);
      if (bruteForce(history)) continue;
      violated++;
      expect(verdict(), JSON.stringify(history)).toBe('violated');
    }
    expect(violated).toBeGreaterThan(1_000);
  });

  it('Ensure that each deletion needs somebody who asked for it.', () => {
    const step = (place: number, step: HistoryStep, answer: HistoryAnswer | undefined): Timed => ({
      callAt: place,
      returnAt: answer && place + 0.5,
      operation: {compares: [], success: [step], failure: [], answer},
    });
    const put = (place: number, revision: number) =>
      step(
        place,
        {type: 'put', key: 'a', value: `v${revision}`},
        {succeeded: true, revision, found: [undefined]},
      );
    const gone = (place: number, revision: number) =>
      step(place, {type: 'get', key: 'a'}, {succeeded: true, revision, found: [{kv: undefined}]});
    const asked = (place: number) => step(place, {type: 'delete', key: 'a'}, undefined);
    const verdictOf = (history: Timed[]) =>
      checkLinearizable(
        KEYS_MODEL,
        prepareHistory(history, {
          puts: new Map(),
          unansweredDeletions: [3, 5].map((revision) => ({revision, keys: ['a']})),
        }),
      ).verdict;
    const told = [put(1, 2), gone(3, 3), put(4, 4), gone(6, 5)];
    expect(verdictOf([...told, asked(2), asked(5)])).toBe('linearizable');
    expect(verdictOf([...told, asked(2), asked(2)])).toBe('linearizable');
    expect(verdictOf([...told, asked(2)])).toBe('violated');
    expect(verdictOf([...told, asked(5), asked(5)])).toBe('violated');
  });

  it('Ensure that parts without a common key are right exactly when the whole is.', {timeout: 60_000}, () => {
    const random = new SeededRandom(99);
    let violated = 0;
    for (let round = 0; round < 2_000; round++) {
      // Revisions of deletions of nothing, and of reads, tie parts together: here only keys do.
      let history = playHistory(random, {count: 6, keys: ['a', 'b', 'c'], oneIn: 6});
      if (round % 2 === 0) history = spoil(history, random);
      const whole = checkLinearizable(KEYS_MODEL, history).verdict;
      const parts = partitionHistory(history, keysOfRequest);
      const isSplit = parts.map((part) => checkLinearizable(KEYS_MODEL, part).verdict);
      if (whole === 'violated') violated++;
      // A part sees less than the whole: what it refutes is refuted.
      if (isSplit.includes('violated')) expect(whole).toBe('violated');
    }
    expect(violated).toBeGreaterThan(100);
  });

  it('Ensure that it names what could not be put in order.', () => {
    const put = (value: string, revision: number): HistoryRequest => ({
      compares: [],
      success: [{type: 'put', key: 'a', value}],
      failure: [],
      answer: {succeeded: true, revision, found: [undefined]},
    });
    const staleRead: HistoryRequest = {
      compares: [],
      success: [{type: 'get', key: 'a'}],
      failure: [],
      answer: {
        succeeded: true,
        revision: 2,
        found: [{kv: {value: 'x', createRevision: 2, modRevision: 2, version: 1}}],
      },
    };
    const history = [
      {callAt: 0, returnAt: 1, operation: put('x', 2)},
      {callAt: 2, returnAt: 3, operation: put('y', 3)},
      {callAt: 4, returnAt: 5, operation: staleRead},
    ];
    expect(checkLinearizable(KEYS_MODEL, history)).toEqual({
      verdict: 'violated',
      longest: [0, 1],
      stuck: [2],
    });
    const overlapping = [history[0], history[1], {...history[2], callAt: 2.5}];
    expect(checkLinearizable(KEYS_MODEL, overlapping).verdict).toBe('linearizable');
  });

  it('Ensure that it does not try reads that overlap in all orders.', () => {
    const value = {value: 'x', createRevision: 2, modRevision: 2, version: 1};
    const ask = (step: HistoryStep, revision: number, kv?: HistoryValue, isTold = true): HistoryRequest => ({
      compares: [],
      success: [step],
      failure: [],
      answer: {succeeded: true, revision, found: [isTold ? {kv} : undefined]},
    });
    // Either deletion can have made revision 3; that it was the other one shows only when all reads are in order.
    const history = [
      {callAt: 0, returnAt: 1, operation: ask({type: 'put', key: 'a', value: 'x'}, 2, undefined)},
      {callAt: 2, returnAt: 9, operation: ask({type: 'delete', key: 'a'}, 3, undefined, false)},
      ...Array.from({length: 40}, (_, place) => ({
        callAt: 2 + place / 100,
        returnAt: 7 - place / 100,
        operation: ask({type: 'get', key: 'a'}, 3, undefined),
      })),
      {callAt: 3, returnAt: 8, operation: ask({type: 'delete', key: 'a'}, 3, value)},
    ];
    const options = {stepsMax: 2_000};
    expect(checkLinearizable(KEYS_MODEL, prepareHistory(history), options).verdict).toBe('linearizable');
  });

  it('Ensure that it takes ten thousand operations of one set of keys in seconds.', {
    timeout: 120_000,
  }, () => {
    const random = new SeededRandom(7);
    for (const keys of [['a'], ['a', 'b', 'c', 'd', 'e']]) {
      for (const oneIn of [50, 1e9]) {
        const {puts, unansweredDeletions} = nothingSeen();
        const history = playHistory(random, {count: 12_000, keys, oneIn}, {puts, unansweredDeletions});
        const before = process.cpuUsage();
        const {verdict} = checkLinearizable(KEYS_MODEL, prepareHistory(history, {puts}));

        expect(verdict).toBe('linearizable');
        const {user, system} = process.cpuUsage(before);
        expect((user + system) / 1_000_000).toBeLessThan(10);
      }
      // However many were not answered.
      const seen = nothingSeen();
      const unsure = playHistory(random, {count: 12_000, keys, oneIn: 2}, seen);
      expect(checkLinearizable(KEYS_MODEL, prepareHistory(unsure, seen)).verdict).toBe('linearizable');
      // And it still notices the one that is wrong.
      const history = playHistory(random, {count: 12_000, keys, oneIn: 1e9});
      const answer: HistoryAnswer = {succeeded: true, revision: 1, found: [{kv: undefined}]};
      const lie = {compares: [], success: [{type: 'get', key: 'a'}], failure: [], answer} as const;
      const spoiled = [...history, {callAt: 100_000, returnAt: 100_001, operation: lie}];
      expect(checkLinearizable(KEYS_MODEL, prepareHistory(spoiled)).verdict).toBe('violated');
    }
  });
});
