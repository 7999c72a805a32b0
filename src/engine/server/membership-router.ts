/** Brings a wish to change the member list to whoever leads, wherever it was asked. */

import {EngineError} from '../errors.ts';
import {MEMBERSHIP_RETRY_MS} from '../limits.ts';
import type {Clock, PeerNetwork} from '../ports.ts';
import type {Message} from '../raft/message.ts';
import type {Members} from '../state-machine/members.ts';
import type {Membership} from './membership.ts';
import type {MemberOperation, PeerAnswer, PeerCall} from './peer-call.ts';
import type {RaftLoop} from './raft-loop.ts';
import type {Reads} from './reads.ts';

export type MembershipAnswer = PeerAnswer & {readonly type: 'membership'};

export interface MembershipRouterOptions {
  readonly membership: Membership;
  readonly members: () => Members;
  readonly loop: () => RaftLoop;
  readonly reads: Reads;
  readonly network: PeerNetwork<Message, PeerCall, PeerAnswer>;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

export class MembershipRouter {
  readonly #options: MembershipRouterOptions;

  constructor(options: MembershipRouterOptions) {
    this.#options = options;
  }

  /** Here where this member leads, otherwise there. */
  async change(operation: MemberOperation): Promise<MembershipAnswer> {
    const {clock, timeoutMs, reads} = this.#options;
    const untilMs = clock.monotonicMs() + timeoutMs;
    for (;;) {
      // Waits for a leader, and until this member knows the list as of now.
      await reads.confirm();
      try {
        return await this.#atLeader(operation);
      } catch (error) {
        // Only a refusal from before anything was proposed may be repeated.
        const hasMoved = error instanceof EngineError && error.code === 'notLeader';
        if (!hasMoved || clock.monotonicMs() >= untilMs) throw error;
        await new Promise<void>((resolve) => clock.after(MEMBERSHIP_RETRY_MS, resolve));
      }
    }
  }

  /** On the leader alone. @throws EngineError notLeader elsewhere */
  async changeHere(operation: MemberOperation): Promise<MembershipAnswer> {
    const {membership, loop, members} = this.#options;
    if (!loop().isLeader) throw new EngineError({code: 'notLeader'});
    let added = 0n;
    switch (operation.type) {
      case 'add':
        added = (await membership.add(operation)).id;
        break;
      case 'remove':
        await membership.remove(operation.id);
        break;
      case 'update':
        await membership.update(operation);
        break;
      default:
        await membership.promote(operation.id);
    }
    return {type: 'membership', added, members: members().list()};
  }

  async #atLeader(operation: MemberOperation): Promise<MembershipAnswer> {
    const {loop, members, network, timeoutMs} = this.#options;
    const {isLeader, leader} = loop();
    if (isLeader) return this.changeHere(operation);
    if (leader === 0n) throw new EngineError({code: 'notLeader'});
    const wasThere = operation.type === 'remove' && members().get(operation.id) !== undefined;
    const answer = await network
      .call(leader, {type: 'membership', operation}, timeoutMs)
      .catch((error: unknown): PeerAnswer => {
        // Whoever leads and removes itself may be gone before it answers; this member knows what became of it.
        if (!wasThere || members().get(operation.id) !== undefined) throw error;
        return {type: 'membership', added: 0n, members: members().list()};
      });
    if (answer.type !== 'membership') throw new EngineError({code: 'notCapable'});
    return answer;
  }
}
