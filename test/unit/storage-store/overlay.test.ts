import * as fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {Overlay} from '../../../src/engine/storage/overlay.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

describe('overlay', () => {
  it('Ensure that any sequence of changes is found by key and stands in byte order.', () => {
    const change = fc.tuple(
      fc.string({unit: 'binary', minLength: 1, maxLength: 3}).map((s) => bytes(s).toString('latin1')),
      fc.option(fc.nat(9)),
    );
    fc.assert(
      fc.property(fc.array(change, {maxLength: 300}), (changes) => {
        const overlay = new Overlay();
        const model = new Map<string, string | undefined>();
        for (const [text, value] of changes) {
          const put = value === null ? undefined : String(value);
          overlay.set('key', text, bytes(text), put === undefined ? undefined : bytes(put));
          model.set(text, put);
        }
        const table = overlay.table('key');
        expect(table.size).toBe(model.size);
        for (const [text, value] of model) expect(table.get(text)?.value?.toString()).toBe(value);
        const texts = [...table.entries()].map((entry) => entry.text);
        expect(texts).toEqual([...model.keys()].sort());
        expect([...overlay.puts()].length + [...overlay.deletes()].length).toBe(model.size);
      }),
      {numRuns: 200},
    );
  });

  it('Ensure that thousands of keys in any order stay in order, block by block.', () => {
    for (const step of [1, 7_919, 9_999]) {
      const overlay = new Overlay();
      for (let i = 0; i < 10_000; i++) {
        const text = String((i * step) % 10_000).padStart(5, '0');
        overlay.set('lease', text, bytes(text), bytes('v'));
      }
      const texts = [...overlay.table('lease').entries()].map((entry) => entry.text);
      expect(overlay.table('lease').get('00777')?.text).toBe('00777');
      expect(texts).toEqual(Array.from({length: 10_000}, (_, i) => String(i).padStart(5, '0')));
    }
  });

  it('Ensure that a key is found among very many, present, overwritten or absent.', () => {
    const overlay = new Overlay();
    const textAt = (i: number) => String(i * 2).padStart(8, '0');
    for (let i = 0; i < 100_000; i++) overlay.set('key', textAt(i), bytes(textAt(i)), bytes('v'));
    overlay.set('key', textAt(99_000), bytes(textAt(99_000)), undefined);
    const table = overlay.table('key');
    expect(table.size).toBe(100_000);
    for (let i = 0; i < 100_000; i += 777) expect(table.get(textAt(i))?.text).toBe(textAt(i));
    expect(table.get(textAt(99_000))?.value).toBeUndefined();
    for (const absent of ['', '00000001', '00099999', '00199999', '9'])
      expect(table.get(absent)).toBeUndefined();
    expect([...overlay.deletes()].length).toBe(1);
  });

  it('Ensure that what it will add to the store is that of its records, whatever was deleted or put again.', () => {
    const change = fc.tuple(fc.constantFrom('a', 'bb', 'ccc'), fc.option(fc.nat(1_000)));
    fc.assert(
      fc.property(fc.array(change, {maxLength: 50}), (changes) => {
        const overlay = new Overlay();
        const fresh = new Overlay();
        for (const [text, size] of changes)
          overlay.set('key', text, bytes(text), size === null ? undefined : Buffer.alloc(size));
        let least = 0;
        for (const {table, text, key, value} of overlay.puts()) {
          fresh.set(table, text, key, value);
          least += key.length + value.length;
        }
        expect(overlay.putBytes).toBe(fresh.putBytes);
        expect(overlay.putBytes).toBeGreaterThanOrEqual(least);
      }),
      {numRuns: 200},
    );
  });

  it('Ensure that very many deletions take memory, and nothing of the store.', () => {
    const overlay = new Overlay();
    overlay.set('kvd', 'put', bytes('put'), bytes('v'));
    const {putBytes} = overlay;
    for (let i = 0; i < 30_000; i++) overlay.set('key', String(i), bytes(String(i)), undefined);
    expect(overlay.putBytes).toBe(putBytes);
    expect(overlay.bytes).toBeGreaterThan(30_000 * 100);
  });

  it('Ensure that its size follows overwriting and deleting.', () => {
    const overlay = new Overlay();
    overlay.set('key', 'a', bytes('a'), Buffer.alloc(1_000));
    const before = overlay.bytes;
    overlay.set('key', 'a', bytes('a'), Buffer.alloc(100));
    expect(overlay.bytes).toBe(before - 900);
    overlay.set('key', 'a', bytes('a'), undefined);
    expect(overlay.bytes).toBe(before - 1_000);
    expect(overlay.changes).toBe(3);
  });
});
