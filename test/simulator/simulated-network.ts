/**
 * The network between simulated machines. Its state is the cluster's, not a member's: which host can reach which, how
 * long a packet takes, what gets lost. A member has an endpoint in it (simulated-endpoint.ts).
 */

import type {Random} from '../../src/engine/ports.ts';
import type {EndpointOptions} from './endpoint-options.ts';
import type {EventQueue} from './event-queue.ts';
import {SimulatedEndpoint} from './simulated-endpoint.ts';

/** What the packets of all links suffer; rates from 0 to 1. */
export interface Weather {
  delayMsMin: number;
  delayMsMax: number;
  lossRate: number;
  duplicateRate: number;
  reorderRate: number;
}

export const FAIR_WEATHER: Weather = {
  delayMsMin: 0.2,
  delayMsMax: 2,
  lossRate: 0,
  duplicateRate: 0,
  reorderRate: 0,
};

export class SimulatedNetwork {
  readonly queue: EventQueue;
  readonly random: Random;
  weather: Weather = {...FAIR_WEATHER};
  readonly #listening = new Map<string, SimulatedEndpoint>();
  readonly #endpoints = new Set<SimulatedEndpoint>();
  /** `from>to` by host: what one sends does not reach the other; how many partitions say so. */
  readonly #cuts = new Map<string, number>();
  /** By host: by how much longer its packets take, either way, milliseconds. */
  readonly #lagsMs = new Map<string, number>();

  constructor(queue: EventQueue, random: Random) {
    this.queue = queue;
    this.random = random;
  }

  endpoint(options: EndpointOptions): SimulatedEndpoint {
    const endpoint = new SimulatedEndpoint(this, options);
    this.#endpoints.add(endpoint);
    return endpoint;
  }

  delayMs(): number {
    const {delayMsMin, delayMsMax} = this.weather;
    return delayMsMin + (this.random.below(1_000) / 1_000) * (delayMsMax - delayMsMin);
  }

  /** Between two members. */
  wayMs(from: string, to: string): number {
    const lagMs = this.#lagsMs.size === 0 ? 0 : (this.#lagsMs.get(from) ?? 0) + (this.#lagsMs.get(to) ?? 0);
    return this.delayMs() + lagMs;
  }

  /** 0: as fast as the others. */
  setLag(host: string, ms: number): void {
    if (ms > 0) this.#lagsMs.set(host, ms);
    else this.#lagsMs.delete(host);
  }

  chance(rate: number): boolean {
    return rate > 0 && this.random.below(10_000) < rate * 10_000;
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.size > 0 && this.#cuts.has(`${from}>${to}`);
  }

  cut(from: string, to: string): void {
    const way = `${from}>${to}`;
    this.#cuts.set(way, (this.#cuts.get(way) ?? 0) + 1);
  }

  cutAll(ways: readonly (readonly [from: string, to: string])[]): void {
    for (const [from, to] of ways) this.cut(from, to);
  }

  /** One partition ends; what another one cuts stays cut. */
  restore(ways: readonly (readonly [from: string, to: string])[]): void {
    for (const [from, to] of ways) {
      const way = `${from}>${to}`;
      const left = (this.#cuts.get(way) ?? 0) - 1;
      if (left > 0) this.#cuts.set(way, left);
      else this.#cuts.delete(way);
    }
    for (const endpoint of this.#endpoints) endpoint.healed();
  }

  /** All hosts reach each other again, at once; what was on its way arrives after all where the link still stands. */
  heal(): void {
    this.#cuts.clear();
    this.#lagsMs.clear();
    for (const endpoint of this.#endpoints) endpoint.healed();
  }

  listenerAt(url: string): SimulatedEndpoint | undefined {
    return this.#listening.get(url);
  }

  /** For the endpoints. */
  listen(url: string, endpoint: SimulatedEndpoint): void {
    this.#listening.set(url, endpoint);
  }

  /**
   * For the endpoints. `silently`: the machine lost power, so nobody is told; a process that ends has its
   * connections closed by the system.
   */
  gone(endpoint: SimulatedEndpoint, options: {silently: boolean}): void {
    for (const [url, other] of this.#listening) if (other === endpoint) this.#listening.delete(url);
    this.#endpoints.delete(endpoint);
    for (const other of this.#endpoints) other.peerGone(endpoint, options);
  }
}
