/**
 * The link on which this member speaks to one other: it dials, and dials again for as long as it is asked to. On
 * it travel this member's messages and calls, and the answers to those calls; what the other has to say comes on
 * a link that the other dials. Two one-way links need no rule for who wins when both dial at once.
 *
 *     waiting ──pause over, or the peer called──▶ dialling ──handshake──▶ open
 *        ▲                                           │                     │
 *        └────────────── failed, refused ────────────┴──── link broke ─────┘
 *
 * What is sent while the link is not open is dropped at once: raft repeats what still matters, and an old vote
 * or heartbeat is worth nothing.
 */

import type {WebSocket} from 'ws';
import {assert, EngineError} from '../../engine/errors.ts';
import {hex64} from '../../engine/lib/hex64.ts';
import {
  PEER_BATCH_BYTES,
  PEER_DIAL_TIMEOUT_MS,
  PEER_FRAME_BYTES_MAX,
  PEER_PINGS_MISSED_MAX,
  PEER_QUEUE_BYTES_MAX,
  PEER_RECONNECT_MS_MAX,
  PEER_RECONNECT_MS_MIN,
  PEER_SOCKET_BYTES_MAX,
  PEER_STABLE_MS,
} from '../../engine/limits.ts';
import type {Clock, Logger, Peer, Random} from '../../engine/ports.ts';
import type {Message} from '../../engine/raft/message.ts';
import type {MemberId} from '../../engine/types.ts';
import type {TlsEnds} from '../tls.ts';
import {type DialFailure, dial} from './dial.ts';
import {packCall, packMessages, unpackFrame} from './frame-codec.ts';
import {PEER_PROTOCOL_RANGE, type PeerIdentity, type Refusal} from './handshake.ts';
import {encodeMessage, MalformedFrameError} from './message-codec.ts';
import {PeerCalls} from './peer-calls.ts';
import type {PeerMetrics} from './peer-metrics.ts';
import {PeerQueue} from './peer-queue.ts';
import {type PeerUrl, parsePeerUrl} from './peer-url.ts';

export interface PeerLinkOptions {
  readonly peer: Peer;
  readonly identity: () => PeerIdentity;
  /** Where this member is reached, for a peer that does not know yet. */
  readonly advertiseUrls: () => readonly string[];
  readonly tls: TlsEnds | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: PeerMetrics;
  /** Messages to this peer were lost. Never called from within {@link PeerLink.send}. */
  lost(to: MemberId): void;
  /** The link opened or went down. */
  changed(): void;
  refused(by: MemberId, refusal: Refusal): void;
}

type LinkState =
  | {readonly kind: 'waiting'; readonly cancel: () => void}
  | {readonly kind: 'dialling'; readonly cancel: () => void}
  | {readonly kind: 'open'; readonly socket: WebSocket; readonly sinceMs: number}
  | {readonly kind: 'closed'};

const BINARY = {binary: true, compress: false};

export class PeerLink {
  readonly id: MemberId;
  readonly #options: PeerLinkOptions;
  readonly #queue = new PeerQueue();
  readonly #calls: PeerCalls;
  #urls: readonly PeerUrl[];
  #urlTexts: string;
  /** Which URL the next attempt takes. */
  #urlNext = 0;
  #state: LinkState = {kind: 'closed'};
  /** Attempts in a row that led to no stable link. */
  #failures = 0;
  /** The reason logged last: the same one again is not logged. */
  #loggedReason = '';
  #isLossDue = false;
  /** Ticks in a row without a sign of life. */
  #silentTicks = 0;
  #pingSentMs: number | undefined;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
    this.id = options.peer.id;
    this.#calls = new PeerCalls(options.clock);
    this.#urls = options.peer.urls.map(parsePeerUrl);
    this.#urlTexts = options.peer.urls.join(' ');
  }

  start(): void {
    assert(this.#state.kind === 'closed', 'a link is started once');
    this.#dial();
  }

  get openSinceMs(): number | undefined {
    return this.#state.kind === 'open' ? this.#state.sinceMs : undefined;
  }

  /** Where the peer was last found, or would be looked for next. */
  get url(): PeerUrl | undefined {
    return this.#urls.length === 0 ? undefined : this.#urls[this.#urlNext % this.#urls.length];
  }

  /** A standing link is kept: the member behind it is the same. */
  setUrls(urls: readonly string[]): void {
    if (urls.join(' ') === this.#urlTexts) return;
    this.#urlTexts = urls.join(' ');
    this.#urls = urls.map(parsePeerUrl);
    this.#urlNext = 0;
    this.wake();
  }

  /** There is reason to believe that the peer can be reached now. */
  wake(): void {
    if (this.#state.kind !== 'waiting') return;
    this.#state.cancel();
    this.#failures = 0;
    this.#dial();
  }

  send(messages: readonly Message[]): void {
    if (this.#state.kind !== 'open') {
      this.#drop(messages.length);
      return;
    }
    const {bufferedAmount} = this.#state.socket;
    for (let i = 0; i < messages.length; i++) {
      if (this.#queue.bytes + bufferedAmount >= PEER_QUEUE_BYTES_MAX) {
        this.#drop(messages.length - i);
        break;
      }
      this.#queue.push(messages[i]);
    }
    // At once: the caller has gathered a turn's messages, and has its own log to write next.
    this.#writeQueue(this.#state.socket);
  }

  /** Rejects with EngineError `timeoutConnectionLost` when the link is down or breaks. */
  call(call: unknown, timeoutMs: number): Promise<unknown> {
    const state = this.#state;
    if (state.kind !== 'open') return Promise.reject(new EngineError({code: 'timeoutConnectionLost'}));
    return this.#calls.ask(timeoutMs, (id) => this.#write(state.socket, packCall(id, call)));
  }

  /** Four times per election timeout: asks the peer for a sign of life, and gives the link up without any. */
  tick(): void {
    if (this.#state.kind !== 'open') return;
    const {socket} = this.#state;
    this.#silentTicks++;
    if (this.#silentTicks > PEER_PINGS_MISSED_MAX) {
      this.#broken(socket, 'the peer gives no sign of life');
      return;
    }
    if (this.#pingSentMs === undefined) this.#pingSentMs = this.#options.clock.monotonicMs();
    socket.ping();
  }

  /** For good. What has been sent before still goes out if the socket takes it. */
  close(failure: 'stopped' | 'memberNotFound'): void {
    const state = this.#state;
    this.#state = {kind: 'closed'};
    if (state.kind === 'open') {
      this.#writeQueue(state.socket);
      state.socket.close(1000);
      // The socket is given one dial time to say goodbye; ws itself would wait for 30 seconds.
      const cancel = this.#options.clock.after(PEER_DIAL_TIMEOUT_MS, () => state.socket.terminate());
      state.socket.on('close', cancel);
    } else if (state.kind !== 'closed') {
      state.cancel();
    }
    this.#queue.clear();
    this.#calls.failAll({code: failure});
    if (state.kind === 'open') this.#options.changed();
  }

  #dial(): void {
    const {identity, advertiseUrls, tls, clock} = this.#options;
    const url = this.url;
    if (url === undefined) {
      this.#wait({reason: 'the peer has no URL', refusal: undefined});
      return;
    }
    const hello = {
      ...identity(),
      protocol: PEER_PROTOCOL_RANGE,
      to: this.id,
      peerUrls: advertiseUrls(),
    };
    const timeoutMs = PEER_DIAL_TIMEOUT_MS;
    const cancel = dial(
      {url, purpose: 'link', hello, tls, clock, timeoutMs},
      {opened: (socket) => this.#opened(socket), failed: (failure) => this.#wait(failure)},
    );
    this.#state = {kind: 'dialling', cancel};
  }

  #wait(failure: DialFailure): void {
    this.#logOnce(failure);
    if (failure.refusal !== undefined) this.#options.refused(this.id, failure.refusal);
    if (this.#urls.length > 0) this.#urlNext = (this.#urlNext + 1) % this.#urls.length;
    const pauseMs = Math.min(
      PEER_RECONNECT_MS_MAX,
      PEER_RECONNECT_MS_MIN * 2 ** Math.min(this.#failures, 10),
    );
    this.#failures++;
    // Between a half and the whole: members that lost each other at once do not come back in step.
    const jitteredMs = pauseMs / 2 + this.#options.random.below(Math.ceil(pauseMs / 2) + 1);
    this.#state = {kind: 'waiting', cancel: this.#options.clock.after(jitteredMs, () => this.#dial())};
  }

  #opened(socket: WebSocket): void {
    const {logger, clock} = this.#options;
    this.#state = {kind: 'open', socket, sinceMs: clock.monotonicMs()};
    this.#silentTicks = 0;
    this.#pingSentMs = undefined;
    this.#loggedReason = '';
    socket.on('message', (data) => this.#received(socket, data as Buffer));
    socket.on('pong', () => this.#ponged());
    socket.on('error', (error) => this.#broken(socket, error.message));
    socket.on('close', () => this.#broken(socket, 'closed by the peer'));
    logger.info('link to peer stands', {peer: hex64(this.id), url: this.url?.text});
    this.#options.changed();
  }

  /** Also called for a socket that is no longer this link's: then there is nothing to do. */
  #broken(socket: WebSocket, reason: string): void {
    if (this.#state.kind !== 'open' || this.#state.socket !== socket) return;
    const stoodMs = this.#options.clock.monotonicMs() - this.#state.sinceMs;
    if (stoodMs >= PEER_STABLE_MS) this.#failures = 0;
    socket.terminate();
    this.#wait({reason: `link broke: ${reason}`, refusal: undefined});
    this.#drop(this.#queue.clear());
    this.#calls.failAll({code: 'timeoutConnectionLost'});
    this.#options.changed();
  }

  #received(socket: WebSocket, data: Buffer): void {
    this.#silentTicks = 0;
    this.#options.metrics.receivedBytes.add(data.length);
    try {
      const frame = unpackFrame(data);
      if (frame.type === 'answer') this.#calls.answered(frame.id, frame.answer);
      else if (frame.type === 'failure') this.#calls.failed(frame.id, frame.failure);
    } catch (error) {
      if (!(error instanceof MalformedFrameError)) throw error;
      this.#broken(socket, `malformed frame: ${error.message}`);
    }
  }

  #ponged(): void {
    this.#silentTicks = 0;
    if (this.#pingSentMs === undefined) return;
    const {clock, metrics} = this.#options;
    metrics.roundTripSeconds.observe((clock.monotonicMs() - this.#pingSentMs) / 1000);
    this.#pingSentMs = undefined;
  }

  /** The socket took a frame, or failed: then its close event follows. */
  readonly #written = (error?: Error | null): void => {
    if (!error && !this.#queue.isEmpty && this.#state.kind === 'open') this.#writeQueue(this.#state.socket);
  };

  #writeQueue(socket: WebSocket): void {
    const self = this.#options.identity().memberId;
    while (!this.#queue.isEmpty && socket.bufferedAmount < PEER_SOCKET_BYTES_MAX) {
      const batch = this.#queue.take(PEER_BATCH_BYTES);
      const encoded: unknown[] = [];
      for (const message of batch) {
        assert(message.to === this.id, 'a message goes to the member it names');
        encoded.push(encodeMessage(message, self));
      }
      this.#write(socket, packMessages(encoded));
    }
  }

  #write(socket: WebSocket, frame: Uint8Array): void {
    assert(frame.length <= PEER_FRAME_BYTES_MAX, 'a frame is no larger than what a peer takes');
    this.#options.metrics.sentBytes.add(frame.length);
    socket.send(frame, BINARY, this.#written);
  }

  #drop(messages: number): void {
    this.#options.metrics.sendFailures.add(messages);
    if (this.#isLossDue) return;
    this.#isLossDue = true;
    setImmediate(() => {
      this.#isLossDue = false;
      if (this.#state.kind !== 'closed') this.#options.lost(this.id);
    });
  }

  #logOnce({reason, refusal}: DialFailure): void {
    if (reason === this.#loggedReason) return;
    this.#loggedReason = reason;
    const fields = {peer: hex64(this.id), url: this.url?.text, reason, refusal: refusal?.code};
    this.#options.logger.warn('no link to peer', fields);
  }
}
