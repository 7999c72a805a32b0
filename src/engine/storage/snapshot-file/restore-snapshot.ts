/**
 * Makes a data folder from a snapshot file: the member of a new cluster that begins with the old one's keys,
 * leases, users and roles. Each member of the new cluster is restored by itself, from the same file with the same
 * settings; together they are one cluster, because everything here follows from these alone.
 *
 * The new cluster's log begins behind its founding: as if entry 1 to n had added the n members, in term 1.
 *
 * Kept: `key`, `lease`, `auth`, `authUsers`, `authRoles`, `alarm` (as etcd does; an alarm is disarmed by hand) and
 * the compact revisions. Not kept: the old members, and what the old cluster had agreed on about its version.
 */

import {assert, EngineError} from '../../errors.ts';
import {fromLatin1} from '../../lib/bytes.ts';
import {BACKEND_KEY_BYTES_MAX, BACKEND_VALUE_BYTES_MAX, STATE_IMAGE_COMMIT_BYTES} from '../../limits.ts';
import type {Backend, BackendOpener, Clock, Disk, Logger, Metrics} from '../../ports.ts';
import {decodeAlarm} from '../../state-machine/alarms.ts';
import {decodeLease} from '../../state-machine/lease/lease-record.ts';
import {
  CONF_STATE_KEY,
  encodeConfState,
  encodeMember,
  encodeMemberKey,
} from '../../state-machine/member-record.ts';
import {decodeKeyValue} from '../../state-machine/mvcc/key-value-record.ts';
import {decodeRevision, encodeRevision} from '../../state-machine/mvcc/revision.ts';
import type {AppliedMark, ClusterId, Member, MemberId, TableRecord} from '../../types.ts';
import {DataDir, type FolderLock, WAL_FOLDER} from '../data-dir.ts';
import {clusterIdOf, memberIdOf, type Sha1} from '../member-id.ts';
import {StoreFolder} from '../store-folder.ts';
import {Wal} from '../wal.ts';
import {invalid} from './page-reader.ts';
import {RecordHash} from './record-hash.ts';
import {type Bucket, FINISHED_COMPACT_KEY, SCHEDULED_COMPACT_KEY} from './snapshot-buckets.ts';
import type {SnapshotFile} from './snapshot-file.ts';

export interface RestorePorts {
  /** Rooted at the new data folder, which is absent or empty. */
  readonly disk: Disk;
  readonly lock: FolderLock;
  /** Of the same root. */
  readonly backendOpener: BackendOpener;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly sha1: Sha1;
}

export interface RestoreOptions {
  readonly file: SnapshotFile;
  /** This member's name in `initialCluster`. */
  readonly name: string;
  readonly initialCluster: ReadonlyMap<string, readonly string[]>;
  readonly initialClusterToken: string;
  readonly initialAdvertisePeerURLs: readonly string[];
  /**
   * Revisions that clients may have seen after the snapshot was taken: the new cluster counts on from behind them.
   * Undefined: it counts on from the file's last one.
   */
  readonly bumpRevision?: number | undefined;
  /** Everything up to that revision counts as compacted, so that watchers of the old cluster start anew. */
  readonly markCompacted?: boolean | undefined;
  /** The program and its version, for the folder's marker. */
  readonly madeBy: string;
  /** Bytes of records taken over so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface RestoreResult {
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
  readonly members: readonly Member[];
  /** The new cluster's first current revision. */
  readonly revision: number;
}

const COPIED: readonly Bucket[] = ['alarm', 'auth', 'authRoles', 'authUsers', 'key', 'lease'];
const FIRST_TERM = 1;

/**
 * The caller has verified the file's digest, or was told not to. After a rejection the folder is as before.
 * @throws EngineError `snapshotInvalid`, `configInvalid`, `dataDirUnusable`, `dataDirLocked`, `dataDirOfEtcd`, `disk…`
 */
export async function restoreSnapshot(ports: RestorePorts, options: RestoreOptions): Promise<RestoreResult> {
  const {disk, lock, logger} = ports;
  const founding = found(options, ports.sha1);
  const folder = await DataDir.open({disk, lock, logger});
  try {
    if (folder.marker !== undefined) {
      const detail = 'it already holds a member: restore into a folder that is absent or empty';
      throw new EngineError({code: 'dataDirUnusable', path: folder.path, detail});
    }
    const {clusterId, memberId, members} = founding;
    let revision = 0;
    const marker = {clusterId, memberId, madeBy: options.madeBy, isRestored: true};
    await folder.create(marker, async () => {
      revision = await fillStore(ports, options, members);
      await makeLog(ports, founding);
    });
    await folder.close();
    return {clusterId, memberId, members, revision};
  } catch (error) {
    await folder.close();
    // Opening it again removes what is half made.
    if (folder.marker === undefined) await DataDir.open({disk, lock, logger}).then((again) => again.close());
    throw error;
  }
}

interface Founding {
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
  readonly members: readonly Member[];
}

function found(options: RestoreOptions, sha1: Sha1): Founding {
  const {name, initialCluster, initialClusterToken: token, initialAdvertisePeerURLs, bumpRevision} = options;
  const own = initialCluster.get(name);
  if (own === undefined) {
    const detail = `--initial-cluster does not name this member ${JSON.stringify(name)}`;
    throw new EngineError({code: 'configInvalid', detail});
  }
  if ([...own].sort().join() !== [...initialAdvertisePeerURLs].sort().join()) {
    const detail =
      `--initial-cluster gives ${name} the peer URLs ${own.join(',')}, ` +
      `but --initial-advertise-peer-urls are ${initialAdvertisePeerURLs.join(',')}`;
    throw new EngineError({code: 'configInvalid', detail});
  }
  if (bumpRevision !== undefined && !(Number.isSafeInteger(bumpRevision) && bumpRevision >= 0)) {
    throw new EngineError({code: 'configInvalid', detail: '--bump-revision must be a whole number from 0'});
  }
  if ((bumpRevision !== undefined && bumpRevision > 0) !== (options.markCompacted === true)) {
    // Revisions that exist nowhere could be asked for otherwise.
    throw new EngineError({
      code: 'configInvalid',
      detail: '--bump-revision and --mark-compacted go together',
    });
  }
  const members = [...initialCluster].map(([, peerURLs]): Member => {
    // Names come from the members themselves, when they have started.
    const id = memberIdOf({peerURLs, token, sha1});
    return {id, name: '', peerURLs, clientURLs: [], isLearner: false};
  });
  members.sort((a, b) => (a.id < b.id ? -1 : 1));
  const ids = members.map(({id}) => id);
  if (new Set(ids).size !== ids.length) {
    throw new EngineError({
      code: 'configInvalid',
      detail: '--initial-cluster names the same peer URLs twice',
    });
  }
  return {clusterId: clusterIdOf(ids, sha1), memberId: memberIdOf({peerURLs: own, token, sha1}), members};
}

/** @returns the current revision */
async function fillStore(
  ports: RestorePorts,
  options: RestoreOptions,
  members: readonly Member[],
): Promise<number> {
  assert(members.length > 0, 'a cluster has a member');
  const path = await new StoreFolder(ports.disk).newPath();
  const backend = await ports.backendOpener.open(path);
  try {
    assert(backend.applied() === undefined, 'a store to be filled is empty');
    const filler = new Filler(backend, options.onProgress);
    for (const bucket of COPIED) {
      filler.hash.bucket(bucket);
      for await (const records of options.file.records(bucket)) {
        for (const record of records) filler.take(bucket, record);
        if (filler.isDue) await filler.commit(NOT_YET);
        else await ports.clock.yield();
      }
    }
    const revision = await putCompactRevisions(filler, options);
    for (const member of members) filler.put('members', encodeMemberKey(member.id), encodeMember(member));
    const confState = {
      voters: members.map(({id}) => id),
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: false,
    };
    filler.put('meta', CONF_STATE_KEY, encodeConfState(confState));
    await filler.commit({index: members.length, term: FIRST_TERM, hash: filler.hash.value});
    assert(backend.applied()?.index === members.length, 'the image stands at its mark');
    assert(backend.count('members') === members.length, 'the image has its members');
    return revision;
  } finally {
    await backend.close();
  }
}

/** @returns the current revision */
async function putCompactRevisions(filler: Filler, options: RestoreOptions): Promise<number> {
  const {file, bumpRevision = 0} = options;
  const scheduled = await readRevision(file, SCHEDULED_COMPACT_KEY);
  const finished = await readRevision(file, FINISHED_COMPACT_KEY);
  const bumped = bumpRevision > 0 ? Math.max(filler.lastRevision, scheduled, finished) + bumpRevision : 0;
  if (!Number.isSafeInteger(bumped)) {
    throw new EngineError({code: 'configInvalid', detail: '--bump-revision goes beyond all counting'});
  }
  // A scheduled compaction is carried out by whoever starts on this store. Revisions are never below it.
  const mark = Math.max(scheduled, bumped);
  if (mark > 0) filler.put('meta', fromLatin1(SCHEDULED_COMPACT_KEY), encodeRevision(mark, 0));
  if (finished > 0) filler.put('meta', fromLatin1(FINISHED_COMPACT_KEY), encodeRevision(finished, 0));
  return Math.max(1, filler.lastRevision, mark, finished);
}

/** 0: absent. */
async function readRevision(file: SnapshotFile, key: string): Promise<number> {
  const value = await file.get('meta', key);
  return value === undefined ? 0 : orInvalid('meta', () => decodeRevision(value).main);
}

/** The log as it would be after the founding entries were compacted away. */
async function makeLog(ports: RestorePorts, {clusterId, memberId, members}: Founding): Promise<void> {
  const {disk, clock, logger, metrics} = ports;
  const metadata = {clusterId, memberId};
  const wal = await Wal.create({disk, clock, logger, metrics, folder: WAL_FOLDER, metadata});
  try {
    await wal.append({
      entries: [],
      hardState: {term: FIRST_TERM, vote: 0n, commit: members.length},
      snapshot: {index: members.length, term: FIRST_TERM},
      sync: true,
    });
  } finally {
    await wal.close();
  }
}

/** The mark of an image that is not whole. */
const NOT_YET: AppliedMark = {index: 0, term: 0, hash: 0};

/** Collects records into commits, and checks those that the state machine will have to understand. */
class Filler {
  readonly hash = new RecordHash();
  readonly #backend: Backend;
  readonly #onProgress: ((bytes: number) => void) | undefined;
  #puts: {table: Bucket; key: Uint8Array; value: Uint8Array}[] = [];
  #pendingBytes = 0;
  #totalBytes = 0;
  /** Of the bucket `key`; 0: it is empty. */
  lastRevision = 0;

  constructor(backend: Backend, onProgress: ((bytes: number) => void) | undefined) {
    this.#backend = backend;
    this.#onProgress = onProgress;
  }

  get isDue(): boolean {
    return this.#pendingBytes >= STATE_IMAGE_COMMIT_BYTES;
  }

  /** @throws EngineError `snapshotInvalid` */
  take(bucket: Bucket, [key, value]: TableRecord): void {
    if (key.length > BACKEND_KEY_BYTES_MAX || value.length > BACKEND_VALUE_BYTES_MAX) {
      throw invalid(`a record of ${key.length} + ${value.length} bytes in bucket "${bucket}" is too large`);
    }
    orInvalid(bucket, () => {
      if (bucket === 'lease') decodeLease(key, value);
      if (bucket === 'alarm') decodeAlarm(key);
      if (bucket !== 'key') return;
      this.lastRevision = decodeRevision(key).main;
      decodeKeyValue(value);
    });
    this.hash.record(key, value);
    this.put(bucket, key, value);
  }

  put(table: Bucket, key: Uint8Array, value: Uint8Array): void {
    this.#puts.push({table, key, value});
    this.#pendingBytes += key.length + value.length;
  }

  async commit(applied: AppliedMark): Promise<void> {
    const puts = this.#puts;
    this.#totalBytes += this.#pendingBytes;
    this.#puts = [];
    this.#pendingBytes = 0;
    assert(this.#backend.applied() === undefined, 'a whole image is not added to');
    await this.#backend.commit({puts, deletes: [], applied});
    this.#onProgress?.(this.#totalBytes);
  }
}

/** A record that kvd could not read later is the file's fault. */
function orInvalid<Result>(bucket: Bucket, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof EngineError) || error.failure.code !== 'storeCorrupt') throw error;
    throw invalid(`bucket "${bucket}": ${error.failure.detail}`, error);
  }
}
