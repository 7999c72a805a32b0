/**
 * Splits the server's command line as Go's flag package does, because that is what etcd's users have in their
 * unit files: `-x` and `--x` are the same, a value follows behind `=` or as the next word, a boolean takes a value
 * only behind `=`. Pure.
 */

/** `values` in order of appearance: of a repeated flag the last one counts. */
export interface ServerArguments {
  readonly values: ReadonlyMap<string, string>;
  /** The first word that is neither flag nor value; the server takes none. */
  readonly stray: string | undefined;
}

/**
 * @param isBoolean tells flags that take no word behind them; throws for an unknown flag
 * @throws a plain Error whose message is the one line for the user
 */
export function splitServerArguments(
  argv: readonly string[],
  isBoolean: (flag: string) => boolean,
): ServerArguments {
  const values = new Map<string, string>();
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    if (word === '--') return {values, stray: argv[i + 1]};
    const [, flag, equals, value] = /^--?([^-=][^=]*)(=?)(.*)$/s.exec(word) ?? [];
    if (flag === undefined) return {values, stray: word};
    const boolean = isBoolean(flag);
    if (equals === '=') values.set(flag, value as string);
    else if (boolean) values.set(flag, 'true');
    else if (i + 1 < argv.length) values.set(flag, argv[++i] as string);
    else throw new Error(`--${flag} needs a value, as in --${flag}=VALUE`);
  }
  return {values, stray: undefined};
}
