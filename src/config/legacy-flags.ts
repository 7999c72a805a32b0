/**
 * Settings of etcd that kvd knows but does not have. Those that change nothing a client or operator relies on are
 * accepted with a warning, so that existing unit files start; those whose silent loss would be dangerous are
 * refused. Anything else is an unknown flag. Pure.
 */

const ALWAYS = 'kvd always does';
const NEVER = 'kvd has no such thing';
const OWN = 'kvd chooses by itself';
const NOT_YET = 'not in kvd yet';

/** Why it has no effect → names. A leading `!` marks booleans, which take no word behind them. */
const IGNORED: Readonly<Record<string, readonly string[]>> = {
  [ALWAYS]: [
    '!pre-vote',
    '!initial-election-tick-advance',
    '!enable-grpc-gateway',
    '!experimental-enable-lease-checkpoint',
    '!experimental-enable-lease-checkpoint-persist',
    '!experimental-initial-corrupt-check',
    '!experimental-compact-hash-check-enabled',
    '!experimental-txn-mode-write-with-shared-buffer',
  ],
  [NEVER]: [
    '!debug',
    '!enable-v2',
    '!enable-pprof',
    '!unsafe-no-fsync',
    '!experimental-memory-mlock',
    '!memory-mlock',
    '!next-cluster-version-compatible',
    'backend-bbolt-freelist-type',
    'cluster-active-size',
    'cluster-remove-delay',
    'cluster-sync-interval',
    'config',
    'discovery-fallback',
    'experimental-backend-bbolt-freelist-type',
    'experimental-enable-v2v3',
    'force',
    'logger',
    'log-output',
    'log-outputs',
    'log-package-levels',
    '!enable-log-rotation',
    'log-rotation-config-json',
    'max-result-buffer',
    'max-retry-attempts',
    'max-snapshots',
    'max-wals',
    'peer-election-timeout',
    'peer-heartbeat-interval',
    'proxy',
    'proxy-dial-timeout',
    'proxy-failure-wait',
    'proxy-read-timeout',
    'proxy-refresh-interval',
    'proxy-write-timeout',
    'retry-interval',
    'snapshot',
    'v2-deprecation',
  ],
  [OWN]: [
    'backend-batch-interval',
    'backend-batch-limit',
    'bootstrap-defrag-threshold-megabytes',
    'compact-hash-check-time',
    'compaction-batch-limit',
    'compaction-sleep-interval',
    'corrupt-check-time',
    'downgrade-check-time',
    'experimental-bootstrap-defrag-threshold-megabytes',
    'experimental-compact-hash-check-time',
    'experimental-compaction-batch-limit',
    'experimental-compaction-sleep-interval',
    'experimental-corrupt-check-time',
    'experimental-downgrade-check-time',
    '!experimental-stop-grpc-service-on-defrag',
    'feature-gates',
    'grpc-keepalive-interval',
    'grpc-keepalive-min-time',
    'grpc-keepalive-timeout',
    'max-concurrent-streams',
    'metrics',
    'raft-read-timeout',
    'raft-write-timeout',
    '!socket-reuse-address',
    '!socket-reuse-port',
    'socket-options',
  ],
  [NOT_YET]: [
    'auth-token',
    'auth-token-ttl',
    'bcrypt-cost',
    'cors',
    '!enable-distributed-tracing',
    'distributed-tracing-address',
    'distributed-tracing-instance-id',
    'distributed-tracing-sampling-rate',
    'distributed-tracing-service-name',
    '!experimental-enable-distributed-tracing',
    'experimental-distributed-tracing-address',
    'experimental-distributed-tracing-instance-id',
    'experimental-distributed-tracing-sampling-rate',
    'experimental-distributed-tracing-service-name',
    'experimental-warning-apply-duration',
    'experimental-warning-unary-request-duration',
    'self-signed-cert-validity',
    'tls-max-version',
    'tls-min-version',
    'warning-apply-duration',
    'warning-unary-request-duration',
  ],
};

const TLS = 'TLS is not in kvd yet; leave it away, and put kvd behind a TLS proxy or a private network';

/** What to do instead → names. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  [TLS]: [
    '!auto-tls',
    '!client-cert-auth',
    '!peer-auto-tls',
    '!peer-client-cert-auth',
    '!peer-skip-client-san-verification',
    '!experimental-peer-skip-client-san-verification',
    'cert-file',
    'cipher-suites',
    'client-cert-allowed-hostname',
    'client-cert-file',
    'client-crl-file',
    'client-key-file',
    'client-transport-security',
    'key-file',
    'peer-cert-allowed-cn',
    'peer-cert-allowed-hostname',
    'peer-cert-file',
    'peer-client-cert-file',
    'peer-client-key-file',
    'peer-crl-file',
    'peer-key-file',
    'peer-transport-security',
    'peer-trusted-ca-file',
    'trusted-ca-file',
  ],
  'discovery is not in kvd; list all members in --initial-cluster': [
    'discovery',
    'discovery-config',
    'discovery-endpoints',
    'discovery-proxy',
    'discovery-srv',
    'discovery-srv-name',
    'discovery-token',
  ],
  'the log stands in the data folder; leave it away': ['wal-dir'],
  'metrics, health and HTTP are served on --listen-client-urls; leave it away': [
    'listen-client-http-urls',
    'listen-metrics-urls',
  ],
  'kvd filters no Host headers yet; leave it away': ['host-whitelist'],
  'restore a snapshot into a cluster of one member instead: kvd snapshot restore': ['!force-new-cluster'],
};

export interface LegacyFlag {
  readonly isBoolean: boolean;
  readonly isRefused: boolean;
  /** Why it has no effect, or what to do instead. */
  readonly reason: string;
}

export const LEGACY_FLAGS: ReadonlyMap<string, LegacyFlag> = new Map([
  ...entries(IGNORED, false),
  ...entries(REFUSED, true),
]);

function entries(
  table: Readonly<Record<string, readonly string[]>>,
  isRefused: boolean,
): ReadonlyArray<readonly [string, LegacyFlag]> {
  return Object.entries(table).flatMap(([reason, flags]) =>
    flags.map(
      (flag) => [flag.replace('!', ''), {isBoolean: flag.startsWith('!'), isRefused, reason}] as const,
    ),
  );
}

/** Whether the text asks for nothing: etcd's sample file has many such lines. */
export function asksForNothing(flag: string, text: string): boolean {
  return text === '' || text === 'false' || (flag === 'host-whitelist' && text === '*');
}
