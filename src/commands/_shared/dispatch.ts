/**
 * From the process's arguments to the one command file: the path of a file under src/commands is the command. Names
 * may be shortened to a unique prefix, as in etcdctl (`kvd snap save`), and global flags may stand before them.
 */

import {readdirSync} from 'node:fs';
import {type CommandClass, type CommandContext, runCommand} from './command.ts';
import {CommandError, ExitCode, UnknownNameError} from './exit.ts';
import {GLOBAL_FLAGS} from './global-flags.ts';
import {parseWords} from './parse-words.ts';
import {processTerminal} from './terminal.ts';
import {processWords, textOf} from './words.ts';

const ROOT = new URL('../', import.meta.url);

/** Other names of commands. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['delete', 'del'],
  ['compact', 'compaction'],
]);

export interface Found {
  /** `['lease', 'grant']`; a topic or nothing when `isCommand` is false. */
  readonly path: readonly string[];
  readonly isCommand: boolean;
  /** The other words, in their order. */
  readonly rest: readonly string[];
}

/** Runs what the arguments name. @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  const terminal = processTerminal(process.env);
  const context: CommandContext = {environment: process.env, terminal};
  try {
    await dispatch(processWords(argv), context);
    await terminal.flush();
    return Number(process.exitCode ?? ExitCode.ok);
  } catch (error) {
    const {describeError} = await import('./describe-error.ts');
    const {line, exitCode} = describeError(error);
    if (line !== '') terminal.warn(`Error: ${line}`);
    await terminal.flush();
    return exitCode;
  }
}

/** @throws whatever the command ends with */
export async function dispatch(words: readonly string[], context: CommandContext): Promise<unknown> {
  const found = findCommand(words);
  if (asksForVersion(found)) return runCommand(await load(['version']), [], context);
  if (asksForHelp(found)) {
    if (!found.isCommand) refuseUnknownFlags(found.rest);
    const {showHelp} = await import('./help.ts');
    return showHelp(found.path[0] === 'help' ? findCommand(found.rest).path : found.path, context.terminal);
  }
  return runCommand(await load(found.path), found.rest, context);
}

function asksForVersion({path, rest}: Found): boolean {
  return path.length === 0 && (rest[0] === '--version' || rest[0] === '-V');
}

/** Flags without a command: `kvd --nonsense` is a mistake, not a question. @throws CommandError 1 */
function refuseUnknownFlags(rest: readonly string[]): void {
  parseWords(
    rest.filter((word) => word !== '--help' && word !== '-h'),
    GLOBAL_FLAGS,
  );
}

/** Behind `--` a help flag is another program's. */
function asksForHelp({path, isCommand, rest}: Found): boolean {
  if (!isCommand || path[0] === 'help') return true;
  const dash = rest.indexOf('--');
  return rest.slice(0, dash < 0 ? undefined : dash).some((word) => word === '--help' || word === '-h');
}

/** @throws CommandError 1 for a name that is none */
export function findCommand(words: readonly string[]): Found {
  const path: string[] = [];
  const rest: string[] = [];
  let entries = list(path);
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    if (word === '--') return {path, isCommand: false, rest: [...rest, ...words.slice(at)]};
    if (word.startsWith('-') && word.length > 1) {
      rest.push(word);
      if (takesNext(word) && at + 1 < words.length) rest.push(words[++at] as string);
      continue;
    }
    if (path.length === 0 && word === 'help')
      return {path: ['help'], isCommand: true, rest: words.slice(at + 1)};
    path.push(resolve(word, entries, path));
    const entry = entries.get(path.at(-1) as string);
    if (entry === 'command') return {path, isCommand: true, rest: [...rest, ...words.slice(at + 1)]};
    entries = list(path);
  }
  return {path, isCommand: false, rest};
}

type Entries = ReadonlyMap<string, 'command' | 'topic'>;

function list(path: readonly string[]): Entries {
  const folder = new URL(path.map((name) => `${name}/`).join(''), ROOT);
  const entries = new Map<string, 'command' | 'topic'>();
  for (const entry of readdirSync(folder, {withFileTypes: true})) {
    if (entry.name.startsWith('_') || entry.name.endsWith('.d.ts')) continue;
    if (entry.isDirectory()) entries.set(entry.name, 'topic');
    else if (/\.[jt]s$/.test(entry.name)) entries.set(entry.name.slice(0, -3), 'command');
  }
  return entries;
}

function resolve(word: string, entries: Entries, path: readonly string[]): string {
  if (entries.has(word)) return word;
  const alias = path.length === 0 ? ALIASES.get(word) : undefined;
  if (alias !== undefined) return alias;
  const candidates = [...entries.keys()].filter((name) => name.startsWith(word));
  if (candidates.length === 1) return candidates[0] as string;
  const parent = ['kvd', ...path].join(' ');
  const what = `unknown command ${JSON.stringify(textOf(word))} for "${parent}"`;
  if (candidates.length > 1) {
    throw new CommandError(ExitCode.error, `${what}; it could be ${candidates.join(' or ')}`);
  }
  const names = [...entries.keys(), ...(path.length === 0 ? ALIASES.keys() : [])];
  throw new UnknownNameError(what, {word: textOf(word), names, hint: `; see: ${parent} --help`});
}

/** Whether a global flag in front of the command's name has its value in the next word. */
function takesNext(word: string): boolean {
  if (word.includes('=')) return false;
  if (word.startsWith('--')) {
    const name = word.slice(2) as keyof typeof GLOBAL_FLAGS;
    return Object.hasOwn(GLOBAL_FLAGS, name) && GLOBAL_FLAGS[name].type === 'option';
  }
  return word === '-w' || word === '-d';
}

async function load(path: readonly string[]): Promise<CommandClass> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const module = (await import(new URL(`${path.join('/')}.${extension}`, ROOT).href)) as {
    default: CommandClass;
  };
  return module.default;
}
