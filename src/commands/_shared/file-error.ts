/** Files of the user's that cannot be read or written, in one line: which one, what is wrong with it, what to do. */

import {dirname} from 'node:path';
import {CommandError} from './exit.ts';

/** The system's codes in the words of its C library, which Go's programs print. */
const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBUSY: 'device or resource busy',
  EDQUOT: 'disk quota exceeded',
  EEXIST: 'file exists',
  EIO: 'input/output error',
  EISDIR: 'is a directory',
  ELOOP: 'too many levels of symbolic links',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'file name too long',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
};

const REMEDIES: Readonly<Record<string, string>> = {
  EACCES: 'change the rights of the file or folder, or the user',
  EDQUOT: 'make room',
  EISDIR: 'name a file',
  ENOENT: 'check the path',
  ENOSPC: 'make room on that file system',
  ENOTDIR: 'check the path: a part of it is a file',
  EPERM: 'change the rights of the file or folder, or the user',
  EROFS: 'choose another place',
};

/** Whether an error is the system's about a file. */
export function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

/** What is wrong and what to do, without the path. */
export function fileReason(error: unknown): string {
  if (!isFileError(error)) return error instanceof Error ? error.message : String(error);
  const {code = '', message} = error;
  const what = WORDS[code] ?? message;
  return Object.hasOwn(REMEDIES, code) ? `${what}; ${REMEDIES[code]}` : what;
}

/** @returns an error whose line is `open PATH: …` */
export function cannotRead(path: string, error: unknown, exitCode: number): CommandError {
  return new CommandError(exitCode, `open ${path}: ${fileReason(error)}`, error);
}

/** The same for a file that is to be made: what is missing then is its folder. */
export function cannotWrite(path: string, error: unknown, exitCode: number): CommandError {
  const isMissing = isFileError(error) && error.code === 'ENOENT';
  const reason = isMissing ? `${WORDS.ENOENT}; make the folder ${dirname(path)} first` : fileReason(error);
  return new CommandError(exitCode, `write ${path}: ${reason}`, error);
}

/** Replaces the codes that the engine's errors have for details. */
export function inWords(detail: string): string {
  return detail.replace(/\bE[A-Z]{2,}\b/g, (code) => WORDS[code] ?? code);
}
