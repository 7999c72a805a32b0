/** A member's log, opened to be looked at and repaired while the member does not run. */

import {NodeClock} from '../../engine/io/clock.ts';
import {NodeDisk} from '../../engine/io/disk.ts';
import {lockFolder} from '../../engine/io/folder-lock.ts';
import {LmdbBackendOpener} from '../../engine/io/lmdb-backend.ts';
import {silentLogger} from '../../engine/io/logger.ts';
import {MetricRegistry} from '../../engine/io/metrics.ts';
import {changeConf, decodeConfChange} from '../../engine/raft/conf-change.ts';
import {type Entry, EntryType} from '../../engine/raft/message.ts';
import {type ConfState, storedConfState} from '../../engine/state-machine/member-record.ts';
import {DataDir, WAL_FOLDER} from '../../engine/storage/data-dir.ts';
import {StoreFolder} from '../../engine/storage/store-folder.ts';
import {Wal} from '../../engine/storage/wal.ts';
import {findDoubt} from '../../engine/storage/wal-recovery.ts';
import type {Index} from '../../engine/types.ts';
import {CommandError, ExitCode} from './exit.ts';

export interface LogState {
  /** The last segment, and where in it the damage begins, bytes. */
  readonly path: string;
  readonly offset: number;
  /** The last index that is whole. */
  readonly lastIndex: Index;
  /** Up to here the damaged batch may have held entries; 0: there is none. */
  readonly doubtfulIndex: Index;
  /** Those of them that the store does not hold either. */
  readonly lost: {readonly from: Index; readonly to: Index} | undefined;
}

export interface OpenLog {
  readonly state: LogState;
  /** Cuts the damaged batch off. */
  repair(): Promise<void>;
  close(): Promise<void>;
}

/** @throws CommandError for a folder without a member, or with one that must not be repaired; EngineError */
export async function openLog(folder: string): Promise<OpenLog> {
  const disk = new NodeDisk(folder);
  if (!(await disk.exists('.'))) throw new CommandError(ExitCode.error, `there is no folder ${folder}`);
  const dataDir = await DataDir.open({disk, lock: lockFolder, logger: silentLogger});
  try {
    if (dataDir.marker === undefined) {
      throw new CommandError(ExitCode.error, `${folder} holds no member of a cluster`);
    }
    const store = await readStore(disk, folder);
    const {entries, ...doubt} = await findDoubt(disk, WAL_FOLDER);
    const voters = votersOf(store, entries);
    if (doubt.doubtfulIndex > 0 && voters > 1) {
      const others = `${voters - 1} other ${voters === 2 ? 'voter' : 'voters'}`;
      throw new CommandError(
        ExitCode.error,
        `this member's cluster has ${others}: start it, it learns from them what it lost`,
      );
    }
    const from = Math.max(store.applied, doubt.lastIndex) + 1;
    const to = doubt.doubtfulIndex;
    return {
      state: {...doubt, lost: from <= to ? {from, to} : undefined},
      repair: async () => {
        const ports = {clock: new NodeClock(), logger: silentLogger, metrics: new MetricRegistry()};
        await Wal.repair({...ports, disk, folder: WAL_FOLDER});
      },
      close: () => dataDir.close(),
    };
  } catch (error) {
    await dataDir.close();
    throw error;
  }
}

interface StoredCluster {
  readonly applied: Index;
  readonly confState: ConfState;
}

async function readStore(disk: NodeDisk, folder: string): Promise<StoredCluster> {
  const backend = await new StoreFolder(disk).open(new LmdbBackendOpener(folder));
  try {
    return {applied: backend.applied()?.index ?? 0, confState: storedConfState(backend)};
  } finally {
    await backend.close();
  }
}

/** The store is behind the log: the one of a new member, by everything. */
function votersOf({applied, confState}: StoredCluster, entries: readonly Entry[]): number {
  let conf = confState;
  for (const {index, type, payload} of entries) {
    if (index <= applied || type !== EntryType.confChange) continue;
    const change = decodeConfChange(payload);
    const result = change === undefined ? undefined : changeConf(conf, change);
    if (result !== undefined && 'conf' in result) conf = result.conf;
  }
  return conf.voters.length;
}
