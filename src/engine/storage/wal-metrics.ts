/** The log's metrics, under etcd's names. */

import type {Metrics} from '../ports.ts';

export interface WalMetrics {
  readonly syncSeconds: {observe(seconds: number): void};
  readonly writeSeconds: {observe(seconds: number): void};
  /** A gauge that only grows: what etcd made of it. */
  readonly writtenBytes: {set(bytes: number): void};
}

/** From 1 ms, each twice the one before: etcd's. */
const BUCKETS_SECONDS = Array.from({length: 14}, (_, i) => 0.001 * 2 ** i);

export function createWalMetrics(metrics: Metrics): WalMetrics {
  return {
    syncSeconds: metrics.histogram(
      'etcd_disk_wal_fsync_duration_seconds',
      'How long the syncs of the log take.',
      BUCKETS_SECONDS,
    ),
    writeSeconds: metrics.histogram(
      'etcd_disk_wal_write_duration_seconds',
      'How long the writes of the log take, without their sync.',
      BUCKETS_SECONDS,
    ),
    writtenBytes: metrics.gauge('etcd_disk_wal_write_bytes_total', 'Bytes written to the log.'),
  };
}
