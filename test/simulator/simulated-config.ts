/** What a simulated member is started with: the flags of `kvd serve`, as its seed drew them. */

import type {ServerConfig} from '../../src/engine/server/server-config.ts';
import type {Swarm} from './swarm.ts';

/** Members are named m1, m2, … by their place. */
export const urlOf = (place: number) => `http://m${place}:2380`;

/** @param others who is there already, for a member that joins; undefined: it is one of the founders */
export function simulatedConfig(
  swarm: Swarm,
  name: string,
  others: ReadonlyMap<string, readonly string[]> | undefined,
): ServerConfig {
  const place = Number(name.slice(1));
  const founders = Array.from({length: swarm.members}, (_, i) => [`m${i + 1}`, [urlOf(i + 1)]] as const);
  return {
    name,
    initialAdvertisePeerURLs: [urlOf(place)],
    advertiseClientURLs: [`http://${name}:2379`],
    initialCluster: others ?? new Map(founders),
    initialClusterState: others === undefined ? 'new' : 'existing',
    initialClusterToken: 'simulation',
    snapshotCount: swarm.snapshotCount,
    snapshotCatchupEntries: swarm.catchupEntries,
    heartbeatIntervalMs: swarm.heartbeatMs,
    electionTimeoutMs: swarm.electionMs,
    maxRequestBytes: 1_500_000,
    quotaBackendBytes: swarm.quotaBytes,
    autoCompaction: {mode: 'off'},
    strictReconfigCheck: place % 2 === 0,
    maxLearners: 1,
    watchProgressNotifyIntervalMs: 700,
  };
}
