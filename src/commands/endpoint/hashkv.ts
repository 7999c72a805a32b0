import {describeError} from '../_shared/describe-error.ts';
import {ENDPOINT_FLAGS, EndpointCommand} from '../_shared/each-endpoint.ts';
import {CommandError, ExitCode} from '../_shared/exit.ts';
import {integerFlag} from '../_shared/flags.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {type EndpointHash, endpointHashView} from '../_shared/views/endpoint.ts';

const FLAGS = {
  ...ENDPOINT_FLAGS,
  rev: integerFlag({summary: 'up to this revision; 0: up to the newest', helpValue: 'revision'}),
};

export default class HashKv extends EndpointCommand<readonly EndpointHash[]> {
  static override readonly summary =
    'See the hash of the keys and their history; members that agree have the same.';
  static override readonly flags = {...FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = ['<%= config.bin %> endpoint hashkv --cluster'];

  #failed = 0;

  async run(): Promise<readonly EndpointHash[]> {
    const {flags} = this.parseClient(FLAGS);
    this.use(endpointHashView);
    const client = await this.client();
    const hashes: EndpointHash[] = [];
    for (const endpoint of await this.endpoints(client, flags)) {
      try {
        hashes.push({endpoint, hash: await client.maintenance.hashKv(flags.rev, this.one(endpoint))});
      } catch (error) {
        this.#failed++;
        this.terminal.warn(`Failed to get the hash of endpoint ${endpoint} (${describeError(error).line})`);
      }
    }
    return hashes;
  }

  override async print(hashes: readonly EndpointHash[]): Promise<void> {
    await super.print(hashes);
    if (this.#failed > 0) throw new CommandError(ExitCode.error, '');
  }
}
