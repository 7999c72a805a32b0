import type {PutResponse} from '../transport/proto/generated/kv.ts';
import {ClientCommand} from './_shared/client-command.ts';
import {argument} from './_shared/command.ts';
import {GLOBAL_FLAGS} from './_shared/global-flags.ts';
import {PUT_FLAGS, putRequest} from './_shared/put-arguments.ts';
import {putView} from './_shared/views/key-value.ts';

export default class Put extends ClientCommand<PutResponse> {
  static override readonly summary = 'Put a value under a key.';
  static override readonly description =
    'Without VALUE the value is all of the standard input, byte for byte. A value that begins with a dash stands behind --.';
  static override readonly args = {
    key: argument('key', 'the key'),
    value: argument('value', 'its new value', {required: false}),
  };
  static override readonly flags = {...PUT_FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = [
    '<%= config.bin %> put greeting hello',
    '<%= config.bin %> put photo < photo.jpg',
    '<%= config.bin %> put worker alive --lease=694d5765fc71500b',
    '<%= config.bin %> put balance -- -5',
  ];

  async run(): Promise<PutResponse> {
    const {flags, words} = this.parseClient(PUT_FLAGS);
    this.use(putView);
    this.warnOfSurplus(words, 2);
    const request = await putRequest(words, flags, () => this.terminal.readAll());
    return (await this.client()).kv.put(request, this.short);
  }
}
