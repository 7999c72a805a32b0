/** Clients that ask whichever member they like, a few things at a time, and write down what they were told. */

import {CompareResult, CompareTarget, type RangeRequest, type TxnRequest} from '../../../src/engine/types.ts';
import {DialError} from '../../../src/transport/http2/dial-error.ts';
import {bytesOf, compareOf, deleteOf, putOf, rangeOf} from '../../simulator/requests.ts';
import type {SeededRandom} from '../../simulator/seeded-random.ts';
import {QuickGrpc} from '../quick-grpc.ts';
import {type Message, RawGrpc} from '../raw-grpc.ts';
import type {ChaosHistory} from './chaos-history.ts';

/** Keys that are used together. The search for an order goes through one group at a time. */
const GROUPS = 24;
const KEYS_PER_GROUP = 3;
/** A question without an answer is given up, milliseconds: longer than an election takes. */
const PATIENCE_MS = 1_200;
/** After a refusal another member may know better, milliseconds. */
const PAUSE_MS = 150;
/** Questions of one client that may be open together. */
const IN_FLIGHT = 3;

const groups = Array.from({length: GROUPS}, (_, group) =>
  Array.from({length: KEYS_PER_GROUP}, (_, n) => `k${String(group).padStart(2, '0')}/${n}`),
);
export const CHAOS_KEYS: readonly string[] = groups.flat();

export class ChaosClient {
  readonly #name: string;
  readonly #random: SeededRandom;
  readonly #history: ChaosHistory;
  readonly #clients: readonly (QuickGrpc | RawGrpc)[];
  #at: number;
  #sequence = 0;
  #isStopped = false;

  constructor(options: {
    name: string;
    random: SeededRandom;
    history: ChaosHistory;
    endpoints: readonly string[];
    /** By `@grpc/grpc-js`; else by kvd's own, which costs a tenth. */
    isForeign: boolean;
  }) {
    const {name, random, history, endpoints, isForeign} = options;
    this.#name = name;
    this.#random = random;
    this.#history = history;
    this.#clients = endpoints.map((endpoint) =>
      isForeign ? new RawGrpc(endpoint) : new QuickGrpc(endpoint),
    );
    this.#at = random.below(endpoints.length);
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves after `stop`, when the last question was answered or given up. */
  async run(): Promise<void> {
    await Promise.all(Array.from({length: IN_FLIGHT}, () => this.#oneAfterTheOther()));
    for (const client of this.#clients) client[Symbol.dispose]();
  }

  async #oneAfterTheOther(): Promise<void> {
    while (!this.#isStopped) {
      const at = this.#at;
      const isAnswered = await this.#ask();
      if (isAnswered && this.#random.below(200) > 0) continue;
      // Where another question has failed already, this client has gone elsewhere.
      if (at === this.#at) this.#at = this.#random.below(this.#clients.length);
      if (!isAnswered) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** @returns whether it was answered */
  async #ask(): Promise<boolean> {
    const value = `${this.#name}.${++this.#sequence}`;
    try {
      const answer = await this.#askOne(value);
      return answer !== undefined;
    } catch (error) {
      if (!(error instanceof DialError)) throw error;
      this.#history.notSent([value, inSuccess(value), inFailure(value)]);
      return false;
    }
  }

  async #askOne(value: string): Promise<Message | undefined> {
    const random = this.#random;
    const group = groups[random.below(GROUPS)];
    const key = group[random.below(KEYS_PER_GROUP)];
    const at = performance.now();
    const dice = random.below(100);
    if (dice < 45) {
      const request = putOf(key, value, {prevKv: random.below(3) === 0});
      const answer = await this.#call('Put', putMessage(key, value, request.prevKv));
      this.#history.put(at, request, answer);
      return answer;
    }
    if (dice < 80) {
      const to = random.below(3) === 0 ? `${group[0].slice(0, -1)}~` : '';
      const request = rangeOf(to === '' ? key : group[0], to, {serializable: random.below(3) === 0});
      const answer = await this.#call('Range', rangeMessage(request));
      this.#history.range(at, request, answer);
      return answer;
    }
    if (dice < 84) {
      const answer = await this.#call('DeleteRange', {key: bytesOf(key), prev_kv: true});
      this.#history.deleteRange(at, deleteOf(key, '', {prevKv: true}), answer);
      return answer;
    }
    return this.#txn(at, group, value);
  }

  async #txn(at: number, group: readonly string[], value: string): Promise<Message | undefined> {
    const random = this.#random;
    const [key, other] = [group[random.below(KEYS_PER_GROUP)], group[random.below(KEYS_PER_GROUP)]];
    const version = random.below(20);
    const guard = {target: CompareTarget.version, result: CompareResult.greater, version};
    const request: TxnRequest = {
      compare: [compareOf(key, guard)],
      success: [{requestRange: rangeOf(key)}, {requestPut: putOf(other, inSuccess(value))}],
      failure: [{requestRange: rangeOf(other)}, {requestPut: putOf(key, inFailure(value))}],
    };
    const answer = await this.#call('Txn', {
      compare: [{key: bytesOf(key), ...guard}],
      success: [
        {request_range: {key: bytesOf(key)}},
        {request_put: putMessage(other, inSuccess(value), false)},
      ],
      failure: [
        {request_range: {key: bytesOf(other)}},
        {request_put: putMessage(key, inFailure(value), false)},
      ],
    });
    this.#history.txn(at, request, answer);
    return answer;
  }

  /** @throws DialError when nobody was asked; what else went wrong leaves open whether it happened */
  async #call(method: string, request: Message): Promise<Message | undefined> {
    try {
      const client = this.#clients[this.#at];
      return await client.unary(`etcdserverpb.KV/${method}`, request, {timeoutMs: PATIENCE_MS});
    } catch (error) {
      if (error instanceof DialError) throw error;
      return undefined;
    }
  }
}

const inSuccess = (value: string): string => `${value}s`;
const inFailure = (value: string): string => `${value}f`;

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
