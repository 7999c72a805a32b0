/** The figures of the peer network, under etcd's names but without a label per peer. */

import type {Metrics} from '../../engine/ports.ts';

/** 0.1 ms doubled up to 3.3 s, as etcd's. */
const ROUND_TRIP_BUCKETS_SECONDS = Array.from({length: 16}, (_, i) => 0.0001 * 2 ** i);

export interface PeerMetrics {
  readonly sentBytes: {add(amount: number): void};
  readonly receivedBytes: {add(amount: number): void};
  readonly sendFailures: {add(amount: number): void};
  readonly activePeers: {set(value: number): void};
  readonly roundTripSeconds: {observe(seconds: number): void};
}

export function makePeerMetrics(metrics: Metrics): PeerMetrics {
  return {
    sentBytes: metrics.counter('etcd_network_peer_sent_bytes_total', 'Bytes sent to other members.'),
    receivedBytes: metrics.counter(
      'etcd_network_peer_received_bytes_total',
      'Bytes received from other members.',
    ),
    sendFailures: metrics.counter(
      'etcd_network_peer_sent_failures_total',
      'Messages to other members that were dropped: the link was down or its queue full.',
    ),
    activePeers: metrics.gauge('etcd_network_active_peers', 'Members to which a link stands.'),
    roundTripSeconds: metrics.histogram(
      'etcd_network_peer_round_trip_time_seconds',
      'From a ping on a link to its answer.',
      ROUND_TRIP_BUCKETS_SECONDS,
    ),
  };
}
