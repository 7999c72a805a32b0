/** Clients' requests and answers, as the search for an order wants them (kv-history.ts), in the engine's types. */

import {
  type Compare,
  CompareResult,
  CompareTarget,
  type KeyValue,
  type PutResult,
  type RangeResult,
  type RequestOp,
  type ResponseOp,
  type TxnRequest,
} from '../../../src/engine/types.ts';
import {
  type Found,
  type HistoryAnswer,
  type HistoryCompare,
  type HistoryRequest,
  type HistoryStep,
  type HistoryValue,
  KEYS_MODEL,
  keysOfRequest,
  prepareHistory,
  type WritesSeen,
} from './kv-history.ts';
import {checkLinearizable, partitionHistory, type TimedOperation} from './linearizability.ts';

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

export interface AnsweredAt {
  /** The store's revision in the answer's header. */
  readonly revision: number;
  readonly returnAt: number;
}

export interface RecorderVerdict {
  readonly operations: number;
  readonly undecidedParts: number;
  /** What is wrong; undefined: nothing. */
  readonly violation: string | undefined;
}

export class KvRecorder {
  readonly #history: TimedOperation<HistoryRequest>[] = [];
  /** All keys there may be: a deletion of a range is one of each of them. */
  readonly #keys: readonly string[];

  constructor(keys: readonly string[]) {
    this.#keys = keys;
  }

  /** `answered` undefined: nobody knows what became of it. A request that was refused for sure is not recorded. */
  txn(
    callAt: number,
    request: Pick<TxnRequest, 'compare' | 'success' | 'failure'>,
    answered: (AnsweredAt & {succeeded: boolean; responses: readonly ResponseOp[]}) | undefined,
  ): void {
    const success = request.success.map((op) => this.#stepsOf(op));
    const failure = request.failure.map((op) => this.#stepsOf(op));
    let answer: HistoryAnswer | undefined;
    if (answered !== undefined) {
      const {succeeded, revision, responses} = answered;
      const branch = succeeded ? request.success : request.failure;
      const found = (succeeded ? success : failure).flatMap((steps, place) =>
        steps.map((step) => foundIn(branch[place], responses[place], step.key)),
      );
      answer = {succeeded, revision, found};
    }
    this.#history.push({
      callAt,
      returnAt: answered?.returnAt,
      operation: {
        compares: request.compare.map(compareOf),
        success: success.flat(),
        failure: failure.flat(),
        answer,
      },
    });
  }

  /** One operation by itself. */
  single(callAt: number, op: RequestOp, answered: (AnsweredAt & {response: ResponseOp}) | undefined): void {
    const request = {compare: [], success: [op], failure: []};
    this.txn(callAt, request, answered && {...answered, succeeded: true, responses: [answered.response]});
  }

  /** Keys that went with their lease: nobody's request, known from the log alone. */
  expired(keys: readonly string[], revision: number): void {
    const success = keys.map((key) => ({type: 'delete', key}) as const);
    const answer = {succeeded: true, revision, found: keys.map(() => undefined)};
    this.#history.push({
      callAt: 0,
      returnAt: Number.MAX_VALUE,
      operation: {compares: [], success, failure: [], answer},
    });
  }

  check(seen?: WritesSeen): RecorderVerdict {
    let undecidedParts = 0;
    for (const history of partitionHistory(prepareHistory(this.#history, seen), keysOfRequest)) {
      const {verdict, longest, stuck} = checkLinearizable(KEYS_MODEL, history);
      if (verdict === 'undecided') undecidedParts++;
      if (verdict !== 'violated') continue;
      const tell = (place: number) => describe(history[place]);
      const detail =
        `no order of these requests gives their answers; after\n  ${longest.slice(-5).map(tell).join('\n  ')}\n` +
        `none of these can be next:\n  ${stuck.slice(0, 10).map(tell).join('\n  ')}`;
      return {operations: this.#history.length, undecidedParts, violation: detail};
    }
    return {operations: this.#history.length, undecidedParts, violation: undefined};
  }

  #stepsOf({requestPut, requestRange, requestDeleteRange}: RequestOp): HistoryStep[] {
    if (requestPut !== undefined)
      return [{type: 'put', key: textOf(requestPut.key), value: textOf(requestPut.value)}];
    const range = requestRange ?? requestDeleteRange;
    if (range === undefined) throw new Error('a transaction within a transaction is not recorded');
    const [key, end] = [textOf(range.key), textOf(range.rangeEnd)];
    const keys = end === '' ? [key] : this.#keys.filter((one) => one >= key && (end === '\0' || one < end));
    const type = requestRange === undefined ? 'delete' : 'get';
    return keys.map((one) => ({type, key: one}));
  }
}

function foundIn(op: RequestOp, response: ResponseOp, key: string): Found | undefined {
  const {requestPut, requestDeleteRange} = op;
  if (requestPut !== undefined) return requestPut.prevKv ? found(prevKvOf(response.responsePut)) : undefined;
  const {responseRange, responseDeleteRange} = response;
  if (requestDeleteRange !== undefined) {
    const {prevKvs = []} = responseDeleteRange ?? {};
    return requestDeleteRange.prevKv ? found(prevKvs.find((kv) => textOf(kv.key) === key)) : undefined;
  }
  return found(kvsOf(responseRange).find((kv) => textOf(kv.key) === key));
}

const prevKvOf = (result: PutResult | undefined): KeyValue | undefined => result?.prevKv;
const kvsOf = (result: RangeResult | undefined): readonly KeyValue[] => result?.kvs ?? [];

function found(kv: KeyValue | undefined): Found {
  if (kv === undefined) return {kv: undefined};
  const {createRevision, modRevision, version} = kv;
  return {kv: {value: textOf(kv.value), createRevision, modRevision, version}};
}

function compareOf(compare: Compare): HistoryCompare {
  const {target, result} = compare;
  const wanted =
    target === CompareTarget.value
      ? textOf(compare.value ?? new Uint8Array(0))
      : target === CompareTarget.version
        ? (compare.version ?? 0)
        : target === CompareTarget.create
          ? (compare.createRevision ?? 0)
          : (compare.modRevision ?? 0);
  return {
    key: textOf(compare.key),
    name: `${target} ${result} ${wanted}`,
    looksAtValue: target === CompareTarget.value,
    holds: (kv) => {
      const own = fieldOf(target, kv);
      if (own === undefined) return false;
      const order = own < wanted ? -1 : own > wanted ? 1 : 0;
      if (result === CompareResult.equal) return order === 0;
      if (result === CompareResult.greater) return order > 0;
      return result === CompareResult.less ? order < 0 : order !== 0;
    },
  };
}

function fieldOf(target: number, kv: HistoryValue | undefined): string | number | undefined {
  if (target === CompareTarget.value) return kv?.value;
  if (target === CompareTarget.version) return kv?.version ?? 0;
  return (target === CompareTarget.create ? kv?.createRevision : kv?.modRevision) ?? 0;
}

function describe({callAt, returnAt, operation}: TimedOperation<HistoryRequest>): string {
  const {compares, success, failure, answer} = operation;
  const steps = (list: readonly HistoryStep[]) =>
    list.map((step) => `${step.type} ${step.key}${step.type === 'put' ? `=${step.value}` : ''}`).join(', ');
  const condition =
    compares.length === 0 ? '' : `if ${compares.map(({key, name}) => `${key} ${name}`).join()} `;
  const otherwise = failure.length === 0 ? '' : ` else ${steps(failure)}`;
  const told = answer === undefined ? 'nothing' : JSON.stringify(answer);
  return `${callAt}..${returnAt ?? '?'} ${condition}${steps(success)}${otherwise}: ${told}`;
}
