/** What goes into the log and what comes out of it. */

import type {Clock, Disk, Logger, Metrics} from '../ports.ts';
import type {Entry, HardState} from '../raft/message.ts';
import type {Index} from '../types.ts';
import type {SnapshotMarker, WalMetadata} from './wal-header.ts';

export interface WalPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The log's own folder, a path of the disk. */
  readonly folder: string;
}

/** What the log held when it was opened. */
export interface WalContents {
  readonly metadata: WalMetadata;
  readonly hardState: HardState;
  /**
   * Without gaps; the first is at most one behind `snapshot`. Those up to it are kept for slow followers. None
   * when nothing follows the snapshot.
   */
  readonly entries: readonly Entry[];
  /** The last snapshot marker: the log may begin behind it. Index 0, term 0 when there is none. */
  readonly snapshot: SnapshotMarker;
  /**
   * 0, or the last index of a damaged last batch that may have been acknowledged. Until this member's log has
   * been brought past it by a leader (its commit index reaches it) the member neither votes nor acknowledges. It
   * outlives restarts until a hard state with such a commit index is appended. The hard state's term and vote are
   * already such that no vote is given twice.
   */
  readonly doubtfulIndex: Index;
  /** Bytes of an incomplete, never acknowledged batch that were cut off. */
  readonly tornBytes: number;
  /** The last run ended with `close()`: nothing is missing, not even commit indexes. */
  readonly cleanStop: boolean;
}

/** Takes effect in this order: snapshot, entries, hard state. */
export interface WalBatch {
  /** May overwrite the log's tail from their first index on; among themselves, too, later ones win. */
  readonly entries: readonly Entry[];
  readonly hardState: HardState | undefined;
  readonly snapshot?: SnapshotMarker | undefined;
  /** Set for all but a hard state in which only the commit index is new. */
  readonly sync: boolean;
}
