/** A cluster for a named scenario: quiet weather, no clients, and short words for what scenarios do. */

import {PEER_HEALTHY_AFTER_MS} from '../../src/engine/limits.ts';
import type {Answered} from '../../src/engine/server/server.ts';
import type {PutResult, RangeResult} from '../../src/engine/types.ts';
import {putOf, rangeOf} from './requests.ts';
import {SimulatedCluster} from './simulated-cluster.ts';
import type {SimulatedMember} from './simulated-member.ts';
import type {Swarm} from './swarm.ts';

const QUIET: Partial<Swarm> = {
  members: 3,
  clients: 0,
  watchers: 0,
  lockers: 0,
  keyCount: 10,
  snapshotCount: 10_000,
  catchupEntries: 5,
  walSegmentBytes: 16_384,
  heartbeatMs: 100,
  electionMs: 1_000,
  clockRateMax: 1,
  changesMembers: false,
  quotaBytes: 0,
  kinds: [],
};

export class Scenario {
  readonly cluster: SimulatedCluster;

  constructor(swarm: Partial<Swarm> = {}, seed = 1) {
    this.cluster = new SimulatedCluster({
      seed,
      operations: 0,
      isManual: true,
      overrides: {...QUIET, ...swarm},
    });
  }

  static async play(
    swarm: Partial<Swarm>,
    scenario: (world: Scenario) => Promise<void>,
    seed = 1,
  ): Promise<Scenario> {
    const world = new Scenario(swarm, seed);
    await world.cluster.play(() => scenario(world));
    return world;
  }

  get leader(): SimulatedMember {
    const leader = this.cluster.leader();
    if (leader === undefined) throw new Error('there is no leader');
    return leader;
  }

  get followers(): SimulatedMember[] {
    return this.cluster.members.filter((member) => member !== this.leader);
  }

  /** Waits until all links have stood for as long as the strict check of member changes wants. */
  async isHealthy(): Promise<void> {
    await this.cluster.pass(PEER_HEALTHY_AFTER_MS + 1_000);
  }

  /** Waits for somebody else to lead. */
  async newLeader(old: SimulatedMember): Promise<SimulatedMember> {
    const find = () =>
      this.cluster.members.find((member) => member !== old && member.replica?.loop.isLeader === true);
    await this.cluster.until(() => find() !== undefined, 20_000, 'a new leader');
    return find() as SimulatedMember;
  }

  put(member: SimulatedMember, key: string, value: string, lease = 0n): Promise<Answered<PutResult>> {
    return this.cluster.drive(serverOf(member).put(putOf(key, value, {lease})));
  }

  async puts(member: SimulatedMember, count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.put(member, `k${i % 7}`, `v${i}`);
  }

  get(member: SimulatedMember, key: string): Promise<Answered<RangeResult>> {
    return this.cluster.drive(serverOf(member).range(rangeOf(key)));
  }

  isolate(member: SimulatedMember): void {
    for (const other of this.cluster.members) {
      if (other === member) continue;
      this.cluster.network.cut(member.name, other.name);
      this.cluster.network.cut(other.name, member.name);
    }
  }

  /** Lets a process come up and into the cluster. */
  async published(member: SimulatedMember): Promise<void> {
    await this.cluster.until(() => member.life?.isPublished === true, 40_000, `${member.name} serves`);
  }

  async until(isTrue: () => boolean, what: string): Promise<void> {
    await this.cluster.until(isTrue, 40_000, what);
  }

  /** Whether one of the last lines of the log says so. */
  hasSaid(member: SimulatedMember, message: string): boolean {
    return this.cluster.trace.tail(4_000).some((line) => line.includes(`${member.name} info ${message}`));
  }
}

export function serverOf(member: SimulatedMember) {
  const {server} = member;
  if (server === undefined) throw new Error(`${member.name} has no server`);
  return server;
}

/** The code of a rejection, or `ok`. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'ok',
    (error: {code?: string}) => error.code ?? String(error),
  );
}
