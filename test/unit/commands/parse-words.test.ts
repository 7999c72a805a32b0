import {describe, expect, it} from 'vitest';
import {CommandError} from '../../../src/commands/_shared/exit.ts';
import {
  booleanFlag,
  durationFlag,
  integerFlag,
  listFlag,
  textFlag,
  unsignedFlag,
} from '../../../src/commands/_shared/flags.ts';
import {parseWords} from '../../../src/commands/_shared/parse-words.ts';
import {wordOf} from '../../../src/commands/_shared/words.ts';

const FLAGS = {
  prefix: booleanFlag({summary: '', char: 'p'}),
  quiet: booleanFlag({summary: '', char: 'q'}),
  'write-out': textFlag({summary: '', char: 'w', default: 'simple'}),
  rev: integerFlag({summary: ''}),
  count: unsignedFlag({summary: ''}),
  timeout: durationFlag({summary: '', default: 5_000}),
  endpoints: listFlag({summary: '', default: ['one']}),
};

const parse = (...argv: string[]) => parseWords(argv.map(wordOf), FLAGS);

function refusal(...argv: string[]): string {
  try {
    parse(...argv);
  } catch (error) {
    if (error instanceof CommandError && error.exitCode === 1) return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('parse words', () => {
  it('Ensure that flags may stand anywhere between arguments.', () => {
    const {flags, words} = parse('a', '--prefix', 'b', '--rev', '7', 'c', '-w', 'json');
    expect(words).toEqual(['a', 'b', 'c']);
    expect(flags).toMatchObject({prefix: true, rev: 7, 'write-out': 'json'});
  });

  it('Ensure that all ways to give a value are the same.', () => {
    for (const argv of [
      ['-w', 'json'],
      ['-wjson'],
      ['-w=json'],
      ['--write-out', 'json'],
      ['--write-out=json'],
    ]) {
      expect(parse(...argv).flags['write-out']).toBe('json');
    }
  });

  it('Ensure that a boolean takes no word behind it, only behind an equals sign.', () => {
    expect(parse('--prefix', 'false')).toMatchObject({flags: {prefix: true}, words: ['false']});
    expect(parse('--prefix=false').flags.prefix).toBe(false);
    expect(parse('-pqw', 'json').flags).toMatchObject({prefix: true, quiet: true, 'write-out': 'json'});
  });

  it('Ensure that two dashes end the flags, and that their place is known.', () => {
    expect(parse('a', '--', '--prefix', '-w')).toMatchObject({words: ['a', '--prefix', '-w'], dash: 1});
    expect(parse('a').dash).toBeUndefined();
    expect(parse('-').words).toEqual(['-']);
    expect(parse('').words).toEqual(['']);
  });

  it('Ensure that the last value counts, and that lists are joined.', () => {
    expect(parse('--rev=1', '--rev=2').flags.rev).toBe(2);
    expect(parse('--endpoints=a,b', '--endpoints=c').flags.endpoints).toEqual(['a', 'b', 'c']);
    expect(parse().flags.endpoints).toEqual(['one']);
    expect([...parse('--rev=1').given]).toEqual(['rev']);
  });

  it('Ensure that numbers and durations are read as Go reads them.', () => {
    expect(parse('--rev', '-5').flags.rev).toBe(-5);
    expect(parse('--rev=0x10').flags.rev).toBe(16);
    expect(parse('--rev=017').flags.rev).toBe(15);
    expect(parse('--timeout=1m30s').flags.timeout).toBe(90_000);
    expect(parse('--rev=9223372036854775807').flags.rev).toBeLessThan(2 ** 63);
  });

  it.each([
    [['--nope'], 'unknown flag: --nope'],
    [['-x'], "unknown shorthand flag: 'x' in -x"],
    [['-5'], "unknown shorthand flag: '5' in -5; a value that begins with a dash stands behind --"],
    [['-px'], "unknown shorthand flag: 'x' in -px"],
    [['---'], 'bad flag syntax: ---'],
    [['--=a'], 'bad flag syntax: --=a'],
    [['--rev'], 'flag needs an argument: --rev'],
    [['-w'], "flag needs an argument: 'w' in -w"],
    [['--rev=x'], 'invalid argument "x" for "--rev" flag: strconv.ParseInt: parsing "x": invalid syntax'],
    [
      ['--rev=9223372036854775808'],
      'invalid argument "9223372036854775808" for "--rev" flag: strconv.ParseInt: parsing "9223372036854775808": value out of range',
    ],
    [
      ['--count=-1'],
      'invalid argument "-1" for "--count" flag: strconv.ParseUint: parsing "-1": invalid syntax',
    ],
    [
      ['-p=maybe'],
      'invalid argument "maybe" for "-p, --prefix" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    [['--timeout=5'], 'invalid argument "5" for "--timeout" flag: time: invalid duration "5"'],
    [['--constructor'], 'unknown flag: --constructor'],
  ])('Ensure that %j is refused in the words of etcdctl.', (argv, message) => {
    expect(refusal(...argv)).toBe(message);
  });
});
