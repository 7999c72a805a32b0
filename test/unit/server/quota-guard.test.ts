/** What counts towards the quota while the store has yet to commit it. */

import {describe, expect, it} from 'vitest';
import {OVERLAY_BYTES_MAX} from '../../../src/engine/limits.ts';
import {QuotaGuard} from '../../../src/engine/server/quota-guard.ts';
import type {Command} from '../../../src/engine/state-machine/command.ts';
import {encodeTombstoneRevision} from '../../../src/engine/state-machine/mvcc/revision.ts';
import {type Alarm, AlarmType} from '../../../src/engine/types.ts';
import {putOf} from '../../simulator/requests.ts';
import {bytes, markAt, StoreWorld} from '../storage-store/store-world.ts';

const RECORDS = 30_000;
const VALUE = Buffer.alloc(100);
const PUT: Command = {type: 'put', request: putOf('k', 'v')};
const keyAt = (i: number) => bytes(`key${i}`);

/** A store that holds many records, all committed, and a quota with `leftBytes` more. */
async function nearlyFull({leftBytes}: {leftBytes: number}) {
  const world = new StoreWorld();
  const {store} = await world.open();
  store.start();
  for (let i = 0; i < RECORDS; i++) store.put('key', keyAt(i), VALUE);
  store.mark(markAt(1));
  await world.run(store.flush());
  const raised: Alarm[] = [];
  let overlayBytes = () => store.overlayBytes();
  const guard = new QuotaGuard({
    memberId: 1n,
    quotaBytes: store.size().inUseBytes + leftBytes,
    inUseBytes: () => store.size().inUseBytes,
    overlayBytes: () => overlayBytes(),
    overlayPutBytes: () => store.overlayPutBytes(),
    alarmed: () => false,
    raise: async (alarm) => raised.push(alarm),
  });
  const setOverlayBytes = (count: number) => {
    overlayBytes = () => count;
  };
  return {world, store, guard, raised, setOverlayBytes};
}

describe('quota guard', () => {
  it('Ensure that deletions that are not committed yet take no space: a put behind very many passes.', async () => {
    const {world, store, guard, raised} = await nearlyFull({leftBytes: 1_000});
    for (let i = 0; i < RECORDS; i++) store.delete('key', keyAt(i));
    store.mark(markAt(2));
    guard.check(PUT);
    const before = store.size().inUseBytes;
    await world.run(store.flush());
    expect(store.size().inUseBytes).toBeLessThan(before);
    guard.check(PUT);
    expect(raised).toEqual([]);
  });

  it('Ensure that a tombstone that is not committed yet counts with its bytes, not with what it takes in memory.', async () => {
    const {store, guard, raised} = await nearlyFull({leftBytes: RECORDS * 64});
    for (let i = 0; i < RECORDS; i++) store.put('key', encodeTombstoneRevision(2, i), keyAt(i));
    store.mark(markAt(2));
    expect(store.overlayBytes()).toBeGreaterThan(RECORDS * 128);
    guard.check(PUT);
    expect(raised).toEqual([]);
  });

  it('Ensure that records that are not committed yet count: what outgrows the quota is refused, and told once.', async () => {
    const {store, guard, raised} = await nearlyFull({leftBytes: 10_000});
    for (let i = 0; i < 100; i++) store.put('key', bytes(`new${i}`), VALUE);
    store.mark(markAt(2));
    expect(() => guard.check(PUT)).toThrow(expect.objectContaining({code: 'noSpace'}));
    expect(() => guard.check(PUT)).toThrow(expect.objectContaining({code: 'noSpace'}));
    expect(raised).toEqual([{memberId: 1n, alarm: AlarmType.noSpace}]);
    guard.check({type: 'compact', revision: 1});
  });

  it('Ensure that all that waits in memory counts towards the bound of memory, deletions among it.', async () => {
    const {guard, raised, setOverlayBytes} = await nearlyFull({leftBytes: 10_000});
    setOverlayBytes(OVERLAY_BYTES_MAX + 1);
    expect(() => guard.check({type: 'compact', revision: 1})).toThrow(
      expect.objectContaining({code: 'tooManyRequests'}),
    );
    expect(raised).toEqual([]);
  });
});
