import {formatDuration} from '../config/duration.ts';
import {describeError} from './_shared/describe-error.ts';
import {ENDPOINT_FLAGS, EndpointCommand} from './_shared/each-endpoint.ts';
import {CommandError, ExitCode} from './_shared/exit.ts';
import {GLOBAL_FLAGS} from './_shared/global-flags.ts';

export interface Defragmented {
  readonly endpoint: string;
  readonly tookMs: number;
  /** Empty when it was done. */
  readonly error: string;
}

export default class Defrag extends EndpointCommand<readonly Defragmented[]> {
  static override readonly summary =
    'Give the space of deleted data back to the file system, one member after the other.';
  static override readonly flags = {...ENDPOINT_FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = ['<%= config.bin %> defrag --cluster --command-timeout=60s'];

  /** Says what was done as soon as it was: this may take long. */
  async run(): Promise<readonly Defragmented[]> {
    const {flags} = this.parseClient(ENDPOINT_FLAGS);
    const client = await this.client();
    const results: Defragmented[] = [];
    for (const endpoint of await this.endpoints(client, flags)) {
      const startMs = performance.now();
      const error = await client.maintenance.defragment(this.one(endpoint)).then(
        () => '',
        (reason: unknown) => describeError(reason).line,
      );
      results.push({endpoint, tookMs: performance.now() - startMs, error});
      this.#tell(results.at(-1) as Defragmented);
    }
    return results;
  }

  override async print(results: readonly Defragmented[]): Promise<void> {
    if (results.some(({error}) => error !== '')) throw new CommandError(ExitCode.error, '');
  }

  #tell({endpoint, tookMs, error}: Defragmented): void {
    const took = formatDuration(tookMs);
    if (error === '') this.terminal.write(`Finished defragmenting etcd member[${endpoint}]. took ${took}\n`);
    else this.terminal.warn(`Failed to defragment etcd member[${endpoint}]. took ${took}. (${error})`);
  }
}
