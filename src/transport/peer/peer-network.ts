/**
 * The port PeerNetwork over WebSockets. Between two members there are two links, each dialled by the member that
 * speaks on it (peer-link.ts); snapshots and discovery calls have connections of their own.
 */

import type {WebSocket} from 'ws';
import {EngineError} from '../../engine/errors.ts';
import {hex64} from '../../engine/lib/hex64.ts';
import {PEER_DIAL_TIMEOUT_MS, PEER_EAGER_POLL_MS, PEER_SNAPSHOT_STALL_MS} from '../../engine/limits.ts';
import type {Clock, Logger, Metrics, Peer, PeerHandlers, PeerNetwork, Random} from '../../engine/ports.ts';
import type {Message} from '../../engine/raft/message.ts';
import type {MemberId} from '../../engine/types.ts';
import {EagerPoll} from '../eager-poll.ts';
import type {TlsEnds} from '../tls.ts';
import {DialError, dialOnce} from './dial.ts';
import {packCall, unpackFrame} from './frame-codec.ts';
import {
  type Hello,
  PEER_PROTOCOL_RANGE,
  type PeerIdentity,
  type PeerPurpose,
  type Refusal,
} from './handshake.ts';
import {IncomingLink} from './incoming-link.ts';
import {encodeMessage, MalformedFrameError} from './message-codec.ts';
import {PeerCalls} from './peer-calls.ts';
import {PeerLinks} from './peer-links.ts';
import {PeerListener} from './peer-listener.ts';
import {makePeerMetrics, type PeerMetrics} from './peer-metrics.ts';
import {type PeerUrl, parsePeerUrl} from './peer-url.ts';
import {SnapshotReceiver} from './snapshot-receiver.ts';
import {SnapshotSender} from './snapshot-sender.ts';

export interface PeerNetworkOptions {
  /** Asked again for each connection: a member that joins learns its ids after it has begun to ask around. */
  readonly identity: () => PeerIdentity;
  readonly isRemoved: (id: MemberId) => boolean;
  /** Where other members reach this one. Asked again for each connection. */
  readonly advertiseUrls: () => readonly string[];
  readonly listenUrls: readonly string[];
  readonly tls: TlsEnds | undefined;
  readonly electionTimeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** A peer refused this member's link; `removed` means that the cluster goes on without this member. */
  readonly refused?: (by: MemberId, refusal: Refusal) => void;
  /** For tests. */
  readonly snapshotStallMs?: number;
}

type Handlers<Call, Answer> = PeerHandlers<Message, Call, Answer>;

export class WebSocketPeerNetwork<Call, Answer> implements PeerNetwork<Message, Call, Answer> {
  readonly #options: PeerNetworkOptions;
  readonly #logger: Logger;
  readonly #metrics: PeerMetrics;
  readonly #listener: PeerListener;
  readonly #links: PeerLinks;
  /** One per member: a new link replaces the one before, which is its dead predecessor. */
  readonly #incoming = new Map<MemberId, IncomingLink>();
  readonly #discoveries = new Set<IncomingLink>();
  readonly #receivers = new Map<MemberId, SnapshotReceiver>();
  /** Connections that this member dialled for a snapshot or a call: each is ended by this at stop. */
  readonly #errands = new Set<() => void>();
  readonly #readsPoll = new EagerPoll(PEER_EAGER_POLL_MS);
  #handlers: Handlers<unknown, unknown> | undefined;
  #cancelTick: () => void = () => undefined;
  #isStopped = false;

  constructor(options: PeerNetworkOptions) {
    this.#options = options;
    this.#logger = options.logger.child('peer');
    this.#metrics = makePeerMetrics(options.metrics);
    this.#links = new PeerLinks({
      ...options,
      logger: this.#logger,
      metrics: this.#metrics,
      callers: () => this.#incoming.values(),
      lost: (to) => this.#handlers?.lost(to),
      refused: (by, refusal) => this.#options.refused?.(by, refusal),
    });
    this.#listener = new PeerListener({
      urls: options.listenUrls,
      tls: options.tls,
      identity: options.identity,
      isRemoved: options.isRemoved,
      logger: this.#logger,
      accepted: (socket, hello, purpose) => this.#accepted(socket, hello, purpose),
    });
  }

  /** @throws EngineError `configInvalid` when an address cannot be listened on */
  async start(handlers: Handlers<Call, Answer>): Promise<void> {
    this.#handlers = handlers as Handlers<unknown, unknown>;
    await this.#listener.start();
    this.#tick();
  }

  /** The listen URLs with the ports that were really bound. */
  listenUrls(): string[] {
    return this.#listener.urls();
  }

  /** Links first, so that nothing new is said; then what others said; then the ports. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTick();
    this.#links.close();
    for (const end of [...this.#errands]) end();
    for (const link of [...this.#incoming.values(), ...this.#discoveries]) link.terminate();
    for (const receiver of [...this.#receivers.values()]) receiver.fail({code: 'stopped'});
    await this.#listener.stop();
  }

  setPeers(peers: readonly Peer[]): void {
    if (this.#isStopped) return;
    this.#links.setPeers(peers);
    this.#dropRemoved();
  }

  send(to: MemberId, messages: readonly Message[]): void {
    const link = this.#links.get(to);
    if (link === undefined) this.#metrics.sendFailures.add(messages.length);
    else {
      link.send(messages);
      if (messages.some(asksForRead)) this.#readsPoll.expect();
    }
  }

  async sendSnapshot(to: MemberId, announcement: Message, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const url = this.#links.get(to)?.url;
    if (url === undefined) throw new EngineError({code: 'memberNotFound'});
    const {clock, snapshotStallMs, identity} = this.#options;
    const socket = await this.#dialErrand({url, purpose: 'snapshot', to, timeoutMs: PEER_DIAL_TIMEOUT_MS});
    const stallMs = snapshotStallMs ?? PEER_SNAPSHOT_STALL_MS;
    const sender = new SnapshotSender({socket, clock, metrics: this.#metrics, stallMs});
    const end = (): void => sender.fail({code: 'stopped'});
    this.#errands.add(end);
    try {
      await sender.send(encodeMessage(announcement, identity().memberId), chunks);
    } finally {
      this.#errands.delete(end);
    }
  }

  async call(to: MemberId, call: Call, timeoutMs: number): Promise<Answer> {
    const link = this.#links.get(to);
    if (link === undefined) throw new EngineError({code: this.#isStopped ? 'stopped' : 'memberNotFound'});
    return (await link.call(call, timeoutMs)) as Answer;
  }

  /** Rejects with `timeoutConnectionLost` when nobody answers at `url`, with `clusterMismatch` when it refuses. */
  async callUrl(url: string, call: Call, timeoutMs: number): Promise<Answer> {
    const {clock} = this.#options;
    const untilMs = clock.monotonicMs() + timeoutMs;
    const socket = await this.#dialErrand({url: parsePeerUrl(url), purpose: 'call', to: 0n, timeoutMs});
    const calls = new PeerCalls(clock);
    const end = (): void => calls.failAll({code: 'stopped'});
    this.#errands.add(end);
    socket.on('error', () => calls.failAll({code: 'timeoutConnectionLost'}));
    socket.on('close', () => calls.failAll({code: 'timeoutConnectionLost'}));
    socket.on('message', (data) => this.#answered(socket, calls, data as Buffer));
    try {
      const answer = await calls.ask(Math.max(1, untilMs - clock.monotonicMs()), (id) => {
        const frame = packCall(id, call);
        this.#metrics.sentBytes.add(frame.length);
        socket.send(frame, {binary: true, compress: false});
      });
      return answer as Answer;
    } finally {
      this.#errands.delete(end);
      socket.terminate();
    }
  }

  connectedSinceMs(id: MemberId): number | undefined {
    return this.#links.get(id)?.openSinceMs;
  }

  #tick(): void {
    this.#cancelTick = this.#options.clock.after(this.#options.electionTimeoutMs / 4, () => this.#tick());
    this.#links.tick();
    for (const link of [...this.#incoming.values(), ...this.#discoveries]) link.tick();
    this.#dropRemoved();
  }

  /** A member that was removed is not listened to any longer. */
  #dropRemoved(): void {
    for (const link of this.#incoming.values()) if (this.#options.isRemoved(link.from)) link.terminate();
    for (const receiver of this.#receivers.values()) {
      if (this.#options.isRemoved(receiver.from)) receiver.fail({code: 'memberNotFound'});
    }
  }

  #accepted(socket: WebSocket, {memberId: from, peerUrls}: Hello, purpose: PeerPurpose): void {
    const handlers = this.#handlers;
    if (this.#isStopped || handlers === undefined) {
      socket.terminate();
      return;
    }
    if (purpose === 'snapshot') {
      this.#acceptSnapshot(socket, from, handlers);
      return;
    }
    const takesMessages = purpose === 'link';
    const link: IncomingLink = new IncomingLink({
      socket,
      from,
      peerUrls,
      self: this.#options.identity().memberId,
      takesMessages,
      handlers,
      readsPoll: this.#readsPoll,
      logger: this.#logger,
      metrics: this.#metrics,
      closed: () => {
        this.#discoveries.delete(link);
        if (this.#incoming.get(from) === link) this.#incoming.delete(from);
      },
    });
    if (!takesMessages) {
      this.#discoveries.add(link);
      return;
    }
    this.#incoming.get(from)?.terminate();
    this.#incoming.set(from, link);
    this.#links.refresh();
    this.#links.get(from)?.wake();
  }

  #acceptSnapshot(socket: WebSocket, from: MemberId, handlers: Handlers<unknown, unknown>): void {
    // One at a time from each member: its older attempt is over, whatever this end has seen of it so far.
    this.#receivers.get(from)?.fail({code: 'timeoutConnectionLost'});
    const {identity, clock, snapshotStallMs} = this.#options;
    const receiver: SnapshotReceiver = new SnapshotReceiver({
      socket,
      from,
      self: identity().memberId,
      handlers,
      clock,
      logger: this.#logger,
      metrics: this.#metrics,
      stallMs: snapshotStallMs ?? PEER_SNAPSHOT_STALL_MS,
      closed: () => {
        if (this.#receivers.get(from) === receiver) this.#receivers.delete(from);
      },
    });
    this.#receivers.set(from, receiver);
  }

  /** @throws EngineError `stopped`, `clusterMismatch` or `timeoutConnectionLost` */
  async #dialErrand(options: {
    url: PeerUrl;
    purpose: PeerPurpose;
    to: MemberId;
    timeoutMs: number;
  }): Promise<WebSocket> {
    const {identity, tls, clock} = this.#options;
    if (this.#isStopped) throw new EngineError({code: 'stopped'});
    const hello = {...identity(), protocol: PEER_PROTOCOL_RANGE, to: options.to, peerUrls: []};
    try {
      const socket = await dialOnce({...options, hello, tls, clock});
      if (!this.#isStopped) return socket;
      socket.terminate();
    } catch (error) {
      if (!(error instanceof DialError)) throw error;
      const {refusal, reason} = error.failure;
      const fields = {url: options.url.text, to: hex64(options.to), reason};
      this.#logger.debug('cannot reach peer', fields);
      if (refusal !== undefined) {
        throw new EngineError({code: 'clusterMismatch', detail: `${options.url.text}: ${reason}`}, error);
      }
      throw new EngineError({code: 'timeoutConnectionLost'}, error);
    }
    throw new EngineError({code: 'stopped'});
  }

  #answered(socket: WebSocket, calls: PeerCalls, data: Buffer): void {
    this.#metrics.receivedBytes.add(data.length);
    try {
      const frame = unpackFrame(data);
      if (frame.type === 'answer') calls.answered(frame.id, frame.answer);
      else if (frame.type === 'failure') calls.failed(frame.id, frame.failure);
    } catch (error) {
      if (!(error instanceof MalformedFrameError)) throw error;
      this.#logger.warn('malformed answer of peer', {reason: error.message});
      socket.terminate();
    }
  }
}

function asksForRead(message: Message): boolean {
  return (message.type === 'heartbeat' && message.readContext !== 0) || message.type === 'readIndex';
}
