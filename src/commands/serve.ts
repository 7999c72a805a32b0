import {CONFIG_FILE_FLAG, SETTINGS} from '../config/settings.ts';
import {configFilePath, type ParsedConfig, parseConfig, parseServerArguments} from '../config.ts';
import {type Environment, KvdCommand} from './_shared/command.ts';
import {CommandError, ExitCode} from './_shared/exit.ts';
import {fileReason} from './_shared/file-error.ts';
import {type Flag, textFlag} from './_shared/flags.ts';
import {GLOBAL_FLAGS, variableNames} from './_shared/global-flags.ts';
import {textOf} from './_shared/words.ts';

/** One environment may serve both the server and the commands. */
const CLIENT_VARIABLES = new Set([
  ...Object.keys(GLOBAL_FLAGS).flatMap(variableNames),
  'KVD_WATCH_KEY',
  'KVD_WATCH_RANGE_END',
]);

export default class Serve extends KvdCommand<void> {
  static override readonly summary = 'Run a member of a cluster.';
  static override readonly description =
    `Without flags: a cluster of one member on this machine, clients on port 2379, with its data in ./default.kvd.

Flags are read as etcd reads them: -name x, --name x and --name=x are the same; a boolean takes its value behind =.

Each flag is also a variable: KVD_ or ETCD_ and its name in capitals with _ for -, as KVD_DATA_DIR or ETCD_DATA_DIR
for --data-dir. A flag wins over KVD_*, and KVD_* over ETCD_*. Each is a line of a YAML file, too (--config-file), as
data-dir: /var/lib/kvd; then the file alone counts. docs/CONFIG.md has the whole table.`;
  static readonly usage = 'serve [FLAGS]';
  static override readonly flags = helpFlags();
  static override readonly examples = [
    '<%= config.bin %> serve --data-dir=/var/lib/kvd',
    '<%= config.bin %> serve --name=a --initial-cluster=a=http://10.0.0.1:2380,b=http://10.0.0.2:2380 --initial-advertise-peer-urls=http://10.0.0.1:2380 --listen-peer-urls=http://10.0.0.1:2380 --listen-client-urls=http://10.0.0.1:2379 --advertise-client-urls=http://10.0.0.1:2379',
    '<%= config.bin %> serve --config-file=/etc/kvd.yml',
  ];

  async run(): Promise<void> {
    const argv = this.argv.map(textOf);
    if (argv.some((word) => /^--?version(=true)?$/.test(word))) return this.#tellVersion();
    await runServer(await readConfig(argv, this.context.environment));
  }

  print(): void {}

  async #tellVersion(): Promise<void> {
    const {API_VERSION, KVD_VERSION} = await import('../engine/version.ts');
    const lines = [
      `etcd Version: ${API_VERSION}`,
      `kvd Version: ${KVD_VERSION}`,
      `Node Version: ${process.versions.node}`,
      `OS/Arch: ${process.platform}/${process.arch}`,
    ];
    this.terminal.write(`${lines.join('\n')}\n`);
  }
}

/** Returns when a signal has stopped the server, or it was removed from its cluster. @throws what it ended of */
async function runServer({config, warnings, clusterProblem}: ParsedConfig): Promise<void> {
  const {startServer} = await import('../start-server.ts');
  let settle: (failure: unknown) => void = () => {};
  const ended = new Promise<unknown>((resolve) => {
    settle = resolve;
  });
  // A signal that comes while the server starts stops it once it has. A second one ends the process at once.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => settle(undefined));
  const server = await startServer(config, {warnings, clusterProblem, onEnd: settle});
  const failure = await ended;
  await server.stop();
  if (failure !== undefined) throw failure;
}

async function readConfig(argv: readonly string[], environment: Environment): Promise<ParsedConfig> {
  const flags = parseServerArguments(argv);
  const path = configFilePath({flags, environment});
  const file = path === undefined ? undefined : {path, content: await readConfigFile(path)};
  return parseConfig({flags, environment, otherVariables: CLIENT_VARIABLES, file});
}

async function readConfigFile(path: string): Promise<unknown> {
  const {readFile} = await import('node:fs/promises');
  const {parse} = await import('yaml');
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new CommandError(ExitCode.error, `--${CONFIG_FILE_FLAG}=${path}: ${fileReason(error)}`, error);
  });
  try {
    return parse(text);
  } catch (error) {
    const reason = (error as Error).message.split('\n')[0]?.replace(/:$/, '');
    throw new CommandError(ExitCode.error, `--${CONFIG_FILE_FLAG}=${path} is not YAML: ${reason}`, error);
  }
}

/** The table of settings as help shows it; the words themselves are read by the table's own rules. */
function helpFlags(): Readonly<Record<string, Flag<string>>> {
  const flags: Record<string, Flag<string>> = {};
  for (const row of Object.values(SETTINGS)) {
    flags[row.flag] = textFlag({
      summary: row.help,
      default: row.default,
      helpValue: shortValue(row.unit),
      helpGroup: row.group.toUpperCase(),
    });
  }
  flags[CONFIG_FILE_FLAG] = textFlag({
    summary: 'YAML file with all settings; they then come from nowhere else',
    helpValue: 'file',
  });
  return flags;
}

/** The unit in a word: choices with bars between, else what comes before the first comma or space. */
function shortValue(unit: string): string {
  const choices = unit.split(/, | or /);
  if (choices.length > 1 && choices.every((choice) => /^[a-z]+$/.test(choice)) && !unit.includes('hours')) {
    return choices.join('|');
  }
  return unit === 'name=URL, comma between' ? 'name=url,…' : (unit.split(/[ ,]/)[0]?.toLowerCase() ?? '');
}
