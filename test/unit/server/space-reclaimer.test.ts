import {describe, expect, it} from 'vitest';
import {
  RECLAIM_OVERLAY_BYTES_MAX,
  RECLAIM_SLICE_KEYS,
  RECLAIM_WATCHERS_WAIT_MS,
} from '../../../src/engine/limits.ts';
import {SnapshotSource} from '../../../src/engine/server/snapshot-source.ts';
import {SpaceReclaimer} from '../../../src/engine/server/space-reclaimer.ts';
import type {Store} from '../../../src/engine/storage/store.ts';
import {MemoryRecords} from '../../simulator/memory-records.ts';
import {SimulatedClock} from '../../simulator/simulated-clock.ts';
import {Machine, putOf, run, silentLogger} from '../state-machine/machine.ts';

const KEYS = 5 * RECLAIM_SLICE_KEYS;
const LATE = {pendingDeleteKeysMin: 2};

/** A clock by which every look at it takes time: each slice of work is one turn. */
class BusyClock extends SimulatedClock {
  override monotonicMs(): number {
    this.looks += 2;
    return super.monotonicMs() + this.looks;
  }
  looks = 0;
}

function reclaimed() {
  const machine = new Machine(undefined, LATE);
  const clock = new BusyClock();
  const state = {
    isBetweenEntries: true,
    overlayBytes: 0,
    seals: 0,
    settled: 0,
    underWay: false,
    failures: [] as unknown[],
  };
  const reclaimer = new SpaceReclaimer({
    mvcc: () => machine.mvcc,
    clock,
    logger: silentLogger,
    isBetweenEntries: () => state.isBetweenEntries,
    overlayBytes: () => state.overlayBytes,
    seal: () => state.seals++,
    onSettled: () => state.settled++,
    areWatchersUnderWay: () => state.underWay,
    onFailure: (error) => state.failures.push(error),
  });
  return {machine, clock, state, reclaimer};
}

function fill(machine: Machine): void {
  const success = Array.from({length: KEYS}, (_, i) => ({requestPut: putOf(`k${i}`, 'v')}));
  machine.txn({success});
}

const tombstones = (machine: Machine) =>
  [...machine.records.range('key', {})].filter(([key]) => key.length === 18).length;

/** Whether a promise is fulfilled by now. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol('open');
  await new Promise((resolve) => setImmediate(resolve));
  return (await Promise.race([promise, Promise.resolve(open)])) !== open;
}

describe('space reclaimer', () => {
  it('Ensure that tombstones are written slice by slice, sealed each time, and told when all are.', async () => {
    const {machine, clock, state, reclaimer} = reclaimed();
    fill(machine);
    machine.delete('k', 'l');
    reclaimer.reclaim();
    const settled = reclaimer.settled(machine.mvcc.currentRevision());
    expect(await isDone(reclaimer.settled(machine.mvcc.currentRevision() - 1))).toBe(true);
    let before = 0;
    while (state.settled === 0) {
      expect(tombstones(machine) - before).toBeLessThanOrEqual(2 * RECLAIM_SLICE_KEYS);
      before = tombstones(machine);
      expect(await isDone(settled)).toBe(false);
      await clock.advance(2);
    }
    await settled;
    expect(tombstones(machine)).toBe(KEYS);
    expect(state.seals).toBeGreaterThanOrEqual(3);
  });

  it('Ensure that nothing is done within an entry, over a full overlay, or while another state is loaded.', async () => {
    const {machine, clock, state, reclaimer} = reclaimed();
    fill(machine);
    machine.delete('k', 'l');
    reclaimer.reclaim();
    await clock.settle();
    const standing = tombstones(machine);
    expect(standing).toBeLessThan(KEYS);
    state.isBetweenEntries = false;
    await clock.advance(20);
    state.isBetweenEntries = true;
    state.overlayBytes = RECLAIM_OVERLAY_BYTES_MAX + 1;
    await clock.advance(20);
    expect(tombstones(machine)).toBe(standing);
    state.overlayBytes = 0;
    const ahead = new MemoryRecords();
    ahead.replaceBy(machine.records);
    new Machine(ahead, LATE).put('z');
    machine.records.replaceBy(ahead);
    const settled = reclaimer.settled(machine.mvcc.currentRevision());
    await clock.advance(20);
    expect(tombstones(machine)).toBe(standing);
    const load = machine.stateMachine.load();
    load.next();
    await clock.advance(20);
    expect([tombstones(machine), await isDone(settled)]).toEqual([standing, false]);
    run(load);
    await clock.advance(100);
    await settled;
    expect(tombstones(machine)).toBe(KEYS);
    expect(state.failures).toEqual([]);
  });

  it('Ensure that a compaction waits for the tombstones before it, and what comes meanwhile is done, too.', async () => {
    const {machine, clock, reclaimer} = reclaimed();
    fill(machine);
    machine.delete('k', 'l');
    machine.put('z');
    const revision = machine.mvcc.currentRevision();
    machine.compact(revision);
    const compacted = reclaimer.compacted(revision);
    await clock.settle();
    fill(machine);
    machine.delete('k', 'l');
    const {mvcc} = machine;
    for (let i = 0; i < 1_000 && !mvcc.isSettled(mvcc.currentRevision()); i++) await clock.advance(2);
    await compacted;
    expect(mvcc.finishedCompactRevision()).toBe(revision);
    expect(tombstones(machine)).toBe(KEYS);
    await clock.advance(10);
    fill(machine);
    machine.delete('k', 'l');
    reclaimer.reclaim();
    await clock.advance(200);
    expect(mvcc.isSettled(mvcc.currentRevision())).toBe(true);
  });

  it('Ensure that watchers of a deletion may pass before a compaction, but not hold it up for good.', async () => {
    for (const isStuck of [false, true]) {
      const {machine, clock, state, reclaimer} = reclaimed();
      fill(machine);
      machine.delete('k', 'l');
      machine.put('z');
      const revision = machine.mvcc.currentRevision();
      machine.compact(revision);
      state.underWay = true;
      const compacted = reclaimer.compacted(revision);
      while (state.settled === 0) await clock.advance(2);
      await clock.advance(20);
      expect([machine.mvcc.historyStart(), tombstones(machine)]).toEqual([-1, KEYS]);
      if (!isStuck) state.underWay = false;
      const startedMs = clock.monotonicMs();
      while (!(await isDone(compacted))) await clock.advance(2);
      expect(clock.monotonicMs() - startedMs > RECLAIM_WATCHERS_WAIT_MS / 2).toBe(isStuck);
      expect([machine.mvcc.historyStart(), tombstones(machine)]).toEqual([revision, 0]);
    }
  });

  it('Ensure that who waits hears of the stop.', async () => {
    const {machine, clock, reclaimer} = reclaimed();
    fill(machine);
    machine.delete('k', 'l');
    const waiting = reclaimer.settled(machine.mvcc.currentRevision());
    const stopped = reclaimer.stop();
    await expect(waiting).rejects.toThrow('stopped');
    await clock.advance(10);
    await stopped;
    await expect(reclaimer.settled(machine.mvcc.currentRevision())).rejects.toThrow('stopped');
    expect(tombstones(machine)).toBeLessThan(KEYS);
  });
});

describe('snapshot source', () => {
  it('Ensure that no image is read with a deletion half written, however many deletions follow.', async () => {
    const {machine, clock, reclaimer} = reclaimed();
    let reads = 0;
    const read = async () => {
      expect(machine.mvcc.isSettled(Number.POSITIVE_INFINITY)).toBe(true);
      expect([...machine.records.range('kvd', {})]).toEqual([]);
      return ++reads;
    };
    const store = {flush: () => clock.yield(), backend: {hashRecords: read}} as unknown as Store;
    const source = new SnapshotSource({store, mvcc: () => machine.mvcc, reclaimer, logger: silentLogger});
    fill(machine);
    machine.delete('k', 'l');
    const hash = source.hash(new AbortController().signal);
    for (let i = 0; i < 100 && reads === 0; i++) {
      fill(machine);
      machine.delete('k', 'l');
      reclaimer.reclaim();
      await clock.advance(2);
    }
    expect(await hash).toBe(1);
    fill(machine);
    machine.delete('k', 'l');
    expect(machine.mvcc.isSettled(machine.mvcc.currentRevision())).toBe(false);
  });
});
