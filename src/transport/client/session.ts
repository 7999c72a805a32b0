/** A lease that is kept alive as long as its holder lives: locks and elections end with it. */

import {GrpcError} from '../http2/grpc-status.ts';
import type {CallOptions} from './call-options.ts';
import type {ConcurrencyClient} from './concurrency.ts';

export class Session {
  readonly leaseId: bigint;
  readonly #client: ConcurrencyClient;
  readonly #end = new AbortController();
  readonly #lost = new AbortController();
  readonly #renewing: Promise<void>;

  private constructor(client: ConcurrencyClient, leaseId: bigint) {
    this.#client = client;
    this.leaseId = leaseId;
    this.#renewing = this.#renew();
  }

  /** `signal` ends the waiting for the lease, not the session. */
  static async open(
    client: ConcurrencyClient,
    {ttlSeconds, signal}: {ttlSeconds: number; signal?: AbortSignal | undefined},
  ): Promise<Session> {
    const {ID} = await client.lease.grant({TTL: ttlSeconds}, {signal});
    return new Session(client, ID);
  }

  /** Aborted when the lease is gone although nobody closed the session: what it held is lost. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Revokes the lease, and with it every key of the session. */
  async close(options?: CallOptions): Promise<void> {
    this.#end.abort();
    await this.#renewing;
    await this.#client.lease.revoke(this.leaseId, options);
  }

  /** Stops renewing; the lease runs out by itself. */
  async abandon(): Promise<void> {
    this.#end.abort();
    await this.#renewing;
  }

  async #renew(): Promise<void> {
    try {
      for await (const {TTL} of this.#client.lease.keepAlive(this.leaseId, {signal: this.#end.signal})) {
        if (TTL <= 0) break;
      }
      if (!this.#end.signal.aborted) this.#lost.abort(new Error('the lease expired or was revoked'));
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      if (!this.#end.signal.aborted) this.#lost.abort(error);
    }
  }
}
