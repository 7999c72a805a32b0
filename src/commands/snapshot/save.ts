import {ClientCommand} from '../_shared/client-command.ts';
import {argument} from '../_shared/command.ts';
import {describeError} from '../_shared/describe-error.ts';
import {badArguments, CommandError, ExitCode} from '../_shared/exit.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {ProgressBar} from '../_shared/progress-bar.ts';
import {type Downloaded, downloadSnapshot} from '../_shared/snapshot-download.ts';
import {textOf} from '../_shared/words.ts';

export interface SavedSnapshot extends Downloaded {
  readonly path: string;
}

export default class SnapshotSave extends ClientCommand<SavedSnapshot> {
  static override readonly summary = "Save a member's data to a file, while it goes on working.";
  static override readonly description =
    "The file has etcd's own format: kvd and etcd restore it alike. It holds all keys and values: keep it as safe as the store.";
  static override readonly args = {file: argument('file', 'where to save it')};
  static override readonly flags = GLOBAL_FLAGS;
  static override readonly examples = [
    '<%= config.bin %> snapshot save backup.db --endpoints=127.0.0.1:2379',
  ];

  async run(): Promise<SavedSnapshot> {
    const {flags, words} = this.parseClient({});
    const [word] = words;
    if (word === undefined || words.length !== 1) throw badArguments('snapshot save expects one argument');
    const {endpoints} = flags;
    if (endpoints.length > 1) {
      throw badArguments(
        `snapshot must be requested to one selected node, not multiple [${endpoints.join(' ')}]`,
      );
    }
    this.listenForSignals();
    const path = textOf(word);
    const timeoutMs = this.isGiven('command-timeout') ? flags['command-timeout'] : 0;
    const bar = new ProgressBar(this.terminal, 'saving');
    try {
      const {maintenance} = await this.client();
      const parts = maintenance.snapshot({timeoutMs, signal: this.interrupted});
      return {path, ...(await downloadSnapshot(parts, path, (done, total) => bar.update(done, total)))};
    } catch (error) {
      throw new CommandError(ExitCode.interrupted, describeError(error).line, error);
    } finally {
      bar.end();
    }
  }

  override async print({path, version}: SavedSnapshot): Promise<void> {
    this.terminal.write(`Snapshot saved at ${path}\n`);
    if (version !== '') this.terminal.write(`Server version ${version}\n`);
  }
}
