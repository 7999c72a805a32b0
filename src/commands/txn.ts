import type {TxnResponse} from '../transport/proto/generated/kv.ts';
import {ClientCommand} from './_shared/client-command.ts';
import {badArguments} from './_shared/exit.ts';
import {booleanFlag} from './_shared/flags.ts';
import {GLOBAL_FLAGS} from './_shared/global-flags.ts';
import {readTxn} from './_shared/txn-script.ts';
import {txnView} from './_shared/views/key-value.ts';

const FLAGS = {interactive: booleanFlag({char: 'i', summary: 'ask for each part'})};

export default class Txn extends ClientCommand<TxnResponse> {
  static override readonly summary = 'Do several things at once, if certain things hold.';
  static override readonly description =
    `The standard input has three parts, with an empty line behind each: what must hold, what is done then, and what is
done else. Conditions compare version, create, mod, value or lease of a key: mod("key") > "3", value("key") = "x".
Requests are put, get and del with their flags.`;
  static override readonly flags = {...FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = [
    'printf \'ver("lock") = "0"\\n\\nput lock me\\n\\nget lock\\n\\n\' | <%= config.bin %> txn',
    '<%= config.bin %> txn --interactive',
  ];

  async run(): Promise<TxnResponse> {
    const {flags, words} = this.parseClient(FLAGS);
    if (words.length > 0) throw badArguments('txn command does not accept argument');
    this.use(txnView);
    const prompt = (text: string) => {
      if (flags.interactive) this.terminal.write(`${text}\n`);
    };
    const request = await readTxn(this.terminal.lines(), prompt);
    return (await this.client()).kv.txn(request);
  }
}
