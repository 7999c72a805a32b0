/** What every Disk promises: the real one and the simulated one run the same suite. */

import {describe, expect, it} from 'vitest';
import {EngineError} from '../../src/engine/errors.ts';
import type {Disk} from '../../src/engine/ports.ts';

const text = (value: string): Uint8Array => Buffer.from(value);
const asText = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'none';
  } catch (error) {
    return error instanceof EngineError ? error.code : `not an EngineError: ${String(error)}`;
  }
}

/** @param makeDisk gives a disk with an empty root folder */
export function describeDisk(name: string, makeDisk: () => Promise<Disk>): void {
  describe(`the contract of Disk: ${name}`, () => {
    it('Ensure that what is written is read back, in parts and beyond the end.', async () => {
      const disk = await makeDisk();
      const file = await disk.open('a', {create: true});
      await file.write(0, [text('hello '), text('world'), text('')]);
      await file.write(11, []);
      await file.sync();
      expect(asText(await file.read(0, 11))).toBe('hello world');
      expect(asText(await file.read(6, 100))).toBe('world');
      expect((await file.read(11, 5)).length).toBe(0);
      expect((await file.read(50, 5)).length).toBe(0);
      expect(await file.size()).toBe(11);
      await file.close();
      expect(asText(await disk.readFile('a'))).toBe('hello world');
    });

    it('Ensure that a write may overwrite, and may leave a hole of zeros.', async () => {
      const disk = await makeDisk();
      const file = await disk.open('a', {create: true});
      await file.write(0, [text('abcdef')]);
      await file.write(2, [text('XY')]);
      await file.write(8, [text('z')]);
      expect(asText(await file.read(0, 9))).toBe('abXYef\0\0z');
      await file.close();
    });

    it('Ensure that a write takes its bytes when it is called.', async () => {
      const disk = await makeDisk();
      const file = await disk.open('a', {create: true});
      const bytes = Buffer.from('before');
      await file.write(0, [bytes]);
      bytes.fill(0);
      expect(asText(await file.read(0, 6))).toBe('before');
      await file.close();
    });

    it('Ensure that large writes arrive whole.', async () => {
      const disk = await makeDisk();
      const file = await disk.open('a', {create: true});
      const large = Buffer.alloc(1_500_000, 'kvd');
      await file.write(3, [text('x'), large, text('y')]);
      expect(Buffer.from(await file.read(4, large.length)).equals(large)).toBe(true);
      expect(asText(await file.read(4 + large.length, 1))).toBe('y');
      await file.close();
    });

    it('Ensure that preallocation makes zeros and never takes anything away.', async () => {
      const disk = await makeDisk();
      const file = await disk.open('a', {create: true});
      await file.write(0, [text('abc')]);
      await file.preallocate(3_000_000);
      expect(await file.size()).toBe(3_000_000);
      const bytes = Buffer.from(await file.read(0, 3_000_000));
      expect(bytes.subarray(0, 3).toString()).toBe('abc');
      expect(bytes.subarray(3).every((byte) => byte === 0)).toBe(true);
      await file.preallocate(10);
      expect(await file.size()).toBe(3_000_000);
      await file.close();
    });

    it('Ensure that a file can be cut, and is zeros where it grows again.', async () => {
      const disk = await makeDisk();
      const file = await disk.open('a', {create: true});
      await file.write(0, [text('abcdef')]);
      await file.truncate(2);
      expect(await file.size()).toBe(2);
      await file.truncate(4);
      expect(asText(await file.read(0, 10))).toBe('ab\0\0');
      await file.close();
    });

    it('Ensure that creating refuses a file that is there, and opening one that is not.', async () => {
      const disk = await makeDisk();
      await (await disk.open('a', {create: true})).close();
      expect(await codeOf(disk.open('a', {create: true}))).toBe('diskError');
      expect(await codeOf(disk.open('b', {create: false}))).toBe('diskError');
      expect(await codeOf(disk.readFile('b'))).toBe('diskError');
      expect(await codeOf(disk.open('missing/b', {create: true}))).toBe('diskError');
      await (await disk.open('a', {create: false})).close();
    });

    it('Ensure that an error names the path, the operation and the reason.', async () => {
      const disk = await makeDisk();
      const failure = await disk.readFile('missing').then(
        () => undefined,
        (error: EngineError) => error.failure,
      );
      const path = disk.userPath('missing');
      expect(failure).toEqual({code: 'diskError', path, operation: 'read', detail: 'ENOENT'});
    });

    it('Ensure that folders are made with those above them, and listed in order.', async () => {
      const disk = await makeDisk();
      await disk.makeFolder('x/y');
      await disk.makeFolder('x/y');
      for (const name of ['b', 'a', 'c']) await (await disk.open(`x/${name}`, {create: true})).close();
      expect(await disk.list('x')).toEqual(['a', 'b', 'c', 'y']);
      expect(await disk.list('x/y')).toEqual([]);
      expect(await disk.list('.')).toEqual(['x']);
      expect(await disk.exists('x/y')).toBe(true);
      expect(await disk.exists('x/z')).toBe(false);
      expect(await disk.exists('x/a/below-a-file')).toBe(false);
      expect(await codeOf(disk.list('z'))).toBe('diskError');
      expect(await codeOf(disk.list('x/a'))).toBe('diskError');
    });

    it('Ensure that a rename replaces, and open files stay what they are.', async () => {
      const disk = await makeDisk();
      const first = await disk.open('first', {create: true});
      await first.write(0, [text('first')]);
      const second = await disk.open('second', {create: true});
      await second.write(0, [text('second')]);
      await disk.rename('first', 'second');
      await disk.syncFolder('.');
      expect(await disk.list('.')).toEqual(['second']);
      expect(asText(await disk.readFile('second'))).toBe('first');
      expect(asText(await second.read(0, 10))).toBe('second');
      await first.write(0, [text('F')]);
      expect(asText(await disk.readFile('second'))).toBe('First');
      await first.close();
      await second.close();
      expect(await codeOf(disk.rename('first', 'third'))).toBe('diskError');
    });

    it('Ensure that removing takes files, whole folders, and what is not there.', async () => {
      const disk = await makeDisk();
      await disk.makeFolder('x/y');
      await (await disk.open('x/y/a', {create: true})).close();
      await (await disk.open('xa', {create: true})).close();
      await disk.remove('x');
      await disk.remove('x');
      await disk.remove('nothing/at/all');
      expect(await disk.list('.')).toEqual(['xa']);
      await disk.remove('xa');
      expect(await disk.list('.')).toEqual([]);
    });

    it('Ensure that paths are for people.', async () => {
      const disk = await makeDisk();
      expect(disk.userPath('wal/a').endsWith('/wal/a')).toBe(true);
    });
  });
}
