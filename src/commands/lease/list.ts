import type {LeaseLeasesResponse} from '../../transport/proto/generated/lease.ts';
import {ClientCommand} from '../_shared/client-command.ts';
import {badConnection} from '../_shared/describe-error.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {leaseListView} from '../_shared/views/lease.ts';

export default class LeaseList extends ClientCommand<LeaseLeasesResponse> {
  static override readonly summary = 'List all leases.';
  static override readonly flags = GLOBAL_FLAGS;
  static override readonly examples = ['<%= config.bin %> lease list'];

  async run(): Promise<LeaseLeasesResponse> {
    this.parseClient({});
    this.use(leaseListView);
    const {lease} = await this.client();
    return lease.leases().catch(badConnection);
  }
}
