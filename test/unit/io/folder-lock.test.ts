/** The lock of the data folder, against other processes, dead ones included. */

import {type ChildProcess, spawn} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {lockFolder} from '../../../src/engine/io/folder-lock.ts';

const root = mkdtempSync(join(tmpdir(), 'kvd-lock-'));
const children: ChildProcess[] = [];
let count = 0;

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(root, {recursive: true, force: true});
});

function makeFolder(name = 'data'): string {
  count += 1;
  const folder = join(root, `${count}`, name);
  mkdirSync(folder, {recursive: true});
  return folder;
}

async function holdElsewhere(folder: string): Promise<ChildProcess> {
  const program = join(import.meta.dirname, 'holder.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', program, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the holder ended with ${code}`)));
  });
  return child;
}

async function codeOf(promise: Promise<() => Promise<void>>): Promise<string> {
  return await promise.then(
    async (release) => {
      await release();
      return 'none';
    },
    (error: unknown) => (error instanceof EngineError ? error.code : String(error)),
  );
}

describe('the lock of a folder', () => {
  it('Ensure that it is held by one, released, and leaves nothing behind.', async () => {
    const folder = makeFolder();
    const release = await lockFolder(folder);
    expect(await codeOf(lockFolder(folder))).toBe('dataDirLocked');
    expect(await codeOf(lockFolder(makeFolder()))).toBe('none');
    await release();
    expect(readdirSync(folder)).toEqual([]);
    expect(await codeOf(lockFolder(folder))).toBe('none');
  });

  it('Ensure that another process is kept out until it dies, however it dies.', async () => {
    const folder = makeFolder();
    const child = await holdElsewhere(folder);
    expect(await codeOf(lockFolder(folder))).toBe('dataDirLocked');
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    expect(existsSync(join(folder, 'lock'))).toBe(true);
    expect(await codeOf(lockFolder(folder))).toBe('none');
  });

  it('Ensure that of many who start at once over a stale trace exactly one gets it.', async () => {
    const folder = makeFolder();
    const child = await holdElsewhere(folder);
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    const results = await Promise.allSettled(Array.from({length: 10}, () => lockFolder(folder)));
    const taken = results.filter((result) => result.status === 'fulfilled');
    expect(taken.length).toBe(1);
    await taken[0].value();
  });

  it('Ensure that paths longer than a socket name, and folders reached by another path, are locked alike.', async () => {
    const folder = makeFolder(`${'long/'.repeat(40)}data`);
    const release = await lockFolder(folder);
    expect(await codeOf(lockFolder(`${folder}/../data`))).toBe('dataDirLocked');
    await release();
  });

  it('Ensure that a missing folder and one that is a file are told as unusable.', async () => {
    expect(await codeOf(lockFolder(join(root, 'missing')))).toBe('dataDirUnusable');
    const file = join(root, 'file');
    writeFileSync(file, 'x');
    expect(await codeOf(lockFolder(file))).toBe('dataDirUnusable');
  });
});
