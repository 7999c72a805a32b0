/** Bugs of what is on disk: the log, the store, snapshots. */

import {type Mutant, RAFT_RULES, ROTTING_LOGS, SINGLE_FAULTS} from './mutant.ts';

const LOST = [
  ...RAFT_RULES,
  'log matching',
  'state hash',
  'state',
  'linearizability',
  'exactly once',
  'monotone',
  'raft',
  'durability',
];

export const STORAGE_MUTANTS: readonly Mutant[] = [
  {
    id: 'log-never-syncs',
    fastSeeds: 40,
    bug: '48 (nats 7564)',
    what: 'the log writes and does not sync',
    changes: [
      {
        file: 'storage/wal.ts',
        find: 'const writtenMs = clock.monotonicMs();\n    await file.sync();',
        replace: 'const writtenMs = clock.monotonicMs();',
      },
    ],
    by: [...LOST, 'members stay up', 'election safety'],
  },
  {
    id: 'log-answers-before-sync',
    fastSeeds: 40,
    bug: '17 (etcd 14370)',
    what: 'what waits for the disk is let go when the write begins',
    changes: [
      {
        file: 'server/log-writer.ts',
        find: '    appended.then(\n      () => this.#written(batch),',
        replace:
          '    const {lastEntries, messagesAfterSync} = batch;\n    batch.lastEntries = [];\n    batch.messagesAfterSync = [];\n    this.#options.onStored(lastEntries, messagesAfterSync);\n    appended.then(\n      () => this.#written(batch),',
      },
    ],
    by: [...LOST, 'election safety'],
  },
  {
    id: 'hard-state-not-synced',
    fastSeeds: 40,
    bug: '7 (camunda 1068)',
    what: 'a new term or vote alone is no reason to sync',
    changes: [
      {
        file: 'raft/raft.ts',
        find: 'mustSync: isVoteNew || entries.length > 0',
        replace: 'mustSync: entries.length > 0',
      },
    ],
    by: [...LOST, 'election safety', 'members stay up', 'assertion'],
  },
  {
    id: 'torn-tail-accepted',
    bug: '35 (etcd 6378)',
    what: 'a batch with a whole header is believed without its checksum',
    changes: [
      {
        file: 'storage/wal-replay.ts',
        find: 'if (crc32c(stored, this.#chain) !== header.bodyCrc) return false;',
        replace: '',
      },
    ],
    swarm: {
      kinds: ['power', 'slowDisk'],
      faultPauseMsMax: 300,
      valueBytesMax: 500,
      clients: 8,
      clientPauseMsMax: 5,
    },
    by: [...LOST, 'members stay up', 'no exception', 'liveness'],
  },
  {
    id: 'torn-tail-refused',
    bug: '34 (etcd 5230, 11220, 15069)',
    what: 'a batch that a crash cut short counts as damage',
    changes: [
      {
        file: 'storage/wal-tail.ts',
        find: "return {kind: 'torn', bytes: writtenBytes};",
        replace: "return {kind: 'corrupt', detail: 'damaged'};",
      },
    ],
    by: ['members stay up'],
  },
  {
    id: 'log-cut-above-store',
    bug: '41 (etcd 14749)',
    what: 'the log is cut at what is applied, not at what the store holds durably',
    changes: [
      {
        file: 'server/snapshotter.ts',
        find: 'const durable = await store.flush();',
        replace: 'const durable = store.applied();',
      },
    ],
    by: ['members stay up', ...LOST],
  },
  {
    id: 'store-folder-not-synced',
    bug: '40',
    what: "the store's folder is not synced into the data dir",
    changes: [
      {file: 'storage/store-folder.ts', find: "      await this.#disk.syncFolder('.');\n", replace: ''},
    ],
    by: ['members stay up', ...LOST],
  },
  {
    id: 'image-folder-not-synced',
    bug: '40',
    what: "the folder of an image that arrives is not synced into the store's",
    changes: [
      {
        file: 'storage/store-folder.ts',
        find: 'const path = pathOf((numbers.at(-1) ?? 0) + 1);\n    await this.#disk.makeFolder(path);\n    await this.#disk.syncFolder(STORE_FOLDER);',
        replace: 'const path = pathOf((numbers.at(-1) ?? 0) + 1);\n    await this.#disk.makeFolder(path);',
      },
      {
        file: 'storage/store-folder.ts',
        find: 'if (pathOf(number) !== path) await this.#disk.remove(pathOf(number));\n    }\n    await this.#disk.syncFolder(STORE_FOLDER);',
        replace: 'if (pathOf(number) !== path) await this.#disk.remove(pathOf(number));\n    }',
      },
    ],
    by: ['members stay up', ...LOST],
  },
  {
    id: 'segment-name-not-synced',
    bug: '40',
    what: "a new log segment's name is not synced",
    changes: [
      {
        file: 'storage/wal.ts',
        find: 'PREPARED_NAME}`, path);\n      await disk.syncFolder(folder);',
        replace: 'PREPARED_NAME}`, path);',
      },
    ],
    by: ['members stay up', ...LOST, 'election safety'],
  },
  {
    id: 'mark-ahead-of-changes',
    bug: '28 (etcd 13766)',
    what: 'the store keeps a newer applied index than its changes',
    changes: [
      {
        file: 'storage/store.ts',
        find: 'deletes: frozen.deletes(), applied: this.#frozenMark};',
        replace: 'deletes: frozen.deletes(), applied: this.#applied};',
      },
    ],
    by: ['members stay up', 'no exception', ...LOST],
  },
  {
    id: 'old-overlay-over-snapshot',
    bug: '29 (etcd 13933)',
    what: 'changes from before a snapshot stay over it',
    changes: [
      {
        file: 'storage/store.ts',
        find: 'layers.active = new Overlay();\n    layers.frozen = undefined;\n    layers.imageVersion++;\n    this.#applied = applied;',
        replace: 'layers.imageVersion++;\n    this.#applied = applied;',
      },
    ],
    by: ['members stay up', 'no exception', 'hash kv', 'assertion', 'watch', ...LOST],
  },
  {
    id: 'sync-tried-again',
    bug: '36 (fsyncgate)',
    what: 'a sync that failed is tried again',
    changes: [
      {
        file: 'storage/wal.ts',
        find: 'const writtenMs = clock.monotonicMs();\n    await file.sync();',
        replace:
          'const writtenMs = clock.monotonicMs();\n    try {\n      await file.sync();\n    } catch {\n      await file.sync();\n    }',
      },
    ],
    by: ['members stay up', ...LOST, 'election safety'],
  },
  {
    id: 'large-batch-in-small-segment',
    bug: '38 (etcd 14127)',
    what: 'a new segment has the usual size, whatever the batch that begins it needs',
    changes: [
      {
        file: 'storage/wal.ts',
        find: 'this.#preparer.take(Math.max(from.bytes, bytesMin));',
        replace: 'this.#preparer.take(from.bytes);',
      },
      {
        file: 'storage/wal.ts',
        find: "assert(bytes >= bytesMin, 'the next segment has room for the batch that begins it');",
        replace: '',
      },
    ],
    swarm: {
      members: 3,
      kinds: ['slowDisk', 'kill'],
      faultPauseMsMax: 300,
      // Segments double: only the first few can be smaller than a batch.
      valueBytesMax: 20_000,
      clients: 8,
      clientPauseMsMax: 5,
      walSegmentBytes: 1_024,
    },
    by: ['members stay up', 'assertion', ...LOST],
  },
  {
    id: 'cuts-a-batch-that-rotted',
    bug: '34 (etcd 6191, 11488)',
    what: 'a damaged batch at the end is cut off, whatever may have been acknowledged with it',
    swarm: ROTTING_LOGS,
    changes: [
      {
        file: 'storage/wal-tail.ts',
        find: 'if (!tail.isFirstBatch && isIncomplete(tail, header, writtenBytes)) {',
        replace: 'if (!tail.isFirstBatch) {',
      },
    ],
    by: LOST,
  },
  {
    id: 'snapshot-with-announced-configuration',
    bug: '21 (raft 370, 442)',
    what: 'a snapshot carries the configuration from when it was announced, not its own',
    changes: [
      {
        file: 'server/snapshotter.ts',
        find: 'confState: storedConfState(reader)};',
        replace: 'confState: message.meta.confState};',
      },
    ],
    swarm: {
      ...SINGLE_FAULTS,
      members: 5,
      clients: 4,
      kinds: ['jointChange', 'isolate', 'slowDisk'],
      faultPauseMsMax: 300,
      changesMembers: false,
      snapshotCount: 5,
      catchupEntries: 1,
    },
    by: ['election safety', 'members stay up', 'assertion', 'liveness', ...LOST],
  },
  {
    id: 'image-behind-chosen',
    bug: '45 (etcd 14246)',
    what: 'an image that is not needed stays, and a start takes the store with the highest number, not the furthest',
    changes: [
      {
        file: 'storage/store-folder.ts',
        find: 'if (best !== undefined && index <= best.index) {',
        replace: 'if (best !== undefined && index === 0) {',
      },
      // Else there are two of them only for a moment.
      {
        file: 'server/snapshot-installer.ts',
        find: '    if (this.#installing === undefined) await snapshotter.discard();\n',
        replace: '',
      },
    ],
    swarm: {
      ...SINGLE_FAULTS,
      members: 3,
      kinds: ['oneWay', 'slowNetwork', 'reorder', 'duplicate', 'moveLeader', 'kill'],
      faultPauseMsMax: 300,
      clientPauseMsMax: 20,
      snapshotCount: 10,
      catchupEntries: 1,
    },
    by: ['members stay up', ...LOST],
  },
];
