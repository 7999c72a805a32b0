/** LMDB's backend on real disks: killed processes, full and damaged files. */

import {execFileSync} from 'node:child_process';
import * as fs from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, it, vi} from 'vitest';
import {EngineError} from '../../src/engine/errors.ts';
import {LmdbBackendOpener} from '../../src/engine/io/lmdb-backend.ts';
import type {Backend} from '../../src/engine/ports.ts';
import {compiled, removeCompiled} from '../compiled.ts';
import {dump} from './backend.contract.ts';
import {runAndKill} from './killed-process.ts';
import {checkNumberedImage} from './numbered-batches.ts';

/** Set it to 1000 for a long run. */
const KILLS = Number(process.env.KVD_TEST_KILLS ?? 30);
const root = fs.mkdtempSync(join(tmpdir(), 'kvd-backend-disk-'));
const opener = new LmdbBackendOpener(root);
// Dozens of stores are opened, on a machine that may be busy.
vi.setConfig({testTimeout: 120_000});

const markAt = (index: number) => ({index, term: 1, hash: index});
const puts = (from: number, count: number, bytes: number) =>
  Array.from({length: count}, (_, i) => ({
    table: 'key' as const,
    key: Buffer.from(String(from + i).padStart(9, '0')),
    value: Buffer.alloc(bytes, from + i),
  }));

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof EngineError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}

afterAll(() => fs.rmSync(root, {recursive: true, force: true}));

describe('backend killed', () => {
  let program: string;

  // As users run it: the thread then loads plain JavaScript.
  beforeAll(() => {
    program = compiled('test/contract/backend-kill-child.ts');
  });

  afterAll(removeCompiled);

  it(
    `Ensure that ${KILLS} kills in the middle of commits and defragmentations lose nothing and tear nothing.`,
    async () => {
      const folder = join(root, 'killed');
      let last = 0;
      for (let i = 0; i < KILLS; i++) {
        const afterMs = (i * 37) % 90;
        const numbers = await runAndKill({program, folder, isMarked: true, afterLines: 2, afterMs});
        // A commit may have become durable without anybody having been told.
        expect([last, last + 1]).toContain(numbers[0]);
        last = numbers.at(-1)!;
      }
      expect(last).toBeGreaterThan(KILLS);
      const backend = await opener.open('killed');
      expect([last, last + 1]).toContain(checkNumberedImage(backend, {isMarked: true}));
      await backend.close();
      const left = fs.readdirSync(folder).filter((name) => !name.endsWith('-lock'));
      expect(left.length).toBe(1);
    },
    60_000 + KILLS * 3_000,
  );
});

describe('backend on a full disk', () => {
  const folder = join(root, 'full');
  let reason: string | undefined;

  beforeAll(() => {
    fs.mkdirSync(folder);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'kvd-test', folder], {stdio: 'pipe'});
    } catch (error) {
      reason = `a small file system cannot be mounted here: ${String(error).split('\n')[0]}`;
    }
  });

  afterAll(() => {
    if (reason === undefined) execFileSync('umount', [folder], {stdio: 'pipe'});
  });

  it('Ensure that commits and defragmentation reject with diskFull, change nothing, and work again with room.', async (context) => {
    if (reason !== undefined) context.skip(reason);
    fs.writeFileSync(join(folder, 'filler'), Buffer.alloc(2_000_000, 1));
    const backend = await new LmdbBackendOpener(folder).open('store');
    let index = 0;
    let outcome = 'nothing thrown';
    while (outcome === 'nothing thrown') {
      index++;
      outcome = await codeOf(
        backend.commit({puts: puts(index * 300, 300, 1_000), deletes: [], applied: markAt(index)}),
      );
      expect(index).toBeLessThan(100);
    }
    expect(outcome).toBe('diskFull');
    expect([backend.applied(), backend.count('key')]).toEqual([markAt(index - 1), (index - 1) * 300]);
    dump(backend);
    expect(await codeOf(backend.defragment())).toBe('diskFull');
    dump(backend);
    fs.rmSync(join(folder, 'filler'));
    await backend.commit({puts: puts(index * 300, 300, 1_000), deletes: [], applied: markAt(index)});
    expect([backend.applied(), backend.count('key')]).toEqual([markAt(index), index * 300]);
    const deletes = puts(0, index * 300 + 200, 0);
    await backend.commit({puts: [], deletes, applied: markAt(index + 1)});
    await backend.defragment();
    const before = dump(backend);
    await backend.close();
    const again = await new LmdbBackendOpener(folder).open('store');
    expect(dump(again)).toEqual(before);
    expect(again.count('key')).toBe(100);
    await again.close();
  });

  it('Ensure that not a byte of room is an error each time, for commits of a page as for a fresh store.', async (context) => {
    if (reason !== undefined) context.skip(reason);
    const path = join(folder, 'brim');
    const backend = await new LmdbBackendOpener(path).open('store');
    await backend.commit({puts: puts(1, 300, 1_000), deletes: [], applied: markAt(1)});
    fillUp(join(folder, 'filler'));
    const before = dump(backend);
    for (let i = 0; i < 60; i++) {
      const outcome = codeOf(backend.commit({puts: puts(i * 5, 2, 900), deletes: [], applied: markAt(2)}));
      expect(await outcome).toBe('diskFull');
    }
    expect(dump(backend)).toEqual(before);
    expect(await codeOf(new LmdbBackendOpener(path).open('another'))).toBe('diskFull');
    fs.rmSync(join(folder, 'filler'));
    await backend.commit({puts: puts(1, 3, 900), deletes: [], applied: markAt(2)});
    expect(backend.applied()).toEqual(markAt(2));
    await backend.close();
  });

  function fillUp(file: string): void {
    const fd = fs.openSync(file, 'w');
    try {
      for (;;) fs.writeSync(fd, Buffer.alloc(4_096, 1));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
    } finally {
      fs.closeSync(fd);
    }
  }
});

describe('backend files', () => {
  it('Ensure that what a crash left behind goes at the next open, and the newest generation counts.', async () => {
    const folder = join(root, 'leftovers');
    let backend = await opener.open('leftovers');
    await backend.commit({puts: puts(1, 10, 10), deletes: [], applied: markAt(1)});
    await backend.defragment();
    await backend.close();
    fs.copyFileSync(join(folder, '2.mdb'), join(folder, '1.mdb'));
    fs.writeFileSync(join(folder, '3.mdb.tmp'), 'half');
    fs.writeFileSync(join(folder, '1.mdb-lock'), '');
    fs.writeFileSync(join(folder, 'note.txt'), 'not ours');
    backend = await opener.open('leftovers');
    expect(fs.readdirSync(folder).sort()).toEqual(['2.mdb', '2.mdb-lock', 'note.txt', 'opening']);
    expect([backend.applied(), backend.count('key')]).toEqual([markAt(1), 10]);
    await backend.close();
  });

  it('Ensure that a replaced file goes with its last view, and a standing view does not hinder closing.', async () => {
    const folder = join(root, 'replaced');
    const backend = await opener.open('replaced');
    await backend.commit({puts: puts(1, 10, 10), deletes: [], applied: markAt(1)});
    const first = backend.view();
    const second = backend.view();
    await backend.defragment();
    first.close();
    first.close();
    expect(fs.existsSync(join(folder, '1.mdb'))).toBe(true);
    second.close();
    await expect.poll(() => fs.readdirSync(folder).sort()).toEqual(['2.mdb', '2.mdb-lock']);
    const third = backend.view();
    await backend.close();
    expect(dump(third)).toMatchObject({lease: []});
    third.close();
  });

  it('Ensure that a file cut short is reported as damage, wherever it is cut.', async () => {
    const folder = join(root, 'cut');
    const backend = await opener.open('cut');
    await backend.commit({puts: puts(1, 2_000, 200), deletes: [], applied: markAt(1)});
    await backend.commit({puts: puts(500, 20, 100), deletes: [], applied: markAt(2)});
    await backend.close();
    const whole = fs.readFileSync(join(folder, '1.mdb'));
    for (const part of [0.05, 0.3, 0.6, 0.9, 0.99]) {
      const path = `cut-${part}`;
      fs.mkdirSync(join(root, path));
      fs.writeFileSync(join(root, path, '1.mdb'), whole.subarray(0, Math.floor(whole.length * part)));
      expect(await codeOf(openAndRead(path))).toBe('storeCorrupt');
    }
    for (const content of ['', 'no database at all'.repeat(1_000)]) {
      const path = `not-${content.length}`;
      fs.mkdirSync(join(root, path));
      fs.writeFileSync(join(root, path, '1.mdb'), content);
      expect(await codeOf(openAndRead(path))).toBe('storeCorrupt');
    }
  });

  describe('damage that no record shows', () => {
    const PAGE_BYTES = 4_096;
    /** Of LMDB's page: flags, the length of its table of contents, the table; places in it count from its beginning. */
    const [FLAGS_AT, LOWER_AT, TABLE_AT] = [18, 20, 24];
    const [BRANCH, LEAF] = [1, 2];
    /** Of a node in a page: behind it stands its key. */
    const NODE_HEAD_BYTES = 8;
    const count = 600;
    let whole: Buffer;
    let made = 0;

    beforeAll(async () => {
      const backend = await opener.open('pages');
      await backend.commit({puts: puts(1, count, 40), deletes: [], applied: markAt(1)});
      await backend.close();
      whole = fs.readFileSync(join(root, 'pages', '1.mdb'));
    });

    const pages = (kind: number) =>
      Array.from({length: Math.floor(whole.length / PAGE_BYTES)}, (_, page) => page * PAGE_BYTES).filter(
        (at) => whole.readUInt16LE(at + FLAGS_AT) === kind && at >= 2 * PAGE_BYTES,
      );

    /** @returns how reading all records, and those of one key (`parts`), ended with this file */
    async function outcomesOf(file: Buffer, {parts}: {parts: boolean}): Promise<Set<string>> {
      const path = `damaged-${made++}`;
      fs.mkdirSync(join(root, path));
      fs.writeFileSync(join(root, path, '1.mdb'), file);
      const outcomes = new Set<string>();
      const opened = await opener.open(path).catch((error: EngineError) => error.code);
      if (typeof opened === 'string') return outcomes.add(opened);
      const attempt = (read: () => boolean) => {
        try {
          outcomes.add(read() ? 'right' : 'wrong');
        } catch (error) {
          outcomes.add(error instanceof EngineError ? error.code : String(error));
        }
      };
      attempt(() => [...opened.range('key', {})].length === count);
      attempt(() => [...opened.range('key', {reverse: true})].length === count);
      for (const {key} of parts ? puts(1, count, 0) : []) {
        const to = Buffer.concat([key, Buffer.of(0)]);
        attempt(() => [...opened.range('key', {from: key, to})].length === 1);
        attempt(() => opened.range('key', {from: key}).next().value?.[0].toString() === key.toString());
      }
      await opened.close();
      return outcomes;
    }

    it('Ensure that records which a leaf no longer lists are missed.', async () => {
      let refused = 0;
      for (const at of pages(LEAF)) {
        const file = Buffer.from(whole);
        file.writeUInt16LE(file.readUInt16LE(at + LOWER_AT) - 2, at + LOWER_AT);
        // A part cannot tell; but a start reads all.
        const outcomes = await outcomesOf(file, {parts: false});
        expect([...outcomes]).not.toContain('wrong');
        if (outcomes.has('storeCorrupt')) refused++;
      }
      expect(refused).toBeGreaterThan(5);
    });

    it('Ensure that a branch that leads to another leaf is found out.', async () => {
      let refused = 0;
      for (const at of pages(BRANCH)) {
        const nodes = whole.readUInt16LE(at + LOWER_AT) / 2;
        for (let node = 1; node < nodes; node++) {
          const keyAt = at + TABLE_AT + whole.readUInt16LE(at + TABLE_AT + 2 * node) + NODE_HEAD_BYTES;
          const file = Buffer.from(whole);
          file[keyAt + 7] ^= 4;
          const outcomes = await outcomesOf(file, {parts: true});
          expect([...outcomes]).not.toContain('wrong');
          if (outcomes.has('storeCorrupt')) refused++;
        }
      }
      expect(refused).toBeGreaterThan(5);
    });
  });

  async function openAndRead(path: string): Promise<void> {
    const backend: Backend = await opener.open(path);
    try {
      for (const _ of backend.range('key', {}));
    } finally {
      await backend.close();
    }
  }
});
