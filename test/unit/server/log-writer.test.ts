import {beforeEach, describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {silentLogger} from '../../../src/engine/io/logger.ts';
import type {Entry, Message, Ready} from '../../../src/engine/raft/message.ts';
import {LogWriter} from '../../../src/engine/server/log-writer.ts';
import type {Wal} from '../../../src/engine/storage/wal.ts';
import {SimulatedClock} from '../../simulator/simulated-clock.ts';

interface Append {
  readonly batch: Parameters<Wal['append']>[0];
  readonly finish: () => void;
  readonly fail: (error: Error) => void;
}

let clock: SimulatedClock;
let appends: Append[];
let purged: number[];
let purge: (below: number) => Promise<void>;
let stored: {indexes: number[]; messages: number}[];
let failures: unknown[];
let writer: LogWriter;

beforeEach(() => {
  clock = new SimulatedClock();
  appends = [];
  purged = [];
  purge = async (below) => void purged.push(below);
  stored = [];
  failures = [];
  const wal: Pick<Wal, 'append' | 'purge'> = {
    append: (batch) =>
      new Promise<void>((resolve, reject) => appends.push({batch, finish: resolve, fail: reject})),
    purge: (below) => purge(below),
  };
  writer = new LogWriter({
    wal: wal as Wal,
    clock,
    logger: silentLogger,
    commit: 3,
    onStored: (last, messages) =>
      stored.push({indexes: last.map(({index}) => index), messages: messages.length}),
    onFailure: (error) => failures.push(error),
  });
});

const entry = (index: number, term = 1): Entry => ({index, term, type: 0, payload: Buffer.from('x')});
const ack = {type: 'heartbeatResponse', from: 1n, to: 2n, term: 1, readContext: 0} as Message;

function ready(parts: Partial<Ready>): Ready {
  return {
    softState: undefined,
    hardState: undefined,
    entries: [],
    snapshot: undefined,
    mustSync: (parts.entries?.length ?? 0) > 0,
    messagesNow: [],
    messagesAfterSync: [],
    committed: [],
    readStates: [],
    ...parts,
  };
}

describe('log writer', () => {
  it('Ensure that what arises during a sync makes up the next batch, and each Ready is reported.', async () => {
    writer.add(ready({entries: [entry(1)], messagesAfterSync: [ack]}));
    writer.add(ready({entries: [entry(2)]}));
    writer.add(ready({entries: [entry(3)], messagesAfterSync: [ack]}));
    expect(appends).toHaveLength(1);
    expect(stored).toEqual([]);
    appends[0].finish();
    await clock.settle();
    expect(stored).toEqual([{indexes: [1], messages: 1}]);
    expect(appends[1].batch.entries.map(({index}) => index)).toEqual([2, 3]);
    appends[1].finish();
    await clock.settle();
    expect(stored[1]).toEqual({indexes: [2, 3], messages: 1});
  });

  it('Ensure that a commit index is noted with the next batch, or at once where that is asked for.', async () => {
    const committed = (commit: number) => ready({hardState: {term: 1, vote: 0n, commit}});
    expect(writer.notedCommit).toBe(3);
    writer.add(committed(4));
    expect(appends).toHaveLength(0);
    writer.noteCommit();
    expect(appends[0].batch).toMatchObject({entries: [], hardState: {commit: 4}, sync: true});
    // It is under way already.
    writer.noteCommit();
    writer.add(committed(5));
    writer.noteCommit();
    expect(writer.notedCommit).toBe(3);
    appends[0].finish();
    await clock.settle();
    expect(writer.notedCommit).toBe(4);
    expect(appends[1].batch.hardState?.commit).toBe(5);
    appends[1].finish();
    await clock.settle();
    expect(writer.notedCommit).toBe(5);
    expect(appends).toHaveLength(2);
  });

  it('Ensure that a message never overtakes the sync of what came before it.', async () => {
    writer.add(ready({messagesAfterSync: [ack]}));
    expect(stored).toEqual([{indexes: [], messages: 1}]);
    writer.add(ready({entries: [entry(1)]}));
    writer.add(ready({messagesAfterSync: [ack]}));
    expect(stored).toHaveLength(1);
    appends[0].finish();
    await clock.settle();
    expect(stored.slice(1)).toEqual([
      {indexes: [1], messages: 0},
      {indexes: [], messages: 1},
    ]);
  });

  it('Ensure that a commit index alone costs no write, and goes with the next batch or the end.', async () => {
    const hardState = {term: 1, vote: 0n, commit: 9};
    writer.add(ready({hardState}));
    expect(appends).toHaveLength(0);
    writer.add(ready({entries: [entry(1)]}));
    expect(appends[0].batch.hardState).toEqual(hardState);
    appends[0].finish();
    await clock.settle();
    writer.add(ready({hardState: {...hardState, commit: 10}}));
    const drained = writer.drained();
    await clock.settle();
    expect(appends[1].batch).toMatchObject({sync: false, hardState: {commit: 10}});
    appends[1].finish();
    await drained;
  });

  it('Ensure that a snapshot takes the place of entries that wait before it.', async () => {
    const confState = {voters: [1n], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false};
    writer.add(ready({entries: [entry(1)]}));
    writer.add(ready({entries: [entry(2)]}));
    writer.add(ready({snapshot: {index: 50, term: 3, confState}, mustSync: true}));
    writer.add(ready({entries: [entry(51, 3)]}));
    appends[0].finish();
    await clock.settle();
    expect(appends[1].batch.snapshot).toEqual({index: 50, term: 3});
    expect(appends[1].batch.entries.map(({index}) => index)).toEqual([51]);
  });

  it('Ensure that segments are purged only after the cut is noted on disk.', async () => {
    writer.compact({index: 10, term: 1});
    expect(appends[0].batch.snapshot).toEqual({index: 10, term: 1});
    expect(purged).toEqual([]);
    appends[0].finish();
    await clock.settle();
    expect(purged).toEqual([11]);
  });

  it('Ensure that no answer waits for a purge, one runs at a time, and one that fails ends nothing.', async () => {
    let fail: (error: Error) => void = () => undefined;
    purge = (below) => {
      purged.push(below);
      return new Promise((_resolve, reject) => {
        fail = reject;
      });
    };
    writer.compact({index: 10, term: 1});
    writer.add(ready({entries: [entry(20)], messagesAfterSync: [ack]}));
    appends[0].finish();
    await clock.settle();
    appends[1].finish();
    await clock.settle();
    expect(stored.at(-1)).toEqual({indexes: [20], messages: 1});
    writer.compact({index: 15, term: 1});
    appends[2].finish();
    await clock.settle();
    expect(purged).toEqual([11]);
    fail(new EngineError({code: 'diskError', path: 'wal', operation: 'unlink', detail: 'EIO'}));
    await clock.settle();
    writer.add(ready({entries: [entry(21)]}));
    appends[3].finish();
    await clock.settle();
    expect(purged).toEqual([11, 16]);
    expect(failures).toEqual([]);
    let isDrained = false;
    const drained = writer.drained().then(() => {
      isDrained = true;
    });
    await clock.settle();
    expect(isDrained).toBe(false);
    fail(new EngineError({code: 'stopped'}));
    await drained;
  });

  it('Ensure that a log that died beside its batches does not keep the member from stopping.', async () => {
    writer.add(ready({hardState: {term: 1, vote: 0n, commit: 9}}));
    const drained = writer.drained();
    await clock.settle();
    appends[0].fail(new EngineError({code: 'diskError', path: 'wal', operation: 'write', detail: 'EIO'}));
    await drained;
  });

  it('Ensure that after a failed write nothing is reported and nothing is written.', async () => {
    writer.add(ready({entries: [entry(1)], messagesAfterSync: [ack]}));
    appends[0].fail(new Error('EIO'));
    await clock.settle();
    writer.add(ready({entries: [entry(2)], messagesAfterSync: [ack]}));
    expect(failures).toHaveLength(1);
    expect(stored).toEqual([]);
    expect(appends).toHaveLength(1);
  });

  it('Ensure that a hanging disk shows.', async () => {
    writer.add(ready({entries: [entry(1)]}));
    await clock.advance(3_000);
    expect(writer.busyMs()).toBe(3_000);
    appends[0].finish();
    await clock.settle();
    expect(writer.busyMs()).toBe(0);
  });
});
