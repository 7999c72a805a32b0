/** How the checkers get to know what a member does: its parts' own calls, with a look at each. */

import type {ConfState, Message} from '../../src/engine/raft/message.ts';
import type {OpenedMember} from '../../src/engine/server/open-member.ts';
import type {Replica} from '../../src/engine/server/replica.ts';
import type {WalBatch} from '../../src/engine/storage/wal-contents.ts';
import type {AppliedMark, LeaseId, MemberId} from '../../src/engine/types.ts';
import type {Life, SimulatedMember} from './simulated-member.ts';

/** What a member tells those who watch it. */
export interface MemberObserver {
  /** Just before an entry is applied. */
  applying(
    member: SimulatedMember,
    life: Life,
    entry: Parameters<OpenedMember['stateMachine']['apply']>[0],
  ): void;
  /** The store has come to a mark: an entry is applied, or an image was loaded. */
  marked(member: SimulatedMember, life: Life, mark: AppliedMark): void;
  /** A process has opened its data dir. */
  opened(member: SimulatedMember, opened: OpenedMember): void;
  /** A batch is about to go to the log, or has become durable there. */
  appending(member: SimulatedMember, opened: OpenedMember, batch: WalBatch): void;
  appended(member: SimulatedMember, opened: OpenedMember, batch: WalBatch): void;
  /** Just before messages leave. */
  sending(member: SimulatedMember, opened: OpenedMember, messages: readonly Message[]): void;
  /** An entry that changes the configuration is being applied. */
  configured(index: number, confState: ConfState): void;
  /** A leader is asked to promote a learner. @returns to be called when it has */
  promoting(member: SimulatedMember, opened: OpenedMember, learner: MemberId): () => void;
  /** A leader is asked to renew a lease. @returns to be called when it has answered */
  renewing(life: Life, lease: LeaseId): () => void;
  /** A process has ended by itself. `error` undefined: it was removed from the cluster. */
  ended(member: SimulatedMember, life: Life, error: unknown): void;
}

/** Called once, when a process has opened its data dir. */
export function observeMember({
  member,
  life,
  opened,
  observer,
}: {
  readonly member: SimulatedMember;
  readonly life: Life;
  readonly opened: OpenedMember;
  readonly observer: MemberObserver;
}): void {
  const {store, stateMachine, wal} = opened;
  observer.opened(member, opened);
  const append = wal.append.bind(wal);
  wal.append = async (batch) => {
    observer.appending(member, opened, batch);
    await append(batch);
    // A commit index that waits for no sync may be lost again.
    if (batch.sync) observer.appended(member, opened, batch);
  };
  const {network} = life;
  const send = network.send.bind(network);
  network.send = (to, messages) => {
    observer.sending(member, opened, messages);
    send(to, messages);
  };
  const sendSnapshot = network.sendSnapshot.bind(network);
  network.sendSnapshot = (to, announcement, chunks) => {
    observer.sending(member, opened, [announcement]);
    return sendSnapshot(to, announcement, chunks);
  };
  const mark = store.mark.bind(store);
  store.mark = (applied) => {
    mark(applied);
    observer.marked(member, life, applied);
  };
  const apply = stateMachine.apply.bind(stateMachine);
  stateMachine.apply = (entry) => {
    observer.applying(member, life, entry);
    return apply(entry);
  };
  const applyMembership = stateMachine.applyMembership.bind(stateMachine);
  stateMachine.applyMembership = (entry) => {
    observer.applying(member, life, {index: entry.index, term: entry.term, proposal: undefined});
    observer.configured(entry.index, entry.confState);
    return applyMembership(entry);
  };
}

/** Called once, when the parts of a process are put together. */
export function observeReplica({
  member,
  life,
  opened,
  replica: {membership, leases},
  observer,
}: {
  readonly member: SimulatedMember;
  readonly life: Life;
  readonly opened: OpenedMember;
  readonly replica: Replica;
  readonly observer: MemberObserver;
}): void {
  const changeHere = membership.changeHere.bind(membership);
  membership.changeHere = async (operation) => {
    const isPromotion = operation.type === 'promote';
    const promoted = isPromotion ? observer.promoting(member, opened, operation.id) : undefined;
    const answer = await changeHere(operation);
    promoted?.();
    return answer;
  };
  const renewHere = leases.renewHere.bind(leases);
  leases.renewHere = async (id) => {
    const renewed = observer.renewing(life, id);
    return renewHere(id).finally(renewed);
  };
}
