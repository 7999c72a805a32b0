/** The base of commands that talk to a cluster: global flags, connection, time limits and output forms. */

import type {CallOptions} from '../../transport/client/call-options.ts';
import type {EtcdClient} from '../../transport/client/etcd-client.ts';
import {type CommandContext, KvdCommand} from './command.ts';
import {CommandError, ExitCode} from './exit.ts';
import type {FlagSet, FlagValues} from './flags.ts';
import {GLOBAL_FLAGS, type GlobalFlags, variableNames, withEnvironment} from './global-flags.ts';
import type {ParsedWords} from './parse-words.ts';
import {type Looks, parseFormat, requireLook, show, type View} from './printer.ts';
import {textOf} from './words.ts';

export abstract class ClientCommand<Result> extends KvdCommand<Result> {
  #client: EtcdClient | undefined;
  #globals: GlobalFlags | undefined;
  #given: ReadonlySet<string> = new Set();
  #view: View<Result> | undefined;
  readonly #interrupted = new AbortController();

  /** Splits the words, with the global flags and their variables. */
  protected parseClient<Flags extends FlagSet>(
    definitions: Flags,
    options?: {interspersed: boolean},
  ): ParsedWords<Flags & typeof GLOBAL_FLAGS> {
    const parsed = this.parse({...GLOBAL_FLAGS, ...definitions}, options);
    const flags = withEnvironment(parsed.flags as GlobalFlags, parsed.given, this.context.environment);
    this.#globals = flags;
    this.#given = parsed.given;
    parseFormat(flags['write-out']);
    if (flags['discovery-srv'] !== '') {
      throw new CommandError(
        ExitCode.badFeature,
        '--discovery-srv is not supported; name the members in --endpoints',
      );
    }
    if (flags.debug) this.#showSettings(flags);
    return {...parsed, flags: flags as unknown as FlagValues<Flags & typeof GLOBAL_FLAGS>};
  }

  /** etcdctl ignores what is too much for put, get and watch; a value without quotes is the usual reason. */
  protected warnOfSurplus(words: readonly string[], countMax: number): void {
    const surplus = words.slice(countMax).map((word) => JSON.stringify(textOf(word)));
    if (surplus.length > 0)
      this.terminal.warn(`Warning: more arguments than are used; ignored: ${surplus.join(' ')}`);
  }

  /** How the result will be shown. Asked before the call, so that an impossible form changes nothing. */
  protected use(view: View<Result>): void {
    requireLook(view, this.looks.format);
    this.#view = view;
  }

  async print(result: Result): Promise<void> {
    if (this.#view !== undefined) await this.show(this.#view, result);
  }

  protected show<Shown>(view: View<Shown>, result: Shown): Promise<void> {
    return show(view, result, this.looks, this.terminal);
  }

  protected get globals(): GlobalFlags {
    if (this.#globals === undefined) throw new Error('the command has not parsed its words');
    return this.#globals;
  }

  protected get looks(): Looks {
    return {format: parseFormat(this.globals['write-out']), hex: this.globals.hex};
  }

  protected isGiven(flag: string): boolean {
    return this.#given.has(flag) || variableNames(flag).some((name) => this.context.environment[name]);
  }

  /** For commands that `--command-timeout` bounds. */
  protected get short(): CallOptions {
    return {timeoutMs: this.globals['command-timeout']};
  }

  /** Aborted by the first SIGINT or SIGTERM, once {@link listenForSignals} was called. */
  protected get interrupted(): AbortSignal {
    return this.#interrupted.signal;
  }

  /** Commands that hold something (a watch, a lock) end it before they leave. A second signal ends at once. */
  protected listenForSignals(): void {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => this.#interrupted.abort());
    }
  }

  protected async client(): Promise<EtcdClient> {
    if (this.#client === undefined) {
      const {connect} = await import('./connect.ts');
      this.#client = await connect(this.globals, this.terminal);
    }
    return this.#client;
  }

  override close(): void {
    this.#client?.close();
  }

  #showSettings(flags: GlobalFlags): void {
    for (const name of Object.keys(GLOBAL_FLAGS)) {
      const value =
        name === 'password' && flags.password !== '' ? '********' : flags[name as keyof GlobalFlags];
      this.terminal.warn(`${variableNames(name)[1]}=${String(value)}`);
    }
  }
}

export type {CommandContext};
