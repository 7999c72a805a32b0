import type {LeaseTimeToLiveResponse} from '../../transport/proto/generated/lease.ts';
import {ClientCommand} from '../_shared/client-command.ts';
import {argument} from '../_shared/command.ts';
import {badConnection} from '../_shared/describe-error.ts';
import {booleanFlag} from '../_shared/flags.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {leaseArgument} from '../_shared/lease-argument.ts';
import {leaseTimeToLiveView} from '../_shared/views/lease.ts';

const FLAGS = {keys: booleanFlag({summary: 'also list the keys of the lease'})};

export default class LeaseTimeToLive extends ClientCommand<LeaseTimeToLiveResponse> {
  static override readonly summary = 'See how long a lease lasts.';
  static override readonly args = {id: argument('id', 'the lease, hexadecimal')};
  static override readonly flags = {...FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = ['<%= config.bin %> lease timetolive 694d5765fc71500b --keys'];

  async run(): Promise<LeaseTimeToLiveResponse> {
    const {flags, words} = this.parseClient(FLAGS);
    const ID = leaseArgument(words, 'lease timetolive command needs lease ID as argument');
    this.use(leaseTimeToLiveView({keys: flags.keys}));
    const {lease} = await this.client();
    return lease.timeToLive({ID, keys: flags.keys}).catch(badConnection);
  }
}
