import type {MemberListResponse} from '../../transport/proto/generated/cluster.ts';
import {ClientCommand} from '../_shared/client-command.ts';
import {textFlag} from '../_shared/flags.ts';
import {isSerializable} from '../_shared/get-arguments.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {memberListView} from '../_shared/views/member.ts';

const FLAGS = {
  consistency: textFlag({
    summary: 'l: what the majority knows; s: what this member knows',
    default: 'l',
    helpValue: 'l|s',
  }),
};

export default class MemberList extends ClientCommand<MemberListResponse> {
  static override readonly summary = 'List the members of the cluster.';
  static override readonly flags = {...FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = ['<%= config.bin %> member list -w table'];

  async run(): Promise<MemberListResponse> {
    const {flags} = this.parseClient(FLAGS);
    const linearizable = !isSerializable(flags.consistency);
    this.use(memberListView);
    return (await this.client()).cluster.memberList({linearizable}, this.short);
  }
}
