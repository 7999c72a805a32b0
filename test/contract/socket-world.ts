/** Members that talk over real sockets on loopback, and what tests need to look into them. */

import {performance} from 'node:perf_hooks';
import type {Clock, LogFields, Logger, Metrics, Random} from '../../src/engine/ports.ts';
import {type PeerNetworkOptions, WebSocketPeerNetwork} from '../../src/transport/peer/peer-network.ts';
import type {MemberOptions, PeerWorld, TestMember} from './peer-network.contract.ts';

export const realClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, action) => {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
  yield: () => new Promise((resolve) => setImmediate(resolve)),
};

export const realRandom: Random = {
  below: (bound) => Math.floor(Math.random() * bound),
  uint64: () => BigInt(Math.floor(Math.random() * Number.MAX_SAFE_INTEGER)),
};

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

export function recordingLogger(lines: LogLine[]): Logger {
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      lines.push({level, message, fields});
    };
  const logger: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
  };
  return logger;
}

export function recordingMetrics(values: Map<string, number>): Metrics {
  const add = (name: string) => (amount: number) => {
    values.set(name, (values.get(name) ?? 0) + amount);
  };
  return {
    counter: (name) => ({add: add(name)}),
    gauge: (name) => ({set: (value) => values.set(name, value)}),
    histogram: (name) => ({observe: () => add(name)(1)}),
  };
}

export interface SocketMember extends TestMember {
  readonly network: WebSocketPeerNetwork<unknown, unknown>;
  readonly log: LogLine[];
  readonly metrics: Map<string, number>;
}

export class SocketWorld implements PeerWorld {
  readonly #members: SocketMember[] = [];

  async start(
    options: MemberOptions & {
      listenUrls?: readonly string[];
      network?: Partial<PeerNetworkOptions>;
    },
  ): Promise<SocketMember> {
    const log: LogLine[] = [];
    const metrics = new Map<string, number>();
    const network: WebSocketPeerNetwork<unknown, unknown> = new WebSocketPeerNetwork({
      identity: () => ({clusterId: options.clusterId ?? 0xc1n, memberId: options.id}),
      isRemoved: options.isRemoved ?? (() => false),
      advertiseUrls: () => network.listenUrls(),
      listenUrls: options.listenUrls ?? options.urls ?? ['http://127.0.0.1:0'],
      tls: undefined,
      electionTimeoutMs: 200,
      clock: realClock,
      random: realRandom,
      logger: recordingLogger(log),
      metrics: recordingMetrics(metrics),
      ...options.network,
    });
    const member = makeMember({id: options.id, network, log, metrics});
    this.#members.push(member);
    await network.start({
      receive: (from, messages) => {
        for (const message of messages) member.received.push({from, message});
      },
      lost: (to) => member.lost.push(to),
      receiveSnapshot: async (from, announcement, chunks) => {
        if (member.takeSnapshot !== undefined) return member.takeSnapshot(chunks);
        const parts: Uint8Array[] = [];
        for await (const chunk of chunks) parts.push(chunk);
        member.snapshots.push({from, announcement, bytes: Buffer.concat(parts)});
      },
      answer: (from, call) => member.answer(from, call),
    });
    member.urls = network.listenUrls();
    return member;
  }

  until(isTrue: () => boolean, what: string): Promise<void> {
    return until(isTrue, what);
  }

  async stop(): Promise<void> {
    for (const {network} of this.#members) await network.stop();
  }
}

function makeMember(
  parts: Pick<SocketMember, 'id' | 'network' | 'log' | 'metrics'>,
): SocketMember & {urls: string[]} {
  return {
    ...parts,
    urls: [],
    received: [],
    lost: [],
    snapshots: [],
    answer: async () => undefined,
    takeSnapshot: undefined,
  };
}

/** Looks every few milliseconds; the deadline is far beyond what any test needs. */
export async function until(isTrue: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
