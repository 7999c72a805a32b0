/** Help, written by oclif from the commands' static fields. */

import {type Command, Config, Help} from '@oclif/core';
import type {Terminal} from './terminal.ts';

const TOPICS: Readonly<Record<string, string>> = {
  alarm: 'See and clear the alarms of members.',
  endpoint: 'Ask single members how they are.',
  lease: 'Grant leases, keep them alive, look at them.',
  member: 'Change which members make the cluster.',
  snapshot: 'Save, check and restore backups.',
};

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

  /** One short line: the flags have their own paragraphs. */
  override formatCommand(command: Command.Loadable): string {
    const words = Object.values(command.args).map(({name, required}) => {
      return required ? name.toUpperCase() : `[${name.toUpperCase()}]`;
    });
    const usage = [command.id.replaceAll(':', ' '), ...words, '[FLAGS]'].join(' ');
    return super.formatCommand({...command, usage: command.usage ?? usage});
  }

  protected override log(...lines: string[]): void {
    this.terminal?.write(`${lines.join('\n')}\n`);
  }
}
