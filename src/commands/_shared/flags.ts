/**
 * Flags of commands. A definition has the shape that oclif's help reads (type, char, summary, default, …) and
 * besides says how a value is read; the parsing itself follows Go's pflag (see parse-words.ts), because that is what
 * etcdctl's users type.
 */

import {formatDuration, parseDurationMs} from '../../config/duration.ts';
import {textOf} from './words.ts';

export interface Flag<Value> {
  readonly type: 'boolean' | 'option';
  readonly char?: string | undefined;
  readonly summary: string;
  /** What the value is when the flag is absent. */
  readonly default: Value;
  /** How help names the value. */
  readonly helpValue?: string | undefined;
  readonly helpGroup?: string | undefined;
  readonly hidden?: boolean | undefined;
  /** A further occurrence adds to the earlier ones instead of replacing them. */
  readonly multiple?: boolean | undefined;
  /** The default as help shows it, where the value itself would say little. */
  readonly defaultHelp?: (() => Promise<string>) | undefined;
  /** Reads one occurrence, a binary string. @throws Error with Go's words on what is wrong */
  readonly read: (word: string) => Value;
}

// biome-ignore lint/suspicious/noExplicitAny: a set holds flags of every value type
export type FlagSet = Readonly<Record<string, Flag<any>>>;

export type FlagValues<Flags extends FlagSet> = {
  readonly [Name in keyof Flags]: Flags[Name] extends Flag<infer Value> ? Value : never;
};

interface Options<Value> {
  readonly char?: string;
  readonly summary: string;
  readonly default?: Value;
  readonly helpValue?: string;
  readonly helpGroup?: string;
  readonly hidden?: boolean;
}

export function booleanFlag(options: Options<boolean>): Flag<boolean> {
  return {default: false, ...options, type: 'boolean', read: readBoolean};
}

export function textFlag(options: Options<string>): Flag<string> {
  return {default: '', ...options, type: 'option', read: textOf};
}

/** Comma between the items; given twice, the lists are joined. */
export function listFlag(options: Options<readonly string[]>): Flag<readonly string[]> {
  const read = (word: string): readonly string[] => (word === '' ? [] : textOf(word).split(','));
  return {default: [], ...options, type: 'option', multiple: true, read};
}

/** A signed 64-bit number, rounded to what a double can hold where it is larger than 2^53. */
export function integerFlag(options: Options<number>): Flag<number> {
  return {
    default: 0,
    ...options,
    type: 'option',
    read: (word) => toSafeInt64(readInteger(word, -(2n ** 63n))),
  };
}

export function unsignedFlag(options: Options<number>): Flag<number> {
  return {default: 0, ...options, type: 'option', read: (word) => toSafeInt64(readInteger(word, 0n))};
}

/** Milliseconds. */
export function durationFlag(options: Options<number>): Flag<number> {
  const defaultHelp = async () => formatDuration(options.default ?? 0);
  return {helpValue: 'duration', default: 0, ...options, type: 'option', defaultHelp, read: readDuration};
}

function readBoolean(word: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(word)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(word)) return false;
  throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(textOf(word))}: invalid syntax`);
}

function readInteger(word: string, min: bigint): bigint {
  const parser = min < 0n ? 'strconv.ParseInt' : 'strconv.ParseUint';
  const [, sign, digits] = /^([+-]?)(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|[0-9]+)$/.exec(word) ?? [];
  const wrong = (what: string) => new Error(`${parser}: parsing ${JSON.stringify(textOf(word))}: ${what}`);
  if (digits === undefined || (min === 0n && sign !== '')) throw wrong('invalid syntax');
  const octal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits;
  const value = sign === '-' ? -BigInt(octal) : BigInt(octal);
  if (value < min || value > 2n ** 63n - 1n) throw wrong('value out of range');
  return value;
}

/** The nearest number whose integer still fits 64 bits. */
export function toSafeInt64(value: bigint): number {
  return Math.min(Number(value), 2 ** 63 - 1024);
}

function readDuration(word: string): number {
  const milliseconds = parseDurationMs(textOf(word));
  if (milliseconds === undefined) throw new Error(`time: invalid duration ${JSON.stringify(textOf(word))}`);
  return milliseconds;
}
