/**
 * Splits a command line into flags and arguments as Go's pflag does: flags anywhere between arguments, `--x=v` or
 * `--x v`, booleans take a value only behind `=`, `-wjson` and `-w json`, `--` ends the flags. Pure.
 */

import {badArguments, CommandError, ExitCode, UnknownNameError} from './exit.ts';
import type {Flag, FlagSet, FlagValues} from './flags.ts';
import {textOf} from './words.ts';

export interface ParsedWords<Flags extends FlagSet> {
  readonly flags: FlagValues<Flags>;
  /** Names of the flags that were given. */
  readonly given: ReadonlySet<string>;
  /** Binary strings. */
  readonly words: readonly string[];
  /** How many of `words` stood before `--`; undefined: there was none. */
  readonly dash: number | undefined;
}

/**
 * @param interspersed false: the first argument ends the flags
 * @throws CommandError with exit code 1 and pflag's words
 */
export function parseWords<Flags extends FlagSet>(
  argv: readonly string[],
  definitions: Flags,
  options: {interspersed: boolean} = {interspersed: true},
): ParsedWords<Flags> {
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(definitions)) values[name] = flag.default;
  const given = new Set<string>();
  const words: string[] = [];
  const set = (name: string, word: string, shown: string): void => {
    const flag = definitions[name] as Flag<unknown>;
    const value = readValue(flag, word, shown);
    const earlier = values[name];
    values[name] =
      flag.multiple && given.has(name) ? [...(earlier as unknown[]), ...(value as unknown[])] : value;
    given.add(name);
  };
  let at = 0;
  for (; at < argv.length; at++) {
    const word = argv[at] as string;
    if (word === '--') {
      return {flags: values as never, given, words: [...words, ...argv.slice(at + 1)], dash: words.length};
    }
    if (word.startsWith('--')) at += parseLong(word, argv[at + 1], definitions, set);
    else if (word.startsWith('-') && word.length > 1) at += parseShort(word, argv[at + 1], definitions, set);
    else if (options.interspersed) words.push(word);
    else break;
  }
  return {flags: values as never, given, words: [...words, ...argv.slice(at)], dash: undefined};
}

type SetFlag = (name: string, word: string, shown: string) => void;

/** @returns how many further words it took */
function parseLong(word: string, next: string | undefined, definitions: FlagSet, set: SetFlag): 0 | 1 {
  const equals = word.indexOf('=');
  const name = word.slice(2, equals < 0 ? undefined : equals);
  if (name === '' || name.startsWith('-')) throw flagError(`bad flag syntax: ${textOf(word)}`);
  const flag = Object.hasOwn(definitions, name) ? definitions[name] : undefined;
  if (flag === undefined) throw unknownFlag(`unknown flag: --${textOf(name)}`, name, definitions);
  const shown = flag.char === undefined ? `--${name}` : `-${flag.char}, --${name}`;
  if (equals >= 0) set(name, word.slice(equals + 1), shown);
  else if (flag.type === 'boolean') set(name, 'true', shown);
  else if (next === undefined) throw flagError(`flag needs an argument: --${name}`);
  else {
    set(name, next, shown);
    return 1;
  }
  return 0;
}

function parseShort(word: string, next: string | undefined, definitions: FlagSet, set: SetFlag): 0 | 1 {
  for (let at = 1; at < word.length; at++) {
    const char = word[at] as string;
    const [name, flag] = Object.entries(definitions).find(([, {char: own}]) => own === char) ?? [];
    if (name === undefined || flag === undefined) {
      const hint = /\d/.test(char) ? '; a value that begins with a dash stands behind --' : '';
      const what = `unknown shorthand flag: '${textOf(char)}' in ${textOf(word)}`;
      throw unknownFlag(what, word.slice(1).replace(/=.*/s, ''), definitions, hint);
    }
    const shown = `-${char}, --${name}`;
    const rest = word.slice(at + 1);
    if (rest.startsWith('=')) {
      set(name, rest.slice(1), shown);
      return 0;
    }
    if (flag.type === 'boolean') set(name, 'true', shown);
    else if (rest !== '') {
      set(name, rest, shown);
      return 0;
    } else if (next === undefined) throw flagError(`flag needs an argument: '${char}' in ${textOf(word)}`);
    else {
      set(name, next, shown);
      return 1;
    }
  }
  return 0;
}

function readValue(flag: Flag<unknown>, word: string, shown: string): unknown {
  try {
    return flag.read(word);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw flagError(`invalid argument ${JSON.stringify(textOf(word))} for "${shown}" flag: ${reason}`);
  }
}

function flagError(message: string): CommandError {
  return new CommandError(ExitCode.error, message);
}

function unknownFlag(what: string, name: string, definitions: FlagSet, hint = ''): CommandError {
  const shown = Object.keys(definitions).filter((known) => definitions[known]?.hidden !== true);
  return new UnknownNameError(what, {
    word: `--${textOf(name)}`,
    names: shown.map((known) => `--${known}`),
    hint,
  });
}

/** For commands that take no arguments. */
export function refuseWords(words: readonly string[], message: string): void {
  if (words.length > 0) throw badArguments(message);
}
