/** The world around one member under test: settings, a clock that passes by itself, peers that answer joiners. */

import {EngineError} from '../../src/engine/errors.ts';
import {createSha1, createSha256} from '../../src/engine/io/digest.ts';
import {silentLogger} from '../../src/engine/io/logger.ts';
import {MetricRegistry} from '../../src/engine/io/metrics.ts';
import type {BackendOpener, Clock, Disk, Logger} from '../../src/engine/ports.ts';
import {Applier, type ApplierOptions} from '../../src/engine/server/applier.ts';
import {type OpenedMember, openMember} from '../../src/engine/server/open-member.ts';
import type {PeerAnswer} from '../../src/engine/server/peer-call.ts';
import type {ServerConfig} from '../../src/engine/server/server-config.ts';
import type {ServerPorts} from '../../src/engine/server/server-ports.ts';
import {DataDir} from '../../src/engine/storage/data-dir.ts';
import type {Member} from '../../src/engine/types.ts';
import {SeededRandom} from '../simulator/seeded-random.ts';
import {USUAL_SETTINGS} from '../usual-settings.ts';

export const SEGMENT_BYTES = 2_048;
const urlOf = (name: string) => `http://${name}:2380`;

/** How the member comes into its cluster. */
export interface Birth {
  readonly name: string;
  /** With itself. */
  readonly cluster: readonly string[];
  readonly state: 'new' | 'existing';
}

export const ALONE: Birth = {name: 'a', cluster: ['a'], state: 'new'};
export const FOUNDER: Birth = {name: 'a', cluster: ['a', 'b', 'c'], state: 'new'};
export const JOINER: Birth = {name: 'a', cluster: ['a', 'b', 'c'], state: 'existing'};

/** Ids of a cluster that is there already, for those who join it. */
export const JOINED_CLUSTER_ID = 0x77n;
export const memberOf = (name: string): Member => ({
  id: BigInt(name.charCodeAt(0)),
  name: name === 'a' ? '' : name,
  peerURLs: [urlOf(name)],
  clientURLs: [],
  isLearner: false,
});

export function configOf(birth: Birth, snapshotCount = 20): ServerConfig {
  return {
    name: birth.name,
    initialAdvertisePeerURLs: [urlOf(birth.name)],
    advertiseClientURLs: [`http://${birth.name}:2379`],
    initialCluster: new Map(birth.cluster.map((name) => [name, [urlOf(name)]])),
    initialClusterState: birth.state,
    initialClusterToken: 'crash',
    snapshotCount,
    snapshotCatchupEntries: 3,
    ...USUAL_SETTINGS,
  };
}

/** Time passes by itself: nothing is measured, and who waits for it goes on in a later turn. */
export const passingClock: Clock = {
  monotonicMs: () => 0,
  wallMs: () => 0,
  after: (_delayMs, action) => {
    const timer = setImmediate(action);
    return () => clearImmediate(timer);
  },
  yield: () => Promise.resolve(),
};

export interface Machine {
  readonly disk: Disk;
  readonly stores: BackendOpener;
  readonly logger?: Logger | undefined;
}

export function portsOf({disk, stores, logger = silentLogger}: Machine, birth: Birth): ServerPorts {
  const answer: PeerAnswer = {
    type: 'cluster',
    clusterId: JOINED_CLUSTER_ID,
    memberId: memberOf('b').id,
    members: birth.cluster.map(memberOf),
    removed: [],
  };
  const callUrl = async () => {
    if (birth.state === 'new') throw new EngineError({code: 'timeoutConnectionLost'});
    return answer;
  };
  return {
    clock: passingClock,
    random: new SeededRandom(1),
    disk,
    backendOpener: stores,
    network: {callUrl},
    logger,
    metrics: new MetricRegistry(),
    sha1: createSha1,
    sha256: createSha256,
  } as unknown as ServerPorts;
}

export function openDataDir(disk: Disk): Promise<DataDir> {
  return DataDir.open({disk, lock: async () => async () => undefined, logger: silentLogger});
}

/** Starts the member as far as its disk is concerned, making it if the folder is fresh. */
export async function startMember(
  machine: Machine,
  birth: Birth,
  onFailure: (error: unknown) => void = () => undefined,
): Promise<{opened: OpenedMember; dataDir: DataDir}> {
  const dataDir = await openDataDir(machine.disk);
  const opened = await openMember({
    config: configOf(birth),
    ports: portsOf(machine, birth),
    dataDir,
    onFailure,
    walSegmentBytes: SEGMENT_BYTES,
  });
  return {opened, dataDir};
}

/** Of a member whom nobody watches and nobody asks. */
export function applierOf(
  opened: OpenedMember,
  hooks: Pick<ApplierOptions, 'onApplied' | 'onFailure'>,
): Applier {
  return new Applier({
    memberId: opened.identity.memberId,
    stateMachine: opened.stateMachine,
    store: opened.store,
    logger: silentLogger,
    watchHub: {publish: () => undefined} as never,
    proposals: {finish: () => undefined} as never,
    clock: passingClock,
    metrics: new MetricRegistry(),
    applyConfChange: (change) => opened.raft.applyConfChange(change),
    ...hooks,
  });
}
