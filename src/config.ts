/**
 * The server's settings, from the command line, the environment or the configuration file, checked and frozen.
 * Pure: whoever starts the server reads argv, environment and file and hands them in. A flag wins over KVD_*,
 * KVD_* over ETCD_*; with a configuration file the file alone counts, as in etcd.
 */

import {splitServerArguments} from './config/arguments.ts';
import {asksForNothing, LEGACY_FLAGS} from './config/legacy-flags.ts';
import {didYouMean} from './config/nearest-name.ts';
import {
  CONFIG_FILE_FLAG,
  ELECTION_TIMEOUT_MS_MAX,
  environmentName,
  HEARTBEATS_PER_ELECTION_MIN,
  SETTINGS,
  type SettingKey,
} from './config/settings.ts';
import {isWildcardHost, parseEndpointUrl} from './config/url.ts';
import {type AutoCompaction, BadValue, type InitialMember, parseRetention} from './config/values.ts';
import {EngineError} from './engine/errors.ts';

type Values = {readonly [Key in SettingKey]: ReturnType<(typeof SETTINGS)[Key]['parse']>};

/** Quota -1: none. URLs and members of the initial cluster are sorted. */
export interface Config extends Omit<Values, 'autoCompactionMode' | 'autoCompactionRetention'> {
  readonly autoCompaction: AutoCompaction;
}

export type {AutoCompaction, InitialMember};

export interface ConfigSources {
  /** Flag name → text, from {@link parseServerArguments}. */
  readonly flags: ReadonlyMap<string, string>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Variables named KVD_… or ETCD_… that mean something to others than the server. */
  readonly otherVariables?: ReadonlySet<string> | undefined;
  /** The parsed configuration file, when there is one. */
  readonly file?: {readonly path: string; readonly content: unknown} | undefined;
}

export interface ParsedConfig {
  readonly config: Config;
  /** One line each, for the log. */
  readonly warnings: readonly string[];
  /**
   * Why a member that has no data yet cannot begin with these settings. One that has data does not need them: as in
   * etcd, its cluster is in its data folder.
   */
  readonly clusterProblem: EngineError | undefined;
}

/** Variables of etcd that are no settings of its server. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set([
  'ETCD_UNSUPPORTED_ARCH',
  'ETCD_VERIFY',
  'ETCD_VERSION',
]);

/** Where a value came from, as the user knows it. */
interface Source {
  readonly label: string;
  readonly text: string;
}

const KEY_BY_FLAG: ReadonlyMap<string, SettingKey> = new Map(
  settingKeys().flatMap((key) => flagsOf(key).map((flag) => [flag, key] as const)),
);

/** @throws EngineError configInvalid */
export function parseServerArguments(argv: readonly string[]): ReadonlyMap<string, string> {
  try {
    const {values, stray} = splitServerArguments(argv, isBooleanFlag);
    if (stray !== undefined) throw new BadValue(`'${stray}' is not a flag, and serve takes nothing else`);
    return values;
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
}

/** The file that these sources name; flag over KVD_* over ETCD_*. */
export function configFilePath(sources: Pick<ConfigSources, 'flags' | 'environment'>): string | undefined {
  const {flags, environment} = sources;
  const path =
    flags.get(CONFIG_FILE_FLAG) ??
    (environment[environmentName('KVD', CONFIG_FILE_FLAG)] ||
      environment[environmentName('ETCD', CONFIG_FILE_FLAG)]);
  return path === '' ? undefined : path;
}

/** @throws EngineError configInvalid with one line that names setting, value, limit and remedy */
export function parseConfig(sources: ConfigSources): ParsedConfig {
  const warnings: string[] = [];
  const found =
    sources.file === undefined ? fromFlagsAndEnvironment(sources, warnings) : fromFile(sources, warnings);
  const values = parseValues(found);
  const config = crossCheck(values, found, warnings);
  return {config: Object.freeze(config), warnings, clusterProblem: clusterProblem(values, found)};
}

/** @throws BadValue for a flag that is none */
function isBooleanFlag(flag: string): boolean {
  if (flag === CONFIG_FILE_FLAG) return false;
  const key = KEY_BY_FLAG.get(flag);
  if (key !== undefined) return SETTINGS[key].isBoolean === true;
  const legacy = LEGACY_FLAGS.get(flag);
  if (legacy !== undefined) return legacy.isBoolean;
  const meant = didYouMean(flag, [...KEY_BY_FLAG.keys(), CONFIG_FILE_FLAG], (name) => `--${name}`);
  throw new BadValue(`unknown flag --${flag}${meant || '; see: kvd serve --help'}`);
}

// ---- Collecting ---------------------------------------------------------------------------------------------

type Found = Map<SettingKey, Source>;

function fromFlagsAndEnvironment(sources: ConfigSources, warnings: string[]): Found {
  const {flags, environment} = sources;
  const found: Found = new Map();
  warnOfUnknownVariables(sources, warnings);
  collect(found, warnings, prefixed(environment, 'ETCD'), (name) => environmentName('ETCD', name));
  collect(found, warnings, prefixed(environment, 'KVD'), (name) => environmentName('KVD', name));
  collect(found, warnings, flags, (name) => `--${name}`);
  return found;
}

/** The non-empty variables with the prefix, by flag name. ETCD_VERSION and its like stay unknown names. */
function prefixed(environment: ConfigSources['environment'], prefix: 'KVD' | 'ETCD'): Map<string, string> {
  const values = new Map<string, string>();
  const names = [...KEY_BY_FLAG.keys(), ...LEGACY_FLAGS.keys()];
  for (const flag of names) {
    const text = environment[environmentName(prefix, flag)];
    if (text !== undefined && text !== '') values.set(flag, text);
  }
  return values;
}

/** A misspelt variable would be ignored without a word otherwise. */
function warnOfUnknownVariables({environment, otherVariables}: ConfigSources, warnings: string[]): void {
  const flags = [...KEY_BY_FLAG.keys(), ...LEGACY_FLAGS.keys(), CONFIG_FILE_FLAG];
  const known = new Set(
    flags.flatMap((flag) => [environmentName('KVD', flag), environmentName('ETCD', flag)]),
  );
  for (const name of Object.keys(environment).sort()) {
    if (!/^(KVD|ETCD)_/.test(name) || environment[name] === undefined) continue;
    if (!known.has(name) && !OTHER_VARIABLES.has(name) && otherVariables?.has(name) !== true) {
      warnings.push(`unknown variable ${name} ignored${didYouMean(name, known)}`);
    }
  }
}

function fromFile({file, flags, environment}: ConfigSources, warnings: string[]): Found {
  const {path, content} = file as NonNullable<ConfigSources['file']>;
  const overruled = [
    ...[...flags.keys()].filter((flag) => flag !== CONFIG_FILE_FLAG).map((flag) => `--${flag}`),
    ...[...prefixed(environment, 'KVD').keys()].map((flag) => environmentName('KVD', flag)),
    ...[...prefixed(environment, 'ETCD').keys()].map((flag) => environmentName('ETCD', flag)),
  ];
  if (overruled.length > 0) {
    warnings.push(`only the configuration file ${path} counts; ignored: ${overruled.join(' ')}`);
  }
  if (content === null || content === undefined) return new Map();
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw invalid(`${path}: a configuration file holds lines of the form "name: value"`);
  }
  const values = new Map<string, string>();
  for (const [key, value] of Object.entries(content)) {
    // etcd, too, starts without those: a file may be shared with a newer version.
    if (!KEY_BY_FLAG.has(key) && !LEGACY_FLAGS.has(key))
      warnings.push(`${path}: unknown setting ${key} ignored${didYouMean(key, KEY_BY_FLAG.keys())}`);
    else if (value !== null && value !== undefined) values.set(key, fileText(key, value, path));
  }
  const found: Found = new Map();
  collect(found, warnings, values, (name) => `${name} in ${path}`);
  return found;
}

/** A value of the file as a flag would spell it. Durations that are numbers count nanoseconds, as in etcd. */
function fileText(key: string, value: unknown, path: string): string {
  if (typeof value === 'number' && SETTINGS[KEY_BY_FLAG.get(key) as SettingKey]?.unit === 'duration') {
    return `${value}ns`;
  }
  const text = scalarText(value);
  if (text !== undefined) return text;
  if (LEGACY_FLAGS.has(key)) {
    const parts = Object.entries(value as object).map(([name, part]) => [name, scalarText(part)] as const);
    const used = parts.filter(([name, part]) => part === undefined || !asksForNothing(name, part));
    return used.map(([name, part]) => `${name}=${part ?? '…'}`).join(',');
  }
  throw invalid(`${key} in ${path}: must be a text or a number`);
}

/** Of a list, its items; undefined: there is more to it than that. */
function scalarText(value: unknown): string | undefined {
  if (value === null) return '';
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return String(value);
  if (!Array.isArray(value)) return undefined;
  const items = value.map((item) => (Array.isArray(item) ? undefined : scalarText(item)));
  return items.includes(undefined) ? undefined : items.join(',');
}

/** Adds `values`, which win over what is there. Legacy names are warned of or refused. */
function collect(
  found: Found,
  warnings: string[],
  values: ReadonlyMap<string, string>,
  label: (flag: string) => string,
): void {
  for (const [flag, text] of values) {
    const key = KEY_BY_FLAG.get(flag);
    const legacy = LEGACY_FLAGS.get(flag);
    if (key !== undefined) found.set(key, {label: label(flag), text});
    else if (legacy?.isRefused === true && !asksForNothing(flag, text)) {
      throw invalid(`${label(flag)}=${text}: ${legacy.reason}`);
    } else if (legacy?.isRefused === false) {
      warnings.push(`${label(flag)} has no effect: ${legacy.reason}`);
    }
  }
}

// ---- Parsing ------------------------------------------------------------------------------------------------

function parseValues(found: Found): Values {
  const values: Record<string, unknown> = {};
  for (const key of settingKeys()) {
    const text = found.get(key)?.text ?? defaultText(key, values);
    values[key] = withLabel(key, found, text, () => SETTINGS[key].parse(text));
  }
  return values as Values;
}

/** The table lists a setting behind those that its default speaks of. */
function defaultText(key: SettingKey, values: Readonly<Record<string, unknown>>): string {
  if (key === 'dataDir') return `${String(values.name)}.kvd`;
  if (key === 'initialCluster') {
    const urls = values.initialAdvertisePeerUrls as readonly string[];
    return urls.map((url) => `${String(values.name)}=${url}`).join(',');
  }
  return SETTINGS[key].default;
}

function withLabel<Value>(key: SettingKey, found: Found, text: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    const reason = error.message.startsWith(`${text}: `)
      ? error.message.slice(text.length + 2)
      : error.message;
    throw invalid(`${labelOf(key, found)}=${text}: ${reason}`);
  }
}

function crossCheck(values: Values, found: Found, warnings: string[]): Config {
  checkTimes(values, found);
  checkListeners(values, found);
  for (const url of values.advertiseClientUrls) {
    const endpoint = parseEndpointUrl(url);
    if (typeof endpoint !== 'string' && endpoint.kind === 'tcp' && isWildcardHost(endpoint.host)) {
      warnings.push(
        `${labelOf('advertiseClientUrls', found)}=${url}: clients on other machines cannot connect to it`,
      );
    }
  }
  const {autoCompactionMode, autoCompactionRetention: retention, ...rest} = values;
  const autoCompaction = withLabel('autoCompactionRetention', found, retention, () =>
    parseRetention(retention, autoCompactionMode),
  );
  return {...rest, dataDir: values.dataDir || `${values.name}.kvd`, autoCompaction};
}

function checkTimes({electionTimeoutMs, heartbeatIntervalMs}: Values, found: Found): void {
  const least = heartbeatIntervalMs * HEARTBEATS_PER_ELECTION_MIN;
  if (electionTimeoutMs >= least) return;
  throw invalid(
    `${labelOf('electionTimeoutMs', found)}=${electionTimeoutMs}: must be at least ${HEARTBEATS_PER_ELECTION_MIN} times ` +
      `--heartbeat-interval=${heartbeatIntervalMs}, that is from ${least} to ${ELECTION_TIMEOUT_MS_MAX} milliseconds`,
  );
}

function checkListeners(values: Values, found: Found): void {
  for (const key of ['listenPeerUrls', 'listenClientUrls'] as const) {
    const encrypted = values[key].find((url) => /^(https|unixs):/.test(url));
    if (encrypted !== undefined) {
      throw invalid(
        `${labelOf(key, found)}=${encrypted}: TLS is not in kvd yet; listen on http:// or unix://`,
      );
    }
  }
  const twice = values.listenClientUrls.find(
    (url) => values.listenPeerUrls.includes(url) && !url.endsWith(':0'),
  );
  if (twice !== undefined) {
    throw invalid(
      `${labelOf('listenClientUrls', found)}=${twice}: --listen-peer-urls has it, too; use two ports`,
    );
  }
  if (found.has('listenClientUrls') && !found.has('advertiseClientUrls')) {
    throw invalid(
      '--advertise-client-urls is needed beside --listen-client-urls: clients are told to connect to it; ' +
        `for example --advertise-client-urls=${values.listenClientUrls[0]}`,
    );
  }
}

function clusterProblem(values: Values, found: Found): EngineError | undefined {
  const {name, initialCluster, initialAdvertisePeerUrls} = values;
  const self = initialCluster.find((member) => member.name === name);
  const label = labelOf('initialCluster', found);
  if (self === undefined) {
    const names = initialCluster.map((member) => member.name).join(', ');
    return invalid(
      `${label} has no member named ${name} (it has ${names}); add ${name}=URL or set --name to one of them`,
    );
  }
  if (self.peerUrls.join() !== initialAdvertisePeerUrls.join()) {
    return invalid(
      `${label} gives ${name} the URL ${self.peerUrls.join(',')}, but ${labelOf('initialAdvertisePeerUrls', found)} is ` +
        `${initialAdvertisePeerUrls.join(',')}; both must be the same`,
    );
  }
  return undefined;
}

// ---- Helpers ------------------------------------------------------------------------------------------------

function settingKeys(): readonly SettingKey[] {
  return Object.keys(SETTINGS) as SettingKey[];
}

function flagsOf(key: SettingKey): readonly string[] {
  const row: {flag: string; aliases?: readonly string[]} = SETTINGS[key];
  return [row.flag, ...(row.aliases ?? [])];
}

function labelOf(key: SettingKey, found: Found): string {
  return found.get(key)?.label ?? `--${SETTINGS[key].flag}`;
}

function invalid(detail: string): EngineError {
  return new EngineError({code: 'configInvalid', detail});
}
