/** Clients that ask one thing after the other, whichever member they like, and write down what they were told. */

import {CompareResult, CompareTarget, type RangeRequest, type TxnRequest} from '../../../src/engine/types.ts';
import {bytesOf, compareOf, deleteOf, putOf, rangeOf} from '../../simulator/requests.ts';
import type {SeededRandom} from '../../simulator/seeded-random.ts';
import {type Message, RawGrpc} from '../raw-grpc.ts';
import type {ChaosHistory} from './chaos-history.ts';

/** Keys that are used together. The search for an order goes through one group at a time. */
const GROUPS = 40;
const KEYS_PER_GROUP = 3;
/** A question without an answer is given up, milliseconds. */
const PATIENCE_MS = 2_000;
/** After a refusal another member may know better, milliseconds. */
const PAUSE_MS = 20;

const groups = Array.from({length: GROUPS}, (_, group) =>
  Array.from({length: KEYS_PER_GROUP}, (_, n) => `k${String(group).padStart(2, '0')}/${n}`),
);
export const CHAOS_KEYS: readonly string[] = groups.flat();

export class ChaosClient {
  readonly #name: string;
  readonly #random: SeededRandom;
  readonly #history: ChaosHistory;
  readonly #clients: readonly RawGrpc[];
  #at: number;
  #sequence = 0;
  #isStopped = false;

  constructor(options: {
    name: string;
    random: SeededRandom;
    history: ChaosHistory;
    endpoints: readonly string[];
  }) {
    const {name, random, history, endpoints} = options;
    this.#name = name;
    this.#random = random;
    this.#history = history;
    this.#clients = endpoints.map((endpoint) => new RawGrpc(endpoint));
    this.#at = random.below(endpoints.length);
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves after `stop`, when the last question was answered or given up. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      const isAnswered = await this.#ask();
      if (isAnswered && this.#random.below(200) > 0) continue;
      this.#at = this.#random.below(this.#clients.length);
      if (!isAnswered) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    for (const client of this.#clients) client[Symbol.dispose]();
  }

  async #ask(): Promise<boolean> {
    const random = this.#random;
    const group = groups[random.below(GROUPS)];
    const key = group[random.below(KEYS_PER_GROUP)];
    const value = `${this.#name}.${++this.#sequence}`;
    const at = performance.now();
    const dice = random.below(100);
    if (dice < 45) {
      const request = putOf(key, value, {prevKv: random.below(3) === 0});
      const answer = await this.#call('Put', putMessage(key, value, request.prevKv));
      this.#history.put(at, request, answer);
      return answer !== undefined;
    }
    if (dice < 80) {
      const to = random.below(3) === 0 ? `${group[0].slice(0, -1)}~` : '';
      const request = rangeOf(to === '' ? key : group[0], to, {serializable: random.below(3) === 0});
      const answer = await this.#call('Range', rangeMessage(request));
      this.#history.range(at, request, answer);
      return answer !== undefined;
    }
    if (dice < 84) {
      const answer = await this.#call('DeleteRange', {key: bytesOf(key), prev_kv: true});
      this.#history.deleteRange(at, deleteOf(key, '', {prevKv: true}), answer);
      return answer !== undefined;
    }
    return this.#txn(at, group, value);
  }

  async #txn(at: number, group: readonly string[], value: string): Promise<boolean> {
    const random = this.#random;
    const [key, other] = [group[random.below(KEYS_PER_GROUP)], group[random.below(KEYS_PER_GROUP)]];
    const version = random.below(20);
    const request: TxnRequest = {
      compare: [compareOf(key, {target: CompareTarget.version, result: CompareResult.greater, version})],
      success: [{requestRange: rangeOf(key)}, {requestPut: putOf(other, `${value}s`)}],
      failure: [{requestRange: rangeOf(other)}, {requestPut: putOf(key, `${value}f`)}],
    };
    const answer = await this.#call('Txn', {
      compare: [{key: bytesOf(key), target: 'VERSION', result: 'GREATER', version}],
      success: [{request_range: {key: bytesOf(key)}}, {request_put: putMessage(other, `${value}s`, false)}],
      failure: [{request_range: {key: bytesOf(other)}}, {request_put: putMessage(key, `${value}f`, false)}],
    });
    this.#history.txn(at, request, answer);
    return answer !== undefined;
  }

  async #call(method: string, request: Message): Promise<Message | undefined> {
    try {
      const client = this.#clients[this.#at];
      return await client.unary(`etcdserverpb.KV/${method}`, request, {timeoutMs: PATIENCE_MS});
    } catch {
      return undefined;
    }
  }
}

const putMessage = (key: string, value: string, prevKv: boolean): Message => ({
  key: bytesOf(key),
  value: bytesOf(value),
  prev_kv: prevKv,
});

const rangeMessage = ({key, rangeEnd, serializable}: RangeRequest): Message => ({
  key,
  range_end: rangeEnd,
  serializable,
});
