/** Answers what other members ask beside raft's messages. */

import {EngineError} from '../errors.ts';
import {type Entry, EntryType} from '../raft/message.ts';
import {decodeProposal, isMemberAttributes} from '../state-machine/command-codec.ts';
import type {Members} from '../state-machine/members.ts';
import type {Member, MemberId} from '../types.ts';
import type {Identity} from './bootstrap.ts';
import type {Leases} from './leases.ts';
import type {MemberOperation, PeerAnswer, PeerCall} from './peer-call.ts';
import type {StateHashes} from './state-hashes.ts';

export interface PeerServiceOptions {
  readonly identity: Identity;
  readonly members: () => Members;
  /** The end of the log, which is not applied yet. */
  readonly unapplied: () => readonly Entry[];
  readonly leases: Leases;
  readonly hashes: StateHashes;
  readonly term: () => number;
  readonly changeMembersHere: (operation: MemberOperation) => Promise<PeerAnswer & {type: 'membership'}>;
}

export class PeerService {
  readonly #options: PeerServiceOptions;

  constructor(options: PeerServiceOptions) {
    this.#options = options;
  }

  async answer(_from: MemberId, call: PeerCall): Promise<PeerAnswer> {
    const {identity, members, unapplied, leases, hashes, term, changeMembersHere} = this.#options;
    switch (call.type) {
      case 'cluster':
        return {
          type: 'cluster',
          ...identity,
          members: withNames(members().list(), unapplied()),
          removed: members().removed(),
        };
      case 'leaseRenew':
        return {type: 'leaseRenew', ttlSeconds: await leases.renewHere(call.id)};
      case 'leaseRemaining':
        return {type: 'leaseRemaining', remainingSeconds: await leases.remainingHere(call.id)};
      case 'membership':
        return changeMembersHere(call.operation);
      case 'stateHash':
        return {type: 'stateHash', hash: hashes.at(call.index), term: term()};
      default:
        throw new EngineError({code: 'notCapable'});
    }
  }
}

/**
 * A member with a name has started: its own first command says so. That it stands in the log is proof enough; a
 * member that has just started itself may apply it only when there is a leader again.
 */
function withNames(members: readonly Member[], unapplied: readonly Entry[]): readonly Member[] {
  const names = new Map<MemberId, string>();
  for (const {type, payload} of unapplied) {
    if (type !== EntryType.normal || !isMemberAttributes(payload)) continue;
    const {command} = decodeProposal(payload);
    if (command.type === 'memberAttributes') names.set(command.memberId, command.name);
  }
  if (names.size === 0) return members;
  return members.map((member) => ({...member, name: names.get(member.id) ?? member.name}));
}
