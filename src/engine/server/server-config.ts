/** The settings that the engine itself needs, checked and complete. `src/config.ts` says what each means. */

export interface ServerConfig {
  readonly name: string;
  readonly initialAdvertisePeerURLs: readonly string[];
  readonly advertiseClientURLs: readonly string[];
  /** Peer URLs by member name; a name may stand once with several URLs. */
  readonly initialCluster: ReadonlyMap<string, readonly string[]>;
  readonly initialClusterState: 'new' | 'existing';
  readonly initialClusterToken: string;
  readonly snapshotCount: number;
  readonly snapshotCatchupEntries: number;
  readonly heartbeatIntervalMs: number;
  readonly electionTimeoutMs: number;
  readonly maxRequestBytes: number;
  /** 0 or less: no quota. */
  readonly quotaBackendBytes: number;
  readonly autoCompaction:
    | {readonly mode: 'off'}
    | {readonly mode: 'periodic'; readonly retentionMs: number}
    | {readonly mode: 'revision'; readonly retentionRevisions: number};
  readonly strictReconfigCheck: boolean;
  readonly maxLearners: number;
  readonly watchProgressNotifyIntervalMs: number;
}

/** A proposal's time limit, as etcd computes it: fixed part plus two elections, milliseconds. */
export function requestTimeoutMs(config: Pick<ServerConfig, 'electionTimeoutMs'>, baseMs: number): number {
  return baseMs + 2 * config.electionTimeoutMs;
}
