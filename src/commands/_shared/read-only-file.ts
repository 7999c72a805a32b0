/** A file opened for reading at any place. */

import {type FileHandle, open} from 'node:fs/promises';
import {ExitCode} from './exit.ts';
import {cannotRead} from './file-error.ts';

export interface ReadOnlyFile {
  /** May give less at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** @throws CommandError 1 when it cannot be opened */
export async function openReadOnly(path: string): Promise<ReadOnlyFile> {
  const file = await openFile(path);
  return {
    read: async (position, length) => {
      const {bytesRead, buffer} = await file.read(Buffer.allocUnsafe(length), 0, length, position);
      return buffer.subarray(0, bytesRead);
    },
    size: async () => (await file.stat()).size,
    close: () => file.close(),
  };
}

/** A folder can be opened, but not read. */
async function openFile(path: string): Promise<FileHandle> {
  try {
    const file = await open(path, 'r');
    if (!(await file.stat()).isDirectory()) return file;
    await file.close();
    throw Object.assign(new Error('it is a folder'), {code: 'EISDIR', syscall: 'open'});
  } catch (error) {
    throw cannotRead(path, error, ExitCode.error);
  }
}
