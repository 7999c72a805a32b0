import {KvdCommand} from '../_shared/command.ts';
import {badArguments, CommandError, ExitCode} from '../_shared/exit.ts';
import {booleanFlag, textFlag} from '../_shared/flags.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import type {LogState} from '../_shared/repair-log.ts';

const FLAGS = {
  'data-dir': textFlag({
    summary: "the member's data folder; the member must not run",
    default: 'default.kvd',
    helpValue: 'folder',
  }),
  yes: booleanFlag({summary: 'cut the damaged batch off; without it the log is only looked at'}),
};

export interface RepairedLog extends LogState {
  readonly dataDir: string;
  readonly isRepaired: boolean;
}

export default class WalRepair extends KvdCommand<RepairedLog> {
  static override readonly summary = "Cut a damaged batch off the end of a lone member's log.";
  static override readonly description =
    `For a cluster of one member that refuses to start because the last batch of its log is damaged: nobody else can
tell what was in it. Without --yes it says what is damaged and what may be lost. A member of a larger cluster needs no
repair: it starts, and learns from the others what it lost. Damage anywhere else cannot be repaired.`;
  static override readonly flags = FLAGS;
  static override readonly examples = [
    '<%= config.bin %> wal repair --data-dir=/var/lib/kvd',
    '<%= config.bin %> wal repair --data-dir=/var/lib/kvd --yes',
  ];

  async run(): Promise<RepairedLog> {
    const {flags, words} = this.parse({...GLOBAL_FLAGS, ...FLAGS});
    if (words.length > 0) throw badArguments('wal repair accepts no arguments');
    const dataDir = flags['data-dir'];
    const {openLog} = await import('../_shared/repair-log.ts');
    const log = await openLog(dataDir);
    try {
      const {state} = log;
      if (state.doubtfulIndex === 0) return {...state, dataDir, isRepaired: false};
      if (!flags.yes) {
        throw new CommandError(ExitCode.error, `${describeDamage(state)}; --yes cuts that batch off`);
      }
      await log.repair();
      return {...state, dataDir, isRepaired: true};
    } finally {
      await log.close();
    }
  }

  print(log: RepairedLog): void {
    const line = log.isRepaired
      ? `cut off: ${describeDamage(log)}`
      : `nothing to repair in ${log.dataDir}: the log is in order up to index ${log.lastIndex}`;
    this.terminal.write(`${line}\n`);
  }
}

function describeDamage({path, offset, lost}: LogState): string {
  const damage = `${path} is damaged from byte ${offset} on`;
  if (lost === undefined) return `${damage}; the store holds all that stood there, nothing is lost`;
  const entries = lost.from === lost.to ? `entry ${lost.from}` : `entries ${lost.from} to ${lost.to}`;
  return `${damage}; ${entries} stood there, may have been acknowledged, and cannot be had back`;
}
