import type {MoveLeaderResponse} from '../transport/proto/generated/maintenance.ts';
import {ClientCommand} from './_shared/client-command.ts';
import {argument} from './_shared/command.ts';
import {badArguments} from './_shared/exit.ts';
import {GLOBAL_FLAGS} from './_shared/global-flags.ts';
import {parseMemberId} from './_shared/numbers.ts';
import {requireLook} from './_shared/printer.ts';
import {moveLeaderView} from './_shared/views/maintenance.ts';

export interface MovedLeader {
  readonly from: bigint;
  readonly to: bigint;
  readonly response: MoveLeaderResponse;
}

export default class MoveLeader extends ClientCommand<MovedLeader> {
  static override readonly summary =
    'Hand the leadership over to a member; the leader must be among the endpoints.';
  static override readonly args = {id: argument('id', 'the new leader, hexadecimal')};
  static override readonly flags = GLOBAL_FLAGS;
  static override readonly examples = ['<%= config.bin %> move-leader 8211f1d0f64f3269'];

  async run(): Promise<MovedLeader> {
    const {words} = this.parseClient({});
    const [word] = words;
    if (word === undefined || words.length !== 1) throw badArguments('move-leader command needs 1 argument');
    const to = parseTarget(word);
    requireLook(moveLeaderView(0n, to), this.looks.format);
    const {endpoint, from} = await this.#findLeader();
    const {maintenance} = await this.client();
    return {from, to, response: await maintenance.moveLeader(to, {...this.short, endpoint})};
  }

  override print({from, to, response}: MovedLeader): Promise<void> {
    return this.show(moveLeaderView(from, to), response);
  }

  async #findLeader(): Promise<{endpoint: string; from: bigint}> {
    const {maintenance, endpoints} = await this.client();
    for (const endpoint of endpoints) {
      const {header, leader} = await maintenance.status({...this.short, endpoint});
      if (header?.memberId === leader) return {endpoint, from: leader};
    }
    throw badArguments(`no leader endpoint given at [${endpoints.join(' ')}]`);
  }
}

function parseTarget(word: string): bigint {
  try {
    return parseMemberId(word);
  } catch (error) {
    throw badArguments((error as Error).message);
  }
}
