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

/** A name that is none. What was meant is looked for where the error is told (describe-error.ts). */
export class UnknownNameError extends CommandError {
  readonly what: string;
  readonly word: string;
  readonly names: readonly string[];
  readonly hint: string;

  /**
   * @param what the line so far
   * @param options `word`: what was typed; `names`: what could have been meant, as it would be typed there;
   * `hint`: how the line ends where nothing is near
   */
  constructor(what: string, options: {word: string; names: readonly string[]; hint?: string}) {
    const {word, names, hint = ''} = options;
    super(ExitCode.error, what + hint);
    this.name = 'UnknownNameError';
    this.what = what;
    this.word = word;
    this.names = names;
    this.hint = hint;
  }
}

/** Wrong number or form of arguments. */
export function badArguments(message: string): CommandError {
  return new CommandError(ExitCode.badArguments, message);
}
