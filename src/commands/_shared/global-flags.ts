/** The flags that all commands with a connection have, and their variables: ETCDCTL_* and KVD_*. */

import type {Environment} from './command.ts';
import {CommandError, ExitCode} from './exit.ts';
import {
  booleanFlag,
  durationFlag,
  type FlagSet,
  type FlagValues,
  integerFlag,
  listFlag,
  textFlag,
} from './flags.ts';
import {wordOf} from './words.ts';

const helpGroup = 'GLOBAL';

export const GLOBAL_FLAGS = {
  'write-out': textFlag({
    char: 'w',
    summary: 'form of the output: simple, fields, json, protobuf or table',
    default: 'simple',
    helpValue: 'form',
    helpGroup,
  }),
  endpoints: listFlag({
    summary: 'members to talk to, comma between; the next one is tried when one fails',
    default: ['127.0.0.1:2379'],
    helpValue: 'list',
    helpGroup,
  }),
  hex: booleanFlag({summary: 'print keys and values as \\xNN', helpGroup}),
  'dial-timeout': durationFlag({summary: 'time to connect', default: 2_000, helpGroup}),
  'command-timeout': durationFlag({summary: 'time for a short command', default: 5_000, helpGroup}),
  'keepalive-time': durationFlag({summary: 'time between pings', default: 2_000, helpGroup}),
  'keepalive-timeout': durationFlag({summary: 'time a ping may take', default: 6_000, helpGroup}),
  user: textFlag({summary: 'user name, or name:password', helpValue: 'name[:password]', helpGroup}),
  password: textFlag({summary: 'password of --user', helpValue: 'text', helpGroup}),
  'auth-jwt-token': textFlag({summary: 'token to send instead of logging in', helpValue: 'token', helpGroup}),
  cacert: textFlag({
    summary: 'certificates of the authorities that servers are checked against',
    helpValue: 'file',
    helpGroup,
  }),
  cert: textFlag({summary: "this client's certificate", helpValue: 'file', helpGroup}),
  key: textFlag({summary: "this client's private key", helpValue: 'file', helpGroup}),
  'insecure-skip-tls-verify': booleanFlag({
    summary: "do not check the server's certificate (tests only)",
    helpGroup,
  }),
  'insecure-transport': booleanFlag({
    summary: 'do without TLS where the endpoint does not ask for it',
    default: true,
    helpGroup,
  }),
  'max-recv-bytes': integerFlag({
    summary: 'largest answer to accept; 0: no limit',
    helpValue: 'bytes',
    helpGroup,
  }),
  'max-request-bytes': integerFlag({
    summary: 'largest request to send; 0: no limit',
    helpValue: 'bytes',
    hidden: true,
  }),
  debug: booleanFlag({summary: 'print the settings in force on the standard error stream', helpGroup}),
  'discovery-srv': textFlag({char: 'd', summary: 'not supported', hidden: true}),
  'discovery-srv-name': textFlag({summary: 'not supported', hidden: true}),
  'insecure-discovery': booleanFlag({summary: 'no effect', default: true, hidden: true}),
} satisfies FlagSet;

export type GlobalFlags = FlagValues<typeof GLOBAL_FLAGS>;

/** Every global flag may come from KVD_NAME or ETCDCTL_NAME, KVD_ first. */
export function variableNames(flag: string): readonly string[] {
  const name = flag.toUpperCase().replaceAll('-', '_');
  return [`KVD_${name}`, `ETCDCTL_${name}`];
}

/**
 * Fills in what the environment says and no flag did.
 * @throws CommandError when a flag and its ETCDCTL_ variable are both set, as etcdctl does, or a value is wrong
 */
export function withEnvironment<Flags extends GlobalFlags>(
  flags: Flags,
  given: ReadonlySet<string>,
  environment: Environment,
): Flags {
  const values: Record<string, unknown> = {...flags};
  for (const [name, flag] of Object.entries(GLOBAL_FLAGS)) {
    const variable = variableNames(name).find((candidate) => environment[candidate]);
    if (variable === undefined) continue;
    if (given.has(name)) {
      if (variable.startsWith('KVD_')) continue;
      throw new CommandError(ExitCode.error, `${variable} is set, and so is --${name}; unset one of them`);
    }
    values[name] = readVariable(flag.read, variable, environment[variable] as string);
  }
  return values as Flags;
}

function readVariable(read: (word: string) => unknown, variable: string, text: string): unknown {
  try {
    return read(wordOf(text));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(
      ExitCode.error,
      `invalid value ${JSON.stringify(text)} for ${variable}: ${reason}`,
    );
  }
}
