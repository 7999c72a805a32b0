/**
 * The operations of a differential run: operation N of a seed is always the same, whatever stands before it, so that
 * any part of a run can be played alone. Revisions are told relative to the store's when it is played.
 */

import type {Message} from '../../process/raw-grpc.ts';
import {SeededRandom} from '../../simulator/seeded-random.ts';
import {pick, randomKey, randomRange, randomValue, smallRange} from './random-keys.ts';
import {randomTxn} from './random-txn.ts';

/** What may be in flight together. */
export type Mode =
  /** Depends on no other and changes nothing. */
  | 'free'
  /** Changes nothing, but waits for writes. */
  | 'read'
  /** One after the other. */
  | 'write'
  /** Nothing else is in flight. */
  | 'alone';

/** `revision`: the store's when the operation is sent. */
export type RequestAt = (revision: number) => Message;

export interface Operation {
  readonly number: number;
  readonly mode: Mode;
  /** Such as `KV/Put`; `Watch/Watch` creates a watch, `Lease/LeaseKeepAlive` renews once. */
  readonly method: string;
  readonly request: RequestAt;
}

type Draft = Omit<Operation, 'number'>;

/** So many operations in a row are all reads or all writes: reads in flight together need no write between them. */
const RUN_LENGTH = 24;
const LEASE_IDS = 24;
const INT64_MAX = Number.MAX_SAFE_INTEGER;
/** Seeds of neighbouring operations must not give neighbouring numbers. */
const SEED_STEP = 0x9e3779b1;

export function randomOperation(seed: number, number: number): Operation {
  const run = randomAt(seed + 1, Math.floor(number / RUN_LENGTH));
  const random = randomAt(seed, number);
  return {number, ...(run.below(10) < 6 ? reading(random) : changing(random, number))};
}

function randomAt(seed: number, number: number): SeededRandom {
  const random = new SeededRandom(Math.imul(seed, SEED_STEP) ^ Math.imul(number + 1, 0x85ebca6b));
  random.below(2);
  return random;
}

function reading(random: SeededRandom): Draft {
  const dice = random.below(100);
  if (dice < 72) return range(random);
  if (dice < 84) return {mode: 'read', method: 'KV/Txn', request: randomTxn(random, 'r', {isReading: true})};
  if (dice < 88) return refusedTxn(random);
  if (dice < 94)
    return unary('read', 'Lease/LeaseTimeToLive', {ID: leaseId(random), keys: random.below(2) === 0});
  if (dice < 96) return unary('read', 'Lease/LeaseLeases', {});
  return unary('free', 'KV/Put', {key: randomKey(random), value: Buffer.from('x'), ignore_value: true});
}

function changing(random: SeededRandom, number: number): Draft {
  const dice = random.below(1_000);
  if (dice < 480) return put(random, number);
  if (dice < 600)
    return unary('write', 'KV/DeleteRange', {...randomRange(random), prev_kv: random.below(2) === 0});
  if (dice < 900) return {mode: 'write', method: 'KV/Txn', request: randomTxn(random, `${number}`)};
  if (dice < 940)
    return unary('write', 'Lease/LeaseGrant', {
      ID: 1 + random.below(LEASE_IDS),
      TTL: 100_000 + random.below(1_000),
    });
  if (dice < 965) return unary('write', 'Lease/LeaseRevoke', {ID: leaseId(random)});
  if (dice < 985) return unary('write', 'Lease/LeaseKeepAlive', {ID: leaseId(random)});
  if (dice < 996) return watch(random, number);
  return compaction(random);
}

function unary(mode: Mode, method: string, request: Message): Draft {
  return {mode, method, request: () => request};
}

const leaseId = (random: SeededRandom): number => random.below(LEASE_IDS) - 1;

function put(random: SeededRandom, number: number): Draft {
  const request: Message = {
    key: randomKey(random),
    value: randomValue(random, `${number}`),
    prev_kv: random.below(2) === 0,
  };
  const dice = random.below(20);
  if (dice < 4) request.lease = leaseId(random);
  if (dice === 5) request.ignore_value = true;
  if (dice === 6 || dice === 7) {
    request.ignore_value = true;
    request.value = Buffer.alloc(0);
  }
  if (dice === 8) request.ignore_lease = true;
  if (dice === 9) Object.assign(request, {ignore_lease: true, lease: leaseId(random)});
  return unary('write', 'KV/Put', request);
}

function range(random: SeededRandom): Draft {
  const isSorted = random.below(3) === 0;
  const target = isSorted ? random.below(5) : 0;
  const keys = isSorted && target !== 0 ? smallRange(random) : randomRange(random);
  const base: Message = {...keys, sort_order: isSorted ? random.below(3) : 0, sort_target: target};
  if (random.below(4) === 0) base.limit = pick(random, [1, 2, 3, 5, 12, 1_000, -1]);
  if (random.below(3) === 0) base.serializable = true;
  if (random.below(6) === 0) base.keys_only = true;
  if (random.below(8) === 0) base.count_only = true;
  const filters = random.below(5) === 0 ? randomFilters(random) : [];
  const back = random.below(3) === 0 ? revisionBack(random) : undefined;
  const request = (revision: number): Message => ({
    ...base,
    ...(back !== undefined && {revision: back(revision)}),
    ...Object.fromEntries(filters.map(([name, offset]) => [name, Math.max(0, revision - offset)])),
  });
  return {mode: 'read', method: 'KV/Range', request};
}

const FILTERS = ['min_mod_revision', 'max_mod_revision', 'min_create_revision', 'max_create_revision'];

function randomFilters(random: SeededRandom): [name: string, offset: number][] {
  return FILTERS.filter(() => random.below(3) === 0).map((name) => [name, random.below(60) - 2]);
}

/** The present one, a recent one, one that may be compacted, one to come, or nonsense. */
function revisionBack(random: SeededRandom): (revision: number) => number {
  const dice = random.below(20);
  const offset = random.below(dice < 12 ? 40 : 3_000);
  if (dice < 17) return (revision) => Math.max(1, revision - offset);
  const fixed = pick(random, [-1, 1, INT64_MAX]);
  return dice < 19 ? (revision) => revision + 1 + (offset % 5) : () => fixed;
}

/** Compactions leave at least this many revisions, so that reads of the past are answered as well as refused. */
const KEPT_REVISIONS = 300;

function compaction(random: SeededRandom): Draft {
  const offset = KEPT_REVISIONS + random.below(1_000);
  const physical = random.below(2) === 0;
  const isNonsense = random.below(8) === 0;
  const request = (revision: number) => ({
    revision: isNonsense ? revision + random.below(2) + 1 : Math.max(0, revision - offset),
    physical,
  });
  return {mode: 'alone', method: 'KV/Compact', request};
}

function watch(random: SeededRandom, number: number): Draft {
  const dice = random.below(6);
  const offset = random.below(dice === 0 ? 3_000 : 400);
  const base: Message = {
    ...randomRange(random),
    progress_notify: random.below(3) === 0,
    filters: [0, 1].filter(() => random.below(5) === 0),
    prev_kv: random.below(2) === 0,
    // Not one that a compaction ended: etcd holds that for one in use.
    watch_id: random.below(3) === 0 ? 1_000 + number : 0,
    fragment: random.below(3) === 0,
  };
  const startOf = (revision: number) =>
    dice < 3 ? Math.max(1, revision - offset) : dice === 3 ? revision + 1 + (offset % 20) : 0;
  return {
    mode: 'alone',
    method: 'Watch/Watch',
    request: (revision) => ({...base, start_revision: startOf(revision)}),
  };
}

/** What is refused for its form alone. */
function refusedTxn(random: SeededRandom): Draft {
  const key = randomKey(random);
  const twice = {request_put: {key, value: Buffer.from('x')}};
  const requests: Message[] = [
    {success: [twice, twice]},
    {failure: [{request_txn: {success: [twice]}}, twice]},
    {success: [twice, {request_delete_range: {key}}]},
    {success: [{}]},
    {success: [{request_range: {}}]},
    {success: Array.from({length: 129}, () => ({request_range: {key}}))},
    {success: [{request_put: {key, value: Buffer.from('x'), ignore_value: true}}]},
    {compare: [{target: 0, result: 0, version: 1}]},
  ];
  return unary('free', 'KV/Txn', pick(random, requests));
}
