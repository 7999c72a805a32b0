/** A lock by name: the contender whose key is oldest holds it. */

import {CompareResult, CompareTarget} from '../../engine/types.ts';
import {GrpcError, GrpcStatus} from '../http2/grpc-status.ts';
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

export class Mutex {
  /** `name/` and the lease in hex: exists while the lock is held or waited for. */
  readonly key: Buffer;
  readonly #prefix: Buffer;
  readonly #client: ConcurrencyClient;
  readonly #session: Session;
  #revision = 0;

  constructor(client: ConcurrencyClient, session: Session, name: string | Uint8Array) {
    this.#client = client;
    this.#session = session;
    this.#prefix = contestPrefix(name);
    this.key = contestKey(this.#prefix, session.leaseId);
  }

  /** Create revision of the key: grows from holder to holder. */
  get revision(): number {
    return this.#revision;
  }

  /** Resolves when the lock is held; gives up its place in the queue when it fails. */
  async lock(options: CallOptions = {}): Promise<void> {
    if (await this.#enter(options)) return;
    try {
      await waitForOlder(this.#client, {prefix: this.#prefix, revision: this.#revision}, options);
      const {kvs} = await this.#client.kv.range({key: this.key}, options);
      if (kvs.length === 0) throw new GrpcError(GrpcStatus.failedPrecondition, 'mutex: session is expired');
    } catch (error) {
      // The caller's signal may be what ended the waiting: the key must go all the same.
      await this.unlock({...options, signal: undefined});
      throw error;
    }
  }

  async unlock(options?: CallOptions): Promise<void> {
    await this.#client.kv.deleteRange({key: this.key}, options);
    this.#revision = 0;
  }

  /** Queues up. @returns whether the lock is held at once */
  async #enter(options: CallOptions): Promise<boolean> {
    const {header, succeeded, responses} = await this.#client.kv.txn(
      {
        compare: [
          {key: this.key, target: CompareTarget.create, result: CompareResult.equal, createRevision: 0},
        ],
        success: [
          {requestPut: {key: this.key, lease: this.#session.leaseId}},
          {requestRange: oldest(this.#prefix)},
        ],
        failure: [{requestRange: {key: this.key}}, {requestRange: oldest(this.#prefix)}],
      },
      options,
    );
    this.#revision = succeeded ? (header?.revision ?? 0) : (firstKeyValue(responses)?.createRevision ?? 0);
    const owner = responses[1]?.responseRange?.kvs[0];
    return owner === undefined || owner.createRevision === this.#revision;
  }
}
