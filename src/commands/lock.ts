import type {Mutex} from '../transport/client/mutex.ts';
import type {Session} from '../transport/client/session.ts';
import {aborted} from './_shared/aborted.ts';
import {runChild} from './_shared/child.ts';
import {ClientCommand} from './_shared/client-command.ts';
import {argument} from './_shared/command.ts';
import {badArguments, CommandError, ExitCode} from './_shared/exit.ts';
import {integerFlag} from './_shared/flags.ts';
import {GLOBAL_FLAGS} from './_shared/global-flags.ts';
import {requireLook} from './_shared/printer.ts';
import {rangeView} from './_shared/views/key-value.ts';
import {bytesOf} from './_shared/words.ts';

const FLAGS = {
  ttl: integerFlag({
    summary: 'seconds after which the lock is free if this program dies',
    default: 10,
    helpValue: 'seconds',
  }),
};

export default class Lock extends ClientCommand<void> {
  static override readonly summary = 'Hold a lock until you stop this, or while a command runs.';
  static override readonly description =
    "Prints the lock's key once it is held. A command behind -- runs with ETCD_LOCK_KEY and ETCD_LOCK_REV in its environment, gets the SIGINT and SIGTERM that this gets, and its exit code is passed on.";
  static readonly usage = 'lock NAME [FLAGS] [-- COMMAND...]';
  static override readonly args = {
    name: argument('name', 'the lock'),
    command: argument('command', 'what to run with the lock held', {required: false}),
  };
  static override readonly flags = {...FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = [
    '<%= config.bin %> lock nightly-job',
    '<%= config.bin %> lock nightly-job -- ./job.sh --all',
  ];

  async run(): Promise<void> {
    const {flags, words} = this.parseClient(FLAGS);
    const [name, ...command] = words;
    if (name === undefined)
      throw badArguments('lock takes a lock name argument and an optional command to execute');
    requireLook(rangeView({valuesOnly: false}), this.looks.format);
    this.listenForSignals();
    const client = await this.client();
    const session = await client.session({ttlSeconds: flags.ttl, signal: this.interrupted});
    try {
      const mutex = client.mutex(session, bytesOf(name));
      await mutex.lock({signal: AbortSignal.any([this.interrupted, session.lost])});
      await (command.length === 0 ? this.#hold(mutex, session) : this.#runLocked(mutex, command));
    } finally {
      // A lease that is gone already has nothing left to give back.
      await session.close(this.short).catch(() => undefined);
    }
  }

  override print(): Promise<void> {
    return Promise.resolve();
  }

  async #hold(mutex: Mutex, session: Session): Promise<void> {
    const {kv} = await this.client();
    const held = await kv.range({key: mutex.key}, this.short);
    if (held.kvs.length === 0) throw new CommandError(ExitCode.error, 'lock lost on init');
    await this.show(rangeView({valuesOnly: false}), held);
    await aborted([this.interrupted, session.lost]);
    if (session.lost.aborted) throw new CommandError(ExitCode.error, 'session expired');
    await mutex.unlock(this.short);
  }

  async #runLocked(mutex: Mutex, command: readonly string[]): Promise<void> {
    const variables = {ETCD_LOCK_KEY: mutex.key.toString('utf8'), ETCD_LOCK_REV: String(mutex.revision)};
    if (this.interrupted.aborted) throw new CommandError(ExitCode.error, 'context canceled');
    const {exitCode, reason} = await runChild(command, variables, {passSignals: true});
    await mutex.unlock(this.short);
    if (reason !== '') throw new CommandError(exitCode, reason);
  }
}
