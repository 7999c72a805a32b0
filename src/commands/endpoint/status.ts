import {ENDPOINT_FLAGS, EndpointQuery} from '../_shared/each-endpoint.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {type EndpointStatus, endpointStatusView} from '../_shared/views/endpoint.ts';

export default class Status extends EndpointQuery<EndpointStatus> {
  static override readonly summary = 'See version, size, role and progress of members.';
  static override readonly flags = {...ENDPOINT_FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = ['<%= config.bin %> endpoint status --cluster -w table'];

  async run(): Promise<readonly EndpointStatus[]> {
    const {flags} = this.parseClient(ENDPOINT_FLAGS);
    this.use(endpointStatusView);
    const client = await this.client();
    return this.askAll(await this.endpoints(client, flags), 'status', async (endpoint) => {
      return {endpoint, status: await client.maintenance.status(this.one(endpoint))};
    });
  }
}
