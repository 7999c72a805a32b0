import type {EtcdClient} from '../../transport/client/etcd-client.ts';
import {GrpcError, GrpcStatus} from '../../transport/http2/grpc-status.ts';
import {describeError} from '../_shared/describe-error.ts';
import {ENDPOINT_FLAGS, EndpointCommand} from '../_shared/each-endpoint.ts';
import {CommandError, ExitCode} from '../_shared/exit.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {type EndpointHealth, endpointHealthView} from '../_shared/views/endpoint.ts';

const ALARM_TEXTS: Readonly<Record<number, string>> = {1: 'NOSPACE ', 2: 'CORRUPT '};

export default class Health extends EndpointCommand<readonly EndpointHealth[]> {
  static override readonly summary =
    'Check that members serve reads that a majority confirms, and have no alarm.';
  static override readonly flags = {...ENDPOINT_FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = [
    '<%= config.bin %> endpoint health --cluster',
    '<%= config.bin %> endpoint health --endpoints=node1:2379,node2:2379 -w table',
  ];

  async run(): Promise<readonly EndpointHealth[]> {
    const {flags} = this.parseClient(ENDPOINT_FLAGS);
    this.use(endpointHealthView);
    const client = await this.client();
    const endpoints = await this.endpoints(client, flags);
    // Loaded before the clock runs: what is measured is the member, not our start.
    await Promise.all([
      import('../../transport/http2/grpc-channel.ts'),
      import('../../transport/proto/generated/kv.ts'),
    ]);
    return Promise.all(endpoints.map((endpoint) => this.#check(client, endpoint)));
  }

  override async print(results: readonly EndpointHealth[]): Promise<void> {
    await super.print(results);
    const unhealthy = results.filter(({isHealthy}) => !isHealthy);
    if (this.looks.format === 'simple') {
      for (const {endpoint, error} of unhealthy) {
        this.terminal.warn(`${endpoint} is unhealthy: failed to commit proposal: ${error}`);
      }
    }
    if (unhealthy.length > 0) throw new CommandError(ExitCode.error, 'unhealthy cluster');
  }

  async #check(client: EtcdClient, endpoint: string): Promise<EndpointHealth> {
    const startMs = performance.now();
    try {
      await this.#readSomething(client, endpoint);
      const tookMs = performance.now() - startMs;
      const {alarms} = await client.maintenance.alarm({action: 0}, this.one(endpoint));
      const error =
        alarms.length === 0
          ? ''
          : `Active Alarm(s): ${alarms.map(({alarm}) => ALARM_TEXTS[alarm] ?? 'UNKNOWN ').join('')}`;
      return {endpoint, isHealthy: error === '', tookMs, error};
    } catch (error) {
      return {
        endpoint,
        isHealthy: false,
        tookMs: performance.now() - startMs,
        error: describeError(error).line,
      };
    }
  }

  /** Whether the user may read that key is not the question. */
  async #readSomething(client: EtcdClient, endpoint: string): Promise<void> {
    try {
      await client.kv.range({key: Buffer.from('health')}, this.one(endpoint));
    } catch (error) {
      if (!(error instanceof GrpcError) || error.status !== GrpcStatus.permissionDenied) throw error;
    }
  }
}
