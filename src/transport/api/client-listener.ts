/**
 * The client port: joins the byte servers (HTTP/2 and HTTP/1.1 on one port) with the services. Plain and TLS
 * addresses are listened on side by side.
 */

import {lstat, unlink} from 'node:fs/promises';
import {createServer, type Server as HttpServer} from 'node:http';
import {connect} from 'node:net';
import type {TlsOptions} from 'node:tls';
import {type Endpoint, parseEndpointUrl} from '../../config/url.ts';
import {EngineError} from '../../engine/errors.ts';
import type {Logger, Metrics} from '../../engine/ports.ts';
import type {Call} from '../http2/grpc-method.ts';
import {GrpcServer, type GrpcServerOptions} from '../http2/grpc-server.ts';
import {type ListenAddress, OnePortListener} from '../http2/one-port.ts';
import {cannotListen} from '../listen-error.ts';
import {KVPath} from '../proto/generated/kv.ts';
import {MaintenancePath} from '../proto/generated/maintenance.ts';
import {toGrpcError} from './error-status.ts';
import {GrpcMetrics} from './grpc-metrics.ts';
import {httpEndpoints} from './http-endpoints.ts';
import {GRPC_OVERHEAD_BYTES, HTTP_HEADER_BYTES_MAX, HTTP_IDLE_TIMEOUT_MS} from './limits.ts';
import {allMethods} from './services/all-methods.ts';
import type {ServerFace} from './services/service.ts';
import {StreamGuard} from './stream-guard.ts';

export interface ClientListenerOptions {
  readonly server: ServerFace;
  /** `http://…`, `https://…`, `unix://…`, `unixs://…`; port 0: any free one. */
  readonly urls: readonly string[];
  /** For `https:` and `unixs:` URLs. */
  readonly tls?: TlsOptions | undefined;
  /** --max-request-bytes and --max-txn-ops. */
  readonly maxRequestBytes: number;
  readonly maxTxnOps: number;
  readonly exposition: () => string | Promise<string>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly keepAlive?: GrpcServerOptions['keepAlive'];
}

/** A learner answers these and nothing else (a Range only when it is serializable). */
const SERVED_BY_LEARNERS = new Set<string>([KVPath.Range, MaintenancePath.Status, MaintenancePath.Snapshot]);

export class ClientListener {
  readonly #options: ClientListenerOptions;
  readonly #streamGuard: StreamGuard;
  readonly #metrics: GrpcMetrics;
  readonly #grpc: GrpcServer;
  readonly #http: HttpServer;
  readonly #plain: OnePortListener;
  readonly #encrypted: OnePortListener | undefined;

  constructor(options: ClientListenerOptions) {
    const {server, maxRequestBytes, maxTxnOps, logger, metrics, keepAlive, tls, exposition} = options;
    this.#options = options;
    this.#streamGuard = new StreamGuard(server, {electionTimeoutMs: server.electionTimeoutMs});
    const methods = allMethods({
      server,
      streamGuard: this.#streamGuard,
      txnOperationsMax: maxTxnOps,
      watchFragmentBytes: maxRequestBytes + GRPC_OVERHEAD_BYTES,
    });
    this.#metrics = new GrpcMetrics(metrics, methods);
    this.#http = createServer(
      {maxHeaderSize: HTTP_HEADER_BYTES_MAX},
      httpEndpoints({server, exposition, logger}),
    );
    this.#http.timeout = HTTP_IDLE_TIMEOUT_MS;
    this.#grpc = new GrpcServer({
      methods,
      metrics: this.#metrics,
      // Requests over HTTP/2 that are no gRPC calls.
      http: this.#http,
      maxReceiveBytes: maxRequestBytes + GRPC_OVERHEAD_BYTES,
      logger,
      beforeCall: (path, call) => this.#admit(path, call),
      ...(keepAlive === undefined ? {} : {keepAlive}),
    });
    const ends = {grpc: this.#grpc, http: this.#http, logger};
    this.#plain = new OnePortListener(ends);
    this.#encrypted = tls === undefined ? undefined : new OnePortListener({...ends, tls});
  }

  /**
   * Listens on every URL.
   * @returns the URLs, with the ports that the system chose
   * @throws EngineError `configInvalid` naming the address that cannot be listened on
   */
  async start(): Promise<readonly string[]> {
    const bound: string[] = [];
    try {
      for (const url of this.#options.urls) bound.push(await this.#listen(url));
    } catch (error) {
      this.close();
      throw error;
    }
    return bound;
  }

  /** New TLS connections get these certificates. */
  replaceTls(tls: TlsOptions): void {
    this.#encrypted?.replaceTls(tls);
  }

  /** Sends clients elsewhere, lets running calls finish for `graceMs` at most, and closes. */
  async stop(graceMs: number): Promise<void> {
    this.#plain.stopListening();
    this.#encrypted?.stopListening();
    // First the word to go elsewhere, then the end of what would never end by itself.
    const drained = this.#grpc.drain(graceMs);
    this.#streamGuard.stop();
    await drained;
    this.close();
  }

  /** Ends everything now. */
  close(): void {
    this.#streamGuard.stop();
    this.#grpc.close();
    this.#plain.close();
    this.#encrypted?.close();
    this.#http.close();
  }

  async #listen(url: string): Promise<string> {
    const endpoint = parseEndpointUrl(url);
    if (typeof endpoint === 'string') {
      throw new EngineError({code: 'configInvalid', detail: `client URL ${url}: ${endpoint}`});
    }
    const listener = endpoint.tls ? this.#encrypted : this.#plain;
    if (listener === undefined) {
      throw new EngineError({
        code: 'configInvalid',
        detail: `client URL ${url} needs a certificate and a key`,
      });
    }
    if (endpoint.kind === 'unix') await removeStaleSocket(endpoint.path);
    const address = await listener.listen(listenAddress(endpoint)).catch((cause: unknown) => {
      throw cannotListen({url, flag: 'listen-client-urls', cause});
    });
    return 'path' in address ? url : url.replace(/:\d+$/, `:${address.port}`);
  }

  /** What every call must pass, whatever its method. */
  #admit(path: string, call: Call): void {
    this.#metrics.called(path, call);
    try {
      if (this.#options.server.isLearner() && !SERVED_BY_LEARNERS.has(path)) {
        throw new EngineError({code: 'notSupportedForLearner'});
      }
      this.#streamGuard.check(call);
    } catch (error) {
      throw toGrpcError(error);
    }
  }
}

function listenAddress(endpoint: Endpoint): ListenAddress {
  if (endpoint.kind === 'unix') return {path: endpoint.path};
  // No host means every interface, of both families where the system has both.
  return {host: endpoint.host === '' ? '::' : endpoint.host, port: endpoint.port};
}

/** A socket file that nobody listens on is what a killed process left: it would keep us from listening. */
async function removeStaleSocket(path: string): Promise<void> {
  const stat = await lstat(path).catch(() => undefined);
  if (stat?.isSocket() !== true) return;
  const isServed = await new Promise<boolean>((resolve) => {
    const probe = connect({path}, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
  if (!isServed) await unlink(path);
}
