/** Programs that commands start: their arguments may be any bytes, their streams are ours. */

import {spawn} from 'node:child_process';
import {CommandError, ExitCode} from './exit.ts';
import {textOf} from './words.ts';

export interface ChildEnd {
  readonly exitCode: number;
  /** As Go tells it: `exit status 3`, `signal: killed`; empty after success. */
  readonly reason: string;
}

/**
 * Runs a program to its end. Node passes arguments as UTF-8 text; bytes that are none are replaced in them, but not
 * in variables' quoted values.
 * @throws CommandError 1 when it cannot be started
 */
export function runChild(
  words: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<ChildEnd> {
  const [program = '', ...args] = words.map(textOf);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {stdio: 'inherit', env: {...process.env, ...variables}});
    child.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'ENOENT' ? 'executable file not found in $PATH' : error.message;
      reject(new CommandError(ExitCode.error, `exec: ${JSON.stringify(program)}: ${reason}`, error));
    });
    child.once('exit', (code, signal) => {
      if (signal !== null) resolve({exitCode: ExitCode.error, reason: `signal: ${signal}`});
      else resolve({exitCode: code ?? ExitCode.error, reason: code === 0 ? '' : `exit status ${code}`});
    });
  });
}
