import {GrpcError, GrpcStatus} from '../../transport/http2/grpc-status.ts';
import {ClientCommand} from '../_shared/client-command.ts';
import {argument} from '../_shared/command.ts';
import {badConnection} from '../_shared/describe-error.ts';
import {booleanFlag} from '../_shared/flags.ts';
import {GLOBAL_FLAGS} from '../_shared/global-flags.ts';
import {leaseArgument} from '../_shared/lease-argument.ts';
import {requireLook} from '../_shared/printer.ts';
import {hexId} from '../_shared/units.ts';
import {leaseKeepAliveView} from '../_shared/views/lease.ts';

const FLAGS = {once: booleanFlag({summary: 'renew once, then leave'})};

export default class LeaseKeepAlive extends ClientCommand<void> {
  static override readonly summary = 'Renew a lease again and again, until it is gone or you stop this.';
  static override readonly args = {id: argument('id', 'the lease, hexadecimal')};
  static override readonly flags = {...FLAGS, ...GLOBAL_FLAGS};
  static override readonly examples = [
    '<%= config.bin %> lease keep-alive 694d5765fc71500b',
    '<%= config.bin %> lease keep-alive --once 694d5765fc71500b',
  ];

  async run(): Promise<void> {
    const {flags, words} = this.parseClient(FLAGS);
    const id = leaseArgument(words, 'lease keep-alive command needs lease ID as argument');
    requireLook(leaseKeepAliveView, this.looks.format);
    if (flags.once) await this.#renewOnce(id).catch(badConnection);
    else await this.#renewForEver(id).catch(badConnection);
  }

  override print(): Promise<void> {
    return Promise.resolve();
  }

  async #renewOnce(id: bigint): Promise<void> {
    const {lease} = await this.client();
    const answer = await lease.keepAliveOnce(id);
    if (answer.TTL <= 0) throw new GrpcError(GrpcStatus.notFound, 'etcdserver: requested lease not found');
    await this.show(leaseKeepAliveView, answer);
  }

  async #renewForEver(id: bigint): Promise<void> {
    const {lease} = await this.client();
    for await (const answer of lease.keepAlive(id)) {
      if (answer.TTL > 0) await this.show(leaseKeepAliveView, answer);
    }
    if (this.looks.format === 'simple') this.terminal.write(`lease ${hexId(id)} expired or revoked.\n`);
  }
}
