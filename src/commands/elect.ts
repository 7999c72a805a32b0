import type {Election} from '../transport/client/election.ts';
import type {KeyValue} from '../transport/proto/generated/mvcc.ts';
import {aborted} from './_shared/aborted.ts';
import {ClientCommand} from './_shared/client-command.ts';
import {argument} from './_shared/command.ts';
import {badArguments, CommandError, ExitCode} from './_shared/exit.ts';
import {booleanFlag} from './_shared/flags.ts';
import {GLOBAL_FLAGS} from './_shared/global-flags.ts';
import {requireLook} from './_shared/printer.ts';
import {rangeView} from './_shared/views/key-value.ts';
import {bytesOf} from './_shared/words.ts';

const FLAGS = {listen: booleanFlag({char: 'l', summary: 'only watch who leads'})};

/** How long a leader that dies keeps its office (etcd's default session). */
const SESSION_TTL_SECONDS = 60;

const view = rangeView({valuesOnly: false});

export default class Elect extends ClientCommand<void> {
  static override readonly summary = 'Stand for election and lead until you stop this, or watch who leads.';
  static override readonly args = {
    name: argument('name', 'the election'),
    proposal: argument('proposal', 'what the leader says of itself', {required: false}),
  };
  static override readonly flags = {...FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = [
    '<%= config.bin %> elect scheduler "$(hostname)"',
    '<%= config.bin %> elect --listen scheduler',
  ];

  async run(): Promise<void> {
    const {flags, words} = this.parseClient(FLAGS);
    const [name, proposal] = words;
    if (name === undefined || words.length > 2) {
      throw badArguments('elect takes one election name argument and an optional proposal argument');
    }
    if (flags.listen && proposal !== undefined) throw badArguments('proposal given but -l is set');
    if (!flags.listen && proposal === undefined) throw badArguments('no proposal argument but -l not set');
    requireLook(view, this.looks.format);
    this.listenForSignals();
    await (flags.listen ? this.#observe(name) : this.#campaign(name, proposal as string));
  }

  override print(): Promise<void> {
    return Promise.resolve();
  }

  async #observe(name: string): Promise<void> {
    const election = (await this.client()).election(undefined, bytesOf(name));
    for await (const leader of election.observe({signal: this.interrupted})) await this.#tell([leader]);
    if (!this.interrupted.aborted) throw new CommandError(ExitCode.error, 'elect: observer lost');
  }

  async #campaign(name: string, proposal: string): Promise<void> {
    const client = await this.client();
    const session = await client.session({ttlSeconds: SESSION_TTL_SECONDS, signal: this.interrupted});
    try {
      const election = client.election(session, bytesOf(name));
      await election.campaign(bytesOf(proposal), {signal: AbortSignal.any([this.interrupted, session.lost])});
      await this.#tellElected(election);
      await aborted([this.interrupted, session.lost]);
      if (session.lost.aborted) throw new CommandError(ExitCode.error, 'elect: session expired');
      await election.resign(this.short);
    } finally {
      // A lease that is gone already has nothing left to give back.
      await session.close(this.short).catch(() => undefined);
    }
  }

  async #tellElected({key}: Election): Promise<void> {
    const {kv} = await this.client();
    await this.show(view, await kv.range({key: key ?? Buffer.alloc(0)}, this.short));
  }

  #tell(kvs: readonly KeyValue[]): Promise<void> {
    return this.show(view, {header: undefined, kvs, more: false, count: kvs.length});
  }
}
