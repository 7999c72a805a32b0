/**
 * The client of kvd and of etcd (3.4 on) that commands, tests and embedding programs use. It speaks gRPC to a list
 * of endpoints, goes to the next one when one fails, and repeats what may be repeated: reads after any failure to
 * reach a member, writes only when their request was certainly never sent.
 *
 * Errors are GrpcError with the server's status and text; a deadline is `context deadline exceeded`, as in Go's
 * client. Codecs are loaded by the first call that needs them, so that importing this costs little.
 */

import type {ConnectionOptions} from 'node:tls';
import type {WatchCreateRequestInput} from '../proto/generated/watch.ts';
import {AuthClient} from './auth-client.ts';
import type {CallOptions} from './call-options.ts';
import {Calls} from './calls.ts';
import {ClusterClient} from './cluster-client.ts';
import {Election} from './election.ts';
import {EndpointPool} from './endpoint-pool.ts';
import {KvClient} from './kv-client.ts';
import {LeaseClient} from './lease-client.ts';
import {MaintenanceClient} from './maintenance-client.ts';
import {Mutex} from './mutex.ts';
import {openChannel} from './open-channel.ts';
import {Session} from './session.ts';
import {Watcher, type WatchOptions} from './watcher.ts';

export interface EtcdClientOptions {
  /** `host:port`, `http://…`, `https://…`, `unix:///path` or `unixs:///path`; at least one. */
  readonly endpoints: readonly string[];
  /** For one attempt to connect; default 2000. */
  readonly dialTimeoutMs?: number | undefined;
  /** For a call that names no timeout of its own; default: no limit. */
  readonly commandTimeoutMs?: number | undefined;
  /** With a user, calls carry a token; a server without auth gets the calls without one. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** A token to send as it is, instead of logging in. */
  readonly token?: string | undefined;
  /** Options of `node:tls`; given, endpoints that name no scheme are dialled with TLS. */
  readonly tls?: ConnectionOptions | undefined;
  /** Pings on an idle connection with calls on it; default: none. */
  readonly keepAliveTimeMs?: number | undefined;
  readonly keepAliveTimeoutMs?: number | undefined;
  /** One answer, bytes; default: no limit. */
  readonly maxReceiveBytes?: number | undefined;
}

const DIAL_TIMEOUT_MS = 2_000;

export class EtcdClient {
  readonly kv: KvClient;
  readonly lease: LeaseClient;
  readonly cluster: ClusterClient;
  readonly maintenance: MaintenanceClient;
  readonly auth: AuthClient;
  readonly #calls: Calls;
  readonly #pool: EndpointPool;

  constructor(options: EtcdClientOptions) {
    const {endpoints, dialTimeoutMs = DIAL_TIMEOUT_MS} = options;
    const open = (endpoint: string) => openChannel(endpoint, {...options, dialTimeoutMs});
    this.#pool = new EndpointPool({endpoints, dialTimeoutMs, open});
    this.#calls = new Calls(this.#pool, options);
    this.kv = new KvClient(this.#calls);
    this.lease = new LeaseClient(this.#calls);
    this.cluster = new ClusterClient(this.#calls);
    this.maintenance = new MaintenanceClient(this.#calls);
    this.auth = new AuthClient(this.#calls);
  }

  get endpoints(): readonly string[] {
    return this.#pool.endpoints;
  }

  /** Takes the started voting members' client URLs as endpoints. @returns them */
  async syncEndpoints(options?: CallOptions): Promise<readonly string[]> {
    const {members} = await this.cluster.memberList({linearizable: true}, options);
    const urls = members.flatMap(({name, isLearner, clientURLs}) =>
      name === '' || isLearner ? [] : clientURLs,
    );
    if (urls.length > 0) this.#pool.setEndpoints(urls);
    return this.#pool.endpoints;
  }

  /** Watches one key or range; see {@link Watcher}. Nothing is sent before the first response is asked for. */
  watch(request: WatchCreateRequestInput, options?: WatchOptions): Watcher {
    return new Watcher(this.#calls, request, options ?? {});
  }

  /** A lease kept alive until {@link Session.close}; what locks and elections hang on. */
  session(options: {ttlSeconds: number; signal?: AbortSignal | undefined}): Promise<Session> {
    return Session.open(this, options);
  }

  mutex(session: Session, name: string | Uint8Array): Mutex {
    return new Mutex(this, session, name);
  }

  election(session: Session | undefined, name: string | Uint8Array): Election {
    return new Election(this, session, name);
  }

  /** Ends all connections; calls on them fail with `context canceled`. */
  close(): void {
    this.#calls.close();
    this.#pool.close();
  }
}
