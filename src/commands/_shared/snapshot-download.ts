/** Writes a streamed snapshot to a file: whole and on the disk, or not there at all. */

import {createHash} from 'node:crypto';
import {type FileHandle, open, rename, rm, stat} from 'node:fs/promises';
import {dirname} from 'node:path';
import type {SnapshotResponse} from '../../transport/proto/generated/maintenance.ts';
import {ExitCode} from './exit.ts';
import {cannotWrite, isFileError} from './file-error.ts';

const DIGEST_BYTES = 32;
/** The database is a whole number of these, so that the digest behind it can be told from it. */
const SECTOR_BYTES = 512;

export interface Downloaded {
  readonly bytes: number;
  /** The server's storage version; empty before etcd 3.6. */
  readonly version: string;
}

/** @throws Error when the stream does not end in the digest of what came before, or the file cannot be written */
export async function downloadSnapshot(
  parts: AsyncIterable<SnapshotResponse>,
  path: string,
  onProgress: (doneBytes: number, totalBytes: number) => void,
): Promise<Downloaded> {
  await refuseOthers(path);
  const unfinished = `${path}.part`;
  const file = await open(unfinished, 'w', 0o600).catch((error: unknown) => {
    throw cannotWrite(path, error, ExitCode.io);
  });
  try {
    const downloaded = await writeAll(parts, file, onProgress);
    await file.sync();
    await file.close();
    await rename(unfinished, path);
    await syncFolder(dirname(path));
    return downloaded;
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(unfinished, {force: true});
    throw isFileError(error) ? cannotWrite(path, error, ExitCode.io) : error;
  }
}

/** The finished file is renamed over the path: what stands there and is no file (a folder, a device) must stay. */
async function refuseOthers(path: string): Promise<void> {
  const existing = await stat(path).catch(() => undefined);
  if (existing !== undefined && !existing.isFile()) {
    throw new Error(`${path} exists and is not a regular file: name another one`);
  }
}

async function writeAll(
  parts: AsyncIterable<SnapshotResponse>,
  file: FileHandle,
  onProgress: (doneBytes: number, totalBytes: number) => void,
): Promise<Downloaded> {
  const hash = createHash('sha256');
  // The last bytes so far: they are the digest if nothing follows, else part of what it covers.
  let tail = Buffer.alloc(0);
  let bytes = 0;
  let version = '';
  for await (const part of parts) {
    await file.writeFile(part.blob);
    bytes += part.blob.length;
    version = part.version === '' ? version : part.version;
    const seen = Buffer.concat([tail, part.blob]);
    const covered = Math.max(seen.length - DIGEST_BYTES, 0);
    hash.update(seen.subarray(0, covered));
    tail = seen.subarray(covered);
    onProgress(bytes, bytes + part.remainingBytes);
  }
  if (bytes % SECTOR_BYTES !== DIGEST_BYTES) throw new Error(`sha256 checksum not found [bytes: ${bytes}]`);
  const found = hash.digest();
  if (!found.equals(tail)) {
    throw new Error(
      `expected sha256 ${tail.toString('hex')}, got ${found.toString('hex')}: the snapshot was damaged on its way`,
    );
  }
  return {bytes, version};
}

/** Makes the new name durable. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
