/** What a start makes of a member whose own list of members does not name it yet. */

import {beforeEach, describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {createSha1, createSha256} from '../../../src/engine/io/digest.ts';
import {silentLogger} from '../../../src/engine/io/logger.ts';
import {MetricRegistry} from '../../../src/engine/io/metrics.ts';
import {EMPTY_BYTES} from '../../../src/engine/lib/bytes.ts';
import {EntryType} from '../../../src/engine/raft/message.ts';
import {type OpenedMember, openMember} from '../../../src/engine/server/open-member.ts';
import type {PeerAnswer} from '../../../src/engine/server/peer-call.ts';
import type {ServerConfig} from '../../../src/engine/server/server-config.ts';
import type {ServerPorts} from '../../../src/engine/server/server-ports.ts';
import type {MembershipChange} from '../../../src/engine/state-machine/members.ts';
import {DataDir} from '../../../src/engine/storage/data-dir.ts';
import type {Member} from '../../../src/engine/types.ts';
import {MemoryBackendDisk} from '../../simulator/memory-backend.ts';
import {MemoryDisk} from '../../simulator/memory-disk.ts';
import {SeededRandom} from '../../simulator/seeded-random.ts';
import {USUAL_SETTINGS} from '../../usual-settings.ts';

const memberOf = (id: bigint, name: string): Member => ({
  id,
  name,
  peerURLs: [`http://${id}:2380`],
  clientURLs: [],
  isLearner: false,
});
const SELF = memberOf(5n, '');
const LEADER = memberOf(4n, 'd');
/** Of the past: replaced before this member joined. */
const FOUNDER = memberOf(1n, 'a');

const CONFIG: ServerConfig = {
  name: 'e',
  initialAdvertisePeerURLs: SELF.peerURLs,
  advertiseClientURLs: ['http://5:2379'],
  initialCluster: new Map([
    ['d', LEADER.peerURLs],
    ['e', SELF.peerURLs],
  ]),
  initialClusterState: 'existing',
  initialClusterToken: 'test',
  snapshotCount: 100,
  snapshotCatchupEntries: 5,
  ...USUAL_SETTINGS,
};

let disk: MemoryDisk;
let images: MemoryBackendDisk;
let asked: number;
let answer: PeerAnswer | undefined;

beforeEach(() => {
  asked = 0;
  answer = {
    type: 'cluster',
    clusterId: 7n,
    memberId: LEADER.id,
    members: [LEADER, SELF],
    removed: [FOUNDER.id],
  };
  disk = new MemoryDisk({turn: () => undefined});
  // Time passes by itself here: nothing is measured.
  const clock = {
    monotonicMs: () => 0,
    wallMs: () => 0,
    after: (_delayMs: number, action: () => void) => {
      setImmediate(action);
      return () => undefined;
    },
    yield: () => new Promise<void>((resolve) => setImmediate(resolve)),
  };
  images = new MemoryBackendDisk({clock});
});

async function open(config: ServerConfig = CONFIG): Promise<OpenedMember> {
  const callUrl = async () => {
    asked++;
    if (answer === undefined) throw new EngineError({code: 'timeoutConnectionLost'});
    return answer;
  };
  const ports = {
    clock: images.clock,
    random: new SeededRandom(1),
    disk,
    backendOpener: images,
    network: {callUrl},
    logger: silentLogger,
    metrics: new MetricRegistry(),
    sha1: createSha1,
    sha256: createSha256,
  } as unknown as ServerPorts;
  const dataDir = await DataDir.open({disk, lock: async () => async () => undefined, logger: silentLogger});
  return openMember({config, ports, dataDir, onFailure: () => undefined, walSegmentBytes: 65_536});
}

async function close(opened: OpenedMember): Promise<void> {
  await opened.store.stop();
  await opened.close();
}

/** The entries up to 2 are in log and store; all that is known of the members is `changes`. */
async function stopAfter(opened: OpenedMember, changes: readonly MembershipChange[]): Promise<void> {
  const hardState = {term: 1, vote: 0n, commit: changes.length};
  const log = changes.map((_, i) => ({index: i + 1, term: 1, type: EntryType.normal, payload: EMPTY_BYTES}));
  await opened.wal.append({entries: log, hardState, sync: true});
  const confState = {
    voters: [FOUNDER.id],
    votersOutgoing: [],
    learners: [],
    learnersNext: [],
    autoLeave: false,
  };
  for (const [i, change] of changes.entries()) {
    opened.stateMachine.applyMembership({index: i + 1, term: 1, change, confState});
  }
  await opened.store.flush();
  await close(opened);
  asked = 0;
}

describe('opening a member that is not listed', () => {
  it('Ensure that one that stopped among entries of the past asks again, and starts without an answer too.', async () => {
    const first = await open();
    expect(first.firstPeers).toEqual([LEADER, SELF]);
    await stopAfter(first, [{type: 'add', member: FOUNDER}]);
    const second = await open();
    expect(second.stateMachine.members.list()).toEqual([FOUNDER]);
    expect(second.firstPeers).toEqual([LEADER, SELF]);
    await close(second);
    answer = undefined;
    const third = await open();
    expect(third.firstPeers).toEqual([]);
    await close(third);
  });

  it('Ensure that one that is listed, or was removed, asks nobody.', async () => {
    await stopAfter(await open(), [{type: 'add', member: SELF}]);
    const listed = await open();
    expect([asked, listed.firstPeers]).toEqual([0, []]);
    const confState = {voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false};
    const change = {type: 'remove', member: SELF} as const;
    listed.stateMachine.applyMembership({index: 2, term: 1, change, confState});
    await listed.store.flush();
    await listed.wal.append({
      entries: [{index: 2, term: 1, type: EntryType.normal, payload: EMPTY_BYTES}],
      hardState: {term: 1, vote: 0n, commit: 2},
      sync: true,
    });
    await close(listed);
    const removed = await open();
    expect([asked, removed.firstPeers]).toEqual([0, []]);
    await close(removed);
  });

  it('Ensure that a founder does not wait for the others once it is made.', async () => {
    answer = undefined;
    const config = {...CONFIG, initialClusterState: 'new'} as const;
    await close(await open(config));
    asked = 0;
    const founder = await open(config);
    expect([asked, founder.firstPeers, founder.raft.status().commit]).toEqual([0, [], 2]);
    await close(founder);
  });
});
