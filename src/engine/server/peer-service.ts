/** Answers what other members ask beside raft's messages. */

import {EngineError} from '../errors.ts';
import type {Members} from '../state-machine/members.ts';
import type {MemberId} from '../types.ts';
import type {Identity} from './bootstrap.ts';
import type {Leases} from './leases.ts';
import type {MemberOperation, PeerAnswer, PeerCall} from './peer-call.ts';
import type {StateHashes} from './state-hashes.ts';

export interface PeerServiceOptions {
  readonly identity: Identity;
  readonly members: () => Members;
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
    const {identity, members, leases, hashes, term, changeMembersHere} = this.#options;
    switch (call.type) {
      case 'cluster':
        return {type: 'cluster', ...identity, members: members().list(), removed: members().removed()};
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
