import type {LeaseRevokeResponse} from '../../transport/proto/generated/lease.ts';
import {ClientCommand} from '../_shared/client-command.ts';
import {argument} from '../_shared/command.ts';
import {describeError} from '../_shared/describe-error.ts';
import {CommandError, ExitCode} from '../_shared/exit.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {leaseArgument} from '../_shared/lease-argument.ts';
import {leaseRevokeView} from '../_shared/views/lease.ts';

export default class LeaseRevoke extends ClientCommand<LeaseRevokeResponse> {
  static override readonly summary = 'End a lease now, and with it its keys.';
  static override readonly args = {id: argument('id', 'the lease, hexadecimal')};
  static override readonly flags = GLOBAL_FLAGS;
  static override readonly examples = ['<%= config.bin %> lease revoke 694d5765fc71500b'];

  async run(): Promise<LeaseRevokeResponse> {
    const {words} = this.parseClient({});
    const id = leaseArgument(words, 'lease revoke command needs 1 argument');
    this.use(leaseRevokeView(id));
    const {lease} = await this.client();
    return lease.revoke(id, this.short).catch((error: unknown) => {
      throw new CommandError(ExitCode.error, `failed to revoke lease (${describeError(error).line})`, error);
    });
  }
}
