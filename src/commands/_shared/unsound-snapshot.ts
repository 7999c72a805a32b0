/** A snapshot file that cannot be used: which one, where, and what to do. */

import {EngineError} from '../../engine/errors.ts';
import {CommandError, ExitCode} from './exit.ts';

/** @returns what to throw instead: the error itself, when it is none of the file's */
export function orUnsound(error: unknown, path: string): unknown {
  if (!(error instanceof EngineError) || error.failure.code !== 'snapshotInvalid') return error;
  const advice = 'use another backup, or save a new one: kvd snapshot save FILE';
  const line = `${path} is not a sound snapshot: ${error.failure.detail}; ${advice}`;
  return new CommandError(ExitCode.error, line, error);
}
