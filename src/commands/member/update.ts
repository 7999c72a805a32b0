import type {MemberUpdateResponse} from '../../transport/proto/generated/cluster.ts';
import {ClientCommand} from '../_shared/client-command.ts';
import {argument} from '../_shared/command.ts';
import {listFlag} from '../_shared/flags.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {memberArgument} from '../_shared/member-argument.ts';
import {peerUrlsArgument} from '../_shared/peer-urls.ts';
import {memberChangeView} from '../_shared/views/member.ts';

const FLAGS = {
  'peer-urls': listFlag({summary: 'where the others will reach it, comma between', helpValue: 'urls'}),
};

export default class MemberUpdate extends ClientCommand<MemberUpdateResponse> {
  static override readonly summary = 'Change where the others reach a member.';
  static override readonly args = {id: argument('id', 'the member, hexadecimal')};
  static override readonly flags = {...FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = [
    '<%= config.bin %> member update 8211f1d0f64f3269 --peer-urls=http://10.0.0.9:2380',
  ];

  async run(): Promise<MemberUpdateResponse> {
    const {flags, words} = this.parseClient(FLAGS);
    const ID = memberArgument(words);
    const peerURLs = peerUrlsArgument(flags['peer-urls']);
    this.use(memberChangeView(ID, 'updated'));
    return (await this.client()).cluster.memberUpdate({ID, peerURLs}, this.short);
  }
}
