/**
 * The one place where real parts are joined: settings in, a running member out. Parts start from the disk up to the
 * client port, and `stop` takes them down in reverse order.
 */

import type {Config} from './config.ts';
import type {EngineError} from './engine/errors.ts';
import {NodeClock} from './engine/io/clock.ts';
import {createSha1, createSha256} from './engine/io/digest.ts';
import {NodeDisk} from './engine/io/disk.ts';
import {lockFolder} from './engine/io/folder-lock.ts';
import {LmdbBackendOpener} from './engine/io/lmdb-backend.ts';
import {createLogger} from './engine/io/logger.ts';
import {MetricRegistry} from './engine/io/metrics.ts';
import {registerProcessMetrics} from './engine/io/process-metrics.ts';
import {SystemRandom} from './engine/io/random.ts';
import type {Logger} from './engine/ports.ts';
import type {Identity} from './engine/server/bootstrap.ts';
import {openMember} from './engine/server/open-member.ts';
import type {PeerAnswer, PeerCall} from './engine/server/peer-call.ts';
import {Replica} from './engine/server/replica.ts';
import {Server} from './engine/server/server.ts';
import type {ServerConfig} from './engine/server/server-config.ts';
import type {ServerPorts} from './engine/server/server-ports.ts';
import {DataDir} from './engine/storage/data-dir.ts';
import {API_VERSION, KVD_VERSION} from './engine/version.ts';
import {ClientListener} from './transport/api/client-listener.ts';
import {WebSocketPeerNetwork} from './transport/peer/peer-network.ts';

/** Calls that run when the server stops get this long, milliseconds. */
const DRAIN_MS = 2_000;
const NOBODY: Identity = {clusterId: 0n, memberId: 0n};

export interface RunningServer {
  readonly server: Server;
  /** What was really bound, where a port 0 was asked for. */
  readonly clientUrls: readonly string[];
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Lines for the log about settings that were ignored or are odd. */
  readonly warnings?: readonly string[];
  /** What keeps a member without data from starting with this config, and one with data only warns of. */
  readonly clusterProblem?: EngineError | undefined;
  /**
   * The member cannot go on (`error`), or was removed from the cluster (no error). The process should end: nothing
   * is served any more, and what was acknowledged is safe.
   */
  readonly onEnd: (error: unknown) => void;
}

/** @throws EngineError for everything that keeps the member from starting */
export async function startServer(config: Config, options: StartOptions): Promise<RunningServer> {
  const logger = await createLogger({level: config.logLevel, format: config.logFormat});
  logger.info('kvd starts', {kvd: KVD_VERSION, api: API_VERSION, node: process.version, pid: process.pid});
  for (const warning of options.warnings ?? []) logger.warn(warning);
  const closers: (() => Promise<void>)[] = [];
  const stop = stopper(closers, logger);
  try {
    return {...(await join(config, logger, closers, options)), stop};
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What is known of the member before its replica runs, and afterwards. */
interface Self {
  readonly marker: Identity | undefined;
  replica: Replica | undefined;
}

async function join(
  config: Config,
  logger: Logger,
  closers: (() => Promise<void>)[],
  {onEnd, clusterProblem}: StartOptions,
): Promise<Omit<RunningServer, 'stop'>> {
  const metrics = createMetrics();
  const disk = new NodeDisk(config.dataDir);
  if (clusterProblem !== undefined) {
    // Before the folder is made: whoever mistyped a flag finds no trace of it.
    if (!(await DataDir.isMade(disk))) throw clusterProblem;
    const {message: reason} = clusterProblem;
    logger.warn('settings of the first cluster are ignored: the data folder knows its cluster', {reason});
  }
  const dataDir = await DataDir.open({disk, lock: lockFolder, logger: logger.child('data-dir')});
  closers.push(() => dataDir.close());
  const self: Self = {marker: dataDir.marker, replica: undefined};
  const end = once(onEnd);
  const ports = createPorts({config, logger, metrics, disk, self, end});
  const serverConfig = toServerConfig(config);
  const opened = await openMember({config: serverConfig, ports, dataDir, onFailure: end});
  closers.push(() => opened.close());
  const replica = new Replica({
    config: serverConfig,
    ports,
    opened,
    onFailure: end,
  });
  self.replica = replica;
  closers.push(() => replica.stop());
  const server = new Server(replica);
  const listener = new ClientListener({
    server,
    urls: config.listenClientUrls,
    maxRequestBytes: config.maxRequestBytes,
    maxTxnOps: config.maxTxnOps,
    logger: logger.child('api'),
    metrics,
    exposition: () => metrics.exposition(),
  });
  // Bound before the member joins its cluster: a port that is taken is known at once, and /health can say "not yet".
  const clientUrls = await listener.start();
  closers.push(() => listener.stop(DRAIN_MS));
  await replica.start();
  // Without a quorum this may take for ever, and the member can be stopped all the same.
  void replica.published().then((isPublished) => {
    if (isPublished) logger.info('ready to serve client requests', {clientURLs: clientUrls});
  });
  return {server, clientUrls};
}

interface WorldOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: MetricRegistry;
  readonly disk: NodeDisk;
  readonly self: Self;
  readonly end: (error: unknown) => void;
}

function createPorts(world: WorldOptions): ServerPorts {
  const {config, logger, metrics, disk} = world;
  const clock = new NodeClock();
  const random = new SystemRandom();
  return {
    clock,
    random,
    disk,
    backendOpener: new LmdbBackendOpener(config.dataDir),
    network: createNetwork(world, {clock, random}),
    logger,
    metrics,
    sha1: createSha1,
    sha256: createSha256,
  };
}

function createNetwork(
  {config, logger, metrics, self, end}: WorldOptions,
  {clock, random}: Pick<ServerPorts, 'clock' | 'random'>,
): WebSocketPeerNetwork<PeerCall, PeerAnswer> {
  return new WebSocketPeerNetwork({
    identity: () => self.replica?.identity ?? self.marker ?? NOBODY,
    isRemoved: (id) => self.replica?.members.isRemoved(id) ?? false,
    // Both: the list may be older than the flag, or the flag older than a `member update`.
    advertiseUrls: () => {
      const {replica} = self;
      const listed = replica?.members.get(replica.identity.memberId)?.peerURLs ?? [];
      return [...new Set([...listed, ...config.initialAdvertisePeerUrls])];
    },
    listenUrls: config.listenPeerUrls,
    tls: undefined,
    electionTimeoutMs: config.electionTimeoutMs,
    clock,
    random,
    logger,
    metrics,
    refused: (_by, refusal) => {
      if (refusal.code === 'removed') end(undefined);
    },
  });
}

/** Only the first call counts. */
function once(action: (error: unknown) => void): (error: unknown) => void {
  let isDone = false;
  return (error) => {
    if (isDone) return;
    isDone = true;
    action(error);
  };
}

/** Runs the closers in reverse order, each although another fails; once. */
function stopper(closers: readonly (() => Promise<void>)[], logger: Logger): () => Promise<void> {
  let stopping: Promise<void> | undefined;
  const run = async () => {
    for (const close of [...closers].reverse()) {
      await close().catch((error: unknown) =>
        logger.error('a part did not stop cleanly', {error: String(error)}),
      );
    }
    logger.info('kvd stopped');
  };
  return () => (stopping ??= run());
}

function createMetrics(): MetricRegistry {
  const metrics = new MetricRegistry();
  registerProcessMetrics(metrics);
  metrics
    .gauge('kvd_info', 'The version of kvd and the API level that it serves.', {
      version: KVD_VERSION,
      api: API_VERSION,
    })
    .set(1);
  return metrics;
}

function toServerConfig(config: Config): ServerConfig {
  return {
    name: config.name,
    initialAdvertisePeerURLs: config.initialAdvertisePeerUrls,
    advertiseClientURLs: config.advertiseClientUrls,
    initialCluster: new Map(config.initialCluster.map(({name, peerUrls}) => [name, peerUrls])),
    initialClusterState: config.initialClusterState,
    initialClusterToken: config.initialClusterToken,
    snapshotCount: config.snapshotCount,
    snapshotCatchupEntries: config.snapshotCatchupEntries,
    heartbeatIntervalMs: config.heartbeatIntervalMs,
    electionTimeoutMs: config.electionTimeoutMs,
    maxRequestBytes: config.maxRequestBytes,
    quotaBackendBytes: config.quotaBackendBytes,
    autoCompaction: config.autoCompaction,
    strictReconfigCheck: config.strictReconfigCheck,
    maxLearners: config.maxLearners,
    watchProgressNotifyIntervalMs: config.watchProgressNotifyIntervalMs,
  };
}
