/**
 * The one table of the server's settings. A row names the flag; its environment variables are KVD_ and ETCD_ with
 * the same name in capitals, its key in the configuration file is the flag's name. Everything that reads, checks,
 * documents or completes a setting goes through here. Pure.
 */

import {
  parseBoolean,
  parseChoice,
  parseDuration,
  parseInitialCluster,
  parseName,
  parseUrls,
  parseWhole,
} from './values.ts';

export interface Setting<Value> {
  readonly flag: string;
  /** Older names of the same thing: as flag, in the environment and in the file. */
  readonly aliases?: readonly string[];
  readonly group: 'Member' | 'Cluster' | 'Raft' | 'Limits' | 'Store' | 'Log';
  /** Braces stand for the value of another setting. */
  readonly default: string;
  /** What the value counts, or its form. */
  readonly unit: string;
  readonly help: string;
  readonly isBoolean?: boolean;
  /** @throws BadValue */
  readonly parse: (text: string) => Value;
}

const setting = <Value>(row: Setting<Value>): Setting<Value> => row;

/** Below the largest WAL record by half, so that an entry with its envelope always fits one record. */
const REQUEST_BYTES_MAX = 32 * 1024 * 1024;
/** A clock step or a paused machine must not stop a cluster for longer than this (etcd's bound). */
export const ELECTION_TIMEOUT_MS_MAX = 50_000;
/** With fewer heartbeats in an election timeout, one lost message would cost a leader its office (etcd's bound). */
export const HEARTBEATS_PER_ELECTION_MIN = 5;
/** A notification more often than this is noise (etcd's bound); smaller intervals are raised to it. */
const PROGRESS_INTERVAL_MS_MIN = 100;
const PROGRESS_INTERVAL_MS_DEFAULT = 600_000;
const QUOTA_BYTES_DEFAULT = 2 * 1024 * 1024 * 1024;
const COUNT_MAX = 1_000_000_000;

export const SETTINGS = {
  name: setting({
    flag: 'name',
    group: 'Member',
    default: 'default',
    unit: 'name',
    help: 'Human-readable name of this member; its entry in --initial-cluster has the same name.',
    parse: parseName,
  }),
  dataDir: setting({
    flag: 'data-dir',
    group: 'Member',
    default: '{name}.kvd',
    unit: 'folder',
    help: 'Folder that holds everything this member keeps. Made if it is missing.',
    parse: (text) => text,
  }),
  listenPeerUrls: setting({
    flag: 'listen-peer-urls',
    group: 'Member',
    default: 'http://localhost:2380',
    unit: 'URLs, comma between',
    help: 'Where to listen for the other members.',
    parse: (text) => parseUrls(text, 'listen'),
  }),
  listenClientUrls: setting({
    flag: 'listen-client-urls',
    group: 'Member',
    default: 'http://localhost:2379',
    unit: 'URLs, comma between',
    help: 'Where to listen for clients: http://address:port or unix:///path/of/socket.',
    parse: (text) => parseUrls(text, 'listen'),
  }),
  advertiseClientUrls: setting({
    flag: 'advertise-client-urls',
    group: 'Cluster',
    default: 'http://localhost:2379',
    unit: 'URLs, comma between',
    help: 'Where clients reach this member; the member list shows it, and clients connect to what it shows.',
    parse: (text) => parseUrls(text, 'advertise'),
  }),
  initialAdvertisePeerUrls: setting({
    flag: 'initial-advertise-peer-urls',
    group: 'Cluster',
    default: 'http://localhost:2380',
    unit: 'URLs, comma between',
    help: 'Where the other members reach this one when the cluster is made or joined.',
    parse: (text) => parseUrls(text, 'advertise'),
  }),
  initialCluster: setting({
    flag: 'initial-cluster',
    group: 'Cluster',
    default: '{name}={initial-advertise-peer-urls}',
    unit: 'name=URL, comma between',
    help: 'All members a new cluster begins with; for a member that joins, all members including itself.',
    parse: parseInitialCluster,
  }),
  initialClusterState: setting({
    flag: 'initial-cluster-state',
    group: 'Cluster',
    default: 'new',
    unit: 'new or existing',
    help: 'new: the members of --initial-cluster make a cluster. existing: this member joins one (see kvd member add).',
    parse: (text) => parseChoice(text, ['new', 'existing']),
  }),
  initialClusterToken: setting({
    flag: 'initial-cluster-token',
    group: 'Cluster',
    default: 'etcd-cluster',
    unit: 'text',
    help: 'Goes into the ids of cluster and members: clusters with different tokens never mix.',
    parse: (text) => text,
  }),
  strictReconfigCheck: setting({
    flag: 'strict-reconfig-check',
    group: 'Cluster',
    default: 'true',
    unit: 'true or false',
    help: 'Refuse membership changes that would leave the cluster without a quorum of started members.',
    isBoolean: true,
    parse: parseBoolean,
  }),
  maxLearners: setting({
    flag: 'max-learners',
    group: 'Cluster',
    default: '1',
    unit: 'learners',
    help: "Learners the cluster may have at a time. The leader's setting counts, so give all members the same.",
    parse: (text) => parseWhole(text, {min: 0, max: COUNT_MAX, unit: 'learners'}),
  }),
  heartbeatIntervalMs: setting({
    flag: 'heartbeat-interval',
    group: 'Raft',
    default: '100',
    unit: 'milliseconds',
    help: 'Time between two heartbeats of the leader.',
    parse: (text) => parseWhole(text, {min: 1, max: ELECTION_TIMEOUT_MS_MAX, unit: 'milliseconds'}),
  }),
  electionTimeoutMs: setting({
    flag: 'election-timeout',
    group: 'Raft',
    default: '1000',
    unit: 'milliseconds',
    help: 'Time without a heartbeat after which a follower stands for election; at least 5 heartbeat intervals.',
    parse: (text) => parseWhole(text, {min: 1, max: ELECTION_TIMEOUT_MS_MAX, unit: 'milliseconds'}),
  }),
  snapshotCount: setting({
    flag: 'snapshot-count',
    group: 'Raft',
    default: '10000',
    unit: 'entries',
    help: 'Applied entries after which the log is cut. 0: the default.',
    parse: (text) => parseWhole(text, {min: 0, max: COUNT_MAX, unit: 'entries'}) || 10_000,
  }),
  snapshotCatchupEntries: setting({
    flag: 'snapshot-catchup-entries',
    aliases: ['experimental-snapshot-catchup-entries', 'experimental-snapshot-catch-up-entries'],
    group: 'Raft',
    default: '5000',
    unit: 'entries',
    help: 'Entries kept behind the cut, so that a slow follower needs no snapshot.',
    parse: (text) => parseWhole(text, {min: 0, max: COUNT_MAX, unit: 'entries'}),
  }),
  maxRequestBytes: setting({
    flag: 'max-request-bytes',
    group: 'Limits',
    default: '1572864',
    unit: 'bytes',
    help: 'Largest request of a client.',
    parse: (text) => parseWhole(text, {min: 1024, max: REQUEST_BYTES_MAX, unit: 'bytes'}),
  }),
  maxTxnOps: setting({
    flag: 'max-txn-ops',
    group: 'Limits',
    default: '128',
    unit: 'operations',
    help: 'Most operations in one branch of a transaction.',
    parse: (text) => parseWhole(text, {min: 1, max: 1_000_000, unit: 'operations'}),
  }),
  watchProgressNotifyIntervalMs: setting({
    flag: 'watch-progress-notify-interval',
    aliases: ['experimental-watch-progress-notify-interval'],
    group: 'Limits',
    default: '10m0s',
    unit: 'duration',
    help: 'How often a silent watch that asked for it is told the revision. 0: the default; at least 100ms.',
    parse: (text) => Math.max(parseDuration(text) || PROGRESS_INTERVAL_MS_DEFAULT, PROGRESS_INTERVAL_MS_MIN),
  }),
  quotaBackendBytes: setting({
    flag: 'quota-backend-bytes',
    group: 'Store',
    default: '0',
    unit: 'bytes',
    help: 'Size of the data in use beyond which only reads and deletions are served. 0: 2 GiB; below 0: no quota.',
    parse: (text) => {
      const limits = {min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER, unit: 'bytes'};
      const bytes = parseWhole(text, limits) || QUOTA_BYTES_DEFAULT;
      return bytes < 0 ? -1 : bytes;
    },
  }),
  autoCompactionMode: setting({
    flag: 'auto-compaction-mode',
    group: 'Store',
    default: 'periodic',
    unit: 'periodic or revision',
    help: 'Whether --auto-compaction-retention is a time or a number of revisions.',
    parse: (text) => parseChoice(text, ['periodic', 'revision']),
  }),
  autoCompactionRetention: setting({
    flag: 'auto-compaction-retention',
    group: 'Store',
    default: '0',
    unit: 'hours, duration or revisions',
    help: 'How much history automatic compaction keeps. 0: no automatic compaction.',
    parse: (text) => text,
  }),
  logLevel: setting({
    flag: 'log-level',
    group: 'Log',
    default: 'info',
    unit: 'debug, info, warn or error',
    help: 'Least important lines to log. panic and fatal mean error.',
    parse: (text) => {
      const level = parseChoice(text, ['debug', 'info', 'warn', 'error', 'panic', 'fatal']);
      return level === 'panic' || level === 'fatal' ? 'error' : level;
    },
  }),
  logFormat: setting({
    flag: 'log-format',
    group: 'Log',
    default: 'json',
    unit: 'json or console',
    help: 'Form of the log on the standard error stream.',
    parse: (text) => parseChoice(text, ['json', 'console']),
  }),
} as const;

export type SettingKey = keyof typeof SETTINGS;

/** The flag that names the configuration file; no row of the table, for it cannot stand in the file itself. */
export const CONFIG_FILE_FLAG = 'config-file';

/** `listen-peer-urls` → `KVD_LISTEN_PEER_URLS`. */
export function environmentName(prefix: 'KVD' | 'ETCD', flag: string): string {
  return `${prefix}_${flag.toUpperCase().replaceAll('-', '_')}`;
}
