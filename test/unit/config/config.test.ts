import {describe, expect, it} from 'vitest';
import {SETTINGS, type SettingKey} from '../../../src/config/settings.ts';
import {
  type Config,
  type ConfigSources,
  configFilePath,
  parseConfig,
  parseServerArguments,
} from '../../../src/config.ts';
import {EngineError} from '../../../src/engine/errors.ts';

interface Given {
  readonly argv?: readonly string[];
  readonly environment?: ConfigSources['environment'];
  readonly file?: unknown;
}

function parse({argv = [], environment = {}, file}: Given) {
  const flags = parseServerArguments(argv);
  return parseConfig({
    flags,
    environment,
    file: file === undefined ? undefined : {path: 'kvd.yml', content: file},
  });
}

const configOf = (...argv: string[]): Config => parse({argv}).config;

function refusal(given: Given): string {
  try {
    const {clusterProblem} = parse(given);
    if (clusterProblem !== undefined) throw clusterProblem;
  } catch (error) {
    if (error instanceof EngineError && error.failure.code === 'configInvalid') return error.failure.detail;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('config', () => {
  it('Ensure that nothing given means the defaults of etcd, with kvd in the folder name.', () => {
    expect(configOf()).toEqual({
      name: 'default',
      dataDir: 'default.kvd',
      listenPeerUrls: ['http://localhost:2380'],
      listenClientUrls: ['http://localhost:2379'],
      advertiseClientUrls: ['http://localhost:2379'],
      initialAdvertisePeerUrls: ['http://localhost:2380'],
      initialCluster: [{name: 'default', peerUrls: ['http://localhost:2380']}],
      initialClusterState: 'new',
      initialClusterToken: 'etcd-cluster',
      strictReconfigCheck: true,
      maxLearners: 1,
      heartbeatIntervalMs: 100,
      electionTimeoutMs: 1000,
      snapshotCount: 10_000,
      snapshotCatchupEntries: 5_000,
      maxRequestBytes: 1_572_864,
      maxTxnOps: 128,
      watchProgressNotifyIntervalMs: 600_000,
      quotaBackendBytes: 2_147_483_648,
      autoCompaction: {mode: 'off'},
      logLevel: 'info',
      logFormat: 'json',
    } satisfies Config);
  });

  it('Ensure that the result is frozen and the same sources give the same result.', () => {
    expect(Object.isFrozen(configOf())).toBe(true);
    expect(parse({argv: ['--name', 'a']})).toEqual(parse({argv: ['-name=a']}));
  });

  it('Ensure that a flag wins over KVD_*, and KVD_* over ETCD_*; empty variables count as absent.', () => {
    const environment = {KVD_NAME: 'kvd', ETCD_NAME: 'etcd', ETCD_MAX_TXN_OPS: '7', KVD_MAX_TXN_OPS: ''};
    expect(parse({argv: ['--name=flag'], environment}).config.name).toBe('flag');
    expect(parse({environment}).config).toMatchObject({name: 'kvd', maxTxnOps: 7});
  });

  it('Ensure that with a configuration file the file alone counts, and that this is said.', () => {
    const {config, warnings} = parse({
      argv: ['--config-file', 'kvd.yml', '--max-txn-ops', '9'],
      environment: {ETCD_SNAPSHOT_COUNT: '3'},
      file: {name: 'f', 'watch-progress-notify-interval': 5_000_000_000, 'strict-reconfig-check': false},
    });
    expect(config).toMatchObject({
      name: 'f',
      maxTxnOps: 128,
      snapshotCount: 10_000,
      watchProgressNotifyIntervalMs: 5_000,
      strictReconfigCheck: false,
    });
    expect(warnings).toEqual([
      'only the configuration file kvd.yml counts; ignored: --max-txn-ops ETCD_SNAPSHOT_COUNT',
    ]);
  });

  it("Ensure that etcd's sample configuration file is accepted.", () => {
    const {warnings} = parse({
      file: {
        name: 'default',
        'data-dir': null,
        'wal-dir': null,
        'snapshot-count': 10000,
        'heartbeat-interval': 100,
        'election-timeout': 1000,
        'quota-backend-bytes': 0,
        'listen-peer-urls': 'http://localhost:2380',
        'listen-client-urls': 'http://localhost:2379',
        'max-snapshots': 5,
        'max-wals': 5,
        cors: null,
        'initial-advertise-peer-urls': 'http://localhost:2380',
        'advertise-client-urls': 'http://localhost:2379',
        discovery: null,
        'discovery-fallback': 'proxy',
        'discovery-proxy': null,
        'discovery-srv': null,
        'initial-cluster': null,
        'initial-cluster-token': 'etcd-cluster',
        'initial-cluster-state': 'new',
        'strict-reconfig-check': false,
        'enable-pprof': true,
        proxy: 'off',
        'proxy-failure-wait': 5000,
        'client-transport-security': {'cert-file': null, 'client-cert-auth': false, 'auto-tls': false},
        'peer-transport-security': {'cert-file': null, 'client-cert-auth': false, 'auto-tls': false},
        'log-level': 'debug',
        logger: 'zap',
        'log-outputs': ['stderr'],
        'force-new-cluster': false,
        'auto-compaction-mode': 'periodic',
        'auto-compaction-retention': '1',
      },
    });
    expect(warnings).not.toEqual([]);
    expect(warnings.every((warning) => /^[a-z-]+ in kvd.yml has no effect: /.test(warning))).toBe(true);
  });

  it.each<[string, unknown]>([
    ['name', [{toString: 1}]],
    ['name', {toString: 1, valueOf: 1}],
    ['initial-cluster', [['a=http://a:1']]],
  ])('Ensure that %s as something that is no text is refused in words.', (key, value) => {
    expect(refusal({file: {[key]: value}})).toBe(`${key} in kvd.yml: must be a text or a number`);
  });

  it('Ensure that what a setting without effect holds is never looked into.', () => {
    const {warnings} = parse({file: {'socket-options': {a: {toString: 1}, b: [1, 2]}}});
    expect(warnings).toEqual([expect.stringContaining('socket-options in kvd.yml has no effect')]);
  });

  it('Ensure that the file to read is named by flag, then KVD_*, then ETCD_*.', () => {
    const environment = {ETCD_CONFIG_FILE: 'e', KVD_CONFIG_FILE: 'k'};
    expect(configFilePath({flags: new Map([['config-file', 'f']]), environment})).toBe('f');
    expect(configFilePath({flags: new Map(), environment})).toBe('k');
    expect(configFilePath({flags: new Map(), environment: {ETCD_CONFIG_FILE: 'e'}})).toBe('e');
    expect(configFilePath({flags: new Map(), environment: {}})).toBeUndefined();
  });

  it('Ensure that booleans take their value only behind an equals sign, as in Go.', () => {
    expect(configOf('--strict-reconfig-check').strictReconfigCheck).toBe(true);
    expect(configOf('-strict-reconfig-check=F').strictReconfigCheck).toBe(false);
    expect(configOf('--max-learners=3').maxLearners).toBe(3);
    expect(refusal({argv: ['--max-learners=-1']})).toMatch(/--max-learners=-1/);
    expect(refusal({argv: ['--strict-reconfig-check', 'false']})).toBe(
      "'false' is not a flag, and serve takes nothing else",
    );
  });

  it('Ensure that lists of URLs and members are sorted, and a member may have several URLs.', () => {
    const config = configOf(
      '--name=b',
      '--initial-advertise-peer-urls=http://h:2382,http://h:2381',
      '--initial-cluster=c=http://h:3,b=http://h:2382,a=http://h:1,b=http://h:2381',
    );
    expect(config.initialCluster).toEqual([
      {name: 'a', peerUrls: ['http://h:1']},
      {name: 'b', peerUrls: ['http://h:2381', 'http://h:2382']},
      {name: 'c', peerUrls: ['http://h:3']},
    ]);
  });

  it('Ensure that the forms of automatic compaction, quota and intervals are those of etcd.', () => {
    expect(configOf('--auto-compaction-retention=2').autoCompaction).toEqual({
      mode: 'periodic',
      retentionMs: 7_200_000,
    });
    expect(configOf('--auto-compaction-retention=30m').autoCompaction).toEqual({
      mode: 'periodic',
      retentionMs: 1_800_000,
    });
    const byRevision = ['--auto-compaction-mode', 'revision', '--auto-compaction-retention'];
    expect(configOf(...byRevision, '1000').autoCompaction).toEqual({
      mode: 'revision',
      retentionRevisions: 1000,
    });
    expect(configOf('--quota-backend-bytes=-5').quotaBackendBytes).toBe(-1);
    expect(configOf('--watch-progress-notify-interval=1ms').watchProgressNotifyIntervalMs).toBe(100);
    expect(configOf('--experimental-watch-progress-notify-interval=1m').watchProgressNotifyIntervalMs).toBe(
      60_000,
    );
    expect(configOf('--log-level=fatal').logLevel).toBe('error');
  });

  it('Ensure that unix sockets, IPv6 and the empty host are legal to listen on.', () => {
    const urls = ['http://:1', 'http://[::1]:2', 'unix:///run/kvd.sock', 'unix://localhost:3'];
    expect(
      configOf(`--listen-client-urls=${urls.join()}`, '--advertise-client-urls=http://h:1').listenClientUrls,
    ).toEqual(urls);
  });

  it('Ensure that legacy flags of etcd are accepted with a warning and dangerous ones refused.', () => {
    const argv = ['--enable-v2=true', '--logger', 'zap', '-unsafe-no-fsync', '--pre-vote', '--wal-dir='];
    expect(parse({argv}).warnings).toEqual([
      '--enable-v2 has no effect: kvd has no such thing',
      '--logger has no effect: kvd has no such thing',
      '--unsafe-no-fsync has no effect: kvd has no such thing',
      '--pre-vote has no effect: kvd always does',
    ]);
    expect(refusal({environment: {ETCD_CERT_FILE: 'c.pem'}})).toMatch(
      /^ETCD_CERT_FILE=c.pem: TLS is not in kvd yet/,
    );
  });

  it('Ensure that misspelt variables are warned of, and those of others are not.', () => {
    const environment = {
      KVD_NAMES: 'x',
      ETCD_DATADIR: 'y',
      ETCD_VERSION: '3',
      KVD_ENDPOINTS: 'z',
      ETCDCTL_USER: 'u',
    };
    const {warnings} = parseConfig({
      flags: new Map(),
      environment,
      otherVariables: new Set(['KVD_ENDPOINTS']),
    });
    expect(warnings).toEqual([
      'unknown variable ETCD_DATADIR ignored; did you mean ETCD_DATA_DIR?',
      'unknown variable KVD_NAMES ignored; did you mean KVD_NAME?',
    ]);
  });

  it('Ensure that a wildcard that clients are told to connect to is warned of.', () => {
    const {warnings} = parse({argv: ['--advertise-client-urls=http://0.0.0.0:2379']});
    expect(warnings).toEqual([
      '--advertise-client-urls=http://0.0.0.0:2379: clients on other machines cannot connect to it',
    ]);
  });

  it.each<[string[], string]>([
    [['--nonsense'], 'unknown flag --nonsense; see: kvd serve --help'],
    [['--name'], '--name needs a value, as in --name=VALUE'],
    [['--name='], '--name=: must not be empty'],
    [['extra'], "'extra' is not a flag, and serve takes nothing else"],
    [['--max-txn-ops=1.5'], '--max-txn-ops=1.5: must be a whole number of operations'],
    [
      ['--max-request-bytes=99999999999'],
      '--max-request-bytes=99999999999: must be from 1024 to 33554432 bytes',
    ],
    [['--election-timeout=60000'], '--election-timeout=60000: must be from 1 to 50000 milliseconds'],
    [
      ['--election-timeout=400'],
      '--election-timeout=400: must be at least 5 times --heartbeat-interval=100, that is from 500 to 50000 milliseconds',
    ],
    [
      ['--heartbeat-interval=300'],
      '--election-timeout=1000: must be at least 5 times --heartbeat-interval=300, that is from 1500 to 50000 milliseconds',
    ],
    [['--log-level=loud'], '--log-level=loud: must be one of debug, info, warn, error, panic, fatal'],
    [['--initial-cluster-state=old'], '--initial-cluster-state=old: must be one of new, existing'],
    [['--strict-reconfig-check=maybe'], '--strict-reconfig-check=maybe: must be true or false'],
    [
      ['--listen-peer-urls=localhost:2380'],
      '--listen-peer-urls=localhost:2380: it must begin with http://, https:// or unix://; write it like http://127.0.0.1:2379',
    ],
    [
      ['--listen-peer-urls=http://host.example:2380'],
      '--listen-peer-urls=http://host.example:2380: listen on an IP address of this machine, or on 0.0.0.0 for all, not on a name',
    ],
    [
      ['--listen-peer-urls=http://1.2.3.4'],
      '--listen-peer-urls=http://1.2.3.4: it must have the form host:port; write it like http://127.0.0.1:2379',
    ],
    [
      ['--advertise-client-urls=http://h:1/'],
      '--advertise-client-urls=http://h:1/: it must not contain a path; write it like http://host1.example:2379',
    ],
    [
      ['--listen-client-urls=https://127.0.0.1:1', '--advertise-client-urls=https://h:1'],
      '--listen-client-urls=https://127.0.0.1:1: TLS is not in kvd yet; listen on http:// or unix://',
    ],
    [
      ['--listen-client-urls=http://127.0.0.1:1'],
      '--advertise-client-urls is needed beside --listen-client-urls: clients are told to connect to it; for example --advertise-client-urls=http://127.0.0.1:1',
    ],
    [
      ['--name=x', '--initial-cluster=a=http://localhost:2380'],
      '--initial-cluster has no member named x (it has a); add x=URL or set --name to one of them',
    ],
    [
      ['--name=a', '--initial-cluster=a=http://h:1'],
      '--initial-cluster gives a the URL http://h:1, but --initial-advertise-peer-urls is http://localhost:2380; both must be the same',
    ],
    [
      ['--initial-cluster=a=http://h:1,b=http://h:1'],
      '--initial-cluster=a=http://h:1,b=http://h:1: http://h:1 is given to a and to b; each member needs its own',
    ],
    [['--initial-cluster=a'], "--initial-cluster=a: 'a' must have the form name=http://host:2380"],
    [
      ['--auto-compaction-retention=soon'],
      '--auto-compaction-retention=soon: must be a number of hours or a duration such as 30m in mode periodic',
    ],
    [
      ['--auto-compaction-mode=revision', '--auto-compaction-retention=1h'],
      '--auto-compaction-retention=1h: must be a whole number of revisions in mode revision',
    ],
  ])('Ensure that %j is refused with one line that says what to do.', (argv, line) => {
    expect(refusal({argv})).toBe(line);
  });

  it('Ensure that a file that holds no settings is refused, and a wrong value names the file.', () => {
    expect(refusal({file: ['a']})).toBe(
      'kvd.yml: a configuration file holds lines of the form "name: value"',
    );
    expect(refusal({file: {'max-txn-ops': 'x'}})).toBe(
      'max-txn-ops in kvd.yml=x: must be a whole number of operations',
    );
    expect(parse({file: {hobby: 1, 'snapshot-cout': 5}}).warnings).toEqual([
      'kvd.yml: unknown setting hobby ignored',
      'kvd.yml: unknown setting snapshot-cout ignored; did you mean snapshot-count?',
    ]);
  });

  it('Ensure that every default of the table passes its own check and each row says what it is.', () => {
    for (const key of Object.keys(SETTINGS) as SettingKey[]) {
      const row = SETTINGS[key];
      if (!row.default.includes('{')) expect(() => row.parse(row.default)).not.toThrow();
      expect(row.help.endsWith('.')).toBe(true);
    }
  });
});
