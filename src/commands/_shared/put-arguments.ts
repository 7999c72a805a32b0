/** The flags and arguments of put, on the command line and in transactions. */

import type {PutRequestInput} from '../../transport/proto/generated/kv.ts';
import {badArguments} from './exit.ts';
import {booleanFlag, type FlagValues, textFlag} from './flags.ts';
import {parseLeaseId} from './numbers.ts';
import {bytesOf, wordOf} from './words.ts';

const WRONG_NUMBER = 'put command needs 1 argument and input from stdin or 2 arguments';

export const PUT_FLAGS = {
  lease: textFlag({
    summary: 'id of the lease (hexadecimal) that the key shall end with',
    default: '0',
    helpValue: 'id',
  }),
  'prev-kv': booleanFlag({summary: 'print the key and value from before'}),
  'ignore-value': booleanFlag({summary: 'keep the value that is there'}),
  'ignore-lease': booleanFlag({summary: 'keep the lease that is there'}),
};

/** @param readInput gives the value when no argument does. @throws CommandError 128 in etcdctl's words */
export async function putRequest(
  words: readonly string[],
  flags: FlagValues<typeof PUT_FLAGS>,
  readInput: () => Promise<Uint8Array>,
): Promise<PutRequestInput> {
  const [key, value] = words;
  if (key === undefined) throw badArguments(WRONG_NUMBER);
  if (flags['ignore-value'] && words.length > 1) {
    throw badArguments("put command needs only 1 argument when 'ignore-value' is set");
  }
  return {
    key: bytesOf(key),
    value: flags['ignore-value']
      ? undefined
      : value === undefined
        ? await inputOf(readInput)
        : bytesOf(value),
    lease: leaseOf(flags.lease),
    prevKv: flags['prev-kv'],
    ignoreValue: flags['ignore-value'],
    ignoreLease: flags['ignore-lease'],
  };
}

/** An empty input is rather a mistake than an empty value, which `put key ''` says better. */
async function inputOf(readInput: () => Promise<Uint8Array>): Promise<Uint8Array> {
  const input = await readInput();
  if (input.length === 0) throw badArguments(WRONG_NUMBER);
  return input;
}

function leaseOf(text: string): bigint {
  try {
    return parseLeaseId(wordOf(text));
  } catch (error) {
    throw badArguments(`bad lease ID (${(error as Error).message}), expecting ID in Hex`);
  }
}
