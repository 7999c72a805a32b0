/**
 * What is done to this member's state beside applying entries: the log behind it is cut, images of it are sent, taken
 * in and backed up, and space that compactions and large deletions leave is reclaimed.
 */

import type {WatchHub} from '../watch/watch-hub.ts';
import type {Applier} from './applier.ts';
import type {OpenedMember} from './open-member.ts';
import type {RaftLoop} from './raft-loop.ts';
import type {ServerConfig} from './server-config.ts';
import type {ServerPorts} from './server-ports.ts';
import {SnapshotInstaller} from './snapshot-installer.ts';
import {SnapshotSource} from './snapshot-source.ts';
import {Snapshotter} from './snapshotter.ts';
import {SpaceReclaimer} from './space-reclaimer.ts';

export interface StateUpkeepOptions {
  readonly config: ServerConfig;
  readonly ports: ServerPorts;
  readonly opened: OpenedMember;
  readonly applier: Applier;
  readonly watchHub: WatchHub;
  readonly loop: () => RaftLoop;
  /** The state is another member's from now on. */
  readonly onInstalled: () => void;
  readonly onFailure: (error: unknown) => void;
}

export class StateUpkeep {
  readonly snapshotter: Snapshotter;
  readonly reclaimer: SpaceReclaimer;
  readonly snapshots: SnapshotSource;
  readonly installer: SnapshotInstaller;

  constructor(options: StateUpkeepOptions) {
    const {ports, opened, applier, watchHub, loop, onInstalled, onFailure} = options;
    const {clock, logger} = ports;
    const {store, stateMachine} = opened;
    const mvcc = () => stateMachine.mvcc;
    this.snapshotter = makeSnapshotter(options);
    this.reclaimer = new SpaceReclaimer({
      mvcc,
      clock,
      logger: logger.child('mvcc'),
      isBetweenEntries: () => applier.isBetweenEntries,
      overlayBytes: () => store.overlayBytes(),
      seal: () => store.mark(store.applied()),
      onSettled: () => watchHub.settled(),
      areWatchersUnderWay: () => watchHub.watchersUnderWay > 0,
      onFailure,
    });
    this.snapshots = new SnapshotSource({
      store,
      mvcc,
      reclaimer: this.reclaimer,
      logger: logger.child('snapshot'),
    });
    this.installer = new SnapshotInstaller({
      snapshotter: this.snapshotter,
      applier,
      stateMachine,
      watchHub,
      loop,
      clock,
      logger,
      onInstalled,
      onFailure,
    });
  }
}

function makeSnapshotter({config, ports, opened, loop}: StateUpkeepOptions): Snapshotter {
  const {raft, store} = opened;
  return new Snapshotter(
    {
      store,
      disk: ports.disk,
      backendOpener: ports.backendOpener,
      network: ports.network,
      clock: ports.clock,
      logger: ports.logger.child('snapshot'),
      snapshotCount: config.snapshotCount,
      catchupEntries: config.snapshotCatchupEntries,
      compact: (point) => loop().compact(point),
      termAt: (index) => raft.term(index),
      logBytes: () => raft.logBytes(),
      appliedLogBytes: () => raft.appliedLogBytes(),
      cutLeaving: (bytes) => raft.cutLeaving(bytes),
      snapshotFinished: (to, ok) => loop().snapshotFinished(to, ok),
    },
    {lastCut: opened.firstIndex - 1, marker: opened.markerIndex},
  );
}
