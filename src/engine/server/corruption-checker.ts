/**
 * Compares the running state hash of all members at the same log index, on whoever leads. Members whose hash is
 * not that of the majority get a CORRUPT alarm. Where members differ and no majority says the same, the alarm names
 * nobody (member 0, as etcd does). A member that cannot answer is skipped: silence is not evidence.
 */

import {STATE_HASH_CHECK_INTERVAL_MS} from '../limits.ts';
import type {Clock, Logger} from '../ports.ts';
import {type Alarm, AlarmType, type Index, type MemberId} from '../types.ts';
import type {StateHashes} from './state-hashes.ts';

export interface CorruptionCheckerOptions {
  readonly memberId: MemberId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hashes: StateHashes;
  readonly isLeader: () => boolean;
  readonly others: () => readonly MemberId[];
  /** Another member's hash at this index; undefined: not known there. */
  readonly askHash: (member: MemberId, index: Index) => Promise<number | undefined>;
  readonly alarmed: (alarm: Alarm) => boolean;
  readonly raise: (alarm: Alarm) => Promise<unknown>;
}

export class CorruptionChecker {
  readonly #options: CorruptionCheckerOptions;
  #stopTimer: () => void = () => {};
  /** Passed by this member when the last check ran: by now the others have passed it, too. */
  #candidate: Index = 0;
  #lastIndex: Index = 0;
  #stopped = false;

  constructor(options: CorruptionCheckerOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#stopped) return;
    this.#stopTimer = this.#options.clock.after(STATE_HASH_CHECK_INTERVAL_MS, () => {
      this.check()
        .catch((error: unknown) => {
          this.#options.logger.warn('comparison of state hashes failed', {error: String(error)});
        })
        .finally(() => this.start());
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#stopTimer();
  }

  /** One comparison, at the index that this member had come to when it was last called. */
  async check(): Promise<void> {
    const {memberId, hashes, isLeader, others, askHash} = this.#options;
    const index = this.#candidate;
    this.#candidate = hashes.newest();
    const own = hashes.at(index);
    if (!isLeader() || own === undefined || index === this.#lastIndex) return;
    this.#lastIndex = index;
    const answers = await Promise.all(
      others().map(async (member) => ({member, hash: await askHash(member, index).catch(() => undefined)})),
    );
    const known = [{member: memberId, hash: own}, ...answers.filter(({hash}) => hash !== undefined)];
    const hashesSeen = known.map((answer) => answer.hash as number);
    if (hashesSeen.every((hash) => hash === own)) return;
    const trusted = majorityHash(hashesSeen, answers.length + 1);
    const wrong = trusted === undefined ? [NOBODY] : known.filter(({hash}) => hash !== trusted);
    for (const {member} of wrong) await this.#report(member, index);
  }

  async #report(memberId: MemberId, index: Index): Promise<void> {
    const alarm = {memberId, alarm: AlarmType.corrupt};
    if (this.#options.alarmed(alarm)) return;
    this.#options.logger.error('state of a member differs from the others', {memberId, index});
    await this.#options.raise(alarm);
  }
}

/** Some member is wrong, and nobody can say which. */
const NOBODY = {member: 0n};

/** What more than half of all members say, silent ones counted; undefined: nothing. */
export function majorityHash(hashes: readonly number[], members: number): number | undefined {
  return hashes.find((hash) => hashes.filter((other) => other === hash).length * 2 > members);
}
