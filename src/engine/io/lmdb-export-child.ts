/**
 * A process of its own that reads one LMDB file for a snapshot: the pages that it touches count as its memory, not as
 * the member's, and its walk takes nothing of the member's loop. Started by lmdb-export.ts with the file's path and
 * what to do. Its first message is the file's length (then the bytes follow on the standard output), or the hash;
 * a failure may come at any time. It ends when its work is done, or when its parent is gone.
 */

import {constants, setPriority} from 'node:os';
import {AssertionError, EngineError, type EngineFailure} from '../errors.ts';
import {exportHash, exportSnapshot} from '../storage/snapshot-file/image-export.ts';
import {NodeClock} from './clock.ts';
import {createSha256} from './digest.ts';
import {LmdbImage} from './lmdb-backend-image.ts';
import {LmdbView, verifyTables} from './lmdb-backend-reader.ts';

export type ExportKind = 'snapshot' | 'hash';
/** `check`: read all of it, to see whether that can be done. */
export type ChildTask = ExportKind | 'check';

export type ExportMessage =
  | {readonly type: 'planned'; readonly totalBytes: number}
  | {readonly type: 'hash'; readonly hash: number}
  | {readonly type: 'failed'; readonly failure: EngineFailure};

const clock = new NodeClock();

async function run(path: string, kind: ChildTask): Promise<void> {
  const image = new LmdbImage(path, {readOnly: true});
  if (kind === 'check') {
    image.verifyCounts();
    verifyTables(image);
    await image.retire({isReplaced: false});
    return;
  }
  const view = new LmdbView(image);
  if (kind === 'hash') {
    await tell({type: 'hash', hash: await exportHash(view, clock)});
  } else {
    const {totalBytes, chunks} = await exportSnapshot(view, {clock, sha256: createSha256});
    await tell({type: 'planned', totalBytes});
    for await (const chunk of chunks) await write(chunk);
  }
  await image.retire({isReplaced: false});
}

function tell(message: ExportMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, undefined, undefined, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Resolves when the pipe has taken it: the parent reads as fast as its client does. */
function write(chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(chunk, (error) => (error ? reject(error) : resolve()));
  });
}

function failureOf(error: unknown): EngineFailure {
  if (error instanceof EngineError) return error.failure;
  const detail = error instanceof AssertionError ? error.message : String(error);
  return {code: 'exportFailed', detail};
}

const [, , path, kind] = process.argv;
process.once('disconnect', () => process.exit());
// Nobody reads any more.
process.stdout.on('error', () => process.exit());
// The member and its clients come first.
setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
try {
  await run(path, kind as ChildTask);
  process.stdout.end();
} catch (error) {
  await tell({type: 'failed', failure: failureOf(error)}).catch(() => undefined);
  process.exitCode = 1;
}
process.disconnect?.();
