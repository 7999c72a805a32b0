/**
 * The files of one backend: a folder with `<generation>.mdb`, and LMDB's lock file beside it. Defragmenting writes
 * the next generation; the highest is the store, because a generation gets its name only when it is complete and
 * synced. What a crash left behind (`.tmp`, older generations) goes at the next open.
 */

import {closeSync, fdatasyncSync, openSync, rmSync, statfsSync, writeSync} from 'node:fs';
import * as fs from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {EngineError} from '../errors.ts';
import {BACKEND_ROOM_BYTES_MIN} from '../limits.ts';
import {makeFolders} from './make-folders.ts';

const COMPLETE = /^([1-9]\d{0,8})\.mdb$/;
const LEFTOVER = /^[1-9]\d{0,8}\.mdb(\.tmp)?(-lock)?$/;
/** An LMDB write that ends short is reported as EIO; then the disk is full if it cannot take this many bytes. */
const PROBE_BYTES = 1024 * 1024;

/** The head of a meta page: a page header of 24 bytes, then magic, version, two addresses, the page size. */
const META_BYTES = 64;
const META_MAGIC_AT = 24;
const META_VERSION_AT = 28;
const META_PAGE_SIZE_AT = 48;
const LMDB_MAGIC = 0xbeefc0de;
const LMDB_VERSION = 2;
const PAGE_SIZES = [4_096, 8_192, 16_384, 32_768, 65_536];

/** LMDB's own codes for a file that contradicts itself: page not found, corrupted, version, invalid, wrong type. */
const DAMAGE_CODES = [-30797, -30796, -30794, -30793, -30784];
const EIO = 5;
const ENOSPC = 28;
const EDQUOT = 122;

export const generationFile = (generation: number) => `${generation}.mdb`;

/** Makes the folder if need be and clears it of leftovers. @returns the newest generation, 0 when there is none */
export async function findGeneration(folder: string): Promise<number> {
  await makeFolders(folder, 0o700);
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

/**
 * Looks at LMDB's two first pages before LMDB does: the library does not survive a file that is no database.
 * @throws EngineError storeCorrupt or formatUnsupported
 */
export async function checkHead(path: string): Promise<void> {
  const file = await fs.open(path, 'r');
  try {
    const first = Buffer.alloc(META_BYTES);
    await file.read(first, 0, META_BYTES, 0);
    const pageBytes = first.readUInt32LE(META_PAGE_SIZE_AT);
    if (!isMeta(first) || !PAGE_SIZES.includes(pageBytes)) throw damagedHead(path);
    const second = Buffer.alloc(META_BYTES);
    await file.read(second, 0, META_BYTES, pageBytes);
    if (!isMeta(second) || second.readUInt32LE(META_PAGE_SIZE_AT) !== pageBytes) throw damagedHead(path);
    const {size} = await file.stat();
    if (size < 2 * pageBytes) throw damagedHead(path);
    const version = first.readUInt16LE(META_VERSION_AT);
    if (version !== LMDB_VERSION) {
      throw new EngineError({
        code: 'formatUnsupported',
        path,
        found: `LMDB ${version}`,
        supported: `LMDB ${LMDB_VERSION}`,
      });
    }
  } finally {
    await file.close();
  }
}

const isMeta = (page: Buffer) => page.readUInt32LE(META_MAGIC_AT) === LMDB_MAGIC;

const damagedHead = (path: string) =>
  new EngineError({code: 'storeCorrupt', path, detail: 'the first pages are not those of a database'});

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

/**
 * Before LMDB writes: where the system refuses it a write, it words its error into memory that is too short for it,
 * and the process dies, at once or later.
 * @param bytes of the records
 * @throws Error with the code ENOSPC
 */
export function requireRoom(path: string, bytes: number): void {
  const {bavail, bsize} = statfsSync(dirname(path));
  if (bavail * bsize >= 2 * bytes + BACKEND_ROOM_BYTES_MIN) return;
  throw Object.assign(new Error(`only ${bavail * bsize} bytes are left`), {code: 'ENOSPC'});
}

function isDiskFull(error: unknown, path: string): boolean {
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

/** How a failure of LMDB or of the file system at `path` is to be taken. May write and wait. */
export function kindOfFailure(error: unknown, path: string): FailureKind {
  const code = (error as {code?: unknown} | undefined)?.code;
  if (DAMAGE_CODES.includes(code as number)) return 'damage';
  return isDiskFull(error, path) ? 'full' : 'other';
}

export type FailureKind = 'damage' | 'full' | 'other';

/** A failure of the store as the engine knows it. */
export function asStoreError(path: string, operation: string, error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return makeStoreError({path, operation, kind: kindOfFailure(error, path), detail, cause: error});
}

export function makeStoreError(failure: {
  readonly path: string;
  readonly operation: string;
  readonly kind: FailureKind;
  readonly detail: string;
  readonly cause?: unknown;
}): EngineError {
  const {path, operation, kind, detail, cause} = failure;
  if (kind === 'damage') return new EngineError({code: 'storeCorrupt', path, detail}, cause);
  if (kind === 'full') return new EngineError({code: 'diskFull', path}, cause);
  return new EngineError({code: 'diskError', path, operation, detail}, cause);
}
