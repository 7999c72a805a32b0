/** How a command ends: etcdctl's exit codes, and the error that carries one to the process's edge. */

export const ExitCode = {
  ok: 0,
  error: 1,
  badConnection: 2,
  invalidInput: 3,
  badFeature: 4,
  interrupted: 5,
  io: 6,
  badArguments: 128,
} as const;

/** Printed as one line, `Error: MESSAGE`; an empty message prints nothing, for what was said already. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : {cause});
    this.name = 'CommandError';
    this.exitCode = exitCode;
  }
}

/** Wrong number or form of arguments. */
export function badArguments(message: string): CommandError {
  return new CommandError(ExitCode.badArguments, message);
}
