/**
 * A step of the differential script: one invocation of a command line, as data. Words in braces are filled in for
 * the cluster that the step runs on:
 *
 *     {endpoint}        the member whose turn it is      {endpoints}  all of them
 *     {member:1}        id of the first member, hex      {follower}   id of a member that does not lead, hex
 *     {revision} {revision+1} {revision-2}               the store's revision, and near it
 *     {folder}          an empty folder of this run      {name}       an id that an earlier step captured, hex
 *     {peer:1}          peer URL of the first member
 */

import type {Message} from '../../process/raw-grpc.ts';

export interface Step {
  /** Words of the command line behind the program and its --endpoints. */
  readonly args: readonly string[];
  /** Instead of `args`: a line for sh in which $CTL is the program with its --endpoints; for words that are no text. */
  readonly shell?: string;
  readonly input?: string | Buffer;
  readonly environment?: Readonly<Record<string, string>>;
  /** Instead of a command: a call by gRPC to the first member, for what no command can bring about. */
  readonly call?: {readonly method: string; readonly request: Message};
  /** Ids that later steps use, and that have a name in diffs: the first group of each expression, hex. */
  readonly capture?: Readonly<Record<string, RegExp>>;
  /** The same for ids in decimal. */
  readonly captureDecimal?: Readonly<Record<string, RegExp>>;
  /** The command does not end by itself: it gets SIGINT when its standard output has this many lines; its input stays open. */
  readonly untilLines?: number;
  /** Run while this step runs, as soon as it has started. */
  readonly meanwhile?: readonly (readonly string[])[];
  /** The standard output is a message of this type, as with -w protobuf. */
  readonly message?: string;
  /** The command refuses it by itself and asks no server, so that one run of it is enough. */
  readonly isUsage?: boolean;
  /** Only for clusters of this size. */
  readonly members?: 1 | 3;
  /** The endpoint is that of a member that does not lead. */
  readonly onFollower?: boolean;
  /** Tried again as long as stderr has this: what only time brings about. */
  readonly whileError?: RegExp;
  /** Why kvd's own command line is not compared with etcdctl's in this step. */
  readonly kvdDiffers?: string;
}

type More = Omit<Step, 'args'>;

/** A step from one line, split at spaces; two quotes are an empty word. */
export function step(line: string, more: More = {}): Step {
  const args = line.split(' ').filter((word) => word !== '');
  return {args: args.map((word) => (word === "''" ? '' : word)), ...more};
}

/** A step that the command line refuses by itself. */
export function usage(line: string, more: More = {}): Step {
  return {...step(line, more), isUsage: true};
}

/** A step whose words are given one by one. */
export function words(args: readonly string[], more: More = {}): Step {
  return {args, ...more};
}

/** A step for sh: $CTL is the program with its endpoints. */
export function shell(line: string, more: More = {}): Step {
  return {args: [], shell: line, ...more};
}

/** A call by gRPC instead of a command. */
export function call(method: string, request: Message): Step {
  return {args: [], call: {method, request}};
}

/** How a step is called in test names and diffs. */
export function describeStep({args, shell: line, input, call: rpc}: Step): string {
  if (rpc !== undefined) return `${rpc.method} ${JSON.stringify(rpc.request)}`;
  const command = line ?? `etcdctl ${args.map(quoted).join(' ')}`;
  if (input === undefined) return command;
  const text = input.toString('latin1');
  return `${command} <<< ${JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}… (${text.length})` : text)}`;
}

function quoted(word: string): string {
  if (word.length > 200) return `<${word.length} bytes>`;
  return /^[^\s'"]+$/.test(word) ? word : JSON.stringify(word);
}
