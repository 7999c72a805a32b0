/**
 * The peer port: HTTP servers on every `--listen-peer-urls`, which know nothing but the three paths of
 * handshake.ts. Everything else gets 404, garbage gets 400, silence is cut off; none of it reaches a link.
 */

import {lstat, unlink} from 'node:fs/promises';
import {createServer, type IncomingMessage, type RequestListener, type Server} from 'node:http';
import {createServer as createTlsServer} from 'node:https';
import type {AddressInfo, Socket} from 'node:net';
import {connect} from 'node:net';
import type {Duplex} from 'node:stream';
import {type WebSocket, WebSocketServer} from 'ws';
import {hex64} from '../../engine/lib/hex64.ts';
import {
  PEER_CONNECTIONS_MAX,
  PEER_FRAME_BYTES_MAX,
  PEER_HANDSHAKE_TIMEOUT_MS,
  PEER_REFUSALS_REMEMBERED,
} from '../../engine/limits.ts';
import type {Logger} from '../../engine/ports.ts';
import type {MemberId} from '../../engine/types.ts';
import {cannotListen} from '../listen-error.ts';
import type {TlsEnds} from '../tls.ts';
import {
  type Hello,
  judgeHello,
  PEER_PATHS,
  PEER_PROTOCOL_RANGE,
  type PeerIdentity,
  type PeerPurpose,
  REFUSAL_HEADER,
  type Refusal,
  readHello,
  welcomeHeaders,
  writeRefusal,
} from './handshake.ts';
import {type PeerUrl, parsePeerUrl} from './peer-url.ts';

export interface PeerListenerOptions {
  readonly urls: readonly string[];
  readonly tls: TlsEnds | undefined;
  readonly identity: () => PeerIdentity;
  readonly isRemoved: (id: MemberId) => boolean;
  readonly logger: Logger;
  /** A peer shook hands. The connection is the callee's. */
  accepted(socket: WebSocket, hello: Hello, purpose: PeerPurpose): void;
}

const NOT_FOUND = 'Not found: this is the peer port of a kvd member.\n';

export class PeerListener {
  readonly #options: PeerListenerOptions;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #upgrader = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: PEER_FRAME_BYTES_MAX,
    skipUTF8Validation: true,
  });
  /** Whom and why: each is logged once. */
  readonly #loggedRefusals = new Set<string>();
  #welcome: Record<string, string> = {};

  constructor(options: PeerListenerOptions) {
    this.#options = options;
    this.#upgrader.on('headers', (lines) => {
      for (const [name, value] of Object.entries(this.#welcome)) lines.push(`${name}: ${value}`);
    });
  }

  /** @throws EngineError `configInvalid` when an address cannot be listened on; then none is */
  async start(): Promise<void> {
    const urls = this.#options.urls.map(parsePeerUrl);
    try {
      for (const url of urls) await this.#listen(url);
    } catch (cause) {
      await this.stop();
      throw cause;
    }
  }

  /** The URLs with the ports that were really bound. */
  urls(): string[] {
    return this.#servers.map((server, i) => {
      const address = server.address() as AddressInfo | string | null;
      const text = this.#options.urls[i];
      return typeof address === 'object' && address !== null
        ? text.replace(/:0\/?$/, `:${address.port}`)
        : text;
    });
  }

  /** Closes the ports and whatever is connected to them. */
  async stop(): Promise<void> {
    const closings = this.#servers.map(
      (server) =>
        new Promise<void>((resolve) => (server.listening ? server.close(() => resolve()) : resolve())),
    );
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closings);
  }

  async #listen(url: PeerUrl): Promise<void> {
    const server = this.#createServer(url);
    this.#servers.push(server);
    try {
      await bind(server, url);
    } catch (error) {
      if (!('socketPath' in url.at) || !(await isStale(url.at.socketPath, error)))
        throw cannotListen({url: url.text, flag: 'listen-peer-urls', cause: error});
      // The socket file of a process that is gone: nobody answers there any more.
      await unlink(url.at.socketPath);
      await bind(server, url).catch((cause) => {
        throw cannotListen({url: url.text, flag: 'listen-peer-urls', cause});
      });
    }
    server.on('error', (error) => {
      this.#options.logger.error('peer listener failed', {url: url.text, reason: error.message});
    });
    this.#options.logger.info('listening for peers', {url: url.text});
  }

  #createServer(url: PeerUrl): Server {
    const limits = {
      headersTimeout: PEER_HANDSHAKE_TIMEOUT_MS,
      requestTimeout: PEER_HANDSHAKE_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      noDelay: true,
      insecureHTTPParser: false,
    };
    const answer: RequestListener = (request, response) => {
      request.resume();
      const headers = {'content-type': 'text/plain; charset=utf-8', connection: 'close'};
      response.writeHead(404, headers).end(NOT_FOUND);
    };
    const server = url.isTls
      ? createTlsServer(
          {...this.#options.tls?.listen, ...limits, handshakeTimeout: PEER_HANDSHAKE_TIMEOUT_MS},
          answer,
        )
      : createServer(limits, answer);
    server.maxConnections = PEER_CONNECTIONS_MAX;
    server.on('connection', (socket: Socket) => this.#track(socket));
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
    server.on('clientError', (_error, socket: Duplex) => {
      if (socket.writable) endWith(socket, '400 Bad Request', '', '');
      else socket.destroy();
    });
    return server;
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const purpose = (Object.keys(PEER_PATHS) as PeerPurpose[]).find(
      (name) => PEER_PATHS[name] === request.url,
    );
    if (purpose === undefined) {
      endWith(socket, '404 Not Found', '', NOT_FOUND);
      return;
    }
    const hello = readHello(request.headers);
    const self = this.#options.identity();
    const isRemoved = this.#options.isRemoved;
    const verdict =
      hello === undefined
        ? ({code: 'malformed', detail: 'the handshake headers are missing or malformed'} as const)
        : judgeHello({hello, self, purpose, range: PEER_PROTOCOL_RANGE, isRemoved});
    if ('code' in verdict || hello === undefined) {
      this.#refuse(socket, hello?.memberId ?? 0n, verdict as Refusal);
      return;
    }
    this.#welcome = welcomeHeaders({...self, protocol: verdict.version});
    this.#upgrader.handleUpgrade(request, socket, head, (webSocket) => {
      this.#options.accepted(webSocket, hello, purpose);
    });
  }

  #refuse(socket: Duplex, from: MemberId, refusal: Refusal): void {
    const reason = writeRefusal(refusal);
    const key = `${hex64(from)} ${reason}`;
    if (!this.#loggedRefusals.has(key)) {
      if (this.#loggedRefusals.size >= PEER_REFUSALS_REMEMBERED) this.#loggedRefusals.clear();
      this.#loggedRefusals.add(key);
      this.#options.logger.warn('peer refused', {
        peer: hex64(from),
        refusal: refusal.code,
        reason: refusal.detail,
      });
    }
    endWith(socket, '412 Precondition Failed', `${REFUSAL_HEADER}: ${reason}\r\n`, `${reason}\n`);
  }
}

function endWith(socket: Duplex, status: string, headers: string, body: string): void {
  const length = Buffer.byteLength(body);
  const head = `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${length}\r\nConnection: close\r\n\r\n`;
  // Destroyed once it is written: whoever was turned away does not keep the connection open from its end.
  socket.end(head + body, () => socket.destroy());
}

function bind(server: Server, {at}: PeerUrl): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(
      'socketPath' in at ? {path: at.socketPath} : {host: at.host || undefined, port: at.port},
      () => {
        server.off('error', reject);
        resolve();
      },
    );
  });
}

async function isStale(socketPath: string, error: unknown): Promise<boolean> {
  if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return false;
  // An ordinary file also refuses connections, and is somebody's.
  if (!(await lstat(socketPath)).isSocket()) return false;
  return new Promise((resolve) => {
    const probe = connect({path: socketPath});
    probe.on('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.on('error', (probed: NodeJS.ErrnoException) => resolve(probed.code === 'ECONNREFUSED'));
  });
}
