/** Bugs of the state machine and of watching: keys, transactions, compaction, hashes, events. */

import {type Mutant, SINGLE_FAULTS} from './mutant.ts';

const WRONG = ['linearizability', 'state', 'state hash', 'exactly once'];

export const STATE_MUTANTS: readonly Mutant[] = [
  {
    id: 'compaction-drops-living',
    bug: '52 (etcd 18089)',
    what: 'a compaction deletes keys that live',
    changes: [
      {
        file: 'state-machine/mvcc/compaction.ts',
        find: 'return history.isDeleted && history.main < compactRevision;',
        replace: 'return history.main < compactRevision;',
      },
    ],
    by: [...WRONG, 'hash kv', 'assertion', 'no exception', 'members stay up'],
  },
  {
    id: 'compaction-drops-deletion',
    bug: '52 (etcd 19179)',
    what: 'a deletion exactly at the compact revision goes, and a watch from there misses it',
    changes: [
      {
        file: 'state-machine/mvcc/compaction.ts',
        find: 'return history.isDeleted && history.main < compactRevision;',
        replace: 'return history.isDeleted && history.main <= compactRevision;',
      },
      {
        file: 'state-machine/mvcc/compaction.ts',
        find: "assert(history.main < compactRevision, 'a deletion at the mark stays');",
        replace: '',
      },
    ],
    by: ['watch'],
  },
  {
    id: 'compaction-by-local-progress',
    bug: '64 (etcd 14227)',
    what: 'whether a compaction is refused depends on how far this member has come with the last',
    changes: [
      {
        file: 'state-machine/mvcc/store.ts',
        find: "    if (revision <= compactRevision) return new EngineError({code: 'compacted', compactRevision});\n    const currentRevision",
        replace:
          "    if (revision <= this.#finishedRevision) return new EngineError({code: 'compacted', compactRevision});\n    const currentRevision",
      },
    ],
    by: [...WRONG, 'assertion', 'members stay up'],
  },
  {
    id: 'transaction-half-applied',
    fastSeeds: 40,
    bug: '33 (etcd 18667, 18799)',
    what: 'a transaction whose second operation is refused keeps its first',
    changes: [
      {
        file: 'state-machine/state-machine.ts',
        find: '    const refused = checkTxn(mvcc.reader, decided, {at, lessor});\n    if (refused !== undefined) return done(refused);\n    const txn = mvcc.beginWrite();',
        replace:
          '    const txn = mvcc.beginWrite();\n    const refused = checkTxn(mvcc.reader, decided, {at, lessor});\n    if (refused !== undefined) {\n      const first = decided.operations.find(({requestPut}) => requestPut !== undefined)?.requestPut;\n      if (first !== undefined) put(txn, first);\n      mvcc.endWrite(txn);\n      return done({type: "none"}, txn.events);\n    }',
      },
    ],
    by: WRONG,
  },
  {
    id: 'guards-see-the-past',
    fastSeeds: 40,
    bug: '69 (etcd 19998)',
    what: 'the guards of a transaction are decided one revision too early',
    changes: [
      {
        file: 'state-machine/state-machine.ts',
        find: 'decideTxn(mvcc.reader, request, at, budget)',
        replace: 'decideTxn(mvcc.reader, request, Math.max(1, at - 1), budget)',
      },
    ],
    by: WRONG,
  },
  {
    id: 'one-sub-revision',
    fastSeeds: 40,
    bug: '54 (etcd 15274)',
    what: 'all changes of a transaction are stored under one sub-revision',
    changes: [
      {
        file: 'state-machine/mvcc/write-txn.ts',
        find: "this.#effects.put('key', encodeRevision(main, sub), record);",
        replace: "this.#effects.put('key', encodeRevision(main, 0), record);",
      },
    ],
    by: [...WRONG, 'watch', 'no exception', 'exception', 'assertion', 'members stay up'],
  },
  {
    id: 'counts-missing-keys',
    fastSeeds: 40,
    bug: '54 (etcd 17247)',
    what: 'a deletion counts keys that were not there',
    changes: [
      {
        file: 'state-machine/mvcc/txn.ts',
        find: 'if (revision === undefined) continue;\n    if (prevKv) {',
        replace:
          'if (revision === undefined) {\n      if (!prevKv) deleted++;\n      continue;\n    }\n    if (prevKv) {',
      },
    ],
    by: WRONG,
  },
  {
    id: 'hash-of-what-is-left',
    fastSeeds: 40,
    bug: '44 (etcd 14849, 14828)',
    what: 'HashKV takes in what a member has not deleted yet',
    changes: [
      {
        file: 'state-machine/mvcc/hash-kv.ts',
        find: 'if (isHashed(reader, {revision, compactRevision, keptAt}, key, value))\n        hash',
        replace: 'hash',
      },
    ],
    swarm: {members: 3, kinds: ['lateSweep']},
    by: ['hash kv'],
  },
  {
    id: 'hash-beyond-revision',
    bug: '44 (etcd 14849)',
    what: 'HashKV of a revision takes in what came after it',
    changes: [
      {
        file: 'state-machine/mvcc/hash-kv.ts',
        find: 'const to = encodeRevision(at + 1, 0);',
        replace: 'const to = encodeRevision(2 ** 40, 0);',
      },
    ],
    by: ['hash kv'],
  },
  {
    id: 'watch-not-told-of-snapshot',
    bug: '49 (etcd 15271)',
    what: 'watchers are not told that a snapshot took the place of the store',
    changes: [{file: 'server/snapshot-installer.ts', find: '    watchHub.restored();\n', replace: ''}],
    swarm: {
      ...SINGLE_FAULTS,
      members: 3,
      clients: 4,
      watchers: 5,
      kinds: ['isolate'],
      faultPauseMsMax: 3_000,
      snapshotCount: 5,
      catchupEntries: 1,
    },
    by: ['watch', 'liveness', 'assertion', 'members stay up'],
  },
  {
    id: 'progress-ahead-of-events',
    bug: '50 (etcd 15220)',
    what: 'progress is told while events of a lagging watcher are still to come',
    changes: [
      {
        file: 'watch/watch-stream.ts',
        find: 'if (!this.#wantsProgress || this.unsynced > 0) return;',
        replace: 'if (!this.#wantsProgress) return;',
      },
      // Else a watcher with little to catch up has done so before anything else happens.
      {
        file: 'server/watch-pump.ts',
        find: '    while (!this.#stopped && watchHub.catchUp())',
        replace: '    await clock.yield();\n    while (!this.#stopped && watchHub.catchUp())',
      },
    ],
    by: ['watch'],
  },
  {
    id: 'full-watcher-loses-event',
    bug: '51 (etcd 17529)',
    what: 'a watcher that is full loses the event that found no room',
    changes: [
      {
        file: 'watch/watch-hub.ts',
        find: 'watcher.nextRevision = revision;',
        replace: 'watcher.nextRevision = revision + 1;',
      },
      // Else a simulated watcher is never so slow that its queue is full.
      {file: 'limits.ts', find: 'WATCH_QUEUE_EVENTS_MAX = 1_024;', replace: 'WATCH_QUEUE_EVENTS_MAX = 4;'},
    ],
    by: ['watch', 'liveness'],
  },
  {
    id: 'catch-up-stops-early',
    bug: '51 (etcd 17529)',
    what: 'a lagging watcher counts as synced one revision too early',
    changes: [
      {
        file: 'watch/catch-up.ts',
        find: '    if (this.#position.main <= to) {\n      const limits',
        replace: '    if (this.#position.main < to) {\n      const limits',
      },
      {
        file: 'watch/catch-up.ts',
        find: 'if (this.#position.main <= to) return this.#index.size > 0;',
        replace: 'if (this.#position.main < to) return this.#index.size > 0;',
      },
    ],
    by: ['watch', 'liveness'],
  },
  {
    id: 'catch-up-repeats',
    bug: '54 (etcd 17247, 15274)',
    what: 'a watcher that joins a pass gets events from before its start',
    changes: [
      {
        file: 'watch/watcher.ts',
        find: '    if (event.kv.modRevision < this.nextRevision) return false;\n',
        replace: '',
      },
    ],
    by: ['watch'],
  },
  {
    id: 'future-watch-starts-now',
    bug: '53 (etcd 20221, 9775)',
    what: 'a watch of a future revision gets what happens before it',
    changes: [
      {
        file: 'watch/watch-hub.ts',
        find: 'if (watcher.nextRevision > this.#revision) this.#synced.add(watcher);',
        replace:
          'watcher.nextRevision = Math.min(watcher.nextRevision, this.#revision + 1);\n    if (watcher.nextRevision > this.#revision) this.#synced.add(watcher);',
      },
    ],
    by: ['watch'],
  },
];
