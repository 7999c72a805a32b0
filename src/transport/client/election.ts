/** Leader election by name: the candidate whose key is oldest leads, and the key's value is what it proclaims. */

import {prefixEnd} from '../../engine/lib/bytes.ts';
import {CompareResult, CompareTarget, EventType} from '../../engine/types.ts';
import {GrpcError, GrpcStatus} from '../http2/grpc-status.ts';
import type {KeyValue} from '../proto/generated/mvcc.ts';
import type {CallOptions} from './call-options.ts';
import {
  type ConcurrencyClient,
  contestKey,
  contestPrefix,
  firstKeyValue,
  oldest,
  waitForOlder,
} from './concurrency.ts';
import type {Session} from './session.ts';

export class Election {
  readonly #prefix: Buffer;
  readonly #client: ConcurrencyClient;
  readonly #session: Session | undefined;
  #key: Buffer | undefined;
  #revision = 0;

  /** Without a session one can observe, not campaign. */
  constructor(client: ConcurrencyClient, session: Session | undefined, name: string | Uint8Array) {
    this.#client = client;
    this.#session = session;
    this.#prefix = contestPrefix(name);
  }

  /** Our key once we campaign. */
  get key(): Buffer | undefined {
    return this.#key;
  }

  /** Create revision of our key. */
  get revision(): number {
    return this.#revision;
  }

  /** Resolves when we lead. */
  async campaign(value: string | Uint8Array, options: CallOptions = {}): Promise<void> {
    const session = this.#session;
    if (session === undefined) throw notLeader();
    const key = contestKey(this.#prefix, session.leaseId);
    const bytes = asBytes(value);
    const {header, succeeded, responses} = await this.#client.kv.txn(
      {
        compare: [{key, target: CompareTarget.create, result: CompareResult.equal, createRevision: 0}],
        success: [{requestPut: {key, value: bytes, lease: session.leaseId}}],
        failure: [{requestRange: {key}}],
      },
      options,
    );
    this.#key = key;
    const own = firstKeyValue(responses);
    this.#revision = succeeded ? (header?.revision ?? 0) : (own?.createRevision ?? 0);
    try {
      if (!succeeded && (own === undefined || !bytes.equals(own.value))) await this.proclaim(value, options);
      await waitForOlder(this.#client, {prefix: this.#prefix, revision: this.#revision}, options);
    } catch (error) {
      // The caller's signal may be what ended the waiting: the candidacy must go all the same.
      await this.resign({...options, signal: undefined});
      throw error;
    }
  }

  /** Changes what the leader says, without a new election. */
  async proclaim(value: string | Uint8Array, options?: CallOptions): Promise<void> {
    const {key} = this;
    const session = this.#session;
    if (key === undefined || session === undefined) throw notLeader();
    const {succeeded} = await this.#client.kv.txn(
      {
        compare: [this.#stillOurs(key)],
        success: [{requestPut: {key, value: asBytes(value), lease: session.leaseId}}],
      },
      options,
    );
    if (succeeded) return;
    this.#key = undefined;
    throw notLeader();
  }

  async resign(options?: CallOptions): Promise<void> {
    const key = this.#key;
    if (key === undefined) return;
    await this.#client.kv.txn(
      {compare: [this.#stillOurs(key)], success: [{requestDeleteRange: {key}}]},
      options,
    );
    this.#key = undefined;
    this.#revision = 0;
  }

  async leader(options?: CallOptions): Promise<KeyValue> {
    const {kvs} = await this.#client.kv.range(oldest(this.#prefix), options);
    if (kvs.length === 0) throw new GrpcError(GrpcStatus.unknown, 'election: no leader');
    return kvs[0];
  }

  /** Each leader and each of its proclamations, from the one of now on, until the signal. */
  async *observe(options: CallOptions = {}): AsyncGenerator<KeyValue, void> {
    while (options.signal?.aborted !== true) {
      const {header, kvs} = await this.#client.kv.range(oldest(this.#prefix), options);
      const revision = header?.revision ?? 0;
      const leader = kvs[0] ?? (await this.#firstCandidate(revision, options));
      if (leader === undefined) continue;
      yield leader;
      yield* this.#follow(leader, Math.max(revision, leader.modRevision), options);
    }
  }

  /** The puts of one leader's key until it is deleted. */
  async *#follow(leader: KeyValue, revision: number, {signal}: CallOptions): AsyncGenerator<KeyValue, void> {
    const watcher = this.#client.watch({key: leader.key, startRevision: revision + 1}, {signal});
    for await (const {canceled, events} of watcher) {
      if (canceled) return;
      for (const {type, kv} of events) {
        if (type === EventType.delete) return;
        if (kv !== undefined) yield kv;
      }
    }
  }

  async #firstCandidate(revision: number, {signal}: CallOptions): Promise<KeyValue | undefined> {
    const range = {key: this.#prefix, rangeEnd: prefixEnd(this.#prefix)};
    for await (const {canceled, events} of this.#client.watch(
      {...range, startRevision: revision},
      {signal},
    )) {
      if (canceled) return undefined;
      const created = events.find(({type}) => type === EventType.put);
      if (created !== undefined) return created.kv;
    }
    return undefined;
  }

  #stillOurs(key: Uint8Array) {
    const {equal} = CompareResult;
    return {key, target: CompareTarget.create, result: equal, createRevision: this.#revision};
  }
}

function asBytes(value: string | Uint8Array): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : Buffer.from(value);
}

function notLeader(): GrpcError {
  return new GrpcError(GrpcStatus.unknown, 'election: not leader');
}
