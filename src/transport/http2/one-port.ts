/**
 * One port for everything: the first bytes of a connection, or what TLS has negotiated, decide between our HTTP/2 and
 * node's HTTP/1.1. Listens on TCP addresses and unix sockets, plain or TLS.
 */

import type {Server as HttpServer} from 'node:http';
import {createServer as createTcpServer, type Server, type Socket} from 'node:net';
import {createServer as createTlsServer, type TLSSocket, type TlsOptions} from 'node:tls';
import type {Logger} from '../../engine/ports.ts';
import {CLIENT_PREFACE} from './frame.ts';
import type {GrpcServer} from './grpc-server.ts';
import {HANDSHAKE_TIMEOUT_MS} from './limits.ts';

/** A TCP address (port 0: any free one) or a unix socket. */
export type ListenAddress = {readonly host: string; readonly port: number} | {readonly path: string};

export interface OnePortOptions {
  /** Takes the HTTP/2 connections. */
  readonly grpc: GrpcServer;
  /** Takes the others; it need not listen itself. */
  readonly http: HttpServer;
  readonly logger: Logger;
  /** Given: every address of this listener speaks TLS. */
  readonly tls?: TlsOptions | undefined;
  /** A connection that has said nothing (or not finished its TLS handshake) by then is closed, milliseconds. */
  readonly firstBytesTimeoutMs?: number | undefined;
}

/** So many bytes of the preface tell it from every HTTP/1.1 method. */
const DECISIVE_BYTES = 4;

export class OnePortListener {
  readonly #options: OnePortOptions;
  readonly #timeoutMs: number;
  readonly #servers: Server[] = [];
  /** Connections that nobody has been given yet, and those of HTTP/1.1. */
  readonly #sockets = new Set<Socket>();
  #tls: TlsOptions | undefined;

  constructor(options: OnePortOptions) {
    this.#options = options;
    this.#timeoutMs = options.firstBytesTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
    this.#tls = options.tls;
    // A server that does not listen itself keeps no watch over slow requests until it is told that it does.
    if (!options.http.listening) options.http.emit('listening');
  }

  /** @returns where it listens: with the port that the system chose. @throws Error of the system */
  async listen(address: ListenAddress): Promise<ListenAddress> {
    const server = this.#makeServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(
        'path' in address ? {path: address.path} : {host: address.host, port: address.port},
        resolve,
      );
    });
    server.removeAllListeners('error');
    // Running out of file descriptors must not end the process; the system tries again.
    server.on('error', (error) => this.#options.logger.error('a listener failed', {error: error.message}));
    this.#servers.push(server);
    const bound = server.address();
    return bound === null || typeof bound === 'string' || 'path' in address
      ? address
      : {host: address.host, port: bound.port};
  }

  /** New connections use these certificates from now on. */
  replaceTls(tls: TlsOptions): void {
    this.#tls = tls;
    for (const server of this.#servers) {
      if ('setSecureContext' in server) (server as ReturnType<typeof createTlsServer>).setSecureContext(tls);
    }
  }

  /** Takes no more connections; those that stand go on. */
  stopListening(): void {
    for (const server of this.#servers) server.close();
  }

  /** Stops listening and ends what was not handed to the gRPC server (which is closed by itself). */
  close(): void {
    this.stopListening();
    for (const socket of [...this.#sockets]) socket.destroy();
  }

  #makeServer(): Server {
    const tls = this.#tls;
    if (tls === undefined) return createTcpServer({noDelay: true}, (socket) => this.#decide(socket));
    const {ALPNProtocols: _, ...own} = tls;
    const server = createTlsServer(
      {ALPNCallback: chooseProtocol, handshakeTimeout: this.#timeoutMs, noDelay: true, ...own} as TlsOptions,
      (socket: TLSSocket) => {
        // TLS 1.2 lets a client ask for new keys at any time; HTTP/2 forbids it, and it costs us more than it.
        socket.disableRenegotiation();
        if (socket.alpnProtocol === 'h2') this.#options.grpc.accept(socket);
        else this.#decide(socket);
      },
    );
    server.on('tlsClientError', (error, socket) => {
      const remote = `${socket.remoteAddress ?? 'unix'}:${socket.remotePort ?? ''}`;
      this.#options.logger.warn('a TLS handshake failed', {remote, error: error.message});
      socket.destroy();
    });
    return server;
  }

  /** Waits for the first bytes. */
  #decide(socket: Socket): void {
    this.#sockets.add(socket);
    let first: Buffer | undefined;
    const timer = setTimeout(() => socket.destroy(), this.#timeoutMs);
    const onData = (chunk: Buffer): void => {
      first = first === undefined ? chunk : Buffer.concat([first, chunk]);
      const length = Math.min(first.length, DECISIVE_BYTES);
      const isHttp2 = first.compare(CLIENT_PREFACE, 0, length, 0, length) === 0;
      if (isHttp2 && first.length < DECISIVE_BYTES) return;
      stop();
      if (isHttp2) {
        this.#sockets.delete(socket);
        this.#options.grpc.accept(socket, first);
      } else {
        socket.on('close', () => this.#sockets.delete(socket));
        this.#giveToHttp(socket, first);
      }
    };
    const onGone = (): void => {
      stop();
      this.#sockets.delete(socket);
      socket.destroy();
    };
    const stop = (): void => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('end', onGone);
      socket.off('close', onGone);
      socket.off('error', onGone);
    };
    socket.on('data', onData);
    socket.on('end', onGone);
    socket.on('close', onGone);
    socket.on('error', onGone);
  }

  #giveToHttp(socket: Socket, first: Buffer): void {
    socket.pause();
    socket.unshift(first);
    this.#options.http.emit('connection', socket);
    socket.resume();
  }
}

/** The client's first choice among what we speak: gRPC clients may offer HTTP/1.1 too, and curl offers `h2` first. */
function chooseProtocol({protocols}: {protocols: string[]}): string | undefined {
  return protocols.find((protocol) => protocol === 'h2' || protocol === 'http/1.1');
}
