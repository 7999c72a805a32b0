/** LMDB's backend on real disks: killed processes, full and damaged files. */

import {execFileSync, spawn, spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {EngineError} from '../../src/engine/errors.ts';
import {LmdbBackendOpener} from '../../src/engine/io/lmdb-backend.ts';
import type {Backend} from '../../src/engine/ports.ts';
import {dump} from './backend.contract.ts';

/** Set it to 1000 for a long run. */
const KILLS = Number(process.env.KVD_TEST_KILLS ?? 30);
const projectRoot = resolve(import.meta.dirname, '../..');
const root = fs.mkdtempSync(join(tmpdir(), 'kvd-backend-disk-'));
const opener = new LmdbBackendOpener(root);

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
  // Built code, as users run it: the thread then loads plain JavaScript.
  const built = join(projectRoot, `node_modules/.cache/kvd-backend-${process.pid}`);

  beforeAll(() => {
    fs.mkdirSync(built, {recursive: true});
    fs.writeFileSync(join(built, 'package.json'), '{"type":"module"}');
    const files = ['test/contract/backend-kill-child.ts', 'src/engine/io/lmdb-backend-worker.ts'];
    const config = {
      extends: join(projectRoot, 'tsconfig.check.json'),
      compilerOptions: {noEmit: false, rootDir: projectRoot, outDir: built},
      include: [],
      files: files.map((file) => join(projectRoot, file)),
    };
    fs.writeFileSync(join(built, 'tsconfig.json'), JSON.stringify(config));
    // Type errors are another test's business: the code comes out all the same.
    spawnSync(join(projectRoot, 'node_modules/.bin/tsc'), ['-p', built], {stdio: 'pipe'});
    expect(fs.existsSync(join(built, 'test/contract/backend-kill-child.js'))).toBe(true);
  });

  afterAll(() => fs.rmSync(built, {recursive: true, force: true}));

  /** @returns the numbers that the process wrote before it was killed */
  function runAndKill(folder: string, afterMs: number): Promise<number[]> {
    return new Promise((done, fail) => {
      const child = spawn(process.execPath, [join(built, 'test/contract/backend-kill-child.js'), folder], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let output = '';
      let errors = '';
      child.stdout.on('data', (text: Buffer) => {
        if (output === '') setTimeout(() => child.kill('SIGKILL'), afterMs);
        output += text.toString();
      });
      child.stderr.on('data', (text: Buffer) => {
        errors += text.toString();
      });
      child.on('close', (_code, signal) => {
        if (signal !== 'SIGKILL') fail(new Error(`the process ended by itself: ${errors}`));
        else done(output.split('\n').slice(0, -1).map(Number));
      });
    });
  }

  it(
    `Ensure that ${KILLS} kills in the middle of commits and defragmentations lose nothing and tear nothing.`,
    async () => {
      const folder = join(root, 'killed');
      let last = 0;
      for (let i = 0; i < KILLS; i++) {
        const numbers = await runAndKill(folder, (i * 37) % 90);
        // A commit may have become durable without anybody having been told.
        expect([last, last + 1]).toContain(numbers[0]);
        last = numbers.at(-1)!;
      }
      expect(last).toBeGreaterThan(KILLS);
      const backend = await new LmdbBackendOpener(folder).open('store');
      expect([last, last + 1]).toContain(backend.applied()?.index);
      dump(backend);
      await backend.close();
      const left = fs.readdirSync(join(folder, 'store')).filter((name) => !name.endsWith('-lock'));
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
    expect(fs.readdirSync(folder).sort()).toEqual(['2.mdb', '2.mdb-lock', 'note.txt']);
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

  async function openAndRead(path: string): Promise<void> {
    const backend: Backend = await opener.open(path);
    try {
      for (const _ of backend.range('key', {}));
    } finally {
      await backend.close();
    }
  }
});
