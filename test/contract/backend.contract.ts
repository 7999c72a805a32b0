/** What every Backend must do; run on the real one and on the simulator's by backend.test.ts. */

import {afterEach, beforeEach, describe, expect, it} from 'vitest';
import type {EngineError} from '../../src/engine/errors.ts';
import {NodeClock} from '../../src/engine/io/clock.ts';
import {createSha256} from '../../src/engine/io/digest.ts';
import type {Backend, BackendReader} from '../../src/engine/ports.ts';
import {exportHash, exportSnapshot} from '../../src/engine/storage/snapshot-file/image-export.ts';
import {readStateImage, writeStateImage} from '../../src/engine/storage/state-image.ts';
import {type RecordRange, TABLES, type Table} from '../../src/engine/types.ts';
import {collect} from '../unit/snapshot-file/snapshot-samples.ts';

/** One disk under test. */
export interface BackendWorld {
  open(path: string): Promise<Backend>;
  /** Changes a byte of the stored record while no handle is open; the value is unique in the file. */
  damage(path: string, record: {table: Table; key: Uint8Array; value: Uint8Array}): Promise<void>;
  stop(): Promise<void>;
}

const bytes = (text: string) => Buffer.from(text, 'latin1');
const textOf = (value: Uint8Array) => Buffer.from(value).toString('latin1');
const put = (table: Table, key: string, value: string) => ({table, key: bytes(key), value: bytes(value)});
const markAt = (index: number) => ({index, term: 1, hash: (index * 2654435761) >>> 0});

function read(reader: BackendReader, table: Table, range: RecordRange = {}): string[] {
  return [...reader.range(table, range)].map(([key, value]) => `${textOf(key)}=${textOf(value)}`);
}

/** Everything in it, checked for order and counts. */
export function dump(reader: BackendReader): Record<string, string[]> {
  return Object.fromEntries(
    TABLES.map((table) => {
      const keys = [...reader.range(table, {})].map(([key]) => textOf(key));
      expect(keys).toEqual([...keys].sort());
      expect(reader.count(table)).toBe(keys.length);
      const reversed = [...reader.range(table, {reverse: true})].map(([key]) => textOf(key));
      expect(reversed.reverse()).toEqual(keys);
      return [table, read(reader, table)];
    }),
  );
}

export function describeBackend(name: string, makeWorld: () => Promise<BackendWorld>): void {
  describe(`backend contract: ${name}`, () => {
    let world: BackendWorld;
    let backend: Backend;

    beforeEach(async () => {
      world = await makeWorld();
      backend = await world.open('store');
    });

    afterEach(async () => {
      // The whole store is checked after every test, unless the test has closed it.
      if (!closed) dump(backend);
      if (!closed) await backend.close();
      closed = false;
      await world.stop();
    });
    let closed = false;

    const commit = (index: number, puts: ReturnType<typeof put>[], deletes: [Table, string][] = []) =>
      backend.commit({
        puts,
        deletes: deletes.map(([table, key]) => ({table, key: bytes(key)})),
        applied: markAt(index),
      });

    it('Ensure that a fresh backend is empty and has no mark.', () => {
      expect(backend.applied()).toBeUndefined();
      for (const table of TABLES) {
        expect(backend.count(table)).toBe(0);
        expect(read(backend, table)).toEqual([]);
        expect(backend.get(table, bytes('a'))).toBeUndefined();
      }
    });

    it('Ensure that a commit puts, overwrites, deletes and carries its mark.', async () => {
      await commit(1, [put('key', 'a', '1'), put('key', 'b', '2'), put('lease', 'a', '3')]);
      expect(backend.applied()).toEqual(markAt(1));
      await commit(
        2,
        [put('key', 'b', '22'), put('key', 'c', ''), put('key', 'c', 'last')],
        [
          ['key', 'a'],
          ['key', 'none'],
        ],
      );
      expect(read(backend, 'key')).toEqual(['b=22', 'c=last']);
      expect(read(backend, 'lease')).toEqual(['a=3']);
      expect(backend.get('key', bytes('a'))).toBeUndefined();
      expect(textOf(backend.get('key', bytes('b'))!)).toBe('22');
      expect([backend.count('key'), backend.count('lease')]).toEqual([2, 1]);
      expect(backend.applied()).toEqual(markAt(2));
    });

    it('Ensure that reads in the turn of a commit see it at once, and not before it resolves.', async () => {
      await commit(1, [put('key', 'a', 'old')]);
      expect(textOf(backend.get('key', bytes('a'))!)).toBe('old');
      const standing = commit(2, [put('key', 'a', 'new')]);
      expect(textOf(backend.get('key', bytes('a'))!)).toBe('old');
      await standing;
      expect(textOf(backend.get('key', bytes('a'))!)).toBe('new');
      expect(read(backend, 'key')).toEqual(['a=new']);
    });

    it('Ensure that reading all the time never makes a commit invisible when it has resolved.', async () => {
      let isReading = true;
      const readOn = () => {
        if (!isReading) return;
        backend.get('key', bytes('a'));
        setImmediate(readOn);
      };
      readOn();
      for (let i = 1; i <= 200; i++) {
        await commit(i, [put('key', 'a', String(i))]);
        expect(textOf(backend.get('key', bytes('a'))!)).toBe(String(i));
      }
      isReading = false;
    });

    it('Ensure that empty values, zero bytes, 0xff keys and values of megabytes survive.', async () => {
      const large = Buffer.alloc(3_000_000, 0xab);
      await backend.commit({
        puts: [
          {table: 'key', key: Buffer.from([0]), value: Buffer.alloc(0)},
          {table: 'key', key: Buffer.from([0, 0]), value: Buffer.from([0])},
          {table: 'key', key: Buffer.alloc(1_978, 0xff), value: large},
          {table: 'key', key: Buffer.from([0xff]), value: Buffer.from([1])},
        ],
        deletes: [],
        applied: markAt(1),
      });
      expect(backend.get('key', Buffer.from([0]))!.length).toBe(0);
      expect(Buffer.compare(backend.get('key', Buffer.alloc(1_978, 0xff))!, large)).toBe(0);
      expect([...backend.range('key', {})].map(([key]) => key.length)).toEqual([1, 2, 1, 1_978]);
      expect([...backend.range('key', {reverse: true})].map(([, value]) => value.length)).toEqual([
        3_000_000, 1, 1, 0,
      ]);
    });

    it('Ensure that ranges are half-open, ordered and reversible over any bounds.', async () => {
      const keys = Array.from({length: 1_000}, (_, i) => String(i).padStart(4, '0'));
      await commit(
        1,
        keys.map((key) => put('key', key, `v${key}`)),
      );
      const bounds = ['0000', '0001', '0003x', '0004', '0500', '0999', '0999x', '5'];
      for (const reverse of [false, true]) {
        for (const from of [undefined, '', ...bounds]) {
          for (const to of [undefined, ...bounds]) {
            const range = {
              from: from === undefined ? undefined : bytes(from),
              to: to === undefined ? undefined : bytes(to),
              reverse,
            };
            const expected = keys.filter((key) => key >= (from ?? '') && (to === undefined || key < to));
            if (reverse) expected.reverse();
            expect([...backend.range('key', range)].map(([key]) => textOf(key))).toEqual(expected);
          }
        }
      }
      expect(read(backend, 'key', {to: bytes('')})).toEqual([]);
    });

    it('Ensure that bounds and lookups longer than any key are compared as they stand.', async () => {
      const prefix = 'p'.repeat(1_978);
      await commit(1, [put('key', 'a', '1'), put('key', prefix, '2'), put('key', 'z', '3')]);
      const long = bytes(`${prefix}xyz`);
      expect(backend.get('key', long)).toBeUndefined();
      expect([...backend.range('key', {from: long})].length).toBe(1);
      expect([...backend.range('key', {to: long})].length).toBe(2);
      expect([...backend.range('key', {from: long, reverse: true})].length).toBe(1);
      expect([...backend.range('key', {to: long, reverse: true})].length).toBe(2);
    });

    it('Ensure that records stay as they are after the iterator moved on and after later commits.', async () => {
      await commit(
        1,
        Array.from({length: 600}, (_, i) => put('key', String(1_000 + i), `value ${i}`)),
      );
      const records = [...backend.range('key', {})];
      await commit(
        2,
        Array.from({length: 600}, (_, i) => put('key', String(1_000 + i), `other ${i}`)),
      );
      for (const [i, [, value]] of records.entries()) expect(textOf(value)).toBe(`value ${i}`);
    });

    it('Ensure that a range goes on in order while commits and a defragmentation come between.', async () => {
      await commit(
        1,
        Array.from({length: 2_000}, (_, i) => put('key', String(10_000 + i), 'x')),
      );
      const seen: string[] = [];
      let index = 1;
      for (const [key] of backend.range('key', {})) {
        seen.push(textOf(key));
        if (seen.length % 400 === 0) await commit(++index, [put('key', `0${index}`, 'before')]);
        if (seen.length === 1_000) await backend.defragment();
      }
      expect(seen).toEqual(Array.from({length: 2_000}, (_, i) => String(10_000 + i)));
    });

    it('Ensure that a range that is dropped half-way leaves everything usable.', async () => {
      await commit(
        1,
        Array.from({length: 2_000}, (_, i) => put('key', String(10_000 + i), 'x')),
      );
      for (let i = 0; i < 500; i++) {
        const range = backend.range('key', {});
        range.next();
        if (i % 2 === 0) range.return?.();
      }
      await commit(2, [put('key', 'a', '1')]);
      await backend.defragment();
      expect(backend.count('key')).toBe(2_001);
    });

    it('Ensure that a view keeps its image over commits and a defragmentation.', async () => {
      await commit(
        1,
        Array.from({length: 1_000}, (_, i) => put('key', String(1_000 + i), 'old')),
      );
      const view = backend.view();
      const standing = view.range('key', {});
      expect(textOf(standing.next().value![1])).toBe('old');
      await commit(2, [
        put('lease', 'x', '1'),
        ...Array.from({length: 500}, (_, i) => put('key', String(1_000 + i), 'new')),
      ]);
      await backend.defragment();
      await commit(
        3,
        [],
        [
          ['key', '1000'],
          ['key', '1001'],
        ],
      );
      expect([...standing].map(([, value]) => textOf(value))).toEqual(Array(999).fill('old'));
      expect(dump(view).lease).toEqual([]);
      expect(view.count('key')).toBe(1_000);
      expect(view.applied()).toEqual(markAt(1));
      expect(textOf(view.get('key', bytes('1000'))!)).toBe('old');
      expect(backend.get('key', bytes('1000'))).toBeUndefined();
      view.close();
      expect(backend.count('key')).toBe(998);
      expect(backend.applied()).toEqual(markAt(3));
    });

    it('Ensure that defragmenting gives space back, loses nothing, and lets commits wait their turn.', async () => {
      const value = 'v'.repeat(1_000);
      await commit(
        1,
        Array.from({length: 4_000}, (_, i) => put('key', String(10_000 + i), value)),
      );
      await commit(
        2,
        [],
        Array.from({length: 3_900}, (_, i) => ['key', String(10_000 + i)] as [Table, string]),
      );
      const before = backend.size();
      expect(before.inUseBytes).toBeLessThan(before.fileBytes / 3);
      const defragmented = backend.defragment();
      await Promise.all([defragmented, commit(3, [put('key', 'during', '1')])]);
      const after = backend.size();
      expect(after.fileBytes).toBeLessThan(before.fileBytes / 3);
      expect(after.fileBytes).toBeLessThanOrEqual(after.inUseBytes * 1.5 + 65_536);
      expect(backend.count('key')).toBe(101);
      expect(backend.applied()).toEqual(markAt(3));
      await backend.defragment();
      expect(textOf(backend.get('key', bytes('during'))!)).toBe('1');
    });

    it('Ensure that all is there after closing and opening, defragmented or not.', async () => {
      await commit(7, [put('key', 'a', '1'), put('auth', 'authRevision', 'r')]);
      await backend.close();
      backend = await world.open('store');
      expect(backend.applied()).toEqual(markAt(7));
      await backend.defragment();
      await commit(8, [put('key', 'b', '2')]);
      const before = dump(backend);
      await backend.close();
      backend = await world.open('store');
      expect(dump(backend)).toEqual(before);
      expect(backend.applied()).toEqual(markAt(8));
    });

    it('Ensure that a batch without a mark leaves the image unmarked until one with a mark comes.', async () => {
      await commit(0, [put('key', 'a', '1')]);
      expect(backend.applied()).toBeUndefined();
      await backend.close();
      backend = await world.open('store');
      expect(backend.applied()).toBeUndefined();
      expect(backend.count('key')).toBe(1);
      await commit(5, []);
      expect(backend.applied()).toEqual(markAt(5));
    });

    it('Ensure that a state image travels from one to another and comes out the same.', async () => {
      const source = await world.open('source');
      const puts = Array.from({length: 5_000}, (_, i) =>
        put(i % 3 === 0 ? 'lease' : 'key', String(i), 'v'.repeat(i % 300)),
      );
      await source.commit({puts, deletes: [], applied: markAt(9)});
      const view = source.view();
      await source.commit({puts: [put('key', 'later', '1')], deletes: [], applied: markAt(10)});
      expect(await readStateImage(writeStateImage(view, {clock: new NodeClock()}), backend)).toEqual(
        markAt(9),
      );
      expect(dump(backend)).toEqual(dump(view));
      view.close();
      await source.close();
    });

    it('Ensure that a snapshot file and its hash are of the newest image, and of one alone.', async () => {
      const {signal} = new AbortController();
      await commit(1, [put('key', 'a', 'old'), put('key', 'b', 'x'.repeat(100_000)), put('lease', 'l', '1')]);
      const view = backend.view();
      const ports = {clock: new NodeClock(), sha256: createSha256};
      const expected = await collect((await exportSnapshot(view, ports)).chunks);
      const hash = await exportHash(backend.view(), ports.clock);
      expect(await backend.hashRecords(signal)).toBe(hash);
      const {totalBytes, chunks} = await backend.exportSnapshot(signal);
      await commit(2, [put('key', 'a', 'new')]);
      const exported = await collect(chunks);
      expect(exported.equals(expected)).toBe(true);
      expect(totalBytes).toBe(expected.length);
      expect(await backend.hashRecords(signal)).not.toBe(hash);
    });

    it('Ensure that a snapshot that nobody reads on leaves the backend usable.', async () => {
      await commit(1, [put('key', 'a', '1'), put('key', 'b', 'x'.repeat(1_000_000))]);
      const {chunks} = await backend.exportSnapshot(new AbortController().signal);
      for await (const chunk of chunks) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      await commit(2, [put('key', 'a', '2')]);
      await backend.defragment();
      expect(textOf(backend.get('key', bytes('a'))!)).toBe('2');
    });

    it('Ensure that two backends side by side do not see each other.', async () => {
      const other = await world.open('other');
      await commit(1, [put('key', 'a', '1')]);
      expect(other.get('key', bytes('a'))).toBeUndefined();
      await other.commit({puts: [put('key', 'b', '2')], deletes: [], applied: markAt(2)});
      await other.close();
      expect(read(backend, 'key')).toEqual(['a=1']);
    });

    it('Ensure that a damaged record is reported and never handed out.', async () => {
      const record = put('key', 'damaged', 'a value that stands once in the file');
      await commit(1, [put('key', 'a', '1'), record, put('key', 'z', '2')]);
      await backend.close();
      await world.damage('store', record);
      backend = await world.open('store');
      closed = true;
      expect(codeOf(() => backend.get('key', record.key))).toBe('storeCorrupt');
      expect(codeOf(() => [...backend.range('key', {})])).toBe('storeCorrupt');
      expect(codeOf(() => [...backend.range('key', {reverse: true})])).toBe('storeCorrupt');
      const {signal} = new AbortController();
      await expect(backend.hashRecords(signal)).rejects.toMatchObject({code: 'storeCorrupt'});
      await expect(backend.exportSnapshot(signal)).rejects.toMatchObject({code: 'storeCorrupt'});
      // The others are whole, and the damaged one can be overwritten.
      expect(textOf(backend.get('key', bytes('z'))!)).toBe('2');
      await commit(2, [put('key', 'damaged', 'mended')]);
      expect(read(backend, 'key')).toEqual(['a=1', 'damaged=mended', 'z=2']);
      await backend.close();
    });

    it('Ensure that keys that cannot be stored are refused and change nothing.', async () => {
      await commit(1, [put('key', 'a', '1')]);
      await expect(commit(2, [put('key', 'b', '2'), put('key', 'x'.repeat(1_979), '3')])).rejects.toThrow(
        'record key',
      );
      await expect(commit(2, [put('key', '', '3')])).rejects.toThrow('record key');
      expect(read(backend, 'key')).toEqual(['a=1']);
      expect(backend.applied()).toEqual(markAt(1));
    });
  });
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    // Of the engine that was compiled, too, whose class is another.
    const {failure} = error as Partial<EngineError>;
    if (failure !== undefined) return failure.code;
    throw error;
  }
  return 'nothing thrown';
}
