import type {RangeRequestInput, RangeResponse} from '../transport/proto/generated/kv.ts';
import {ClientCommand} from './_shared/client-command.ts';
import {argument} from './_shared/command.ts';
import {badArguments} from './_shared/exit.ts';
import {booleanFlag} from './_shared/flags.ts';
import {GET_FLAGS, rangeRequest} from './_shared/get-arguments.ts';
import {GLOBAL_FLAGS} from './_shared/global-flags.ts';
import {rangeView} from './_shared/views/key-value.ts';

const FLAGS = {...GET_FLAGS, stream: booleanFlag({summary: 'let the server send the answer in parts'})};

export default class Get extends ClientCommand<RangeResponse> {
  static override readonly summary = 'Get the value of a key, or all keys and values of a range.';
  static override readonly args = {
    key: argument('key', 'the key, or where the range begins'),
    range_end: argument('range_end', 'the first key behind the range', {required: false}),
  };
  static override readonly flags = {...FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = [
    '<%= config.bin %> get greeting',
    '<%= config.bin %> get --prefix config/',
    '<%= config.bin %> get "" --prefix --keys-only --limit=10',
    '<%= config.bin %> get greeting --rev=4 -w json',
  ];

  async run(): Promise<RangeResponse> {
    const {flags, words} = this.parseClient(FLAGS);
    const request = rangeRequest(words, flags);
    this.warnOfSurplus(words, 2);
    const {format} = this.looks;
    if (flags['count-only'] && format !== 'fields' && format !== 'json') {
      throw badArguments('--count-only is only for `--write-out=fields`');
    }
    if (flags['print-value-only'] && format !== 'simple') {
      throw badArguments('print-value-only is only for `--write-out=simple`');
    }
    this.use(rangeView({valuesOnly: flags['print-value-only']}));
    return flags.stream ? this.#stream(request) : (await this.client()).kv.range(request, this.short);
  }

  async #stream(request: RangeRequestInput): Promise<RangeResponse> {
    const parts: RangeResponse[] = [];
    for await (const part of (await this.client()).kv.rangeStream(request, this.short)) parts.push(part);
    return {
      header: parts.find((part) => part.header !== undefined)?.header,
      kvs: parts.flatMap((part) => part.kvs),
      more: parts.at(-1)?.more ?? false,
      count: parts.at(-1)?.count ?? 0,
    };
  }
}
