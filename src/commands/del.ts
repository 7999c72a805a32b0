import {setTimeout as delay} from 'node:timers/promises';
import type {DeleteRangeResponse} from '../transport/proto/generated/kv.ts';
import {ClientCommand} from './_shared/client-command.ts';
import {argument} from './_shared/command.ts';
import {DEL_FLAGS, deleteRequest} from './_shared/del-arguments.ts';
import {GLOBAL_FLAGS} from './_shared/global-flags.ts';
import {goQuote} from './_shared/go-quote.ts';
import {deleteView} from './_shared/views/key-value.ts';
import {bytesOf} from './_shared/words.ts';

/** Long enough to see the warning and press Control-C (etcdctl's). */
const SECOND_THOUGHTS_MS = 2_000;

export default class Del extends ClientCommand<DeleteRangeResponse> {
  static override readonly summary = 'Delete a key, or all keys of a range.';
  static override readonly args = {
    key: argument('key', 'the key, or where the range begins'),
    range_end: argument('range_end', 'the first key behind the range', {required: false}),
  };
  static override readonly flags = {...DEL_FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = [
    '<%= config.bin %> del greeting',
    '<%= config.bin %> del --prefix session/ --prev-kv',
    '<%= config.bin %> del --range a c',
  ];

  async run(): Promise<DeleteRangeResponse> {
    const {flags, words} = this.parseClient(DEL_FLAGS);
    this.use(deleteView);
    const request = deleteRequest(words, flags);
    const [from, to] = words;
    if (from !== undefined && to !== undefined && !flags.range) {
      this.terminal.warn(
        `Warning: Keys between ${goQuote(bytesOf(from))} and ${goQuote(bytesOf(to))} will be deleted. ` +
          'Press Control-C within 2 seconds to keep them; --range goes without this.',
      );
      await delay(SECOND_THOUGHTS_MS);
    }
    return (await this.client()).kv.deleteRange(request, this.short);
  }
}
