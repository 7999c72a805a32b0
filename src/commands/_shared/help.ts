/** Help, written by oclif from the commands' static fields. */

import {type Command, Config, Help} from '@oclif/core';
import type {Terminal} from './terminal.ts';

const TOPICS: Readonly<Record<string, string>> = {
  alarm: 'See and clear the alarms of members.',
  endpoint: 'Ask single members how they are.',
  lease: 'Grant leases, keep them alive, look at them.',
  member: 'Change which members make the cluster.',
  snapshot: 'Save, check and restore backups.',
  wal: "Look at a member's log while the member does not run, and repair it.",
};

const MORE = [
  'kvd COMMAND --help tells the flags of a command, with examples.',
  'Flags of all commands are variables, too: --endpoints is KVD_ENDPOINTS or ETCDCTL_ENDPOINTS.',
  'A command may be shortened as long as it is the only one that begins so: kvd snap save backup.db',
];

/** @param path the command or topic; empty: all */
export async function showHelp(path: readonly string[], terminal: Terminal): Promise<void> {
  const config = await Config.load(new URL('../../..', import.meta.url).pathname);
  for (const topic of config.topics) topic.description = TOPICS[topic.name] ?? topic.description;
  const help = new TerminalHelp(config, {
    stripAnsi: !terminal.hasColor,
    maxWidth: terminal.columns ?? 100,
    // As the tables have them: what belongs together stands together.
    flagSortOrder: 'none',
  });
  help.terminal = terminal;
  await help.showHelp([...path]);
}

class TerminalHelp extends Help {
  terminal: Terminal | undefined;

  override formatRoot(): string {
    return `${super.formatRoot()}\n\n${this.section('MORE', this.wrap(MORE.join('\n')))}`;
  }

  /** The usage in one short line, for the flags have their own paragraphs; the summary stands above it already. */
  override formatCommand(command: Command.Loadable): string {
    const words = Object.values(command.args).map(({name, required}) => {
      return required ? name.toUpperCase() : `[${name.toUpperCase()}]`;
    });
    const flags = Object.entries(command.flags).map(([name, flag]) => [name, withoutEmptyDefault(flag)]);
    if (flags.length > 0) words.push('[FLAGS]');
    const usage = [command.id.replaceAll(':', ' '), ...words].join(' ');
    return super.formatCommand({
      ...command,
      summary: undefined,
      description: command.description === undefined ? undefined : paragraphs(command.description),
      flags: Object.fromEntries(flags),
      usage: command.usage ?? usage,
    });
  }

  protected override log(...lines: string[]): void {
    this.terminal?.write(`${lines.join('\n')}\n`);
  }
}

/** The lines of the source are no lines of the help; empty ones are. */
function paragraphs(text: string): string {
  return text.replace(/(\S)\n(?=\S)/g, '$1 ');
}

function withoutEmptyDefault(flag: Command.Flag.Any): Command.Flag.Any {
  return Array.isArray(flag.default) && flag.default.length === 0 ? {...flag, default: undefined} : flag;
}
