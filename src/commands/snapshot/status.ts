import type {SnapshotStatus} from '../../engine/storage/snapshot-file/snapshot-status.ts';
import {argument, KvdCommand} from '../_shared/command.ts';
import {badArguments} from '../_shared/exit.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {parseFormat, requireLook, show} from '../_shared/printer.ts';
import {readStatus} from '../_shared/status-file.ts';
import {snapshotStatusView} from '../_shared/views/maintenance.ts';
import {textOf} from '../_shared/words.ts';

const FLAGS = {'write-out': GLOBAL_FLAGS['write-out']};

export default class SnapshotFileStatus extends KvdCommand<SnapshotStatus> {
  static override readonly summary = 'Check a saved snapshot and see what is in it.';
  static override readonly description =
    'Reads the whole file: its digest, its pages and its records. The hash is that of etcdctl and etcdutl.';
  static override readonly args = {file: argument('file', 'the snapshot')};
  static override readonly flags = FLAGS;
  static override readonly examples = ['<%= config.bin %> snapshot status backup.db -w table'];

  #format = parseFormat('simple');

  async run(): Promise<SnapshotStatus> {
    const {flags, words} = this.parse({...GLOBAL_FLAGS, ...FLAGS});
    this.#format = parseFormat(flags['write-out']);
    requireLook(snapshotStatusView, this.#format);
    const [word] = words;
    if (word === undefined || words.length !== 1)
      throw badArguments('snapshot status requires exactly one argument');
    return readStatus(textOf(word));
  }

  print(status: SnapshotStatus): Promise<void> {
    return show(snapshotStatusView, status, {format: this.#format, hex: false}, this.terminal);
  }
}
