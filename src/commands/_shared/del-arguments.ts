/** The flags and arguments of del, on the command line and in transactions. */

import type {DeleteRangeRequestInput} from '../../transport/proto/generated/kv.ts';
import {badArguments} from './exit.ts';
import {booleanFlag, type FlagValues} from './flags.ts';
import {namedRange} from './ranges.ts';

export const DEL_FLAGS = {
  prefix: booleanFlag({summary: 'all keys that begin with the argument'}),
  'from-key': booleanFlag({summary: 'all keys from the argument on, in byte order'}),
  'prev-kv': booleanFlag({summary: 'print what was deleted'}),
  range: booleanFlag({summary: 'two arguments are meant as a range: do not wait before deleting it'}),
};

/** @throws CommandError 128 in etcdctl's words */
export function deleteRequest(
  words: readonly string[],
  flags: FlagValues<typeof DEL_FLAGS>,
): DeleteRangeRequestInput {
  if (words.length === 0 || words.length > 2) {
    throw badArguments('del command needs one argument as key and an optional argument as range_end');
  }
  return {...namedRange(words, flags), prevKv: flags['prev-kv']};
}
