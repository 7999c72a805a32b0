/** Programs that commands start: their arguments may be any bytes, their streams are ours. */

import {type ChildProcess, spawn} from 'node:child_process';
import {isatty} from 'node:tty';
import {CommandError, ExitCode} from './exit.ts';
import {fileReason} from './file-error.ts';
import {textOf} from './words.ts';

export interface ChildEnd {
  readonly exitCode: number;
  /** As Go tells it: `exit status 3`, `signal: killed`; empty after success. */
  readonly reason: string;
}

/** What Go calls the signals that end programs most; others keep their names. */
const SIGNAL_NAMES: Readonly<Record<string, string>> = {
  SIGABRT: 'aborted',
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGKILL: 'killed',
  SIGSEGV: 'segmentation fault',
  SIGTERM: 'terminated',
};

/**
 * Runs a program to its end. Node passes arguments as UTF-8 text; bytes that are none are replaced in them, but not
 * in variables' quoted values.
 * @param options `passSignals`: SIGINT and SIGTERM are the program's, and we end when it does
 * @throws CommandError 1 when it cannot be started
 */
export function runChild(
  words: readonly string[],
  variables: Readonly<Record<string, string>>,
  options: {passSignals: boolean},
): Promise<ChildEnd> {
  const [program = '', ...args] = words.map(textOf);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {stdio: 'inherit', env: {...process.env, ...variables}});
    const stopPassing = options.passSignals ? passSignals(child) : () => {};
    child.once('error', (error: NodeJS.ErrnoException) => {
      stopPassing();
      const reason = error.code === 'ENOENT' ? 'executable file not found in $PATH' : fileReason(error);
      reject(new CommandError(ExitCode.error, `exec: ${JSON.stringify(program)}: ${reason}`, error));
    });
    child.once('exit', (code, signal) => {
      stopPassing();
      if (signal !== null)
        resolve({exitCode: ExitCode.error, reason: `signal: ${SIGNAL_NAMES[signal] ?? signal}`});
      else resolve({exitCode: code ?? ExitCode.error, reason: code === 0 ? '' : `exit status ${code}`});
    });
  });
}

/** @returns what ends it */
function passSignals(child: ChildProcess): () => void {
  const pass = (signal: NodeJS.Signals): void => {
    // Ctrl-C of a terminal reaches the program by itself, and a second one makes many programs leave in haste.
    if (signal !== 'SIGINT' || !isatty(0)) child.kill(signal);
  };
  process.on('SIGINT', pass);
  process.on('SIGTERM', pass);
  return () => {
    process.off('SIGINT', pass);
    process.off('SIGTERM', pass);
  };
}
