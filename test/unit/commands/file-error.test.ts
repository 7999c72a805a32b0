import {describe, expect, it} from 'vitest';
import {describeError} from '../../../src/commands/_shared/describe-error.ts';
import {cannotRead, cannotWrite, inWords} from '../../../src/commands/_shared/file-error.ts';
import {EngineError} from '../../../src/engine/errors.ts';

const systemError = (code: string, path?: string) =>
  Object.assign(new Error(`${code}: raw text, open '${path}'`), {code, syscall: 'open', path});

describe('file errors', () => {
  it.each([
    ['EACCES', 'permission denied; change the rights of the file or folder, or the user'],
    ['EISDIR', 'is a directory; name a file'],
    ['ENOENT', 'no such file or directory; check the path'],
    ['ENOSPC', 'no space left on device; make room on that file system'],
    ['EMFILE', 'too many open files'],
  ])('Ensure that %s is told in words, with what to do.', (code, line) => {
    const read = describeError(cannotRead('/a/b', systemError(code), 1));
    expect(read).toEqual({line: `open /a/b: ${line}`, exitCode: 1});
    const bare = describeError(systemError(code, '/a/b'));
    expect(bare).toEqual({line: `open /a/b: ${line}`, exitCode: 1});
  });

  it('Ensure that a file that is to be made in a missing folder is told which one.', () => {
    expect(cannotWrite('/a/b/c', systemError('ENOENT'), 6).message).toBe(
      'write /a/b/c: no such file or directory; make the folder /a/b first',
    );
  });

  it('Ensure that the codes in the details of engine errors become words, and other words stay.', () => {
    expect(inWords('mkdir failed: EACCES')).toBe('mkdir failed: permission denied');
    expect(inWords('the KVD file has ERRORS')).toBe('the KVD file has ERRORS');
    const failure = {code: 'diskError', path: '/d/wal', operation: 'write', detail: 'EIO'} as const;
    expect(describeError(new EngineError(failure)).line).toBe('write /d/wal: input/output error');
  });
});
