import {API_VERSION, KVD_VERSION} from '../engine/version.ts';
import {KvdCommand} from './_shared/command.ts';

export interface Versions {
  /** kvd's own. */
  readonly kvd: string;
  /** The etcd API level without its patch number. */
  readonly api: string;
}

export default class Version extends KvdCommand<Versions> {
  static override readonly summary = 'Print the version of kvd and of the etcd API it speaks.';
  static override readonly examples = ['<%= config.bin %> version'];

  async run(): Promise<Versions> {
    return {kvd: KVD_VERSION, api: API_VERSION.replace(/\.\d+$/, '')};
  }

  print({kvd, api}: Versions): void {
    this.terminal.write(`kvd version: ${kvd}\nAPI version: ${api}\n`);
  }
}
