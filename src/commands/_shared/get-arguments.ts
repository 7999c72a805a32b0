/** The flags and arguments of get, on the command line and in transactions. */

import {SortOrder, SortTarget} from '../../engine/types.ts';
import type {RangeRequestInput} from '../../transport/proto/generated/kv.ts';
import {badArguments, CommandError, ExitCode} from './exit.ts';
import {booleanFlag, type FlagValues, integerFlag, textFlag} from './flags.ts';
import {namedRange} from './ranges.ts';

export const GET_FLAGS = {
  prefix: booleanFlag({summary: 'all keys that begin with the argument'}),
  'from-key': booleanFlag({summary: 'all keys from the argument on, in byte order'}),
  consistency: textFlag({
    summary: 'l: what the majority knows; s: what this member knows',
    default: 'l',
    helpValue: 'l|s',
  }),
  order: textFlag({summary: 'ASCEND or DESCEND', helpValue: 'order'}),
  'sort-by': textFlag({summary: 'CREATE, KEY, MODIFY, VALUE or VERSION', helpValue: 'target'}),
  limit: integerFlag({summary: 'most results; 0: all', helpValue: 'number'}),
  rev: integerFlag({summary: 'as it was at this revision', helpValue: 'revision'}),
  'keys-only': booleanFlag({summary: 'leave the values out'}),
  'count-only': booleanFlag({summary: 'only count (shown by -w fields and -w json)'}),
  'print-value-only': booleanFlag({summary: 'print values without their keys (-w simple)'}),
  'min-create-rev': integerFlag({
    summary: 'only keys created at this revision or later',
    helpValue: 'revision',
  }),
  'max-create-rev': integerFlag({
    summary: 'only keys created at this revision or before',
    helpValue: 'revision',
  }),
  'min-mod-rev': integerFlag({summary: 'only keys changed at this revision or later', helpValue: 'revision'}),
  'max-mod-rev': integerFlag({
    summary: 'only keys changed at this revision or before',
    helpValue: 'revision',
  }),
};

/** @throws CommandError 128 or 4 in etcdctl's words */
export function rangeRequest(
  words: readonly string[],
  flags: FlagValues<typeof GET_FLAGS>,
): RangeRequestInput {
  if (words.length === 0) {
    throw badArguments('get command needs one argument as key and an optional argument as range_end');
  }
  const range = namedRange(words, flags);
  if (flags['keys-only'] && flags['count-only']) {
    throw badArguments('`--keys-only` and `--count-only` cannot be set at the same time, choose one');
  }
  const serializable = isSerializable(flags.consistency);
  const sortOrder = orderOf(flags.order, flags['sort-by']);
  return {
    ...range,
    serializable,
    sortOrder,
    sortTarget: targetOf(flags['sort-by']),
    limit: flags.limit,
    revision: Math.max(flags.rev, 0),
    keysOnly: flags['keys-only'],
    countOnly: flags['count-only'],
    minCreateRevision: flags['min-create-rev'],
    maxCreateRevision: flags['max-create-rev'],
    minModRevision: flags['min-mod-rev'],
    maxModRevision: flags['max-mod-rev'],
  };
}

export function isSerializable(consistency: string): boolean {
  if (consistency !== 'l' && consistency !== 's') {
    throw new CommandError(ExitCode.badFeature, `unknown consistency flag "${consistency}"`);
  }
  return consistency === 's';
}

function orderOf(order: string, target: string): number {
  switch (order.toUpperCase()) {
    case '':
      return target === '' ? SortOrder.none : SortOrder.ascend;
    case 'ASCEND':
      return SortOrder.ascend;
    case 'DESCEND':
      return SortOrder.descend;
    default:
      throw new CommandError(ExitCode.badFeature, `bad sort order ${order}`);
  }
}

const TARGETS: Readonly<Record<string, number>> = {
  '': SortTarget.key,
  CREATE: SortTarget.create,
  KEY: SortTarget.key,
  MODIFY: SortTarget.mod,
  VALUE: SortTarget.value,
  VERSION: SortTarget.version,
};

function targetOf(target: string): number {
  const found = TARGETS[target.toUpperCase()];
  if (found === undefined) throw new CommandError(ExitCode.badFeature, `bad sort target ${target}`);
  return found;
}
