import type {MemberPromoteResponse} from '../../transport/proto/generated/cluster.ts';
import {ClientCommand} from '../_shared/client-command.ts';
import {argument} from '../_shared/command.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {memberArgument} from '../_shared/member-argument.ts';
import {memberChangeView} from '../_shared/views/member.ts';

export default class MemberPromote extends ClientCommand<MemberPromoteResponse> {
  static override readonly summary = 'Give a learner that has caught up its vote.';
  static override readonly args = {id: argument('id', 'the member, hexadecimal')};
  static override readonly flags = GLOBAL_FLAGS;
  static override readonly examples = ['<%= config.bin %> member promote 8211f1d0f64f3269'];

  async run(): Promise<MemberPromoteResponse> {
    const {words} = this.parseClient({});
    const id = memberArgument(words);
    this.use(memberChangeView(id, 'promoted'));
    return (await this.client()).cluster.memberPromote(id, this.short);
  }
}
