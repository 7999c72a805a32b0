/** The other members: whom the replicated list names, and the links that follow it. */

import type {PeerNetwork} from '../ports.ts';
import type {Message} from '../raft/message.ts';
import {majority} from '../raft/quorum.ts';
import type {Members} from '../state-machine/members.ts';
import type {Member, MemberId} from '../types.ts';
import type {PeerAnswer, PeerCall} from './peer-call.ts';

export interface NeighboursOptions {
  readonly memberId: MemberId;
  readonly members: () => Members;
  /** Whom to have links to until the list names this member. */
  readonly firstPeers: readonly Member[];
  readonly network: PeerNetwork<Message, PeerCall, PeerAnswer>;
}

export class Neighbours {
  readonly #options: NeighboursOptions;

  constructor(options: NeighboursOptions) {
    this.#options = options;
  }

  /** Has the links follow the list. */
  link(): void {
    this.#options.network.setPeers(this.#list().map(({id, peerURLs}) => ({id, urls: peerURLs})));
  }

  /** Whether this member and those that it has a link to are a majority. */
  isQuorumConnected(): boolean {
    const {network} = this.#options;
    const others = this.#list();
    const connected = others.filter(({id}) => network.connectedSinceMs(id) !== undefined).length;
    return connected + 1 >= majority(others.length + 1);
  }

  /** A list without this member is one of the past, which is being replayed: its members may long be replaced. */
  #list(): Member[] {
    const {memberId, firstPeers} = this.#options;
    const members = this.#options.members();
    const known = new Map(members.list().map((member) => [member.id, member]));
    if (!known.has(memberId)) for (const member of firstPeers) known.set(member.id, member);
    return [...known.values()].filter(({id}) => id !== memberId && !members.isRemoved(id));
  }
}
