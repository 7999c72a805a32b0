/**
 * The script of a transaction: compares, requests for success, requests for failure, one a line, an empty line
 * behind each of the three blocks.
 *
 *     mod("key") > "0"
 *     (empty)
 *     put key value
 *     get key
 *     (empty)
 *     del key --prefix
 *     (empty)
 */

import {CompareResult, CompareTarget} from '../../engine/types.ts';
import type {CompareInput, RequestOpInput, TxnRequestInput} from '../../transport/proto/generated/kv.ts';
import {DEL_FLAGS, deleteRequest} from './del-arguments.ts';
import {badArguments, CommandError, ExitCode} from './exit.ts';
import {GET_FLAGS, rangeRequest} from './get-arguments.ts';
import {parseDecimal, parseLeaseId} from './numbers.ts';
import {parseWords} from './parse-words.ts';
import {PUT_FLAGS, putRequest} from './put-arguments.ts';
import {bytesOf, splitLine, textOf, unquote} from './words.ts';

/** A line of input as a binary string; `isComplete`: a line feed ended it. */
export interface InputLine {
  readonly line: string;
  readonly isComplete: boolean;
}

/** @param prompt told before each block. @throws CommandError 3 or 128 in etcdctl's words */
export async function readTxn(
  lines: AsyncIterable<InputLine>,
  prompt: (text: string) => void,
): Promise<TxnRequestInput> {
  const iterator = lines[Symbol.asyncIterator]();
  prompt('compares:');
  const compare = (await readBlock(iterator)).map(parseCompare);
  prompt('success requests (get, put, del):');
  const success = await parseRequests(await readBlock(iterator));
  prompt('failure requests (get, put, del):');
  const failure = await parseRequests(await readBlock(iterator));
  return {compare, success, failure};
}

/** The lines up to an empty one. */
async function readBlock(lines: AsyncIterator<InputLine>): Promise<string[]> {
  const block: string[] = [];
  for (;;) {
    const next = await lines.next();
    if (next.done === true || !next.value.isComplete) throw new CommandError(ExitCode.invalidInput, 'EOF');
    const line = next.value.line.trim();
    if (line === '') return block;
    block.push(line);
  }
}

// ---- Compares -----------------------------------------------------------------------------------------------

const COMPARE = /^([^(]*)\(\s*("(?:[^"\\]|\\.)*")\)\s*(\S+)\s+("(?:[^"\\]|\\.)*")/;

const OPERATORS: Readonly<Record<string, number>> = {
  '=': CompareResult.equal,
  '!=': CompareResult.notEqual,
  '<': CompareResult.less,
  '>': CompareResult.greater,
};

const OPERANDS: Readonly<Record<string, (word: string) => Partial<CompareInput>>> = {
  ver: (word) => ({target: CompareTarget.version, version: parseDecimal(word)}),
  version: (word) => ({target: CompareTarget.version, version: parseDecimal(word)}),
  c: (word) => ({target: CompareTarget.create, createRevision: parseDecimal(word)}),
  create: (word) => ({target: CompareTarget.create, createRevision: parseDecimal(word)}),
  m: (word) => ({target: CompareTarget.mod, modRevision: parseDecimal(word)}),
  mod: (word) => ({target: CompareTarget.mod, modRevision: parseDecimal(word)}),
  val: (word) => ({target: CompareTarget.value, value: bytesOf(word)}),
  value: (word) => ({target: CompareTarget.value, value: bytesOf(word)}),
  lease: (word) => ({target: CompareTarget.lease, lease: parseLeaseId(word)}),
};

/** `mod("key") > "3"`. */
export function parseCompare(line: string): CompareInput {
  const [, target, key, operator, operand] = COMPARE.exec(line) ?? [];
  const malformed = (detail: string) =>
    new CommandError(ExitCode.invalidInput, `malformed comparison: ${textOf(line)}${detail}`);
  if (target === undefined || key === undefined || operator === undefined || operand === undefined) {
    throw malformed('');
  }
  const read = Object.hasOwn(OPERANDS, target) ? OPERANDS[target] : undefined;
  if (read === undefined) throw malformed(` (unknown target ${textOf(target)})`);
  const result = Object.hasOwn(OPERATORS, operator) ? OPERATORS[operator] : undefined;
  if (result === undefined) throw malformed(` (unknown operator ${textOf(operator)})`);
  try {
    return {key: bytesOf(unquote(key)), result, ...read(unquote(operand))};
  } catch {
    // The words of the user say more than ours: they are shown as they stand.
    throw new CommandError(ExitCode.invalidInput, `invalid txn compare request: ${textOf(line)}`);
  }
}

// ---- Requests -----------------------------------------------------------------------------------------------

async function parseRequests(lines: readonly string[]): Promise<RequestOpInput[]> {
  const requests: RequestOpInput[] = [];
  for (const line of lines) requests.push(await parseRequest(line));
  return requests;
}

async function parseRequest(line: string): Promise<RequestOpInput> {
  const [name, ...words] = splitWords(line);
  if (words.length === 0)
    throw new CommandError(ExitCode.invalidInput, `invalid txn compare request: ${textOf(line)}`);
  try {
    return await toRequest(name, words);
  } catch (error) {
    // Wrong flags and unknown names; wrong arguments of the right command speak for themselves.
    if (error instanceof CommandError && error.exitCode !== ExitCode.error) throw error;
    throw new CommandError(ExitCode.invalidInput, `invalid txn request: ${textOf(line)}`, error);
  }
}

async function toRequest(name: string | undefined, argv: readonly string[]): Promise<RequestOpInput> {
  if (name === 'put') {
    const {words, flags} = parseWords(argv, PUT_FLAGS);
    const noInput = () => {
      throw badArguments('put command needs 2 arguments inside a transaction');
    };
    return {requestPut: await putRequest(words, flags, noInput)};
  }
  if (name === 'get') {
    const {words, flags} = parseWords(argv, GET_FLAGS);
    return {requestRange: rangeRequest(words, flags)};
  }
  if (name !== 'del') throw new CommandError(ExitCode.error, 'unknown request');
  const {words, flags} = parseWords(argv, DEL_FLAGS);
  return {requestDeleteRange: deleteRequest(words, flags)};
}

function splitWords(line: string): string[] {
  try {
    return splitLine(line);
  } catch (error) {
    throw new CommandError(ExitCode.invalidInput, (error as Error).message, error);
  }
}
