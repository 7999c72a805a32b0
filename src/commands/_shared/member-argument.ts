/** The one argument of most member commands. */

import {badArguments} from './exit.ts';
import {parseMemberId} from './numbers.ts';

/** @throws CommandError 128 in etcdctl's words */
export function memberArgument(words: readonly string[]): bigint {
  const [word] = words;
  if (word === undefined || words.length !== 1) throw badArguments('member ID is not provided');
  try {
    return parseMemberId(word);
  } catch (error) {
    throw badArguments(`bad member ID arg (${(error as Error).message}), expecting ID in Hex`);
  }
}
