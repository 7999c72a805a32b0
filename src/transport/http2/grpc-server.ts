/**
 * A gRPC server: methods by path, and the connections that call them. Knows methods, not ports: one-port.ts hands it
 * sockets. One per process.
 */

import type {Server as HttpServer} from 'node:http';
import type {Socket} from 'node:net';
import type {Logger} from '../../engine/ports.ts';
import {EagerPoll} from '../eager-poll.ts';
import {Deadlines} from './deadlines.ts';
import type {Call, GrpcMethod} from './grpc-method.ts';
import {CLIENT_EAGER_POLL_MS, HANDSHAKE_TIMEOUT_MS, HELD_BYTES_PER_CONNECTION_MAX} from './limits.ts';
import {ServerConnection} from './server-connection.ts';
import type {GrpcObserver, ServerContext, ServerKeepAlive} from './server-context.ts';

export interface GrpcServerOptions {
  readonly methods: Iterable<GrpcMethod>;
  /** Bytes of one request message; larger ones are answered with resourceExhausted. */
  readonly maxReceiveBytes: number;
  readonly logger: Logger;
  readonly metrics?: GrpcObserver;
  /** Called before each call's handler; throws a GrpcError to refuse it. */
  readonly beforeCall?: (path: string, call: Call) => void;
  /**
   * Takes HTTP/2 requests that are no gRPC calls. Without it they are answered 405 and 415. Its handlers end every
   * response, that of a client who has gone too: until then they count as running.
   */
  readonly http?: HttpServer;
  /** How a socket is named in logs and in `Call.remote`. */
  readonly remoteName?: (socket: Socket) => string;
  readonly keepAlive?: ServerKeepAlive;
  /** A connection that has not said what HTTP/2 starts with by then is closed. */
  readonly handshakeTimeoutMs?: number;
  /** What one connection may make the server hold; see limits.ts. */
  readonly heldBytesPerConnectionMax?: number;
}

/** etcd's defaults. */
const KEEP_ALIVE: ServerKeepAlive = {minTimeMs: 5_000, intervalMs: 2 * 60 * 60 * 1000, timeoutMs: 20_000};

export class GrpcServer {
  readonly #context: ServerContext;
  readonly #remoteName: (socket: Socket) => string;
  readonly #connections = new Set<ServerConnection>();
  /** Resolves when the last connection is gone; set while somebody waits for it. */
  #onEmpty: (() => void) | undefined;
  #isDraining = false;

  constructor(options: GrpcServerOptions) {
    this.#remoteName = options.remoteName ?? remoteName;
    this.#context = {
      methods: new Map([...options.methods].map((method) => [method.path, method])),
      maxReceiveBytes: options.maxReceiveBytes,
      logger: options.logger,
      observer: options.metrics,
      beforeCall: options.beforeCall,
      keepAlive: options.keepAlive ?? KEEP_ALIVE,
      http: options.http,
      deadlines: new Deadlines(),
      clientsPoll: new EagerPoll(CLIENT_EAGER_POLL_MS),
      heldBytesPerConnectionMax: options.heldBytesPerConnectionMax ?? HELD_BYTES_PER_CONNECTION_MAX,
      budget: {heldBytes: 0, orphans: 0},
      handshakeTimeoutMs: options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
    };
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Takes over a socket whose client speaks HTTP/2. @param firstBytes what was already read from it */
  accept(socket: Socket, firstBytes?: Buffer): void {
    const connection = new ServerConnection(
      socket,
      firstBytes,
      this.#remoteName(socket),
      this.#context,
      (ended) => {
        this.#connections.delete(ended);
        if (this.#connections.size === 0) this.#onEmpty?.();
      },
    );
    if (connection.isClosed) return;
    this.#connections.add(connection);
    if (this.#isDraining) connection.drain();
  }

  /** Lets running calls finish, for `graceMs` at most; then everything is closed. Clients go elsewhere at once. */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    for (const connection of this.#connections) connection.drain();
    if (this.#connections.size > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
        timer = setTimeout(resolve, graceMs);
      });
      clearTimeout(timer);
    }
    this.close();
  }

  /** Ends all connections now; their calls' signals are aborted. */
  close(): void {
    this.#isDraining = true;
    for (const connection of [...this.#connections]) connection.close();
  }
}

function remoteName(socket: Socket): string {
  if (socket.remoteAddress === undefined) return 'unix';
  const host = socket.remoteFamily === 'IPv6' ? `[${socket.remoteAddress}]` : socket.remoteAddress;
  return `${host}:${socket.remotePort}`;
}
