import type {LeaseGrantResponse} from '../../transport/proto/generated/lease.ts';
import {ClientCommand} from '../_shared/client-command.ts';
import {argument} from '../_shared/command.ts';
import {describeError} from '../_shared/describe-error.ts';
import {badArguments, CommandError, ExitCode} from '../_shared/exit.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {parseDecimal} from '../_shared/numbers.ts';
import {leaseGrantView} from '../_shared/views/lease.ts';

export default class LeaseGrant extends ClientCommand<LeaseGrantResponse> {
  static override readonly summary = 'Make a lease: keys put with it go when it ends.';
  static override readonly args = {ttl: argument('ttl', 'seconds it lasts unless it is kept alive')};
  static override readonly flags = GLOBAL_FLAGS;
  static override readonly examples = ['<%= config.bin %> lease grant 60'];

  async run(): Promise<LeaseGrantResponse> {
    const {words} = this.parseClient({});
    const [word] = words;
    if (word === undefined || words.length !== 1)
      throw badArguments('lease grant command needs TTL argument');
    const TTL = parseTtl(word);
    this.use(leaseGrantView);
    const {lease} = await this.client();
    return lease.grant({TTL}, this.short).catch((error: unknown) => {
      throw new CommandError(ExitCode.error, `failed to grant lease (${describeError(error).line})`, error);
    });
  }
}

function parseTtl(word: string): number {
  try {
    return parseDecimal(word);
  } catch (error) {
    throw badArguments(`bad TTL (${(error as Error).message})`);
  }
}
