/** Leases that are kept alive for a while through any member, and then left to their end. */

import type {LeaseBook} from '../../simulator/lease-book.ts';
import type {SeededRandom} from '../../simulator/seeded-random.ts';
import {type Message, RawGrpc} from '../raw-grpc.ts';

const TTL_SECONDS = 3;
const PATIENCE_MS = 2_000;
const RENEW_EVERY_MS = 700;
const RENEWALS_MAX = 8;
export const LEASE_PREFIX = 'lease/';

export class ChaosLeases {
  readonly #random: SeededRandom;
  readonly #book: LeaseBook;
  readonly #clients: readonly RawGrpc[];
  #isStopped = false;
  granted = 0;

  constructor(options: {random: SeededRandom; book: LeaseBook; endpoints: readonly string[]}) {
    this.#random = options.random;
    this.#book = options.book;
    this.#clients = options.endpoints.map((endpoint) => new RawGrpc(endpoint));
  }

  stop(): void {
    this.#isStopped = true;
  }

  async run(): Promise<void> {
    while (!this.#isStopped) await this.#live();
    for (const client of this.#clients) client[Symbol.dispose]();
  }

  /** One lease from its grant on. */
  async #live(): Promise<void> {
    const id = this.#book.newId();
    const asked = this.#book.ask();
    const grant = await this.#call('Lease/LeaseGrant', {ID: `${id}`, TTL: TTL_SECONDS});
    if (grant === undefined) {
      await pause(RENEW_EVERY_MS);
      return;
    }
    const put = await this.#call('KV/Put', {
      key: keyOf(id),
      value: Buffer.from(`lease ${id}`),
      lease: `${id}`,
    });
    if (put === undefined) return;
    this.granted++;
    this.#book.granted(id, {ttlSeconds: Number(grant.TTL), asked, isShared: false});
    const renewals = this.#random.below(RENEWALS_MAX);
    for (let n = 0; n < renewals && !this.#isStopped; n++) {
      await pause(RENEW_EVERY_MS);
      if (!(await this.#renew(id))) return;
    }
  }

  /** @returns whether it may live on */
  async #renew(id: bigint): Promise<boolean> {
    const asked = this.#book.ask();
    const call = this.#client().bidi('etcdserverpb.Lease/LeaseKeepAlive');
    const answer = await new Promise<Message | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), PATIENCE_MS);
      const settle = (found: Message | undefined) => {
        clearTimeout(timer);
        resolve(found);
      };
      call.on('data', settle);
      call.on('error', () => settle(undefined));
      call.on('end', () => settle(undefined));
      call.write({ID: `${id}`});
    });
    call.cancel();
    if (answer === undefined) return true;
    const ttlSeconds = Number(answer.TTL);
    if (ttlSeconds === 0) {
      await this.#denied(id);
      return false;
    }
    this.#book.renewed(id, {ttlSeconds, asked});
    return true;
  }

  /** Told that there is no such lease: then its key must be gone. Its watch may bring that later. */
  async #denied(id: bigint): Promise<void> {
    const found = await this.#call('KV/Range', {key: keyOf(id)});
    if (found !== undefined && found.kvs.length > 0) this.#book.denied(id);
  }

  #client(): RawGrpc {
    return this.#clients[this.#random.below(this.#clients.length)];
  }

  async #call(method: string, request: Message): Promise<Message | undefined> {
    try {
      return await this.#client().unary(`etcdserverpb.${method}`, request, {timeoutMs: PATIENCE_MS});
    } catch {
      return undefined;
    }
  }
}

const keyOf = (id: bigint) => Buffer.from(`${LEASE_PREFIX}${id}`);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
