/** Opens one WebSocket to a peer listener and shakes hands on it. */

import net from 'node:net';
import tls from 'node:tls';
import {WebSocket} from 'ws';
import {PEER_FRAME_BYTES_MAX} from '../../engine/limits.ts';
import type {Clock} from '../../engine/ports.ts';
import type {TlsEnds} from '../tls.ts';
import {
  type Hello,
  helloHeaders,
  judgeWelcome,
  PEER_PATHS,
  type PeerPurpose,
  type Refusal,
  readRefusal,
  readWelcome,
  type Welcome,
} from './handshake.ts';
import {lookupHost} from './host-lookup.ts';
import type {PeerUrl} from './peer-url.ts';

export interface DialOptions {
  readonly url: PeerUrl;
  readonly purpose: PeerPurpose;
  readonly hello: Hello;
  readonly tls: TlsEnds | undefined;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/** Why there is no connection: `refusal` when an end said no, else nobody answered sensibly. */
export interface DialFailure {
  readonly reason: string;
  readonly refusal: Refusal | undefined;
}

export interface DialResult {
  opened(socket: WebSocket, welcome: Welcome): void;
  failed(failure: DialFailure): void;
}

/** Exactly one of `result`'s methods is called, in a later turn. @returns calls the attempt off, in silence */
export function dial(options: DialOptions, result: DialResult): () => void {
  const {url, hello, clock, timeoutMs} = options;
  let isSettled = false;
  let welcome: Welcome | undefined;
  let refusal: Refusal | undefined;
  const socket = new WebSocket(addressOf(url, options.purpose), {
    headers: helloHeaders(hello),
    createConnection: () => connect(url, options.tls) as net.Socket,
    perMessageDeflate: false,
    followRedirects: false,
    maxPayload: PEER_FRAME_BYTES_MAX,
    skipUTF8Validation: true,
    // Masking keeps scripts in browsers from forging requests through proxies. There are none here: a mask of
    // zeros satisfies the protocol and leaves the bytes as they are, at no cost.
    generateMask: (mask) => mask.fill(0),
  });
  const settle = (): boolean => {
    if (isSettled) return false;
    isSettled = true;
    cancelTimeout();
    return true;
  };
  const fail = (reason: string): void => {
    if (settle()) result.failed({reason, refusal});
    socket.terminate();
  };
  const cancelTimeout = clock.after(timeoutMs, () => fail('no answer in time'));
  socket.on('upgrade', (response) => {
    welcome = readWelcome(response.headers);
  });
  socket.on('unexpected-response', (_request, response) => {
    refusal = readRefusal(response.headers);
    const status = `HTTP status ${response.statusCode ?? 0}: not a kvd peer port`;
    response.resume();
    fail(refusal?.detail ?? status);
  });
  socket.on('error', (error) => fail(describe(error)));
  socket.on('open', () => {
    if (welcome === undefined) {
      fail('upgraded without saying who it is');
      return;
    }
    refusal = judgeWelcome({welcome, hello});
    if (refusal !== undefined) fail(refusal.detail);
    else if (settle()) result.opened(socket, welcome);
  });
  return () => {
    settle();
    socket.terminate();
  };
}

/** The same as a promise; rejects with {@link DialError}. */
export function dialOnce(options: DialOptions): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    dial(options, {opened: resolve, failed: (failure) => reject(new DialError(failure))});
  });
}

export class DialError extends Error {
  readonly failure: DialFailure;

  constructor(failure: DialFailure) {
    super(failure.reason);
    this.name = 'DialError';
    this.failure = failure;
  }
}

/** Only the Host header is made of it: the connection goes where {@link connect} leads. */
function addressOf({at}: PeerUrl, purpose: PeerPurpose): string {
  if ('socketPath' in at) return `ws://localhost${PEER_PATHS[purpose]}`;
  const host = at.host.includes(':') ? `[${at.host.replace(/%.*/, '')}]` : at.host;
  return `ws://${host}:${at.port}${PEER_PATHS[purpose]}`;
}

function connect({at, isTls}: PeerUrl, ends: TlsEnds | undefined): net.Socket {
  const to =
    'socketPath' in at
      ? {path: at.socketPath, host: undefined}
      : {host: at.host === '' ? 'localhost' : at.host, port: at.port, lookup: lookupHost, noDelay: true};
  if (!isTls) return net.connect(to);
  const servername = to.host !== undefined && net.isIP(to.host) === 0 ? to.host : '';
  return tls.connect({servername, ...ends?.dial, ...to});
}

function describe(error: Error): string {
  const {code} = error as NodeJS.ErrnoException;
  return code === undefined || error.message.includes(code) ? error.message : `${code}: ${error.message}`;
}
