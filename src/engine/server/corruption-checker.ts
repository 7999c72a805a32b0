/**
 * Compares the running state hash of all members at the same log index, on whoever leads. Members whose hash is
 * not the majority's get a CORRUPT alarm, which makes them refuse to serve; without a majority every member that
 * differs from the leader does. A member that cannot answer is skipped: silence is not evidence.
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

  /** One comparison at the newest index that this member remembers. */
  async check(): Promise<void> {
    const {memberId, hashes, isLeader, others, askHash} = this.#options;
    const index = hashes.newest();
    const own = hashes.at(index);
    if (!isLeader() || own === undefined || index === this.#lastIndex) return;
    this.#lastIndex = index;
    const answers = await Promise.all(
      others().map(async (member) => ({member, hash: await askHash(member, index).catch(() => undefined)})),
    );
    const known = [{member: memberId, hash: own}, ...answers.filter(({hash}) => hash !== undefined)];
    const wrong = known.filter(
      ({hash}) =>
        hash !==
        trustedHash(
          known.map((answer) => answer.hash as number),
          own,
        ),
    );
    for (const {member} of wrong) await this.#report(member, index);
  }

  async #report(memberId: MemberId, index: Index): Promise<void> {
    const alarm = {memberId, alarm: AlarmType.corrupt};
    if (this.#options.alarmed(alarm)) return;
    this.#options.logger.error('state of a member differs from the others', {memberId, index});
    await this.#options.raise(alarm);
  }
}

/** What more than half of the members that answered say; the leader's own where no such majority exists. */
export function trustedHash(hashes: readonly number[], leaders: number): number {
  for (const hash of new Set(hashes)) {
    if (hashes.filter((other) => other === hash).length * 2 > hashes.length) return hash;
  }
  return leaders;
}
