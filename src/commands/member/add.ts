import {ClientCommand} from '../_shared/client-command.ts';
import {argument} from '../_shared/command.ts';
import {badArguments} from '../_shared/exit.ts';
import {booleanFlag, listFlag} from '../_shared/flags.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {peerUrlsArgument} from '../_shared/peer-urls.ts';
import {type AddedMember, memberAddView} from '../_shared/views/member.ts';
import {textOf} from '../_shared/words.ts';

const FLAGS = {
  'peer-urls': listFlag({summary: 'where the others will reach it, comma between', helpValue: 'urls'}),
  learner: booleanFlag({summary: 'let it catch up without a vote first; see member promote'}),
};

export default class MemberAdd extends ClientCommand<AddedMember> {
  static override readonly summary = 'Make room in the cluster for a new member, before it is started.';
  static override readonly description =
    'Prints the settings that the new member is to be started with. Add it as a learner: the cluster then needs it for no decision until it has caught up.';
  static override readonly args = {name: argument('name', 'its --name')};
  static override readonly flags = {...FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = [
    '<%= config.bin %> member add node4 --peer-urls=http://10.0.0.4:2380 --learner',
  ];

  async run(): Promise<AddedMember> {
    const {flags, words} = this.parseClient(FLAGS);
    const [word] = words;
    if (word === undefined) throw badArguments('member name not provided');
    if (words.length > 1) throw badArguments('too many arguments');
    const peerURLs = peerUrlsArgument(flags['peer-urls']);
    this.use(memberAddView);
    const {cluster} = await this.client();
    const response = await cluster.memberAdd({peerURLs, isLearner: flags.learner}, this.short);
    return {name: textOf(word), response};
  }
}
