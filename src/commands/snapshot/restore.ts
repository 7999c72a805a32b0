import type {Config} from '../../config.ts';
import {hex64} from '../../engine/lib/hex64.ts';
import type {RestoreResult} from '../../engine/storage/snapshot-file/restore-snapshot.ts';
import {argument, KvdCommand} from '../_shared/command.ts';
import {badArguments} from '../_shared/exit.ts';
import {booleanFlag, type FlagValues, textFlag, unsignedFlag} from '../_shared/flags.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {textOf} from '../_shared/words.ts';

/** Those that are settings of serve, too: the new member is started with the same. */
const SETTING_FLAGS = {
  name: textFlag({summary: 'name of this member', default: 'default', helpValue: 'name'}),
  'data-dir': textFlag({summary: 'folder to make; default: the name and .kvd', helpValue: 'folder'}),
  'initial-cluster': textFlag({
    summary: 'all members of the new cluster; default: this one alone',
    helpValue: 'name=url,…',
  }),
  'initial-cluster-token': textFlag({
    summary: 'token of the new cluster',
    default: 'etcd-cluster',
    helpValue: 'text',
  }),
  'initial-advertise-peer-urls': textFlag({
    summary: 'where the others will reach this member',
    default: 'http://localhost:2380',
    helpValue: 'urls',
  }),
};

const FLAGS = {
  ...SETTING_FLAGS,
  'skip-hash-check': booleanFlag({
    summary: 'take a file without a digest, as copied from a data folder of etcd',
  }),
  'bump-revision': unsignedFlag({
    summary: 'count on from this many revisions behind the last one of the file',
    helpValue: 'number',
  }),
  'mark-compacted': booleanFlag({summary: 'with --bump-revision: nothing before that can be asked for'}),
  'wal-dir': textFlag({summary: 'not supported', hidden: true}),
  'initial-memory-map-size': textFlag({summary: 'no effect', hidden: true}),
};

export interface RestoredSnapshot extends RestoreResult {
  readonly dataDir: string;
}

export default class SnapshotRestore extends KvdCommand<RestoredSnapshot> {
  static override readonly summary =
    'Make the data folder of a new cluster from a saved snapshot of kvd or etcd 3.4 to 3.7.';
  static override readonly description =
    `Run it once for each member of the new cluster, on its machine, with the same file; then start them with the same
names and URLs. Keys, history, leases, users and roles are taken over; the members are those that are named here.`;
  static override readonly args = {file: argument('file', 'the snapshot')};
  static override readonly flags = FLAGS;
  static override readonly examples = [
    '<%= config.bin %> snapshot restore backup.db --data-dir=/var/lib/kvd',
    '<%= config.bin %> snapshot restore backup.db --name=a --initial-cluster=a=http://10.0.0.1:2380,b=http://10.0.0.2:2380 --initial-advertise-peer-urls=http://10.0.0.1:2380',
    '<%= config.bin %> snapshot restore backup.db --bump-revision=1000000 --mark-compacted',
  ];

  async run(): Promise<RestoredSnapshot> {
    const {flags, given, words} = this.parse({...GLOBAL_FLAGS, ...FLAGS});
    const [word] = words;
    if (word === undefined || words.length !== 1)
      throw badArguments('snapshot restore requires exactly one argument');
    if (flags['wal-dir'] !== '')
      throw badArguments('--wal-dir is not supported: the log stands in the data folder');
    if (flags['bump-revision'] > 0 && !flags['mark-compacted']) {
      throw badArguments('--mark-compacted required if --revision-bump > 0');
    }
    if (flags['mark-compacted'] && flags['bump-revision'] === 0) {
      throw badArguments('--mark-compacted needs --bump-revision=NUMBER beside it');
    }
    const config = await settings(flags, given);
    const {restoreFile} = await import('../_shared/restore-file.ts');
    const result = await restoreFile({
      path: textOf(word),
      config,
      bumpRevision: flags['bump-revision'],
      skipHashCheck: flags['skip-hash-check'],
      terminal: this.terminal,
    });
    return {...result, dataDir: config.dataDir};
  }

  /** On the standard error stream, as etcd's tool does: the standard output has no result. */
  print({dataDir, memberId, clusterId, members, revision}: RestoredSnapshot): void {
    this.terminal.warn(
      `restored snapshot into ${dataDir}: member ${hex64(memberId)} of cluster ${hex64(clusterId)} ` +
        `with ${members.length} ${members.length === 1 ? 'member' : 'members'}, revision ${revision}`,
    );
  }
}

/** Checked by the same rules as those of serve. */
async function settings(
  flags: FlagValues<typeof SETTING_FLAGS>,
  given: ReadonlySet<string>,
): Promise<Config> {
  const {parseConfig} = await import('../../config.ts');
  const names = (Object.keys(SETTING_FLAGS) as (keyof typeof SETTING_FLAGS)[]).filter((name) =>
    given.has(name),
  );
  const {config, clusterProblem} = parseConfig({
    flags: new Map(names.map((name) => [name, flags[name]])),
    environment: {},
  });
  if (clusterProblem !== undefined) throw clusterProblem;
  return config;
}
