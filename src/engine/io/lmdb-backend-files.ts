/**
 * The files of one backend: a folder with `<generation>.mdb`, and LMDB's lock file beside it. Defragmenting writes
 * the next generation; the highest is the store, because a generation gets its name only when it is complete and
 * synced. What a crash left behind (`.tmp`, older generations) goes at the next open.
 */

import {closeSync, fdatasyncSync, openSync, rmSync, writeSync} from 'node:fs';
import * as fs from 'node:fs/promises';
import {basename, dirname, join} from 'node:path';
import {EngineError} from '../errors.ts';

const COMPLETE = /^([1-9]\d{0,8})\.mdb$/;
const LEFTOVER = /^[1-9]\d{0,8}\.mdb(\.tmp)?(-lock)?$/;
/** An LMDB write that ends short is reported as EIO; then the disk is full if it cannot take this many bytes. */
const PROBE_BYTES = 1024 * 1024;
const EIO = 5;
const ENOSPC = 28;
const EDQUOT = 122;

export const generationFile = (generation: number) => `${generation}.mdb`;

/** Makes the folder if need be and clears it of leftovers. @returns the newest generation, 0 when there is none */
export async function findGeneration(folder: string): Promise<number> {
  await fs.mkdir(folder, {recursive: true, mode: 0o700});
  const names = await fs.readdir(folder);
  const generations = names.flatMap((name) => COMPLETE.exec(name)?.[1] ?? []).map(Number);
  const newest = Math.max(0, ...generations);
  const current = generationFile(newest);
  const leftovers = names.filter(
    (name) => LEFTOVER.test(name) && name !== current && name !== `${current}-lock`,
  );
  for (const name of leftovers) await fs.rm(join(folder, name), {force: true});
  if (leftovers.length > 0) await syncFolder(folder);
  return newest;
}

/** Makes `temporary` durable under its final name. */
export async function finishFile(temporary: string, final: string): Promise<void> {
  const file = await fs.open(temporary, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  await fs.rename(temporary, final);
  await syncFolder(dirname(final));
}

export async function removeFiles(path: string): Promise<void> {
  await fs.rm(path, {force: true});
  await fs.rm(`${path}-lock`, {force: true});
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whether a failure of LMDB or of the file system at `path` means that the disk is full. May write and wait. */
export function isDiskFull(error: unknown, path: string): boolean {
  const code = (error as {code?: unknown} | undefined)?.code;
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === ENOSPC || code === EDQUOT) return true;
  return (code === EIO || code === undefined) && !canWrite(dirname(path));
}

function canWrite(folder: string): boolean {
  const path = join(folder, '999999999.mdb.tmp');
  try {
    const fd = openSync(path, 'w', 0o600);
    try {
      const written = writeSync(fd, Buffer.alloc(PROBE_BYTES, 1));
      // Some file systems find out only when the blocks are allocated.
      fdatasyncSync(fd);
      return written === PROBE_BYTES;
    } finally {
      closeSync(fd);
      rmSync(path, {force: true});
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return code !== 'ENOSPC' && code !== 'EDQUOT';
  }
}

/** A failure of the store as the engine knows it. */
export function asStoreError(path: string, operation: string, error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  if (isDiskFull(error, path)) return new EngineError({code: 'diskFull', path}, error);
  const detail = `${basename(path)}: ${error instanceof Error ? error.message : String(error)}`;
  return new EngineError({code: 'diskError', path, operation, detail}, error);
}
