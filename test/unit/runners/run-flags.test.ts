/** Flags of the longer runs: what is taken, what is refused, what help says. */

import {describe, expect, it} from 'vitest';
import {readFlags} from '../../runners/run-flags.ts';

const spec = {
  script: 'demo',
  about: 'shows it.',
  flags: {
    seed: {kind: 'whole', default: 1, help: 'where it begins'},
    minutes: {kind: 'number', help: 'how long'},
    share: {kind: 'number', default: 1, above: 0, help: 'how much'},
    members: {kind: 'whole', default: 3, choices: [1, 3], help: 'how many'},
    target: {kind: 'text', help: 'the only one'},
    letters: {
      kind: 'text',
      default: 'ab',
      form: {name: 'letters', fits: (text: string) => /^[a-z]+$/.test(text)},
      help: 'which ones',
    },
    quiet: {kind: 'switch', help: 'says less'},
  },
} as const;

const read = (...words: string[]) => readFlags(words, spec);

describe('flags of a run', () => {
  it('Ensure that flags have their values, and those that are not given their defaults.', () => {
    expect(read()).toEqual({
      values: {
        seed: 1,
        minutes: undefined,
        share: 1,
        members: 3,
        target: undefined,
        letters: 'ab',
        quiet: false,
      },
    });
    expect(
      read('--seed', '7', '--minutes=0.5', '--share', '0.1', '--members', '1', '--target', 'x', '--quiet'),
    ).toEqual({
      values: {seed: 7, minutes: 0.5, share: 0.1, members: 1, target: 'x', letters: 'ab', quiet: true},
    });
  });

  it.each([
    [['--seed', 'abc'], '--seed is a whole number from 0 on, not "abc"'],
    [['--seed', ''], '--seed is a whole number from 0 on, not ""'],
    [['--seed', '1.5'], '--seed is a whole number from 0 on, not "1.5"'],
    [['--minutes=-1'], '--minutes is a number from 0 on, not "-1"'],
    [['--share', '0'], '--share is a number above 0, not "0"'],
    [['--members', '2'], '--members is one of 1, 3, not "2"'],
    [['--letters', '1'], '--letters is letters, not "1"'],
    [['--sede', '1'], "Unknown option '--sede'"],
    [['7'], "Unexpected argument '7'"],
  ])('Ensure that %j is refused in one line that says what is right.', (words, reason) => {
    expect(readFlags(words, spec)).toEqual({
      refusal: `Error: ${reason}\nnpm run demo -- --help tells the flags`,
    });
  });

  it('Ensure that help names every flag with its default and choices.', () => {
    expect(read('--help')).toEqual({
      help: `npm run demo -- [flags]: shows it.

  --seed N        where it begins (1)
  --minutes N     how long
  --share N       how much (1)
  --members N     how many: 1, 3 (3)
  --target TEXT   the only one
  --letters TEXT  which ones (ab)
  --quiet         says less`,
    });
  });
});
