import type {MemberRemoveResponse} from '../../transport/proto/generated/cluster.ts';
import {ClientCommand} from '../_shared/client-command.ts';
import {argument} from '../_shared/command.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {memberArgument} from '../_shared/member-argument.ts';
import {memberChangeView} from '../_shared/views/member.ts';

export default class MemberRemove extends ClientCommand<MemberRemoveResponse> {
  static override readonly summary =
    'Take a member out of the cluster. It cannot come back with its old data.';
  static override readonly args = {id: argument('id', 'the member, hexadecimal')};
  static override readonly flags = GLOBAL_FLAGS;
  static override readonly examples = ['<%= config.bin %> member remove 8211f1d0f64f3269'];

  async run(): Promise<MemberRemoveResponse> {
    const {words} = this.parseClient({});
    const id = memberArgument(words);
    this.use(memberChangeView(id, 'removed'));
    return (await this.client()).cluster.memberRemove(id, this.short);
  }
}
