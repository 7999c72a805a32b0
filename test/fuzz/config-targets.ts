/** What operators write: flags, environment, the configuration file, URLs and durations. */

import {parse, stringify} from 'yaml';
import {CommandError} from '../../src/commands/_shared/exit.ts';
import {peerUrlsArgument} from '../../src/commands/_shared/peer-urls.ts';
import {formatDuration, parseDurationMs} from '../../src/config/duration.ts';
import {environmentName, SETTINGS} from '../../src/config/settings.ts';
import {isBindableHost, isWildcardHost, parseEndpointUrl} from '../../src/config/url.ts';
import {configFilePath, parseConfig, parseServerArguments} from '../../src/config.ts';
import {parseTarget} from '../../src/transport/http2/target.ts';
import {parsePeerUrl} from '../../src/transport/peer/peer-url.ts';
import type {SeededRandom} from '../simulator/seeded-random.ts';
import {type FuzzTarget, neverRefuses, promise, promiseSame, refusesWith} from './fuzz-target.ts';
import {oneOf} from './mutate.ts';
import {changedText, mutatedValue} from './mutate-value.ts';

const isConfigInvalid = refusesWith('configInvalid');

const URLS = [
  'http://127.0.0.1:2379',
  'http://[::1]:2379,unix:///tmp/x',
  'http://h.example:1',
  'http://:2380',
  'https://1.2.3.4:1',
];
const VALUES: readonly string[] = [
  ...URLS,
  'a=http://1.2.3.4:2380,b=http://h:1',
  '1h30m',
  '0',
  '-1',
  '8589934592',
  '0x10',
  'true',
  'false',
  'existing',
  'revision',
  'debug',
  '',
  '9'.repeat(400),
];
const FLAGS = [
  ...Object.values(SETTINGS).map(({flag}) => flag),
  'pre-vote',
  'wal-dir',
  'config-file',
  'cert-file',
];
const LINES = [
  '--name=a\n--data-dir=x\n--listen-client-urls=http://127.0.0.1:2379,http://[::1]:2379\n--advertise-client-urls=http://127.0.0.1:2379',
  '--initial-cluster=a=http://1.2.3.4:2380,b=http://h:1\n--initial-cluster-state=existing\n--name=a',
  '--auto-compaction-mode=periodic\n--auto-compaction-retention=1h30m\n--quota-backend-bytes=8589934592',
  '-heartbeat-interval\n100\n--election-timeout=1000\n--strict-reconfig-check=false\n--log-level=debug',
].map((text) => Buffer.from(text));

function anyLines(random: SeededRandom): Buffer {
  const lines = Array.from({length: 1 + random.below(4)}, () => {
    const value = oneOf(random, VALUES);
    return `--${oneOf(random, FLAGS)}=${random.below(2) === 0 ? value : changedText(random, value)}`;
  });
  return Buffer.from(lines.join('\n'));
}

/** A configuration that is taken is whole; the same words give the same. */
function checkConfig(read: () => ReturnType<typeof parseConfig>): void {
  const {config, warnings} = read();
  promiseSame(read().config, config);
  promise(
    Object.isFrozen(config) && warnings.every((line) => !line.includes('\n') || line.length > 0),
    'it is settled',
  );
  promise(
    config.electionTimeoutMs >= 5 * config.heartbeatIntervalMs,
    'heartbeats fit into an election timeout',
  );
  const {autoCompaction, watchProgressNotifyIntervalMs, quotaBackendBytes, snapshotCount} = config;
  const numbers = [watchProgressNotifyIntervalMs, quotaBackendBytes, snapshotCount];
  if (autoCompaction.mode === 'periodic') numbers.push(autoCompaction.retentionMs);
  promise(numbers.every(Number.isFinite), 'numbers are finite');
  // Whoever listens and dials understands the URLs, too.
  for (const {peerUrls} of config.initialCluster) for (const url of peerUrls) parsePeerUrl(url);
  for (const url of [...config.listenPeerUrls, ...config.initialAdvertisePeerUrls]) parsePeerUrl(url);
}

const ENVIRONMENT: FuzzTarget = {
  name: 'environment',
  samples: LINES,
  malform: anyLines,
  run: (bytes) => {
    const environment: Record<string, string> = {};
    for (const [at, line] of bytes.toString('utf8').split('\n').entries()) {
      const [name, ...rest] = line.replace(/^--?/, '').split('=');
      environment[environmentName(at % 2 === 0 ? 'KVD' : 'ETCD', name)] = rest.join('=');
    }
    configFilePath({flags: new Map(), environment});
    checkConfig(() => parseConfig({flags: new Map(), environment, file: undefined}));
  },
  isRefusal: isConfigInvalid,
};

const FLAG_TARGET: FuzzTarget = {
  name: 'flags',
  samples: LINES,
  malform: anyLines,
  run: (bytes) => {
    const flags = parseServerArguments(bytes.toString('utf8').split('\n'));
    checkConfig(() => parseConfig({flags, environment: {}, file: undefined}));
  },
  isRefusal: isConfigInvalid,
};

const FILE = `name: a
data-dir: 'x y'
listen-client-urls: "http://127.0.0.1:2379"
advertise-client-urls: "http://127.0.0.1:2379"
initial-cluster: 'a=http://localhost:2380'
snapshot-count: 10000
watch-progress-notify-interval: 600000000000
strict-reconfig-check: false
auto-compaction-mode: revision
auto-compaction-retention: "1000"
peer-transport-security:
  cert-file: ''
  client-cert-auth: false
log-outputs: [stderr, other]
logger: zap
`;
const FILES = [
  FILE,
  '{"name": "a", "snapshot-count": 5}',
  '',
  'a: &x [1]\nb: *x\n',
  '%YAML 1.1\n---\nlogger: 2001-01-01\n',
].map((text) => Buffer.from(text));

const CONFIG_FILE: FuzzTarget = {
  name: 'config-file',
  samples: FILES,
  malform: (random) => {
    const value = mutatedValue(random, {
      ...(parse(FILE) as object),
      [oneOf(random, FLAGS)]: oneOf(random, VALUES),
    });
    try {
      return Buffer.from(stringify(value, {schema: random.below(4) === 0 ? 'yaml-1.1' : 'core'}));
    } catch {
      // Too deep to be written.
      return FILES[0];
    }
  },
  run: (bytes) => {
    let content: unknown;
    try {
      content = parse(bytes.toString('utf8'), {logLevel: 'error'});
    } catch {
      // Serve says that the file is not YAML.
      return;
    }
    checkConfig(() => parseConfig({flags: new Map(), environment: {}, file: {path: 'kvd.yml', content}}));
  },
  isRefusal: isConfigInvalid,
};

const URL_SAMPLES = [...URLS, 'unix:///tmp/x', 'unixs://x', 'http://[fe80::1%br-lan]:2380'];
const URL_TARGET: FuzzTarget = {
  name: 'urls',
  samples: URL_SAMPLES.map((text) => Buffer.from(text)),
  malform: (random) => Buffer.from(changedText(random, oneOf(random, URL_SAMPLES))),
  run: (bytes) => {
    const text = bytes.toString('utf8');
    const endpoint = parseEndpointUrl(text);
    if (typeof endpoint === 'object' && endpoint.kind === 'tcp') {
      isBindableHost(endpoint.host);
      isWildcardHost(endpoint.host);
      promise(endpoint.port <= 65_535, 'a port is one');
    }
    try {
      promise(parseTarget(text).authority !== '', 'a client knows whom it asks');
    } catch (error) {
      promise((error as Error).message === `not an address: ${text}`, 'it says what is no address');
    }
    try {
      peerUrlsArgument([text]);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
    }
    // What one part takes for a peer's URL, the part that dials does, too.
    if (typeof endpoint === 'object') parsePeerUrl(text);
  },
  isRefusal: neverRefuses,
};

const DURATIONS = ['1h30m', '5ms', '1.5h', '-3us', '0', '9999999h', '.5s', '1µs'];
const DURATION_TARGET: FuzzTarget = {
  name: 'durations',
  samples: DURATIONS.map((text) => Buffer.from(text)),
  malform: (random) => Buffer.from(changedText(random, oneOf(random, DURATIONS) + oneOf(random, DURATIONS))),
  run: (bytes) => {
    const ms = parseDurationMs(bytes.toString('utf8'));
    if (ms === undefined || Math.abs(ms) > 1e12) return;
    const again = parseDurationMs(formatDuration(ms)) ?? Number.NaN;
    promise(Math.abs(again - ms) <= 1e-6 + Math.abs(ms) * 1e-9, 'a duration is written without loss');
  },
  isRefusal: neverRefuses,
};

export const CONFIG_TARGETS: readonly FuzzTarget[] = [
  FLAG_TARGET,
  ENVIRONMENT,
  CONFIG_FILE,
  URL_TARGET,
  DURATION_TARGET,
];
