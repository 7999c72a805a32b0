/**
 * The base of all commands. A command is a class with oclif's static fields (summary, args, flags, examples), a
 * `run()` that does one call and returns its typed result, and a `print()` that shows it. oclif finds the commands
 * by their files and writes their help; it is not loaded to run one, because that costs as much time as Node's own
 * start (see dispatch.ts), and the words are split by Go's rules (see parse-words.ts).
 */

import type {FlagSet} from './flags.ts';
import {type ParsedWords, parseWords} from './parse-words.ts';
import {processTerminal, type Terminal} from './terminal.ts';
import {processWords, wordOf} from './words.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The world of a command. */
export interface CommandContext {
  readonly environment: Environment;
  readonly terminal: Terminal;
}

/** What help says of an argument; in oclif's form. */
export interface ArgumentHelp {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
}

export interface CommandClass {
  readonly summary: string;
  readonly description?: string | undefined;
  readonly usage?: string | readonly string[] | undefined;
  readonly examples: readonly string[];
  readonly args: Readonly<Record<string, ArgumentHelp>>;
  readonly flags: FlagSet;
  new (words: readonly string[], context: CommandContext): KvdCommand<unknown>;
}

export abstract class KvdCommand<Result> {
  static readonly summary: string = '';
  static readonly description: string | undefined = undefined;
  static readonly args: Readonly<Record<string, ArgumentHelp>> = {};
  static readonly flags: FlagSet = {};
  static readonly examples: readonly string[] = [];

  /** Binary strings (see words.ts). */
  protected readonly argv: readonly string[];
  protected readonly context: CommandContext;

  /** @param words the arguments behind the command's name, as binary strings */
  constructor(words: readonly string[], context: CommandContext) {
    this.argv = words;
    this.context = context;
  }

  /** Parses, does the one thing, and returns what came of it. @throws CommandError, GrpcError, EngineError */
  abstract run(): Promise<Result>;

  /** Shows the result. Commands that go on for a while show things as they come and have nothing left to print. */
  abstract print(result: Result): Promise<void> | void;

  /** Lets go of connections; called once, also after a failure. */
  close(): Promise<void> | void {}

  protected get terminal(): Terminal {
    return this.context.terminal;
  }

  protected parse<Flags extends FlagSet>(
    definitions: Flags,
    options?: {interspersed: boolean},
  ): ParsedWords<Flags> {
    return parseWords(this.argv, definitions, options);
  }

  /** What oclif calls. */
  static async run(this: CommandClass, argv?: readonly string[]): Promise<unknown> {
    const words = argv === undefined ? processWords(process.argv.slice(2)) : argv.map(wordOf);
    // biome-ignore lint/complexity/noThisInStatic: it is the subclass that oclif calls
    return runCommand(this, words, {environment: process.env, terminal: processTerminal(process.env)});
  }
}

/** Runs, prints and closes. @returns the result */
export async function runCommand(
  Command: CommandClass,
  words: readonly string[],
  context: CommandContext,
): Promise<unknown> {
  const command = new Command(words, context);
  try {
    const result = await command.run();
    await command.print(result);
    return result;
  } finally {
    await command.close();
  }
}

export function argument(name: string, description: string, options = {required: true}): ArgumentHelp {
  return {name, description, required: options.required};
}
