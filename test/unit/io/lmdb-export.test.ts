/** Snapshots read by a process of their own: whatever ends it early, nothing of it is left. */

import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {afterEach, beforeEach, describe, expect, it} from 'vitest';
import {LmdbBackendOpener} from '../../../src/engine/io/lmdb-backend.ts';
import {BACKEND_EXPORTS_MAX} from '../../../src/engine/limits.ts';
import type {Backend} from '../../../src/engine/ports.ts';
import {eventually} from '../../process/eventually.ts';
import {collect} from '../snapshot-file/snapshot-samples.ts';

/** More than pipes and streams hold, so that an export that is not read stands still. */
const RECORDS = 400;
const VALUE_BYTES = 20_000;

let root: string;
let backend: Backend;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'kvd-export-'));
  backend = await new LmdbBackendOpener(root).open('store');
  await commit(1, RECORDS);
});

afterEach(async () => {
  await backend.close();
  expect(readers()).toEqual([]);
  rmSync(root, {recursive: true, force: true});
});

async function commit(index: number, records: number): Promise<void> {
  const puts = Array.from({length: records}, (_, i) => ({
    table: 'key' as const,
    key: Buffer.from(String(i).padStart(9, '0')),
    value: Buffer.alloc(VALUE_BYTES, index + i),
  }));
  await backend.commit({puts, deletes: [], applied: {index, term: 1, hash: index}});
}

/** The processes that read this test's store. */
function readers(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        return words.includes('lmdb-export-child') && words.includes(root);
      } catch {
        return false;
      }
    })
    .map(Number);
}

const never = () => new AbortController().signal;
const files = () => readdirSync(join(root, 'store')).filter((name) => name.endsWith('.mdb'));

describe('snapshots read by another process', () => {
  it('Ensure that a process that is killed is a clear failure, and the pages it read are used again.', async () => {
    const {chunks} = await backend.exportSnapshot(never());
    const iterator = chunks[Symbol.asyncIterator]();
    await iterator.next();
    const [pid] = readers();
    process.kill(pid, 'SIGKILL');
    const rest = async () => {
      while (!(await iterator.next()).done);
    };
    await expect(rest()).rejects.toMatchObject({code: 'exportFailed', message: /SIGKILL/});
    expect(readers()).toEqual([]);
    const {fileBytes} = backend.size();
    for (let index = 2; index < 12; index++) await commit(index, RECORDS);
    // Each commit needs as much again, but the pages of the one before are free.
    expect(backend.size().fileBytes).toBeLessThan(3.5 * fileBytes);
  });

  it('Ensure that one that is read when its process has long ended is whole.', async () => {
    const small = await new LmdbBackendOpener(root).open('small');
    await small.commit({puts: [], deletes: [], applied: {index: 1, term: 1, hash: 1}});
    const {totalBytes, chunks} = await small.exportSnapshot(never());
    await eventually(() => readers().length === 0, {what: 'the process ended'});
    // Its end is known here, too: Node empties the pipes of a process that has ended.
    await eventually(() => !process.getActiveResourcesInfo().includes('ProcessWrap'), {
      what: 'its end known',
    });
    expect((await collect(chunks)).length).toBe(totalBytes);
    await small.close();
  });

  it('Ensure that a caller who leaves ends the process: before it has answered, and in the midst.', async () => {
    const early = new AbortController();
    const opening = backend.exportSnapshot(early.signal);
    await eventually(() => readers().length === 1, {what: 'a process'});
    early.abort();
    await expect(opening).rejects.toMatchObject({code: 'canceled'});
    expect(readers()).toEqual([]);

    const late = new AbortController();
    const {chunks} = await backend.exportSnapshot(late.signal);
    const reading = collect(chunks);
    late.abort();
    await expect(reading).rejects.toMatchObject({code: 'canceled'});
    expect(readers()).toEqual([]);

    const hash = backend.hashRecords(AbortSignal.abort());
    await expect(hash).rejects.toMatchObject({code: 'canceled'});
  });

  it('Ensure that closing ends what runs and what waits.', async () => {
    const {chunks} = await backend.exportSnapshot(never());
    const iterator = chunks[Symbol.asyncIterator]();
    await iterator.next();
    const opening = backend.exportSnapshot(never());
    const refused = expect(opening).rejects.toMatchObject({code: 'stopped'});
    await backend.close();
    await refused;
    expect(readers()).toEqual([]);
    const rest = async () => {
      while (!(await iterator.next()).done);
    };
    await expect(rest()).rejects.toMatchObject({code: 'stopped'});
    await expect(backend.exportSnapshot(never())).rejects.toMatchObject({code: 'stopped'});
  });

  it('Ensure that defragmenting meanwhile changes nothing of what comes, and the old file goes with its reader.', async () => {
    const expected = await collect((await backend.exportSnapshot(never())).chunks);
    const opening = backend.exportSnapshot(never());
    await backend.defragment();
    const {chunks} = await opening;
    await commit(2, 10);
    expect(files().length).toBe(2);
    expect((await collect(chunks)).equals(expected)).toBe(true);
    await eventually(() => files().length === 1, {what: 'the old file gone'});
    expect((await collect((await backend.exportSnapshot(never())).chunks)).equals(expected)).toBe(false);
  });

  it('Ensure that many at once all come, and more than there are places for wait.', async () => {
    const hash = await backend.hashRecords(never());
    const leaver = new AbortController();
    const all = Array.from({length: BACKEND_EXPORTS_MAX + 3}, () => backend.hashRecords(never()));
    const left = expect(backend.hashRecords(leaver.signal)).rejects.toMatchObject({code: 'canceled'});
    expect(readers().length).toBeLessThanOrEqual(BACKEND_EXPORTS_MAX);
    leaver.abort();
    await left;
    expect(await Promise.all(all)).toEqual(all.map(() => hash));
  });

  it('Ensure that a process whose parent is killed ends, too.', async () => {
    const src = resolve(import.meta.dirname, '../../../src/engine');
    const code = `
      const {LmdbBackendOpener} = await import('${src}/io/lmdb-backend.ts');
      const backend = await new LmdbBackendOpener(${JSON.stringify(root)}).open('other');
      const puts = Array.from({length: 400}, (_, i) => ({
        table: 'key', key: Buffer.from(String(i + 1000)), value: Buffer.alloc(20000),
      }));
      await backend.commit({puts, deletes: [], applied: {index: 1, term: 1, hash: 1}});
      const {chunks} = await backend.exportSnapshot(new AbortController().signal);
      await chunks[Symbol.asyncIterator]().next();
      console.log('reading');
      setInterval(() => {}, 1000);`;
    const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', code];
    const parent = spawn(process.execPath, args, {stdio: ['ignore', 'pipe', 'inherit']});
    await once(parent.stdout, 'data');
    expect(readers().length).toBe(1);
    parent.kill('SIGKILL');
    await eventually(() => readers().length === 0, {what: 'the child gone with its parent'});
    expect(existsSync(join(root, 'other'))).toBe(true);
  });
});
