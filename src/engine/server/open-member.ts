/**
 * Opens a member's data dir, or makes it: who the member is, its store, its log, and raft as it was when the
 * member last ran. What store and log say is compared here; where they contradict each other the member does not
 * start, for whichever it believed, it might lose or invent something.
 */

import {assert, EngineError} from '../errors.ts';
import {hex64} from '../lib/hex64.ts';
import {decodeConfChange} from '../raft/conf-change.ts';
import {type Entry, EntryType, type HardState} from '../raft/message.ts';
import {majority} from '../raft/quorum.ts';
import {Raft} from '../raft/raft.ts';
import {StateMachine} from '../state-machine/state-machine.ts';
import {type DataDir, WAL_FOLDER} from '../storage/data-dir.ts';
import {Store} from '../storage/store.ts';
import {StoreFolder} from '../storage/store-folder.ts';
import {Wal} from '../storage/wal.ts';
import type {WalContents} from '../storage/wal-contents.ts';
import type {AppliedMark, Index, Member, MemberId, Term} from '../types.ts';
import {KVD_VERSION} from '../version.ts';
import {
  askPeers,
  checkAgainstDisk,
  FOUNDING_TERM,
  foundCluster,
  type Identity,
  joinCluster,
} from './bootstrap.ts';
import {runSlices} from './run-slices.ts';
import type {ServerConfig} from './server-config.ts';
import type {ServerPorts} from './server-ports.ts';

export interface OpenedMember {
  readonly identity: Identity;
  readonly raft: Raft;
  readonly wal: Wal;
  readonly store: Store;
  readonly stateMachine: StateMachine;
  /** The first entry of the log. */
  readonly firstIndex: Index;
  /** The last marker in the log on disk, which may lie behind `firstIndex`: no cut goes back before it. */
  readonly markerIndex: Index;
  /** Whom to have links to until the replicated list says it: a member that joins knows nobody yet. */
  readonly firstPeers: readonly Member[];
  /**
   * Of a founder that has promised nobody anything yet: how many other founders have to say that they do not know it,
   * before it may take part; see founder-check.ts. 0: it takes part.
   */
  readonly strangersMin: number;
  /** Gives everything back; the store has been stopped before. */
  close(): Promise<void>;
}

interface OpenOptions {
  readonly config: ServerConfig;
  readonly ports: ServerPorts;
  readonly dataDir: DataDir;
  /** Store or log failed while the member runs. */
  readonly onFailure: (error: unknown) => void;
  /** Of the first segment of a log that is made, bytes; see limits.ts for the default. */
  readonly walSegmentBytes?: number | undefined;
  /** See limits.ts for the default. */
  readonly overlayBytesMax?: number | undefined;
}

export async function openMember(options: OpenOptions): Promise<OpenedMember> {
  const {dataDir, config, ports} = options;
  if (dataDir.marker === undefined) await makeMember(options);
  const {marker} = dataDir;
  assert(marker !== undefined, 'a data dir was made without a marker');
  const identity = {clusterId: marker.clusterId, memberId: marker.memberId};
  const storeFolder = new StoreFolder(ports.disk);
  const backend = await storeFolder.open(ports.backendOpener);
  let wal: Wal | undefined;
  let isAlone: boolean | undefined;
  try {
    const store = new Store({
      ...ports,
      logger: ports.logger.child('store'),
      backend,
      onFailure: options.onFailure,
      overlayBytesMax: options.overlayBytesMax,
    });
    const stateMachine = new StateMachine({records: store, logger: ports.logger.child('mvcc')});
    await load(stateMachine, ports);
    if (stateMachine.authEnabled()) throw authRefusal();
    const {members} = stateMachine;
    // Before its own addition, in a log that it replays, a member has a list of which the flags need not know anybody.
    const isFound = members.get(identity.memberId) !== undefined || members.isRemoved(identity.memberId);
    if (isFound) checkAgainstDisk(config, members.list());
    isAlone = hasNoOthers(config, identity, stateMachine.confState().voters);
    const log = await Wal.open({...walPorts(ports), allowDoubtfulTail: !isAlone});
    wal = log.wal;
    const {contents} = log;
    checkIdentity(identity, contents, ports);
    const start = startOf(contents, stateMachine.applied(), ports);
    if (start.isAhead) await tellLog(log.wal, start);
    const raft = openRaft({config, ports, identity, contents, stateMachine, start});
    const knowsPeers = isFound || isAddedBy(start, identity.memberId);
    return {
      identity,
      raft,
      wal: log.wal,
      store,
      stateMachine,
      firstIndex: raft.status().firstIndex,
      markerIndex: start.isAhead ? start.compacted.index : contents.snapshot.index,
      strangersMin: marker.isRestored ? 0 : strangersMin(start),
      firstPeers: knowsPeers ? [] : await findPeers({config, ports}),
      close: () => closeAll(log.wal, store),
    };
  } catch (error) {
    // What kept the member from starting is what its user must hear of.
    await Promise.allSettled([wal?.close(), backend.close()]);
    throw isAlone === undefined ? error : withRemedy(error, {isAlone, dataDir: dataDir.path});
  }
}

/** A fresh data dir: found a cluster, or find this member's place in one. */
async function makeMember({config, ports, dataDir, walSegmentBytes}: OpenOptions): Promise<void> {
  const {network, sha1, logger, clock} = ports;
  const first =
    config.initialClusterState === 'new'
      ? await foundCluster({config, network, sha1, logger})
      : await joinCluster({config, network, clock, logger});
  const marker = {...first.identity, madeBy: `kvd ${KVD_VERSION}`, isRestored: false};
  await dataDir.create(marker, async () => {
    const wal = await Wal.create({
      ...walPorts(ports),
      metadata: first.identity,
      segmentBytes: walSegmentBytes,
    });
    if (first.entries.length > 0) {
      await wal.append({entries: first.entries, hardState: first.hardState, sync: true});
    }
    await wal.close();
  });
  logger.info('data dir made', {path: dataDir.path, ...first.identity, state: config.initialClusterState});
}

/** As long as its term is that of the foundation, a founder cannot have voted for anybody or acknowledged anything. */
function strangersMin({hardState}: LogStart): number {
  const {term, vote, commit} = hardState;
  return term === FOUNDING_TERM && vote === 0n ? majority(commit) - 1 : 0;
}

/** Whether committed entries, still to be applied, will list this member: a founder's log begins with them. */
function isAddedBy({entries, hardState}: LogStart, self: MemberId): boolean {
  return entries.some(({index, type, payload}) => {
    if (index > hardState.commit || type !== EntryType.confChange) return false;
    const steps = decodeConfChange(payload)?.steps ?? [];
    return steps.some((step) => step.type.startsWith('add') && step.memberId === self);
  });
}

/** The members of a cluster whose log this member does not have far enough to know them. */
async function findPeers({config, ports}: Pick<OpenOptions, 'config' | 'ports'>): Promise<readonly Member[]> {
  try {
    return (await askPeers({...ports, config, timeoutMs: 0})).members;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    // Its place in the cluster is certain: the leader will come by, and is answered where it says.
    ports.logger.warn('no peer tells who the members are', {reason: error.message});
    return [];
  }
}

function walPorts({disk, clock, logger, metrics}: ServerPorts) {
  return {disk, clock, logger, metrics, folder: WAL_FOLDER};
}

async function load(stateMachine: StateMachine, {clock, logger}: ServerPorts): Promise<void> {
  const startedMs = clock.monotonicMs();
  await runSlices(stateMachine.load(), clock);
  logger.info('store loaded', {
    appliedIndex: stateMachine.applied().index,
    revision: stateMachine.mvcc.currentRevision(),
    keys: stateMachine.mvcc.keysTotal(),
    tookMs: Math.round(clock.monotonicMs() - startedMs),
  });
}

/** From where raft has the log: everything up to `compacted` is in the store. */
interface LogStart {
  readonly compacted: {readonly index: Index; readonly term: Term};
  readonly hardState: HardState;
  readonly entries: readonly Entry[];
  /** The store holds more than the log, or something else: the log has to begin anew behind it. */
  readonly isAhead: boolean;
}

function startOf(contents: WalContents, applied: AppliedMark, {disk}: ServerPorts): LogStart {
  const {snapshot} = contents;
  const lastIndex = contents.entries.at(-1)?.index ?? snapshot.index;
  // What is applied was committed, whether the log got to know or not.
  const hardState = {
    term: Math.max(contents.hardState.term, applied.term),
    vote: contents.hardState.term < applied.term ? 0n : contents.hardState.vote,
    commit: Math.max(contents.hardState.commit, applied.index),
  };
  // An image that another member sent was complete when the crash came, but the log had not heard of it yet. It may
  // end within a tail that a deposed leader left here: that was never committed.
  const atMark = contents.entries.find(({index}) => index === applied.index);
  const isAhead = applied.index > lastIndex || (atMark !== undefined && atMark.term !== applied.term);
  if (isAhead)
    return {compacted: {index: applied.index, term: applied.term}, hardState, entries: [], isAhead};
  // Entries up to the marker are kept for slow followers; the first of them becomes the start, since the term
  // before it is not known.
  const first = contents.entries.at(0);
  const compacted =
    first === undefined || first.index > snapshot.index ? snapshot : {index: first.index, term: first.term};
  if (applied.index < compacted.index) {
    const detail =
      `the store ends at log index ${applied.index}, but the log begins behind ${compacted.index}: ` +
      'the store is older than the log or was emptied';
    throw new EngineError({code: 'storeCorrupt', path: disk.userPath('store'), detail});
  }
  return {
    compacted,
    hardState,
    entries: contents.entries.filter(({index}) => index > compacted.index),
    isAhead,
  };
}

async function tellLog(wal: Wal, {compacted, hardState}: LogStart): Promise<void> {
  await wal.append({entries: [], hardState, snapshot: compacted, sync: true});
}

function openRaft(options: {
  config: ServerConfig;
  ports: ServerPorts;
  identity: Identity;
  contents: WalContents;
  stateMachine: StateMachine;
  start: LogStart;
}): Raft {
  const {config, ports, identity, contents, stateMachine, start} = options;
  return new Raft({
    id: identity.memberId,
    electionTicks: Math.max(2, Math.round(config.electionTimeoutMs / config.heartbeatIntervalMs)),
    heartbeatTicks: 1,
    random: ports.random,
    logger: ports.logger.child('raft'),
    restored: {
      hardState: start.hardState,
      confState: stateMachine.confState(),
      compacted: start.compacted,
      entries: start.entries,
      applied: stateMachine.applied().index,
      probation: contents.doubtfulIndex,
    },
  });
}

function checkIdentity(identity: Identity, {metadata}: WalContents, {disk}: ServerPorts): void {
  if (metadata.clusterId === identity.clusterId && metadata.memberId === identity.memberId) return;
  const detail =
    `it belongs to member ${hex64(identity.memberId)} of cluster ${hex64(identity.clusterId)}, ` +
    `but its log to member ${hex64(metadata.memberId)} of cluster ${hex64(metadata.clusterId)}`;
  throw new EngineError({code: 'dataDirUnusable', path: disk.userPath('.'), detail});
}

function authRefusal(): EngineError {
  const detail =
    'this store has authentication enabled, which this version of kvd does not enforce yet: serving it would open ' +
    'it to everybody. Turn it off with `etcdctl auth disable` in the cluster it comes from, save, and restore again';
  return new EngineError({code: 'configInvalid', detail});
}

async function closeAll(wal: Wal, store: Store): Promise<void> {
  try {
    await wal.close();
  } finally {
    await store.backend.close();
  }
}

/** Tells whoever has to mend damaged data what is left to this member. */
function withRemedy(error: unknown, {isAlone, dataDir}: {isAlone: boolean; dataDir: string}): unknown {
  if (!(error instanceof EngineError)) return error;
  const {failure} = error;
  if (failure.code !== 'walCorrupt' && failure.code !== 'storeCorrupt') return error;
  const remedy = isAlone ? (failure.remedy ?? 'restore') : 'rejoin';
  return new EngineError({...failure, remedy, dataDir}, error);
}

/** Whether nobody could bring back what a damaged log lost: this member is its cluster's only voter, or founds it. */
function hasNoOthers(config: ServerConfig, {memberId}: Identity, voters: readonly MemberId[]): boolean {
  if (voters.length > 0) return voters.length === 1 && voters[0] === memberId;
  return config.initialClusterState === 'new' && config.initialCluster.size === 1;
}
