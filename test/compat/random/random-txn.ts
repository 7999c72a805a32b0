/** Random transactions: compares of every kind, both branches, nested. */

import type {Message} from '../../process/raw-grpc.ts';
import type {SeededRandom} from '../../simulator/seeded-random.ts';
import {pick, randomKey, randomPrefix, randomRange, randomValue} from './random-keys.ts';
import type {RequestAt} from './random-operation.ts';

export interface TxnOptions {
  /** Without puts and deletions. */
  readonly isReading?: boolean;
}

type MakeOp = (revision: number) => Message;

interface Context {
  readonly random: SeededRandom;
  readonly label: string;
  readonly isReading: boolean;
  /** Puts and deletions have prefixes of their own: mostly, or every transaction would be refused as ambiguous. */
  readonly putPrefix: number;
  readonly deletePrefix: number;
  /**
   * Either what a put may find is left as it is, or ranges without an end are deleted. With both, etcd 3.4 may not see that a
   * key goes before it is put, and every member of it ends with a panic for good.
   */
  readonly mayKeep: boolean;
}

const DEPTH_MAX = 3;
const LEASE_IDS = 24;

export function randomTxn(
  random: SeededRandom,
  label: string,
  {isReading = false}: TxnOptions = {},
): RequestAt {
  const putPrefix = randomPrefix(random);
  const isMixed = random.below(8) === 0;
  const deletePrefix = isMixed ? putPrefix : (putPrefix + 1) % 3;
  const mayKeep = random.below(2) === 0;
  return txn({random, label, isReading, putPrefix, deletePrefix, mayKeep}, 1);
}

function txn(context: Context, depth: number): RequestAt {
  const {random} = context;
  const compares = Array.from({length: random.below(3)}, () => compare(random));
  const branch = () => Array.from({length: random.below(depth === 1 ? 7 : 3)}, () => op(context, depth));
  const [success, failure] = [branch(), branch()];
  return (revision) => ({
    compare: compares.map((make) => make(revision)),
    success: success.map((make) => make(revision)),
    failure: failure.map((make) => make(revision)),
  });
}

function op(context: Context, depth: number): MakeOp {
  const {random, label, isReading, putPrefix, deletePrefix, mayKeep} = context;
  const dice = random.below(20);
  if (dice < 2 && depth < DEPTH_MAX) {
    const nested = txn(context, depth + 1);
    return (revision) => ({request_txn: nested(revision)});
  }
  if (isReading || dice < 8) return rangeOp(random);
  if (dice < 16) {
    const request: Message = {
      key: randomKey(random, putPrefix),
      value: randomValue(random, label),
      prev_kv: random.below(3) === 0,
    };
    const odd = random.below(24);
    if (odd === 0) request.lease = random.below(LEASE_IDS) - 1;
    if (odd === 1 && mayKeep) Object.assign(request, {ignore_value: true, value: Buffer.alloc(0)});
    if (odd === 2 && mayKeep) request.ignore_lease = true;
    return () => ({request_put: request});
  }
  const request = {
    ...(random.below(4) === 0 && !mayKeep
      ? randomRange(random, deletePrefix)
      : {key: randomKey(random, deletePrefix), range_end: Buffer.alloc(0)}),
    prev_kv: random.below(2) === 0,
  };
  return () => ({request_delete_range: request});
}

function rangeOp(random: SeededRandom): MakeOp {
  const request: Message = {...randomRange(random), limit: random.below(4) === 0 ? 1 + random.below(4) : 0};
  if (random.below(6) === 0) request.count_only = true;
  if (random.below(6) === 0) request.keys_only = true;
  if (random.below(10) === 0) request.serializable = true;
  if (random.below(12) > 0) return () => ({request_range: request});
  const back = random.below(8) - 1;
  return (revision) => ({request_range: {...request, revision: Math.max(0, revision - back)}});
}

function compare(random: SeededRandom): (revision: number) => Message {
  const target = random.below(5);
  const base: Message = {
    result: random.below(4),
    target,
    ...(random.below(5) === 0 ? randomRange(random) : {key: randomKey(random)}),
  };
  const small = random.below(4);
  const back = random.below(40);
  const value = pick(random, ['', 'v1', 'v3', '5']);
  return (revision) => {
    if (target === 0) return {...base, version: small};
    if (target === 1) return {...base, create_revision: small === 0 ? 0 : revision - back};
    if (target === 2) return {...base, mod_revision: small === 0 ? 0 : revision - back};
    if (target === 3) return {...base, value: Buffer.from(value)};
    return {...base, lease: small};
  };
}
