import * as fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import type {Backend} from '../../../src/engine/ports.ts';
import type {Store} from '../../../src/engine/storage/store.ts';
import {bytes, codeOf, markAt, read, StoreWorld, textOf} from './store-world.ts';

const put = (store: Store, key: string, value: string) => store.put('key', bytes(key), bytes(value));
const remove = (store: Store, key: string) => store.delete('key', bytes(key));
const get = (store: Store, key: string) => textOf(store.get('key', bytes(key)));

describe('store', () => {
  it('Ensure that a change is visible at once, before and after its commit.', async () => {
    const world = new StoreWorld();
    const {store, backend} = await world.open('store', {commitIntervalMs: 100});
    store.start();
    put(store, 'a', '1');
    put(store, 'b', '2');
    store.mark(markAt(1));
    expect([get(store, 'a'), backend.count('key')]).toEqual(['1', 0]);
    await world.clock.advance(105);
    put(store, 'a', 'newer');
    expect(get(store, 'a')).toBe('newer');
    await world.clock.advance(10);
    expect([backend.count('key'), textOf(backend.get('key', bytes('a')))]).toEqual([2, '1']);
    expect([get(store, 'a'), get(store, 'b'), get(store, 'c')]).toEqual(['newer', '2', undefined]);
    remove(store, 'b');
    expect(get(store, 'b')).toBeUndefined();
    expect(read(store, 'key')).toEqual(['a=newer']);
    expect(store.committed()).toEqual(markAt(1));
    expect(store.applied()).toEqual(markAt(1));
  });

  it('Ensure that only whole entries reach the backend, however long they take.', async () => {
    const world = new StoreWorld();
    const {store, backend} = await world.open();
    store.start();
    put(store, 'a', '1');
    store.mark(markAt(1));
    put(store, 'b', 'half of entry 2');
    await world.clock.advance(1_000);
    expect(backend.count('key')).toBe(0);
    put(store, 'c', 'the other half');
    store.mark(markAt(2));
    await world.clock.advance(20);
    expect([backend.count('key'), backend.applied()]).toEqual([3, markAt(2)]);
    put(store, 'd', 'never finished');
    await world.run(store.stop());
    expect([backend.count('key'), backend.applied()]).toEqual([3, markAt(2)]);
  });

  it('Ensure that many changes are committed at once, and few after the interval, in one commit.', async () => {
    const world = new StoreWorld();
    const {store, backend} = await world.open('store', {commitRecords: 10, commitIntervalMs: 100});
    store.start();
    for (let i = 1; i <= 10; i++) {
      put(store, `k${i}`, 'v');
      store.mark(markAt(i));
    }
    await world.clock.advance(15);
    expect(backend.applied()).toEqual(markAt(10));
    for (let i = 11; i <= 15; i++) {
      put(store, `k${i}`, 'v');
      store.mark(markAt(i));
      await world.clock.advance(5);
    }
    expect(backend.applied()).toEqual(markAt(10));
    await world.clock.advance(100);
    expect(backend.applied()).toEqual(markAt(15));
    expect(world.metrics.get('etcd_disk_backend_commit_duration_seconds')).toEqual([0.01, 0.01]);
    expect(store.overlayBytes()).toBe(0);
  });

  it('Ensure that flushes share commits and resolve when their marks are durable.', async () => {
    const world = new StoreWorld();
    const {store, backend} = await world.open();
    expect(await store.flush()).toEqual({index: 0, term: 0, hash: 0});
    put(store, 'a', '1');
    store.mark(markAt(1));
    const first = store.flush();
    await world.clock.advance(1);
    put(store, 'b', '2');
    store.mark(markAt(2));
    const others = Promise.all([store.flush(), store.flush()]);
    expect((await world.run(first)).index).toBe(1);
    expect(await world.run(others)).toEqual([markAt(2), markAt(2)]);
    expect(world.metrics.get('etcd_disk_backend_commit_duration_seconds')?.length).toBe(2);
    expect(backend.count('key')).toBe(2);
    // Again marked at the same index, as a compaction's deletions are.
    remove(store, 'a');
    store.mark(markAt(2));
    await world.run(store.flush());
    expect(backend.count('key')).toBe(1);
  });

  it('Ensure that a view holds exactly its mark.', async () => {
    const world = new StoreWorld();
    const {store} = await world.open();
    put(store, 'a', '1');
    store.mark(markAt(3));
    const {mark, reader} = await world.run(store.view());
    put(store, 'a', '2');
    store.mark(markAt(4));
    await world.run(store.flush());
    expect(mark).toEqual(markAt(3));
    expect(read(reader, 'key')).toEqual(['a=1']);
    expect(reader.applied()).toEqual(markAt(3));
    reader.close();
  });

  it('Ensure that a full disk costs nothing but time.', async () => {
    const world = new StoreWorld();
    const {store, backend} = await world.open();
    store.start();
    world.disk.isFull = true;
    put(store, 'a', '1');
    store.mark(markAt(1));
    const flushed = store.flush();
    await world.clock.advance(3_000);
    put(store, 'a', '2');
    store.mark(markAt(2));
    expect([get(store, 'a'), backend.applied(), world.failures]).toEqual(['2', undefined, []]);
    expect(world.warnings.length).toBeGreaterThan(3);
    expect(world.warnings.length).toBeLessThan(10);
    expect(store.overlayBytes()).toBeGreaterThan(0);
    world.disk.isFull = false;
    expect((await world.run(flushed)).index).toBe(1);
    await world.run(store.flush());
    expect([textOf(backend.get('key', bytes('a'))), store.overlayBytes()]).toEqual(['2', 0]);
  });

  it('Ensure that stopping on a full disk ends, and rejects who waits.', async () => {
    const world = new StoreWorld();
    const {store, backend} = await world.open();
    store.start();
    world.disk.isFull = true;
    put(store, 'a', '1');
    store.mark(markAt(1));
    const flushed = codeOf(store.flush());
    await world.clock.advance(500);
    await world.run(store.stop());
    expect(await flushed).toBe('stopped');
    expect(backend.applied()).toBeUndefined();
    expect(await codeOf(store.flush())).toBe('stopped');
  });

  it('Ensure that stopping commits what is marked.', async () => {
    const world = new StoreWorld();
    const {store, backend} = await world.open();
    store.start();
    put(store, 'a', '1');
    store.mark(markAt(1));
    await world.run(store.stop());
    expect(backend.applied()).toEqual(markAt(1));
    await world.run(store.stop());
  });

  it('Ensure that another failure of a commit is reported once and ends all commits.', async () => {
    const world = new StoreWorld();
    const {store, backend} = await world.open();
    const failure = new EngineError({code: 'diskError', path: 'store', operation: 'commit', detail: 'EIO'});
    backend.commit = () => Promise.reject(failure);
    store.start();
    put(store, 'a', '1');
    store.mark(markAt(1));
    const flushed = codeOf(store.flush());
    await world.clock.advance(1_000);
    store.mark(markAt(2));
    await world.clock.advance(1_000);
    expect(await flushed).toBe('diskError');
    expect(world.failures).toEqual([failure]);
    expect(await codeOf(store.flush())).toBe('diskError');
    expect(get(store, 'a')).toBe('1');
    await world.run(store.stop());
  });

  it('Ensure that an arrived image replaces everything, a commit and a wait under way included.', async () => {
    const world = new StoreWorld();
    const {store, backend} = await world.open();
    store.start();
    put(store, 'old', '1');
    store.mark(markAt(1));
    const flushed = store.flush();
    put(store, 'older', '2');
    const standing = store.range('key', {});
    expect(textOf(standing.next().value?.[0])).toBe('old');
    const other = await world.run(world.disk.open('other'));
    const puts = [{table: 'key' as const, key: bytes('z'), value: bytes('26')}];
    await world.run(other.commit({puts, deletes: [], applied: markAt(50)}));
    expect(await world.run(store.replaceBackend(other))).toBe(backend);
    await world.run(flushed);
    expect([store.applied(), store.committed(), store.overlayBytes()]).toEqual([markAt(50), markAt(50), 0]);
    expect(read(store, 'key')).toEqual(['z=26']);
    expect([...standing].map(([key]) => textOf(key))).toEqual(['z']);
    put(store, 'y', '25');
    store.mark(markAt(51));
    await world.run(store.flush());
    expect(read(other, 'key')).toEqual(['y=25', 'z=26']);
    expect(backend.count('key')).toBeLessThan(2);
  });

  it('Ensure that a replacement on a full disk, and during a defragmentation, goes through.', async () => {
    const world = new StoreWorld();
    const {store} = await world.open();
    store.start();
    put(store, 'a', '1');
    store.mark(markAt(1));
    await world.run(store.flush());
    const other = await world.run(world.disk.open('other'));
    await world.run(other.commit({puts: [], deletes: [], applied: markAt(9)}));
    const defragmented = store.defragment();
    expect(store.defragment()).toBe(defragmented);
    world.disk.isFull = true;
    put(store, 'a', '2');
    store.mark(markAt(2));
    const isFull = codeOf(defragmented);
    await world.clock.advance(200);
    expect(await isFull).toBe('diskFull');
    await world.run(store.replaceBackend(other));
    expect(store.applied()).toEqual(markAt(9));
    world.disk.isFull = false;
    put(store, 'b', '1');
    store.mark(markAt(10));
    await world.run(store.flush());
    expect(read(other, 'key')).toEqual(['b=1']);
  });

  it('Ensure that a store over a crashed disk goes on from its last durable mark.', async () => {
    for (const landed of [false, true]) {
      const world = new StoreWorld();
      const {store} = await world.open();
      store.start();
      put(store, 'a', '1');
      store.mark(markAt(1));
      await world.run(store.flush());
      put(store, 'b', '2');
      store.mark(markAt(2));
      void store.flush();
      await world.clock.advance(2);
      world.disk.crash({landed});
      const after = await world.open();
      expect(after.store.applied().index).toBe(landed ? 2 : 1);
      expect(read(after.store, 'key')).toEqual(landed ? ['a=1', 'b=2'] : ['a=1']);
      world.disk.crash({landed: false, commitsLost: 1});
      const earlier = await world.open();
      expect(earlier.store.applied().index).toBe(landed ? 1 : 0);
    }
  });

  it('Ensure that ranges equal a model over any mix of changes, commits, bounds and directions.', async () => {
    const key = fc.integer({min: 0, max: 30}).map((n) => `k${String(n).padStart(2, '0')}`);
    const action = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({type: fc.constant('put' as const), key, value: fc.nat(99).map(String)}),
      },
      {weight: 3, arbitrary: fc.record({type: fc.constant('delete' as const), key})},
      {weight: 2, arbitrary: fc.record({type: fc.constant('mark' as const)})},
      {
        weight: 2,
        arbitrary: fc.record({type: fc.constant('time' as const), ms: fc.integer({min: 1, max: 150})}),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          type: fc.constant('range' as const),
          from: fc.option(key),
          to: fc.option(key),
          reverse: fc.boolean(),
        }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, {maxLength: 60}), async (actions) => {
        const world = new StoreWorld(30);
        const {store} = await world.open();
        store.start();
        const model = new Map<string, string>();
        let index = 0;
        for (const step of actions) {
          if (step.type === 'put') {
            put(store, step.key, step.value);
            model.set(step.key, step.value);
          } else if (step.type === 'delete') {
            remove(store, step.key);
            model.delete(step.key);
          } else if (step.type === 'mark') store.mark(markAt(++index));
          else if (step.type === 'time') await world.clock.advance(step.ms);
          else {
            const {from, to, reverse} = step;
            const range = {
              from: from === null ? undefined : bytes(from),
              to: to === null ? undefined : bytes(to),
              reverse,
            };
            const expected = [...model]
              .filter(([name]) => (from === null || name >= from) && (to === null || name < to))
              .sort()
              .map(([name, value]) => `${name}=${value}`);
            expect(read(store, 'key', range)).toEqual(reverse ? expected.reverse() : expected);
          }
        }
        store.mark(markAt(++index));
        await world.run(store.stop());
        for (const [name, value] of model) expect(get(store, name)).toBe(value);
      }),
      {numRuns: 150},
    );
  });

  it('Ensure that a standing range never repeats a record nor shows one deleted before it began.', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(200), fc.constantFrom('put', 'delete', 'mark', 'time')), {maxLength: 80}),
        fc.boolean(),
        async (steps, reverse) => {
          const world = new StoreWorld(3);
          const {store} = await world.open('store', {commitIntervalMs: 5});
          store.start();
          const name = (n: number) => `k${String(n).padStart(3, '0')}`;
          for (let n = 0; n < 200; n++) put(store, name(n), 'v');
          store.mark(markAt(1));
          await world.run(store.flush());
          const goneBefore = new Set([3, 50, 51, 120].map(name));
          for (const key of goneBefore) remove(store, key);
          store.mark(markAt(2));
          const untouched = new Set(
            Array.from({length: 200}, (_, n) => name(n)).filter((key) => !goneBefore.has(key)),
          );
          const seen: string[] = [];
          let at = 0;
          let index = 2;
          for (const [key] of store.range('key', {reverse})) {
            seen.push(textOf(key)!);
            const [n, what] = steps[at++ % Math.max(1, steps.length)] ?? [0, 'none'];
            if (what === 'put') put(store, name(n), 'w');
            if (what === 'put') goneBefore.delete(name(n));
            if (what === 'delete') remove(store, name(n));
            if (what === 'delete') untouched.delete(name(n));
            if (what === 'mark') store.mark(markAt(++index));
            if (what === 'time') await world.clock.advance(7);
          }
          const sorted = [...new Set(seen)].sort();
          expect(seen).toEqual(reverse ? sorted.reverse() : sorted);
          for (const key of goneBefore) expect(seen).not.toContain(key);
          for (const key of untouched) expect(seen).toContain(key);
        },
      ),
      {numRuns: 60},
    );
  });

  it('Ensure that the size metrics follow commits and defragmentations.', async () => {
    const world = new StoreWorld();
    const {store, backend} = await world.open();
    put(store, 'a', 'x'.repeat(10_000));
    store.mark(markAt(1));
    await world.run(store.flush());
    remove(store, 'a');
    put(store, 'b', '1');
    store.mark(markAt(2));
    await world.run(store.flush());
    const sizes: Backend['size'] = () => ({
      fileBytes: world.metrics.get('etcd_mvcc_db_total_size_in_bytes')!.at(-1)!,
      inUseBytes: world.metrics.get('etcd_mvcc_db_total_size_in_use_in_bytes')!.at(-1)!,
    });
    expect(sizes()).toEqual(backend.size());
    expect(sizes().fileBytes).toBeGreaterThan(10_000);
    await world.run(store.defragment());
    expect(sizes()).toEqual(backend.size());
    expect(sizes().fileBytes).toBe(sizes().inUseBytes);
    expect(world.metrics.get('etcd_disk_backend_defrag_duration_seconds')).toEqual([0.01]);
  });
});
