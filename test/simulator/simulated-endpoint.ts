/**
 * One process's end of the simulated network: the PeerNetwork port with the manners of the real one. A link is spoken
 * on by the member that dialled it; while it stands, messages arrive in order, late when the way is cut for a short
 * time; when the way is cut for long the link breaks, and what was under way is lost. In bad weather (see
 * simulated-network.ts) single messages are lost, doubled or overtaken as well, which raft must bear.
 */

import {AssertionError, EngineError} from '../../src/engine/errors.ts';
import {PEER_DIAL_TIMEOUT_MS, PEER_PINGS_MISSED_MAX, PEER_RECONNECT_MS_MAX} from '../../src/engine/limits.ts';
import type {Peer, PeerHandlers, PeerNetwork} from '../../src/engine/ports.ts';
import type {Message} from '../../src/engine/raft/message.ts';
import type {MemberId} from '../../src/engine/types.ts';
import {failureOf} from '../../src/transport/peer/frame-codec.ts';
import type {PeerIdentity} from '../../src/transport/peer/handshake.ts';
import type {EndpointOptions, ProcessClock} from './endpoint-options.ts';
import {type Ask, Link} from './simulated-link.ts';
import type {SimulatedNetwork} from './simulated-network.ts';
import {SnapshotTransfer} from './snapshot-transfer.ts';
import {answerReceived, callReceived, failureReceived, messagesReceived} from './wire.ts';

type Handlers = PeerHandlers<Message, unknown, unknown>;

export class SimulatedEndpoint implements PeerNetwork<Message, unknown, unknown> {
  readonly #net: SimulatedNetwork;
  readonly #options: EndpointOptions;
  readonly #links = new Map<MemberId, Link>();
  readonly #transfers = new Set<SnapshotTransfer>();
  readonly #errands = new Set<(error: EngineError) => void>();
  #handlers: Handlers | undefined;
  #isStopped = false;
  #wanted: ReadonlySet<MemberId> = new Set();
  /** Answers to what this process asked of URLs. */
  readonly heard: unknown[] = [];
  /** Who holds a link to this member, or did. */
  readonly #callers = new Map<MemberId, SimulatedEndpoint>();

  constructor(net: SimulatedNetwork, options: EndpointOptions) {
    this.#net = net;
    this.#options = options;
  }

  get host(): string {
    return this.#options.host;
  }

  get clock(): ProcessClock {
    return this.#options.clock;
  }

  get handlers(): Handlers | undefined {
    return this.#isStopped ? undefined : this.#handlers;
  }

  get identity(): PeerIdentity {
    return this.#options.identity();
  }

  async start(handlers: PeerHandlers<Message, never, never>): Promise<void> {
    this.#handlers = handlers as unknown as Handlers;
    for (const url of this.#options.urls) this.#net.listen(url, this);
    this.#tick();
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const stopped = new EngineError({code: 'stopped'});
    for (const link of this.#links.values()) this.#close(link, stopped);
    this.#links.clear();
    for (const end of [...this.#errands]) end(stopped);
    for (const transfer of [...this.#transfers]) transfer.endAt(this, stopped);
    this.#net.gone(this, {silently: false});
  }

  /** The process dies: no handler is called any more, no promise settles. */
  die(options: {silently: boolean}): void {
    this.#isStopped = true;
    this.#net.gone(this, options);
  }

  setPeers(peers: readonly Peer[]): void {
    if (this.#isStopped) return;
    const self = this.identity.memberId;
    const wanted = new Map(peers.filter(({id}) => id !== self).map((peer) => [peer.id, peer]));
    this.#wanted = new Set(wanted.keys());
    this.#dropUnwanted();
    for (const peer of wanted.values()) {
      const link = this.#links.get(peer.id);
      if (link !== undefined) link.urls = peer.urls;
      else {
        const fresh = new Link(peer);
        this.#links.set(peer.id, fresh);
        this.#dial(fresh);
      }
    }
  }

  connectedSinceMs(id: MemberId): number | undefined {
    return this.#links.get(id)?.sinceMs;
  }

  send(to: MemberId, messages: readonly Message[]): void {
    const link = this.#links.get(to);
    if (link === undefined || this.#isStopped) return;
    if (link.sinceMs === undefined) {
      this.#tellLoss(link);
      return;
    }
    const {weather} = this.#net;
    if (weather.lossRate === 0 && weather.duplicateRate === 0 && weather.reorderRate === 0) {
      this.#post(link, messages, false);
      return;
    }
    for (const message of messages) {
      if (this.#net.chance(weather.lossRate)) continue;
      this.#post(link, [message], this.#net.chance(weather.reorderRate));
      // The port promises once: nothing behind it could tell a proposal that came twice from two of them.
      if (message.type !== 'propose' && this.#net.chance(weather.duplicateRate))
        this.#post(link, [message], true);
    }
  }

  call(to: MemberId, call: unknown, timeoutMs: number): Promise<never> {
    const link = this.#links.get(to);
    if (link === undefined) return this.#rejected(this.#isStopped ? 'stopped' : 'memberNotFound');
    const {remote, era} = link;
    if (link.sinceMs === undefined || remote === undefined) return this.#rejected('timeoutConnectionLost');
    const received = callReceived(call);
    return this.#ask(link.asks, timeoutMs, (settle) => {
      this.#carry(link, () => {
        remote.#answer(this, received, (deliver) => {
          // The answer comes back on the same connection.
          if (link.era === era && !this.#net.isCut(remote.host, this.host))
            this.#arrive(() => deliver(settle));
        });
      });
    }) as Promise<never>;
  }

  callUrl(url: string, call: unknown, timeoutMs: number): Promise<never> {
    if (this.#isStopped) return this.#rejected('stopped');
    const asks = new Set<Ask>();
    const end = (error: EngineError) => {
      for (const ask of [...asks]) ask.reject(error);
    };
    this.#errands.add(end);
    const done = () => this.#errands.delete(end);
    const received = callReceived(call);
    const asked = this.#ask(asks, timeoutMs, (settle) => {
      const lost = () => settle.reject(new EngineError({code: 'timeoutConnectionLost'}));
      this.#connect(url, 0n, 'call', {
        failed: (refusal) => {
          if (refusal === undefined) lost();
          else settle.reject(new EngineError({code: 'clusterMismatch', detail: `${url}: ${refusal}`}));
        },
        opened: (remote) => {
          this.#net.queue.after(this.#net.delayMs(), () => {
            if (this.#net.isCut(this.host, remote.host)) return;
            remote.#answer(this, received, (deliver) => {
              if (!this.#net.isCut(remote.host, this.host)) this.#arrive(() => deliver(settle));
            });
          });
        },
      });
    });
    return asked
      .then((answer) => {
        this.heard.push(answer);
        return answer;
      })
      .finally(done) as Promise<never>;
  }

  async sendSnapshot(to: MemberId, announcement: Message, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const link = this.#links.get(to);
    const url = link?.urls[0];
    if (url === undefined) throw new EngineError({code: 'memberNotFound'});
    const remote = await new Promise<SimulatedEndpoint>((resolve, reject) => {
      const end = (error: EngineError) => reject(error);
      this.#errands.add(end);
      this.#connect(url, to, 'snapshot', {
        failed: () => {
          this.#errands.delete(end);
          reject(new EngineError({code: 'timeoutConnectionLost'}));
        },
        opened: (other) => {
          this.#errands.delete(end);
          resolve(other);
        },
      });
    });
    const transfer = new SnapshotTransfer({net: this.#net, from: this, to: remote, announcement, chunks});
    this.#transfers.add(transfer);
    remote.#take(transfer);
    try {
      await transfer.run();
    } finally {
      this.#transfers.delete(transfer);
      remote.#transfers.delete(transfer);
    }
  }

  /** Something happened to a promise this process owns: by an event, and only while it lives. */
  arrive(action: () => void): void {
    this.#arrive(action);
  }

  asserted(error: unknown): void {
    if (error instanceof AssertionError || !(error instanceof Error)) this.#options.onAssertion?.(error);
  }

  // ---- For the network ----------------------------------------------------------------------------------------

  healed(): void {
    for (const link of this.#links.values()) {
      const {held} = link;
      link.held = [];
      for (const carry of held) carry();
    }
  }

  peerGone(peer: SimulatedEndpoint, {silently}: {silently: boolean}): void {
    for (const transfer of [...this.#transfers]) {
      if (!transfer.concerns(peer)) continue;
      this.#net.queue.after(silently ? PEER_DIAL_TIMEOUT_MS : this.#net.delayMs(), () =>
        transfer.endAt(this, new EngineError({code: 'timeoutConnectionLost'})),
      );
    }
    if (silently) return;
    for (const link of this.#links.values()) {
      const {era} = link;
      if (link.remote !== peer || link.sinceMs === undefined) continue;
      this.#net.queue.after(this.#net.delayMs(), () => {
        if (link.era !== era || this.#net.isCut(peer.host, this.host)) return;
        this.#arrive(() => this.#broken(link, era));
      });
    }
  }

  /** A fault: the connection to this member is reset. */
  breakLink(id: MemberId): void {
    const link = this.#links.get(id);
    if (link !== undefined) this.#broken(link, link.era);
  }

  /** A fault: the other end forgets the connection, silently. It breaks when pings stay unanswered. */
  deafenLink(id: MemberId): void {
    const link = this.#links.get(id);
    if (link?.sinceMs !== undefined) link.isDeaf = true;
  }

  // ---- Links --------------------------------------------------------------------------------------------------

  #tick(): void {
    if (this.#isStopped) return;
    this.#options.clock.after(this.#options.electionTimeoutMs / 4, () => this.#tick());
    this.#dropUnwanted();
    for (const link of this.#links.values()) {
      const {remote} = link;
      if (link.sinceMs === undefined || remote === undefined) continue;
      const isReached =
        remote.handlers !== undefined &&
        remote.clock.isAlive &&
        !link.isDeaf &&
        !this.#net.isCut(this.host, remote.host) &&
        !this.#net.isCut(remote.host, this.host);
      link.silentTicks = isReached ? 0 : link.silentTicks + 1;
      const isHungUp = isReached && remote.#options.isRemoved(this.identity.memberId);
      if (isHungUp || link.silentTicks > PEER_PINGS_MISSED_MAX) this.#broken(link, link.era);
    }
  }

  /** Links to others than the wanted ones stand only as long as the other's to us: to answer it. */
  #dropUnwanted(): void {
    for (const [id, link] of this.#links) {
      if (this.#wanted.has(id) || this.#isCalledBy(id)) continue;
      this.#links.delete(id);
      this.#close(link, new EngineError({code: 'memberNotFound'}));
    }
  }

  #isCalledBy(id: MemberId): boolean {
    const caller = this.#callers.get(id);
    if (caller === undefined || this.#options.isRemoved(id)) return false;
    const link = caller.#links.get(this.identity.memberId);
    return caller.handlers !== undefined && link?.remote === this;
  }

  #called(caller: SimulatedEndpoint): void {
    const {memberId} = caller.identity;
    this.#callers.set(memberId, caller);
    const back = this.#links.get(memberId) ?? new Link({id: memberId, urls: caller.#options.urls});
    this.#links.set(memberId, back);
    back.cancelRetry?.();
    this.#dial(back);
  }

  #dial(link: Link): void {
    const url = link.urls[link.failures % Math.max(1, link.urls.length)];
    if (link.isDialling || link.sinceMs !== undefined || url === undefined) return;
    link.isDialling = true;
    this.#connect(url, link.id, 'link', {
      failed: (refusal) => {
        link.isDialling = false;
        if (this.#links.get(link.id) !== link) return;
        if (refusal === 'removed') this.#options.refusedAsRemoved?.();
        const pauseMs = Math.min(PEER_RECONNECT_MS_MAX, 10 * 2 ** Math.min(link.failures++, 10));
        link.cancelRetry = this.#options.clock.after(pauseMs / 2 + this.#net.random.below(pauseMs), () =>
          this.#dial(link),
        );
      },
      opened: (remote) => {
        link.isDialling = false;
        if (this.#links.get(link.id) !== link) return;
        link.era++;
        link.remote = remote;
        link.sinceMs = this.#options.clock.monotonicMs();
        link.failures = 0;
        link.silentTicks = 0;
        link.lastArrivalMs = 0;
        remote.#options.clock.enter(() => remote.#called(this));
      },
    });
  }

  /** One handshake, there and back. */
  #connect(
    url: string,
    to: MemberId,
    purpose: 'link' | 'call' | 'snapshot',
    then: {failed: (refusal?: string) => void; opened: (remote: SimulatedEndpoint) => void},
  ): void {
    const net = this.#net;
    let isOver = false;
    const finish = (delayMs: number, action: () => void) => {
      net.queue.after(delayMs, () => {
        if (isOver || this.#isStopped) return;
        isOver = true;
        this.#options.clock.enter(action);
      });
    };
    // Whoever listens may be paused, or die over it.
    finish(PEER_DIAL_TIMEOUT_MS, () => then.failed());
    net.queue.after(net.delayMs(), () => {
      const remote = net.listenerAt(url);
      if (remote !== undefined && (net.isCut(this.host, remote.host) || net.isCut(remote.host, this.host)))
        return;
      if (remote?.handlers === undefined) {
        finish(net.delayMs(), () => then.failed());
        return;
      }
      remote.clock.enter(() => {
        const refusal = remote.#refuse(this.identity, to, purpose);
        finish(net.delayMs(), () => (refusal === undefined ? then.opened(remote) : then.failed(refusal)));
      });
    });
  }

  #refuse(hello: PeerIdentity, to: MemberId, purpose: string): string | undefined {
    const {clusterId, memberId} = this.identity;
    const isKnown = hello.clusterId !== 0n && clusterId !== 0n;
    if (isKnown && hello.clusterId !== clusterId) return 'cluster';
    if (!isKnown && purpose !== 'call') return 'cluster';
    if (to !== 0n && to !== memberId) return 'member';
    return hello.memberId !== 0n && this.#options.isRemoved(hello.memberId) ? 'removed' : undefined;
  }

  #post(link: Link, messages: readonly Message[], overtakes: boolean): void {
    const {remote} = link;
    if (remote === undefined) return;
    const from = this.identity.memberId;
    const received = messagesReceived(messages, {from, to: link.id});
    this.#carry(
      link,
      () =>
        remote.clock.enter(() => {
          if (remote.#options.isRemoved(from)) return;
          remote.handlers?.receive(from, received);
        }),
      overtakes,
    );
  }

  /** Brings something to the other end in the order of the link, or holds it while the way is cut. */
  #carry(link: Link, arrive: () => void, overtakes = false): void {
    const net = this.#net;
    const {era, remote} = link;
    const delayMs = net.wayMs(this.host, remote?.host ?? '') * (overtakes ? 5 : 1);
    const atMs = overtakes
      ? net.queue.nowMs + delayMs
      : Math.max(link.lastArrivalMs, net.queue.nowMs + delayMs);
    if (!overtakes) link.lastArrivalMs = atMs;
    net.queue.after(atMs - net.queue.nowMs, () => {
      if (link.era !== era || link.isDeaf || remote === undefined || remote.handlers === undefined) return;
      if (net.isCut(this.host, remote.host)) link.held.push(() => this.#carry(link, arrive));
      else arrive();
    });
  }

  #broken(link: Link, era: number): void {
    if (link.era !== era || link.sinceMs === undefined) return;
    this.#close(link, new EngineError({code: 'timeoutConnectionLost'}));
    this.#tellLoss(link);
    link.cancelRetry = this.#options.clock.after(10 + this.#net.random.below(50), () => this.#dial(link));
  }

  #close(link: Link, error: EngineError): void {
    link.cancelRetry?.();
    link.era++;
    link.sinceMs = undefined;
    link.remote = undefined;
    link.isDeaf = false;
    link.held = [];
    for (const ask of [...link.asks]) ask.reject(error);
  }

  #tellLoss(link: Link): void {
    if (link.isLossDue) return;
    link.isLossDue = true;
    void this.#options.clock.yield().then(() => {
      link.isLossDue = false;
      if (!this.#isStopped && this.#links.get(link.id) === link) this.#handlers?.lost(link.id);
    });
  }

  // ---- Calls --------------------------------------------------------------------------------------------------

  #ask(asks: Set<Ask>, timeoutMs: number, send: (ask: Ask) => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const end = () => {
        ask.cancelTimer();
        asks.delete(ask);
      };
      const ask: Ask = {
        resolve: (answer) => {
          end();
          resolve(answer);
        },
        reject: (error) => {
          end();
          reject(error);
        },
        cancelTimer: this.#options.clock.after(timeoutMs, () =>
          ask.reject(new EngineError({code: 'timeout'})),
        ),
      };
      asks.add(ask);
      send(ask);
    });
  }

  #answer(from: SimulatedEndpoint, call: unknown, back: (deliver: (ask: Ask) => void) => void): void {
    this.#options.clock.enter(() => {
      const {handlers} = this;
      if (handlers === undefined) return;
      handlers.answer(from.identity.memberId, call).then(
        (answer) => {
          const received = answerReceived(answer);
          back((ask) => ask.resolve(received));
        },
        (error: unknown) => {
          this.asserted(error);
          back((ask) => ask.reject(new EngineError(failureReceived(failureOf(error)))));
        },
      );
    });
  }

  #take(transfer: SnapshotTransfer): void {
    // One at a time from each member: its older attempt is over.
    for (const older of [...this.#transfers]) {
      if (older.from === transfer.from && older.to === this)
        older.endAt(this, new EngineError({code: 'timeoutConnectionLost'}));
    }
    this.#transfers.add(transfer);
  }

  #arrive(action: () => void): void {
    this.#net.queue.after(this.#net.delayMs(), () => {
      if (!this.#isStopped) this.#options.clock.enter(action);
    });
  }

  #rejected(code: 'stopped' | 'memberNotFound' | 'timeoutConnectionLost'): Promise<never> {
    return Promise.reject(new EngineError({code}));
  }
}
