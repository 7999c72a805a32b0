/** Leases: TTLs in seconds, ids as bigint. */

import type {
  LeaseGrantRequestInput,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequestInput,
  LeaseTimeToLiveResponse,
} from '../proto/generated/lease.ts';
import type {CallOptions} from './call-options.ts';
import type {Calls} from './calls.ts';
import {keepLeaseAlive} from './keep-alive.ts';

export class LeaseClient {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** `ID` 0n or absent: the server chooses. */
  async grant(request: LeaseGrantRequestInput, options?: CallOptions): Promise<LeaseGrantResponse> {
    const {LeasePath, encodeLeaseGrantRequest, decodeLeaseGrantResponse} = await codecs();
    const bytes = encodeLeaseGrantRequest(request);
    return decodeLeaseGrantResponse(await this.#calls.write(LeasePath.LeaseGrant, bytes, options));
  }

  async revoke(id: bigint, options?: CallOptions): Promise<LeaseRevokeResponse> {
    const {LeasePath, encodeLeaseRevokeRequest, decodeLeaseRevokeResponse} = await codecs();
    const bytes = encodeLeaseRevokeRequest({ID: id});
    return decodeLeaseRevokeResponse(await this.#calls.write(LeasePath.LeaseRevoke, bytes, options));
  }

  /** `TTL` -1: there is no such lease. */
  async timeToLive(
    request: LeaseTimeToLiveRequestInput,
    options?: CallOptions,
  ): Promise<LeaseTimeToLiveResponse> {
    const {LeasePath, encodeLeaseTimeToLiveRequest, decodeLeaseTimeToLiveResponse} = await codecs();
    const bytes = encodeLeaseTimeToLiveRequest(request);
    return decodeLeaseTimeToLiveResponse(await this.#calls.read(LeasePath.LeaseTimeToLive, bytes, options));
  }

  async leases(options?: CallOptions): Promise<LeaseLeasesResponse> {
    const {LeasePath, encodeLeaseLeasesRequest, decodeLeaseLeasesResponse} = await codecs();
    const bytes = encodeLeaseLeasesRequest({});
    return decodeLeaseLeasesResponse(await this.#calls.read(LeasePath.LeaseLeases, bytes, options));
  }

  /** Renews once. `TTL` 0: there is no such lease. */
  async keepAliveOnce(id: bigint, options?: CallOptions): Promise<LeaseKeepAliveResponse> {
    const {LeasePath, encodeLeaseKeepAliveRequest, decodeLeaseKeepAliveResponse} = await codecs();
    const bytes = encodeLeaseKeepAliveRequest({ID: id});
    return decodeLeaseKeepAliveResponse(
      await this.#calls.exchangeOnce(LeasePath.LeaseKeepAlive, bytes, options),
    );
  }

  /**
   * Renews at every third of the TTL and yields each answer, over reconnections. Ends after an answer with `TTL` 0
   * (the lease is gone), or when no answer came for a whole TTL.
   */
  keepAlive(id: bigint, options?: CallOptions): AsyncGenerator<LeaseKeepAliveResponse, void> {
    return keepLeaseAlive((lease, given) => this.keepAliveOnce(lease, given), id, options);
  }
}

const codecs = () => import('../proto/generated/lease.ts');
