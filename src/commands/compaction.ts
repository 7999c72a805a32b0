import type {CompactionResponse} from '../transport/proto/generated/kv.ts';
import {ClientCommand} from './_shared/client-command.ts';
import {argument} from './_shared/command.ts';
import {badArguments, CommandError, ExitCode} from './_shared/exit.ts';
import {booleanFlag} from './_shared/flags.ts';
import {GLOBAL_FLAGS} from './_shared/global-flags.ts';
import {parseDecimal} from './_shared/numbers.ts';

const FLAGS = {physical: booleanFlag({summary: 'wait until the old revisions are gone from the disk'})};

export interface Compacted {
  readonly revision: number;
  readonly response: CompactionResponse;
}

export default class Compaction extends ClientCommand<Compacted> {
  static override readonly summary = 'Drop the history before a revision.';
  static override readonly args = {revision: argument('revision', 'the oldest revision to keep')};
  static override readonly flags = {...FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = [
    '<%= config.bin %> compaction 1024',
    '<%= config.bin %> compaction 1024 --physical',
  ];

  async run(): Promise<Compacted> {
    const {flags, words} = this.parseClient(FLAGS);
    const [word] = words;
    if (word === undefined || words.length !== 1) throw badArguments('compaction command needs 1 argument');
    const revision = parseRevision(word);
    const {kv} = await this.client();
    const options = flags.physical ? {timeoutMs: 0} : this.short;
    return {revision, response: await kv.compact({revision, physical: flags.physical}, options)};
  }

  /** Whatever the output form: scripts look for this line. */
  override async print({revision}: Compacted): Promise<void> {
    this.terminal.write(`compacted revision ${BigInt(revision)}\n`);
  }
}

function parseRevision(word: string): number {
  try {
    return parseDecimal(word);
  } catch (error) {
    throw new CommandError(ExitCode.error, (error as Error).message, error);
  }
}
