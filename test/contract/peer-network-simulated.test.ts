/** The PeerNetwork contract, on the simulated network: virtual time runs by itself, as fast as it can. */

import {EventQueue, settle} from '../simulator/event-queue.ts';
import {MemberClock} from '../simulator/member-clock.ts';
import {SeededRandom} from '../simulator/seeded-random.ts';
import type {SimulatedEndpoint} from '../simulator/simulated-endpoint.ts';
import {SimulatedNetwork} from '../simulator/simulated-network.ts';
import {
  type MemberOptions,
  type PeerWorld,
  peerNetworkSuite,
  type TestMember,
} from './peer-network.contract.ts';

/** Far beyond what any test needs, virtual milliseconds. */
const PATIENCE_MS = 60_000;

class SimulatedWorld implements PeerWorld {
  readonly #queue = new EventQueue();
  readonly #random = new SeededRandom(7);
  readonly #net = new SimulatedNetwork(this.#queue, this.#random);
  readonly #endpoints: SimulatedEndpoint[] = [];
  #isStopped = false;

  constructor() {
    void this.#run();
  }

  async start(options: MemberOptions): Promise<TestMember> {
    const urls = options.urls ?? [`http://host${this.#endpoints.length}:2380`];
    const network = this.#net.endpoint({
      host: urls[0],
      urls,
      identity: () => ({clusterId: options.clusterId ?? 0xc1n, memberId: options.id}),
      isRemoved: options.isRemoved ?? (() => false),
      clock: new MemberClock(this.#queue, this.#random, {ownMs: 0, rate: 1}),
      random: this.#random,
      electionTimeoutMs: 200,
    });
    this.#endpoints.push(network);
    const member: TestMember = {
      id: options.id,
      urls,
      network,
      received: [],
      lost: [],
      snapshots: [],
      answer: async () => undefined,
      takeSnapshot: undefined,
    };
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
      answer: (from, call) => member.answer(from, call) as Promise<never>,
    });
    return member;
  }

  async until(isTrue: () => boolean, what: string): Promise<void> {
    const deadlineMs = this.#queue.nowMs + PATIENCE_MS;
    while (!isTrue()) {
      if (this.#queue.nowMs > deadlineMs) throw new Error(`never happened: ${what}`);
      await settle();
    }
  }

  async stop(): Promise<void> {
    for (const endpoint of this.#endpoints) await endpoint.stop();
    this.#isStopped = true;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) if (!(await this.#queue.step())) await settle();
  }
}

peerNetworkSuite('simulated', async () => new SimulatedWorld());
