import {describeError} from '../_shared/describe-error.ts';
import {ENDPOINT_FLAGS, EndpointCommand} from '../_shared/each-endpoint.ts';
import {CommandError, ExitCode} from '../_shared/exit.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {type EndpointStatus, endpointStatusView} from '../_shared/views/endpoint.ts';

export default class Status extends EndpointCommand<readonly EndpointStatus[]> {
  static override readonly summary = 'See version, size, role and progress of members.';
  static override readonly flags = {...ENDPOINT_FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = ['<%= config.bin %> endpoint status --cluster -w table'];

  #failed = 0;

  async run(): Promise<readonly EndpointStatus[]> {
    const {flags} = this.parseClient(ENDPOINT_FLAGS);
    this.use(endpointStatusView);
    const client = await this.client();
    const statuses: EndpointStatus[] = [];
    for (const endpoint of await this.endpoints(client, flags)) {
      try {
        statuses.push({endpoint, status: await client.maintenance.status(this.one(endpoint))});
      } catch (error) {
        this.#failed++;
        this.terminal.warn(`Failed to get the status of endpoint ${endpoint} (${describeError(error).line})`);
      }
    }
    return statuses;
  }

  override async print(statuses: readonly EndpointStatus[]): Promise<void> {
    await super.print(statuses);
    if (this.#failed > 0) throw new CommandError(ExitCode.error, '');
  }
}
