import {ENDPOINT_FLAGS, EndpointQuery} from '../_shared/each-endpoint.ts';
import {integerFlag} from '../_shared/flags.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {type EndpointHash, endpointHashView} from '../_shared/views/endpoint.ts';

const FLAGS = {
  ...ENDPOINT_FLAGS,
  rev: integerFlag({summary: 'up to this revision; 0: up to the newest', helpValue: 'revision'}),
};

export default class HashKv extends EndpointQuery<EndpointHash> {
  static override readonly summary =
    'See the hash of the keys and their history; members that agree have the same.';
  static override readonly flags = {...FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = ['<%= config.bin %> endpoint hashkv --cluster'];

  async run(): Promise<readonly EndpointHash[]> {
    const {flags} = this.parseClient(FLAGS);
    this.use(endpointHashView);
    const client = await this.client();
    return this.askAll(await this.endpoints(client, flags), 'hash', async (endpoint) => {
      return {endpoint, hash: await client.maintenance.hashKv(flags.rev, this.one(endpoint))};
    });
  }
}
