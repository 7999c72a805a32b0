/**
 * Members whose files were meddled with: who may be struck, when one has got over it, and what may become of it. At
 * most a minority of the voters may be damaged at once, else what was acknowledged may be gone for good, and nobody
 * promises otherwise. A damaged member either comes up, and is sound again when it has caught up, or refuses to start
 * with words for its operator, who takes it out of the cluster and lets it join anew.
 */

import {EngineError, type EngineErrorCode} from '../../src/engine/errors.ts';
import {EntryType} from '../../src/engine/raft/message.ts';
import type {OpenedMember} from '../../src/engine/server/open-member.ts';
import type {PeerAnswer} from '../../src/engine/server/peer-call.ts';
import type {MemberId} from '../../src/engine/types.ts';
import type {EventQueue} from './event-queue.ts';
import type {Violate} from './history.ts';
import type {MemberAdmin} from './member-admin.ts';
import type {SimulatedMember} from './simulated-member.ts';

export interface CasualtiesOptions {
  readonly queue: EventQueue;
  readonly members: readonly SimulatedMember[];
  readonly admin: MemberAdmin;
  readonly violate: Violate;
  /** The last entry that any member's disk has held. */
  readonly lastDurable: () => number;
  /** The last entry that this one's disk holds. */
  readonly durableOn: (id: MemberId) => number;
  /** Whether a member that starts again finds the latest configuration to be committed. */
  readonly restartsInLatest: (id: MemberId) => boolean;
  /** A member has caught up with what it had lost. */
  readonly onRecovered: (id: MemberId) => void;
}

interface Damage {
  /** All that it had is gone. */
  readonly isWiped: boolean;
  /** Processes that were begun before it. */
  readonly lives: number;
  /** A leader has brought back what was lost when the member's commit index, and its disk, have come so far. */
  readonly untilIndex: number;
}

/** What a member that is damaged, or was wiped, may end with. */
const REFUSALS = new Set<EngineErrorCode>([
  'walCorrupt',
  'storeCorrupt',
  'markerCorrupt',
  'dataDirUnusable',
  'formatUnsupported',
  'clusterMismatch',
]);
/** Between two looks at who has got over it, milliseconds. */
const LOOK_MS = 200;

export class Casualties {
  readonly #options: CasualtiesOptions;
  readonly #damaged = new Map<SimulatedMember, Damage>();

  constructor(options: CasualtiesOptions) {
    this.#options = options;
  }

  get areNone(): boolean {
    return this.#damaged.size === 0;
  }

  /**
   * Whether the cluster can bear the loss of this member's files: it must be able to take the member out, whatever
   * it finds at its next start. So nobody else is down, no change of the configuration is on its way, and the latest
   * one is durable with all others: whoever starts in an older one may need the very member that is lost.
   */
  mayStrike(member: SimulatedMember): boolean {
    const {members, admin, restartsInLatest} = this.#options;
    if (this.#damaged.has(member) || !admin.isIdle) return false;
    const conf = members.find(({replica}) => replica?.loop.isLeader)?.replica?.loop.status().confState;
    if (conf === undefined || conf.voters.length !== members.length || conf.votersOutgoing.length > 0)
      return false;
    if (2 * (this.#damaged.size + 1) >= members.length) return false;
    return members.every((one) => {
      const id = one.life?.opened?.identity.memberId;
      return this.#damaged.has(one) || (id !== undefined && restartsInLatest(id) && isSettled(one));
    });
  }

  /** Its files are no longer as its processes left them. `isWiped`: nothing is there any more. */
  struck(member: SimulatedMember, {isWiped}: {readonly isWiped: boolean} = {isWiped: false}): void {
    member.isDamaged = true;
    const {queue, lastDurable} = this.#options;
    if (this.#damaged.size === 0) queue.after(LOOK_MS, () => this.#look());
    this.#damaged.set(member, {isWiped, lives: member.lives, untilIndex: lastDurable()});
  }

  /**
   * A process has opened its data dir. One with an empty disk must not when somebody tells it that it had started
   * before. When nobody does, it may, and must not take part ({@link Casualties.#look}).
   */
  opened(member: SimulatedMember, {identity}: OpenedMember): void {
    const damage = this.#damaged.get(member);
    const {life} = member;
    if (damage?.isWiped !== true || !member.isDamaged || life === undefined) return;
    const answers = life.network.heard as readonly Partial<PeerAnswer & {type: 'cluster'}>[];
    const knows = answers.some(({members}) =>
      members?.some(({id, name}) => id === identity.memberId && name !== ''),
    );
    if (!knows) return;
    this.#options.violate(
      'refusal',
      `${member.name} starts anew, though it was told that it had started before`,
    );
  }

  /** A process ended by itself. @returns whether that is what a damaged member should do */
  ended(member: SimulatedMember, error: unknown): boolean {
    // As soon as the cluster has let go of it, it is damaged no more.
    if (!member.isDamaged || !(error instanceof EngineError)) return false;
    if (!REFUSALS.has(error.code)) return false;
    this.#checkWords(member, error);
    void this.#repair(member);
    return true;
  }

  async #repair(member: SimulatedMember): Promise<void> {
    await this.#options.admin.repair(member);
    this.#damaged.delete(member);
  }

  /** All faults end: what is damaged and has not been noticed yet is to be noticed now. */
  heal(): void {
    for (const [member, {lives}] of this.#damaged)
      if (member.isUp && member.lives === lives) member.kill({landed: false});
  }

  /** A damaged log or store is told with what to do about it: this member has others to learn from. */
  #checkWords({name}: SimulatedMember, error: EngineError): void {
    const {failure} = error;
    if (failure.code !== 'walCorrupt' && failure.code !== 'storeCorrupt') return;
    if (failure.path === '' || (failure.remedy !== undefined && failure.remedy !== 'rejoin'))
      this.#options.violate('refusal', `${name} does not say what to do: ${error.message}`);
  }

  #look(): void {
    const {durableOn} = this.#options;
    for (const [member, {isWiped, lives, untilIndex}] of this.#damaged) {
      const {life} = member;
      if (life === undefined || life.number <= lives) continue;
      // All that the others know of it speaks against it: see `wipeDisk`.
      if (isWiped && member.isDamaged && life.replica?.loop.takesPart === true)
        this.#options.violate('refusal', `${member.name} takes part, though its disk was wiped`);
      if (!life.isPublished) continue;
      const status = life.opened?.raft.status();
      if (status === undefined || status.probation > 0 || status.commit < untilIndex) continue;
      // A follower hears that entries are committed while they are still on their way to its disk.
      if (durableOn(status.id) < untilIndex) continue;
      member.isDamaged = false;
      this.#damaged.delete(member);
      this.#options.onRecovered(status.id);
    }
    if (this.#damaged.size > 0) this.#options.queue.after(LOOK_MS, () => this.#look());
  }
}

/** It runs, and no change of the configuration waits in its log. */
function isSettled({life}: SimulatedMember): boolean {
  const raft = life?.opened?.raft;
  if (life === undefined || raft === undefined || !life.isPublished || life.isStopping) return false;
  if (life.clock.isPaused) return false;
  const {applied, firstIndex, lastIndex} = raft.status();
  const from = Math.max(applied + 1, firstIndex);
  return from > lastIndex || raft.entries(from, lastIndex).every(({type}) => type !== EntryType.confChange);
}
