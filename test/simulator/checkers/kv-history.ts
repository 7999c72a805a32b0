/**
 * The sequential model of keys for the search for an order (linearizability.ts), made from nothing but what clients
 * asked and were told: it serves histories of real processes as well as simulated ones. Its state is that of the keys
 * of one part; the revision of the whole store only rises, by at least one with each write.
 */

import type {SequentialModel, TimedOperation} from './linearizability.ts';

export interface HistoryValue {
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
}

/** What a key has to be for a branch to be taken. */
export interface HistoryCompare {
  readonly key: string;
  readonly holds: (kv: HistoryValue | undefined) => boolean;
  /** Two of the same key and name hold for the same key-values. */
  readonly name: string;
  /** It looks at the value, and at nothing else. */
  readonly looksAtValue?: boolean | undefined;
}

export type HistoryStep =
  | {readonly type: 'put'; readonly key: string; readonly value: string}
  | {readonly type: 'delete'; readonly key: string}
  | {readonly type: 'get'; readonly key: string};

/**
 * One request: the steps of a transaction, or of a single operation (which compares nothing). `answer` undefined:
 * it was never answered.
 */
export interface HistoryRequest {
  readonly compares: readonly HistoryCompare[];
  readonly success: readonly HistoryStep[];
  readonly failure: readonly HistoryStep[];
  readonly answer: HistoryAnswer | undefined;
}

export interface HistoryAnswer {
  readonly succeeded: boolean;
  /** The store's, after the request. */
  readonly revision: number;
  /** Of each step: what a get found; of a put or delete the previous value if it was asked for, else undefined. */
  readonly found: readonly (Found | undefined)[];
}

/** `kv` undefined: there was nothing. */
export interface Found {
  readonly kv: HistoryValue | undefined;
}

export interface KeysState {
  /** At least; the store's own may be higher by writes of other keys. */
  readonly revision: number;
  readonly keys: ReadonlyMap<string, HistoryValue>;
}

/** A value that a write without an answer left: its revision is not known, and found out when somebody reads it. */
const UNKNOWN_REVISION = -1;

export const KEYS_MODEL: SequentialModel<KeysState, HistoryRequest> = {
  initial: {revision: 1, keys: new Map()},
  keyOf: ({revision, keys}) => `${revision} ${textOf(keys)}`,
  clockOf: ({revision}) => revision,
  step(state, request) {
    const {answer, compares, success, failure} = request;
    const succeeded = compares.every(({key, holds}) => holds(state.keys.get(key)));
    if (answer !== undefined && answer.succeeded !== succeeded) return undefined;
    return new Step(state, answer).run(succeeded ? success : failure);
  },
};

class Step {
  readonly #state: KeysState;
  readonly #answer: HistoryAnswer | undefined;
  #keys: Map<string, HistoryValue>;
  #isChanged = false;

  constructor(state: KeysState, answer: HistoryAnswer | undefined) {
    this.#state = state;
    this.#answer = answer;
    this.#keys = state.keys as Map<string, HistoryValue>;
  }

  run(steps: readonly HistoryStep[]): KeysState | undefined {
    const writes = steps.some(
      (step) => step.type === 'put' || (step.type === 'delete' && this.#state.keys.has(step.key)),
    );
    const {revision: floor} = this.#state;
    const revision = this.#answer?.revision ?? (writes ? floor + 1 : floor);
    if (writes ? revision <= floor : revision < floor) return undefined;
    for (const [place, step] of steps.entries()) {
      if (!this.#learn(step.key, this.#answer?.found[place])) return undefined;
      if (step.type === 'put') this.#put(step, this.#answer?.revision ?? UNKNOWN_REVISION);
      else if (step.type === 'delete') this.#edit().delete(step.key);
    }
    if (!this.#isChanged && revision === floor) return this.#state;
    return {revision, keys: this.#keys};
  }

  /** @returns false when the key cannot be what was found */
  #learn(key: string, found: Found | undefined): boolean {
    if (found === undefined) return true;
    const own = this.#keys.get(key);
    const {kv} = found;
    if (own === undefined || kv === undefined) return own === kv;
    if (own.value !== kv.value || own.version !== kv.version) return false;
    const isSame = (a: number, b: number) => a === b || a === UNKNOWN_REVISION;
    if (!isSame(own.modRevision, kv.modRevision) || !isSame(own.createRevision, kv.createRevision))
      return false;
    if (own.modRevision !== kv.modRevision || own.createRevision !== kv.createRevision)
      this.#edit().set(key, kv);
    return true;
  }

  #put({key, value}: {key: string; value: string}, modRevision: number): void {
    const before = this.#keys.get(key);
    const createRevision = before?.createRevision ?? modRevision;
    this.#edit().set(key, {value, modRevision, createRevision, version: (before?.version ?? 0) + 1});
  }

  #edit(): Map<string, HistoryValue> {
    if (!this.#isChanged) this.#keys = new Map(this.#state.keys);
    this.#isChanged = true;
    return this.#keys;
  }
}

function textOf(keys: ReadonlyMap<string, HistoryValue>): string {
  const texts: string[] = [];
  for (const [key, {value, modRevision, createRevision, version}] of keys)
    texts.push(`${key}=${value}@${createRevision},${modRevision},${version}`);
  return texts.sort().join(' ');
}

/** The keys that a request touches or asks. */
export function keysOfRequest({compares, success, failure}: HistoryRequest): string[] {
  return [...new Set([...compares, ...success, ...failure].map(({key}) => key))];
}

/** What is known of the writes that happened, from a watch of all keys or from the log. */
export interface WritesSeen {
  /** Every put there was: its revision by its value. An unanswered one that is not here did not happen. */
  readonly puts: ReadonlyMap<string, number>;
  /**
   * Every revision that deleted keys by a request whose client was told nothing, and these keys; undefined: nobody
   * knows. An unanswered deletion that is not here changed nothing.
   */
  readonly unansweredDeletions?: readonly DeletionSeen[] | undefined;
}

export interface DeletionSeen {
  readonly revision: number;
  readonly keys: readonly string[];
}

/**
 * Makes the search short, and never decides it. Needs that every put of the history has a value of its own. A write
 * that was never answered, but whose value somebody read, happened at the revision that was read, before it was read.
 * Of those that nobody saw, one is as good as another.
 */
export function prepareHistory(
  history: readonly TimedOperation<HistoryRequest>[],
  seen?: WritesSeen,
): TimedOperation<HistoryRequest>[] {
  const sightings = sightingsIn(history, seen?.puts ?? new Map());
  const tests = valueTestsIn(history);
  const deletions = seen?.unansweredDeletions && requestsOf(history, seen.unansweredDeletions);
  const others = history.flatMap((timed) => {
    const {operation} = timed;
    if (deletions !== undefined && isUnansweredDeletion(timed)) return [];
    const known = operation.answer === undefined ? withSighting(timed, sightings) : timed;
    const {answer} = known.operation;
    if (answer !== undefined) {
      const steps = answer.succeeded ? operation.success : operation.failure;
      // A write comes before the reads of its revision.
      const hint = answer.revision + (steps.some(({type}) => type !== 'get') ? 0 : 0.5);
      return {...known, hint, clockMax: answer.revision};
    }
    const isPut = [...operation.success, ...operation.failure].some(({type}) => type === 'put');
    return isPut && seen !== undefined ? [] : {...timed, kind: kindOf(operation, tests)};
  });
  return deletions === undefined ? others : [...others, ...deletions];
}

/** Of nothing but keys, on no condition. */
function isUnansweredDeletion({operation}: TimedOperation<HistoryRequest>): boolean {
  const {answer, compares, success} = operation;
  return answer === undefined && compares.length === 0 && success.every(({type}) => type === 'delete');
}

/**
 * Deletions that were seen, as requests: each needs an unanswered one of its own that covers its keys. Which of those
 * it was nobody knows, so that it may have been called as early as the first of them. One that nobody can have asked
 * for is left out: whoever missed its keys contradicts then.
 */
function requestsOf(
  history: readonly TimedOperation<HistoryRequest>[],
  deletions: readonly DeletionSeen[],
): TimedOperation<HistoryRequest>[] {
  const asked = history.filter(isUnansweredDeletion).map(({callAt, operation}) => ({
    callAt,
    keys: new Set(operation.success.map(({key}) => key)),
    by: undefined as number | undefined,
  }));
  const covering = deletions.map(({keys}) => asked.filter((one) => keys.every((key) => one.keys.has(key))));
  /** Finds a request for the deletion, and others for those whose it takes. */
  const find = (place: number, tried: Set<object>): boolean =>
    covering[place].some((one) => {
      if (tried.has(one)) return false;
      tried.add(one);
      if (one.by !== undefined && !find(one.by, tried)) return false;
      one.by = place;
      return true;
    });
  return deletions.flatMap(({revision, keys}, place) => {
    if (!find(place, new Set())) return [];
    const callAt = Math.min(...covering[place].map((one) => one.callAt));
    const success = keys.map((key) => ({type: 'delete', key}) as const);
    const answer = {succeeded: true, revision, found: keys.map(() => undefined)};
    const operation = {compares: [], success, failure: [], answer};
    return [{callAt, returnAt: Number.MAX_VALUE, operation, hint: revision, clockMax: revision}];
  });
}

interface Sighting {
  readonly revision: number;
  /** When the first answer that showed it was there. */
  readonly at: number;
}

/** By value. */
function sightingsIn(
  history: readonly TimedOperation<HistoryRequest>[],
  putsSeen: ReadonlyMap<string, number>,
): Map<string, Sighting> {
  const sightings = new Map<string, Sighting>();
  for (const [value, revision] of putsSeen) sightings.set(value, {revision, at: Number.MAX_VALUE});
  for (const {operation, returnAt} of history) {
    for (const found of operation.answer?.found ?? []) {
      if (found?.kv === undefined || returnAt === undefined) continue;
      const {value, modRevision} = found.kv;
      const at = Math.min(returnAt, sightings.get(value)?.at ?? returnAt);
      sightings.set(value, {revision: modRevision, at});
    }
  }
  return sightings;
}

function withSighting(
  timed: TimedOperation<HistoryRequest>,
  sightings: ReadonlyMap<string, Sighting>,
): TimedOperation<HistoryRequest> {
  const {success, failure} = timed.operation;
  for (const [succeeded, steps] of [
    [true, success],
    [false, failure],
  ] as const) {
    for (const step of steps) {
      const sighting = step.type === 'put' ? sightings.get(step.value) : undefined;
      if (sighting === undefined) continue;
      const answer = {succeeded, revision: sighting.revision, found: steps.map(() => undefined)};
      return {
        ...timed,
        returnAt: Math.max(timed.callAt, sighting.at),
        operation: {...timed.operation, answer},
      };
    }
  }
  return timed;
}

/** By key. */
function valueTestsIn(history: readonly TimedOperation<HistoryRequest>[]): Map<string, HistoryCompare[]> {
  const tests = new Map<string, HistoryCompare[]>();
  for (const {operation} of history) {
    for (const compare of operation.compares) {
      if (compare.looksAtValue !== true) continue;
      const known = tests.get(compare.key) ?? [];
      if (!known.some(({name}) => name === compare.name)) tests.set(compare.key, [...known, compare]);
    }
  }
  return tests;
}

/** What it does, but for values that nobody has seen and nobody asks for. */
function kindOf(
  {compares, success, failure}: HistoryRequest,
  tests: ReadonlyMap<string, readonly HistoryCompare[]>,
): string {
  const stepText = (step: HistoryStep) => {
    if (step.type !== 'put') return `${step.type} ${step.key}`;
    const kv = {value: step.value, createRevision: 0, modRevision: 0, version: 0};
    const holds = (tests.get(step.key) ?? []).map((test) => `${test.name} ${test.holds(kv)}`);
    return `put ${step.key} ${holds.join()}`;
  };
  const parts = [
    compares.map(({key, name}) => `${key} ${name}`),
    success.map(stepText),
    failure.map(stepText),
  ];
  return JSON.stringify(parts);
}
