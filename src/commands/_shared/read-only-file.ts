/** A file opened for reading at any place. */

import {open} from 'node:fs/promises';
import {CommandError, ExitCode} from './exit.ts';

export interface ReadOnlyFile {
  /** May give less at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** @throws CommandError 1 when it cannot be opened */
export async function openReadOnly(path: string): Promise<ReadOnlyFile> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'no such file or directory' : error.message;
    throw new CommandError(ExitCode.error, `open ${path}: ${reason}`, error);
  });
  return {
    read: async (position, length) => {
      const {bytesRead, buffer} = await file.read(Buffer.allocUnsafe(length), 0, length, position);
      return buffer.subarray(0, bytesRead);
    },
    size: async () => (await file.stat()).size,
    close: () => file.close(),
  };
}
