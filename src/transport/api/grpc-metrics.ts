/**
 * Counts calls, messages and bytes under the names that etcd's dashboards ask for. Every method has its counters from
 * the start, at 0, as Prometheus wants them; counting is a look-up and an addition.
 */

import type {MetricLabels, Metrics} from '../../engine/ports.ts';
import type {Call, GrpcMethod} from '../http2/grpc-method.ts';
import type {GrpcStatus} from '../http2/grpc-status.ts';
import type {GrpcObserver} from '../http2/server-context.ts';
import {CLIENT_VERSIONS_COUNTED_MAX} from './limits.ts';

type Counter = ReturnType<Metrics['counter']>;

/** By number, as Go's gRPC spells them. */
const CODE_NAMES = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];

const TYPE_NAMES = {unary: 'unary', serverStream: 'server_stream', bidi: 'bidi_stream'} as const;

interface MethodCounters {
  readonly started: Counter;
  readonly received: Counter;
  readonly sent: Counter;
  /** By status code. */
  readonly handled: readonly Counter[];
}

export class GrpcMetrics implements GrpcObserver {
  readonly #metrics: Metrics;
  readonly #counters = new Map<GrpcMethod, MethodCounters>();
  readonly #streams = new Set<string>();
  /** Counters by the version that clients state. */
  readonly #unaryVersions = new Map<string, Counter>();
  readonly #streamVersions = new Map<string, Counter>();
  readonly #receivedBytes: Counter;
  readonly #sentBytes: Counter;

  constructor(metrics: Metrics, methods: Iterable<GrpcMethod>) {
    this.#metrics = metrics;
    this.#receivedBytes = metrics.counter(
      'etcd_network_client_grpc_received_bytes_total',
      'The total number of bytes received from grpc clients.',
    );
    this.#sentBytes = metrics.counter(
      'etcd_network_client_grpc_sent_bytes_total',
      'The total number of bytes sent to grpc clients.',
    );
    for (const method of methods) {
      this.#counters.set(method, methodCounters(metrics, method));
      if (method.kind !== 'unary') this.#streams.add(method.path);
    }
  }

  /** Which clients there are, by the level of the API that they state. */
  called(path: string, call: Call): void {
    const version = call.metadata('client-api-version') ?? 'unknown';
    const type = this.#streams.has(path) ? 'stream' : 'unary';
    const counters = type === 'unary' ? this.#unaryVersions : this.#streamVersions;
    let counter = counters.get(version);
    if (counter === undefined) {
      if (counters.size >= CLIENT_VERSIONS_COUNTED_MAX) return;
      counter = this.#metrics.counter(
        'etcd_server_client_requests_total',
        'The total number of client requests per client version.',
        {type, client_api_version: version},
      );
      counters.set(version, counter);
    }
    counter.add(1);
  }

  callStarted(method: GrpcMethod): void {
    this.#counters.get(method)?.started.add(1);
  }

  callEnded(method: GrpcMethod, status: GrpcStatus): void {
    this.#counters.get(method)?.handled[status]?.add(1);
  }

  messageReceived(method: GrpcMethod, bytes: number): void {
    this.#counters.get(method)?.received.add(1);
    this.#receivedBytes.add(bytes);
  }

  messageSent(method: GrpcMethod, bytes: number): void {
    this.#counters.get(method)?.sent.add(1);
    this.#sentBytes.add(bytes);
  }
}

function methodCounters(metrics: Metrics, method: GrpcMethod): MethodCounters {
  const [, service, name] = method.path.split('/');
  const labels: MetricLabels = {
    grpc_method: name,
    grpc_service: service,
    grpc_type: TYPE_NAMES[method.kind],
  };
  const counter = (metric: string, help: string, more: MetricLabels = {}) =>
    metrics.counter(`grpc_server_${metric}_total`, help, {...more, ...labels});
  return {
    started: counter('started', 'Total number of RPCs started on the server.'),
    received: counter('msg_received', 'Total number of RPC stream messages received on the server.'),
    sent: counter('msg_sent', 'Total number of gRPC stream messages sent by the server.'),
    handled: CODE_NAMES.map((code) =>
      counter('handled', 'Total number of RPCs completed on the server, regardless of success or failure.', {
        grpc_code: code,
      }),
    ),
  };
}
