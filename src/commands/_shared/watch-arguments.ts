/** The flags and arguments of watch, on the command line and in interactive mode. */

import type {WatchCreateRequestInput} from '../../transport/proto/generated/watch.ts';
import type {Environment} from './command.ts';
import {badArguments} from './exit.ts';
import {booleanFlag, type FlagValues, integerFlag} from './flags.ts';
import {namedRange} from './ranges.ts';
import {wordOf} from './words.ts';

export const WATCH_FLAGS = {
  prefix: booleanFlag({summary: 'all keys that begin with the argument'}),
  rev: integerFlag({summary: 'begin with this revision', helpValue: 'revision'}),
  'prev-kv': booleanFlag({summary: 'print what was there before each change'}),
  'progress-notify': booleanFlag({summary: 'print the revision from time to time while nothing changes'}),
};

export interface WatchArguments {
  readonly request: WatchCreateRequestInput;
  /** Run for each event; empty: none. */
  readonly command: readonly string[];
}

/** @param dash how many words stood before `--`. @throws CommandError 128 in etcdctl's words */
export function watchArguments(
  {
    words,
    dash,
    flags,
  }: {words: readonly string[]; dash: number | undefined; flags: FlagValues<typeof WATCH_FLAGS>},
  environment: Environment,
): WatchArguments {
  const command = dash === undefined ? [] : words.slice(dash);
  if (dash !== undefined && command.length === 0) {
    throw badArguments('bad number of arguments (found separator --, but no commands)');
  }
  const named = namedByEnvironment(words.slice(0, dash), environment);
  if (named.length === 0) throw badArguments('bad number of arguments');
  if (flags.prefix && named.length >= 2)
    throw badArguments('`range_end` and `--prefix` are mutually exclusive');
  const range = namedRange(named, flags);
  // Nothing to watch is everything, as the empty prefix is.
  const key = range.key.length === 0 ? Buffer.from([0]) : range.key;
  return {
    request: {
      ...range,
      key,
      startRevision: Math.max(flags.rev, 0),
      prevKv: flags['prev-kv'],
      progressNotify: flags['progress-notify'],
      fragment: true,
    },
    command,
  };
}

/** Key and range end may come from variables, for watches that a unit file starts. */
function namedByEnvironment(words: readonly string[], environment: Environment): readonly string[] {
  const key = environment.KVD_WATCH_KEY ?? environment.ETCDCTL_WATCH_KEY ?? '';
  const rangeEnd = environment.KVD_WATCH_RANGE_END ?? environment.ETCDCTL_WATCH_RANGE_END ?? '';
  if (key === '' && rangeEnd !== '') {
    throw badArguments(
      `ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=${JSON.stringify(rangeEnd)}`,
    );
  }
  if (key === '') return words;
  if (words.length > 0) throw badArguments('bad number of arguments (found conflicting environment key)');
  return rangeEnd === '' ? [wordOf(key)] : [wordOf(key), wordOf(rangeEnd)];
}
