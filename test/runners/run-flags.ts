/** The flags of the programs behind `npm run`: read, checked, and told by `--help`. */

import {parseArgs} from 'node:util';

interface Told {
  readonly help: string;
}
interface NumberFlag extends Told {
  readonly kind: 'whole' | 'number';
  readonly default?: number;
  /** The least that makes sense; 0 when absent. */
  readonly least?: number;
  /** The value itself makes no sense, and everything above does; instead of `least`. */
  readonly above?: number;
  readonly choices?: readonly number[];
}
interface TextFlag extends Told {
  readonly kind: 'text';
  readonly default?: string;
  readonly choices?: readonly string[];
  /** What other texts must look like: said to whom writes something else. */
  readonly form?: {readonly name: string; readonly fits: (text: string) => boolean};
}
interface SwitchFlag extends Told {
  readonly kind: 'switch';
}
type Flag = NumberFlag | TextFlag | SwitchFlag;
type Flags = Readonly<Record<string, Flag>>;

type ValueOf<F extends Flag> = F extends SwitchFlag
  ? boolean
  : (F extends NumberFlag ? number : string) | (F extends {default: unknown} ? never : undefined);
type Values<F extends Flags> = {readonly [Name in keyof F]: ValueOf<F[Name]>};

type Reading<F extends Flags> =
  | {readonly values: Values<F>}
  | {readonly help: string}
  | {readonly refusal: string};

/** A refusal, as of a shell's own commands. */
const EXIT_BAD_ARGUMENTS = 2;

/** Those of this process. Ends it for `--help` and for what makes no sense, before anything has run. */
export function runFlags<const F extends Flags>(script: string, about: string, flags: F): Values<F> {
  const reading = readFlags(process.argv.slice(2), {script, about, flags});
  if ('values' in reading) return reading.values;
  if ('help' in reading) {
    console.log(reading.help);
    process.exit(0);
  }
  console.error(reading.refusal);
  process.exit(EXIT_BAD_ARGUMENTS);
}

export function readFlags<const F extends Flags>(
  words: readonly string[],
  {script, about, flags}: {script: string; about: string; flags: F},
): Reading<F> {
  const refuse = (reason: string) => ({
    refusal: `Error: ${reason}\nnpm run ${script} -- --help tells the flags`,
  });
  let given: Readonly<Record<string, unknown>>;
  try {
    const options = Object.entries(flags).map(
      ([name, {kind}]) => [name, {type: kind === 'switch' ? 'boolean' : 'string'}] as const,
    );
    const all = {...Object.fromEntries(options), help: {type: 'boolean'}} as const;
    given = parseArgs({args: [...words], options: all}).values;
  } catch (error) {
    // What follows the first sentence is advice for the author of a program.
    return refuse((error as Error).message.split(/\. |\n/)[0]);
  }
  if (given.help === true) return {help: helpOf(script, about, flags)};
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(flags)) {
    const word = given[name];
    if (flag.kind === 'switch') {
      values[name] = word === true;
      continue;
    }
    values[name] = word === undefined || flag.kind === 'text' ? (word ?? flag.default) : numberOf(word);
    if (word === undefined) continue;
    const reason = wrongWith(flag, values[name]);
    if (reason !== undefined) return refuse(`--${name} is ${reason}, not "${String(word)}"`);
  }
  return {values: values as Values<F>};
}

/** NaN for what is no plain number; Number() takes blanks for 0. */
function numberOf(word: unknown): number {
  return /^-?\d+(\.\d+)?$/.test(String(word)) ? Number(word) : Number.NaN;
}

/** @returns what the value should be, when it is something else */
function wrongWith(flag: NumberFlag | TextFlag, value: unknown): string | undefined {
  const {choices} = flag;
  if (choices !== undefined) {
    return (choices as readonly unknown[]).includes(value) ? undefined : `one of ${choices.join(', ')}`;
  }
  if (flag.kind === 'text') return flag.form?.fits(String(value)) === false ? flag.form.name : undefined;
  const {kind, least = 0, above} = flag;
  const isRight = kind === 'whole' ? Number.isSafeInteger(value) : Number.isFinite(value);
  const isEnough = above === undefined ? (value as number) >= least : (value as number) > above;
  if (isRight && isEnough) return undefined;
  const bound = above === undefined ? `from ${least} on` : `above ${above}`;
  return `a ${kind === 'whole' ? 'whole number' : 'number'} ${bound}`;
}

function helpOf(script: string, about: string, flags: Flags): string {
  const rows = Object.entries(flags).map(([name, flag]): readonly [string, string] => {
    if (flag.kind === 'switch') return [`--${name}`, flag.help];
    const usual = flag.default === undefined || flag.default === '' ? '' : ` (${flag.default})`;
    const choices = flag.choices === undefined ? '' : `: ${flag.choices.join(', ')}`;
    return [`--${name} ${flag.kind === 'text' ? 'TEXT' : 'N'}`, `${flag.help}${choices}${usual}`];
  });
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  const lines = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
  return [`npm run ${script} -- [flags]: ${about}`, '', ...lines].join('\n').trimEnd();
}
