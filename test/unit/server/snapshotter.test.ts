/** When and where the log is cut, and which images are taken in. */

import {beforeEach, describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {silentLogger} from '../../../src/engine/io/logger.ts';
import {RAFT_LOG_BYTES_MAX, SNAPSHOT_LOG_HOLD_MS} from '../../../src/engine/limits.ts';
import type {Backend} from '../../../src/engine/ports.ts';
import {type SnapshotMessage, Snapshotter} from '../../../src/engine/server/snapshotter.ts';
import {encodeConfState} from '../../../src/engine/state-machine/member-record.ts';
import {writeStateImage} from '../../../src/engine/storage/state-image.ts';
import type {Store} from '../../../src/engine/storage/store.ts';
import {MemoryBackendDisk} from '../../simulator/memory-backend.ts';
import {MemoryDisk} from '../../simulator/memory-disk.ts';
import {SimulatedClock} from '../../simulator/simulated-clock.ts';

const ENTRY_BYTES = 1024 * 1024;
const CONF_STATE = {voters: [1n], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false};

let clock: SimulatedClock;
let images: MemoryBackendDisk;
let cuts: number[];
let flushes: number;
/** Entries of one size: the log begins behind `compacted` and ends at `last`. */
let log: {compacted: number; applied: number; last: number; entryBytes: number};
let endSending: (error?: Error) => void;
let finished: boolean[];

beforeEach(() => {
  clock = new SimulatedClock();
  images = new MemoryBackendDisk({clock, commitMs: () => 0});
  cuts = [];
  flushes = 0;
  log = {compacted: 0, applied: 0, last: 0, entryBytes: 100};
  finished = [];
});

function snapshotter({
  catchupEntries = 5,
  marker = 0,
  source,
}: {
  catchupEntries?: number;
  marker?: number;
  source?: Backend;
} = {}) {
  const store = {
    flush: async () => {
      flushes++;
      return {index: log.applied, term: 1, hash: 0};
    },
    view: async () => ({mark: source?.applied(), reader: source?.view()}),
  };
  return new Snapshotter(
    {
      store: store as unknown as Store,
      disk: new MemoryDisk(),
      backendOpener: images,
      network: {
        sendSnapshot: () =>
          new Promise<void>((resolve, reject) => {
            endSending = (error) => (error === undefined ? resolve() : reject(error));
          }),
      } as never,
      clock,
      logger: silentLogger,
      snapshotCount: 20,
      catchupEntries,
      compact: ({index}) => {
        cuts.push(index);
        log.compacted = Math.max(log.compacted, index);
      },
      termAt: (index) => (index >= log.compacted && index <= log.last ? 1 : undefined),
      logBytes: () => (log.last - log.compacted) * log.entryBytes,
      appliedLogBytes: () => (log.applied - log.compacted) * log.entryBytes,
      cutLeaving: (bytes) => Math.max(log.compacted, log.last - Math.ceil(bytes / log.entryBytes) + 1),
      snapshotFinished: (_to, ok) => void finished.push(ok),
    },
    {lastCut: log.compacted, marker},
  );
}

async function apply(subject: Snapshotter, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    log.applied++;
    log.last = Math.max(log.last, log.applied);
    subject.consider(log.applied);
    await clock.settle();
  }
}

/** A whole store of one record, at index 10 of term 2. */
async function imageSource(): Promise<Backend> {
  const source = await inTime(images.open('source'));
  const puts = [
    {table: 'meta', key: Buffer.from('confState'), value: Buffer.from(encodeConfState(CONF_STATE))},
  ];
  await inTime(source.commit({puts, deletes: [], applied: {index: 10, term: 2, hash: 7}} as never));
  return source;
}

async function inTime<T>(promise: Promise<T>): Promise<T> {
  let isDone = false;
  const done = promise.finally(() => {
    isDone = true;
  });
  done.catch(() => undefined);
  for (let i = 0; i < 100 && !isDone; i++) await clock.advance(1);
  return done;
}

const announced = (index: number, term: number): SnapshotMessage => ({
  type: 'snapshot',
  from: 2n,
  to: 1n,
  term: 3,
  meta: {index, term, confState: CONF_STATE},
});

describe('cutting the log', () => {
  it('Ensure that it keeps entries for slow followers.', async () => {
    await apply(snapshotter(), 50);
    expect(cuts).toEqual([15, 35]);
  });

  it('Ensure that it never goes back before the marker, though more is to be kept than at the last run.', async () => {
    log = {...log, compacted: 10, applied: 40, last: 40};
    const subject = snapshotter({catchupEntries: 30, marker: 39});
    await apply(subject, 25);
    expect(cuts).toEqual([]);
    await apply(subject, 30);
    expect(cuts.length).toBeGreaterThan(0);
    expect(Math.min(...cuts)).toBeGreaterThan(39);
  });

  it('Ensure that large entries are cut by their bytes, and seldom.', async () => {
    log.entryBytes = ENTRY_BYTES;
    const subject = snapshotter({catchupEntries: 5_000});
    await apply(subject, 1_000);
    expect(flushes - Math.floor(1_000 / 20)).toBeLessThan(10);
    expect((log.last - log.compacted) * ENTRY_BYTES).toBeLessThanOrEqual(RAFT_LOG_BYTES_MAX);
    expect(cuts[0]).toBe(257 - 127);
  });

  it('Ensure that a log full of entries that are not applied is not cut at every one of them.', async () => {
    log = {...log, entryBytes: ENTRY_BYTES, last: 1_000};
    const subject = snapshotter({catchupEntries: 5_000});
    await apply(subject, 300);
    expect(cuts).toEqual([64, 128, 192, 256]);
  });

  it('Ensure that a member that takes an image finds the log behind it, unless the log is too large.', async () => {
    const subject = snapshotter({source: await imageSource()});
    const sent = subject.send(announced(10, 2));
    await clock.settle();
    await apply(subject, 100);
    expect(cuts).toEqual([]);
    endSending();
    await sent;
    expect(finished).toEqual([true]);
    await apply(subject, 30);
    expect(cuts).toEqual([]);
    await clock.advance(SNAPSHOT_LOG_HOLD_MS);
    await apply(subject, 1);
    expect(cuts).toEqual([126]);
    void subject.send(announced(10, 2));
    await clock.settle();
    log.entryBytes = RAFT_LOG_BYTES_MAX / 100;
    await apply(subject, 100);
    expect(cuts.length).toBeGreaterThan(1);
  });

  it('Ensure that an image that did not arrive keeps nothing.', async () => {
    const subject = snapshotter({source: await imageSource()});
    const sent = subject.send(announced(10, 2));
    await clock.settle();
    await apply(subject, 30);
    endSending(new EngineError({code: 'timeout'}));
    await sent;
    await apply(subject, 1);
    expect(cuts).toEqual([26]);
  });
});

describe('an image that arrives', () => {
  const receive = async (message: SnapshotMessage) => {
    const reader = (await imageSource()).view();
    return inTime(snapshotter().receive(message, writeStateImage(reader, {clock}), 5));
  };

  it('Ensure that it is taken in when it is the one that was announced.', async () => {
    expect(await receive(announced(10, 2))).toBe(true);
    expect(images.paths()).toEqual(['source', 'store/1']);
  });

  it('Ensure that another one than was announced is refused before raft hears of it.', async () => {
    for (const message of [announced(11, 2), announced(10, 3)]) {
      const error = await receive(message).catch((reason: unknown) => reason);
      expect(error).toMatchObject({failure: {code: 'snapshotInvalid'}});
      images.remove('store');
    }
  });
});
