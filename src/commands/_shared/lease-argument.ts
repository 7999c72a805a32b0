/** The one argument of most lease commands. */

import {badArguments} from './exit.ts';
import {parseLeaseId} from './numbers.ts';

/** @param missing what to say when there is not exactly one argument. @throws CommandError 128 */
export function leaseArgument(words: readonly string[], missing: string): bigint {
  const [word] = words;
  if (word === undefined || words.length !== 1) throw badArguments(missing);
  try {
    return parseLeaseId(word);
  } catch (error) {
    throw badArguments(`bad lease ID arg (${(error as Error).message}), expecting ID in Hex`);
  }
}
