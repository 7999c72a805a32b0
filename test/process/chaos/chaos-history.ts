/**
 * What clients of real processes asked and were told, checked when all is over against a watch of everything from
 * the first revision on: the search for an order, every read as the state of its revision, every write once.
 */

import type {
  DeleteRangeRequest,
  KeyValue,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from '../../../src/engine/types.ts';
import type {DeletionSeen} from '../../simulator/checkers/kv-history.ts';
import {KvRecorder} from '../../simulator/checkers/kv-recorder.ts';
import type {Message} from '../raw-grpc.ts';

export interface TruthEvent {
  readonly revision: number;
  readonly key: string;
  /** undefined: deleted. */
  readonly kv: KeyValue | undefined;
  readonly text: string;
}

interface Read {
  readonly revision: number;
  readonly key: string;
  readonly to: string;
  readonly text: string;
}

export class ChaosHistory {
  readonly #keys: ReadonlySet<string>;
  readonly #recorder: KvRecorder;
  readonly #reads: Read[] = [];
  readonly #acknowledged = new Map<string, number>();
  /** Revisions of deletions that were answered. */
  readonly #deletedAt = new Set<number>();
  readonly violations: string[] = [];
  /** Values that one request each would have written. */
  readonly #unsent: (readonly string[])[] = [];
  answered = 0;
  unknown = 0;
  undecidedParts = 0;

  constructor(keys: readonly string[]) {
    this.#keys = new Set(keys);
    this.#recorder = new KvRecorder(keys);
  }

  get unsent(): number {
    return this.#unsent.length;
  }

  /** The client says that its request never left: none of the values that it could have written may be seen. */
  notSent(values: readonly string[]): void {
    this.#unsent.push(values);
  }

  put(callAt: number, request: PutRequest, answer: Message | undefined): void {
    const answered = this.#answered(answer);
    if (answered !== undefined) this.#acknowledged.set(textOf(request.value), answered.revision);
    const response = {responsePut: {prevKv: answer?.prev_kv ? keyValueOf(answer.prev_kv) : undefined}};
    this.#recorder.single(callAt, {requestPut: request}, answered && {...answered, response});
  }

  deleteRange(callAt: number, request: DeleteRangeRequest, answer: Message | undefined): void {
    const answered = this.#answered(answer);
    if (answered !== undefined && Number(answer?.deleted) > 0) this.#deletedAt.add(answered.revision);
    const result = {deleted: Number(answer?.deleted ?? 0), prevKvs: (answer?.prev_kvs ?? []).map(keyValueOf)};
    const response = {responseDeleteRange: result};
    this.#recorder.single(callAt, {requestDeleteRange: request}, answered && {...answered, response});
  }

  range(callAt: number, request: RangeRequest, answer: Message | undefined): void {
    const answered = this.#answered(answer);
    if (answered === undefined || answer === undefined) return;
    const kvs: KeyValue[] = answer.kvs.map(keyValueOf);
    const {revision} = answered;
    this.#reads.push({
      revision,
      key: textOf(request.key),
      to: textOf(request.rangeEnd),
      text: kvs.map(describe).join(' '),
    });
    if (request.serializable) return;
    const response = {responseRange: {kvs, count: Number(answer.count), more: answer.more}};
    this.#recorder.single(callAt, {requestRange: request}, {...answered, response});
  }

  txn(callAt: number, request: TxnRequest, answer: Message | undefined): void {
    const answered = this.#answered(answer);
    if (answered === undefined || answer === undefined) {
      this.#recorder.txn(callAt, request, undefined);
      return;
    }
    const {succeeded} = answer;
    for (const {requestPut} of succeeded ? request.success : request.failure)
      if (requestPut !== undefined) this.#acknowledged.set(textOf(requestPut.value), answered.revision);
    const responses = answer.responses.map(({response_range: range}: Message) =>
      range
        ? {responseRange: {kvs: range.kvs.map(keyValueOf), count: Number(range.count), more: range.more}}
        : {responsePut: {prevKv: undefined}},
    );
    this.#recorder.txn(callAt, request, {...answered, succeeded, responses});
  }

  /** All events there were, in order; none of them lost to a compaction. */
  check(truth: readonly TruthEvent[]): void {
    const puts = new Map<string, number>();
    for (const {kv, revision} of truth) {
      if (kv === undefined) continue;
      const value = textOf(kv.value);
      if (puts.has(value)) this.violations.push(`the value ${value} was written twice`);
      puts.set(value, revision);
    }
    for (const [value, revision] of this.#acknowledged)
      if (puts.get(value) !== revision)
        this.violations.push(`${value} was acknowledged at ${revision}, but is at ${puts.get(value)}`);
    for (const value of this.#unsent.flat())
      if (puts.has(value)) this.violations.push(`${value} was written, but never sent`);
    this.#checkReads(truth);
    const {violation, undecidedParts} = this.#recorder.check({
      puts,
      unansweredDeletions: this.#unansweredDeletions(truth),
    });
    this.undecidedParts = undecidedParts;
    if (violation !== undefined) this.violations.push(violation);
  }

  #unansweredDeletions(truth: readonly TruthEvent[]): DeletionSeen[] {
    return truth
      .filter(
        ({kv, key, revision}) => kv === undefined && this.#keys.has(key) && !this.#deletedAt.has(revision),
      )
      .map(({revision, key}) => ({revision, keys: [key]}));
  }

  #checkReads(truth: readonly TruthEvent[]): void {
    const state = new Map<string, string>();
    let at = 0;
    for (const {revision, key, to, text} of this.#reads.sort((a, b) => a.revision - b.revision)) {
      for (; at < truth.length && truth[at].revision <= revision; at++) {
        const event = truth[at];
        if (event.kv === undefined) state.delete(event.key);
        else state.set(event.key, describe(event.kv));
      }
      const keys = to === '' ? [key] : [...state.keys()].filter((one) => one >= key && one < to).sort();
      const wanted = keys.flatMap((one) => state.get(one) ?? []).join(' ');
      if (wanted !== text)
        this.violations.push(`a read at ${revision} gave "${text}" instead of "${wanted}"`);
    }
  }

  #answered(answer: Message | undefined): {revision: number; returnAt: number} | undefined {
    if (answer === undefined) {
      this.unknown++;
      return undefined;
    }
    this.answered++;
    return {revision: Number(answer.header.revision), returnAt: performance.now()};
  }
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

export function keyValueOf(kv: Message): KeyValue {
  return {
    key: kv.key,
    value: kv.value,
    createRevision: Number(kv.create_revision),
    modRevision: Number(kv.mod_revision),
    version: Number(kv.version),
    lease: BigInt(kv.lease),
  };
}

export function describe({key, value, createRevision, modRevision, version}: KeyValue): string {
  return `${textOf(key)}=${textOf(value)}@${createRevision},${modRevision},${version}`;
}

/** An event of a watch, from its message. */
export function truthEventOf({type, kv}: Message): TruthEvent {
  const isPut = type === 'PUT' || type === 0;
  const found = keyValueOf(kv);
  const key = textOf(found.key);
  const revision = found.modRevision;
  return {
    revision,
    key,
    kv: isPut ? found : undefined,
    text: isPut ? describe(found) : `${key} deleted@${revision}`,
  };
}
