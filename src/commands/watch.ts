import type {EtcdClient} from '../transport/client/etcd-client.ts';
import type {Watcher} from '../transport/client/watcher.ts';
import type {GrpcError} from '../transport/http2/grpc-status.ts';
import type {WatchResponse} from '../transport/proto/generated/watch.ts';
import {runChild} from './_shared/child.ts';
import {ClientCommand} from './_shared/client-command.ts';
import {argument} from './_shared/command.ts';
import {describeError} from './_shared/describe-error.ts';
import {CommandError, ExitCode} from './_shared/exit.ts';
import {booleanFlag} from './_shared/flags.ts';
import {GLOBAL_FLAGS} from './_shared/global-flags.ts';
import {goQuote, goQuoteText} from './_shared/go-quote.ts';
import {parseWords} from './_shared/parse-words.ts';
import {requireLook} from './_shared/printer.ts';
import {eventTypeName, isProgress, watchView} from './_shared/views/watch.ts';
import {WATCH_FLAGS, type WatchArguments, watchArguments} from './_shared/watch-arguments.ts';
import {splitLine, textOf} from './_shared/words.ts';

const FLAGS = {
  interactive: booleanFlag({
    char: 'i',
    summary: 'read watches from the standard input: watch [flags] KEY [RANGE_END], or progress',
  }),
  ...WATCH_FLAGS,
};

const EMPTY = new Uint8Array(0);

export default class Watch extends ClientCommand<void> {
  static override readonly summary = 'Print the changes of a key or range as they happen.';
  static override readonly description =
    'A command behind -- is run for each change, with ETCD_WATCH_REVISION, ETCD_WATCH_EVENT_TYPE, ETCD_WATCH_KEY and ETCD_WATCH_VALUE in its environment.';
  static readonly usage = 'watch [KEY] [RANGE_END] [FLAGS] [-- COMMAND...]';
  static override readonly args = {
    key: argument('key', 'the key, or where the range begins', {required: false}),
    range_end: argument('range_end', 'the first key behind the range', {required: false}),
  };
  static override readonly flags = {...FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = [
    '<%= config.bin %> watch greeting',
    '<%= config.bin %> watch --prefix config/ --prev-kv',
    '<%= config.bin %> watch greeting --rev=1 -- sh -c \'echo "$ETCD_WATCH_KEY is now $ETCD_WATCH_VALUE"\'',
    '<%= config.bin %> watch -i',
  ];

  /** Those of interactive mode that run, each with the moment from which the server knows it. */
  readonly #watchers = new Map<Watcher, Promise<void>>();

  async run(): Promise<void> {
    const parsed = this.parseClient(FLAGS);
    requireLook(watchView, this.looks.format);
    if (parsed.flags.interactive) return this.#runInteractive();
    this.warnOfSurplus(parsed.words.slice(0, parsed.dash), 2);
    const watch = watchArguments(parsed, this.context.environment);
    await this.#follow(await this.client(), watch);
    throw new CommandError(ExitCode.interrupted, 'watch is canceled by the server');
  }

  override print(): Promise<void> {
    return Promise.resolve();
  }

  /** Ends when the server cancels the watch. */
  async #follow(client: EtcdClient, {request, command}: WatchArguments): Promise<void> {
    const onUnreachable = (error: GrpcError): void => {
      this.terminal.warn(`Warning: no endpoint can be reached, trying on (${describeError(error).line})`);
    };
    const watcher = client.watch(request, {requireLeader: true, createdNotify: true, onUnreachable});
    let announce = (): void => {};
    const announced = new Promise<void>((resolve) => {
      announce = resolve;
    });
    this.#watchers.set(watcher, announced);
    try {
      for await (const response of watcher) {
        announce();
        if (!response.created || response.canceled) await this.#tell(response, command);
      }
    } finally {
      announce();
      this.#watchers.delete(watcher);
    }
  }

  async #tell(response: WatchResponse, command: readonly string[]): Promise<void> {
    if (response.canceled) this.terminal.warn(`watch was canceled (${cancelReason(response)})`);
    if (isProgress(response)) this.terminal.write(`progress notify: ${response.header?.revision ?? 0}\n`);
    await this.show(watchView, response);
    if (command.length > 0) await runForEvents(command, response);
  }

  async #runInteractive(): Promise<void> {
    const client = await this.client();
    for await (const {line, isComplete} of this.terminal.lines()) {
      if (isComplete) await this.#takeLine(client, line);
    }
    throw new CommandError(ExitCode.invalidInput, 'error reading watch request line: EOF');
  }

  async #takeLine(client: EtcdClient, line: string): Promise<void> {
    try {
      const [name, ...words] = splitLine(line);
      if (name === 'progress') {
        for (const [watcher, announced] of this.#watchers)
          await announced.then(() => watcher.requestProgress());
      } else if (name === 'watch') {
        const parsed = watchArguments(parseWords(words, WATCH_FLAGS), this.context.environment);
        this.#follow(client, parsed).catch((error: unknown) => this.#endWith(error));
      } else throw new Error('watch and progress only');
    } catch (error) {
      this.terminal.warn(`Invalid command ${textOf(line)} (${(error as Error).message})`);
    }
  }

  /** A watch that failed ends the program: whoever reads its output must not wait for ever. */
  #endWith(error: unknown): never {
    const {line, exitCode} = describeError(error);
    this.terminal.warn(`Error: ${line}`);
    process.exit(exitCode);
  }
}

function cancelReason({compactRevision, cancelReason: reason}: WatchResponse): string {
  if (compactRevision > 0) return 'etcdserver: mvcc: required revision has been compacted';
  return reason === '' ? 'etcdserver: mvcc: required revision is a future revision' : reason;
}

async function runForEvents(command: readonly string[], {header, events}: WatchResponse): Promise<void> {
  for (const event of events) {
    const variables = {
      ETCD_WATCH_REVISION: String(header?.revision ?? 0),
      ETCD_WATCH_EVENT_TYPE: goQuoteText(eventTypeName(event)),
      ETCD_WATCH_KEY: goQuote(event.kv?.key ?? EMPTY),
      ETCD_WATCH_VALUE: goQuote(event.kv?.value ?? EMPTY),
    };
    const {reason} = await runChild(command, variables, {passSignals: false});
    if (reason !== '') {
      throw new CommandError(
        ExitCode.error,
        `command [${command.map((word) => goQuoteText(textOf(word))).join(' ')}] error (${reason})`,
      );
    }
  }
}
