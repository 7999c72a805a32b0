/**
 * Compares the running state hash of all members at the same log index, on whoever leads. Members whose hash is
 * not that of the majority get a CORRUPT alarm. Where members differ and no majority says the same, the alarm names
 * nobody (member 0, as etcd does). Silence is not evidence: a member that cannot answer is asked again at each
 * check until it can, or until all are compared at a later index. An idle cluster has no later index for long.
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

interface Answer {
  readonly member: MemberId;
  readonly hash: number;
}

/** What members said about one index so far. */
interface Comparison {
  readonly index: Index;
  readonly answers: Map<MemberId, number>;
}

export class CorruptionChecker {
  readonly #options: CorruptionCheckerOptions;
  #stopTimer: () => void = () => {};
  /** Passed by this member when the last check ran: by now the others have passed it, too. */
  #candidate: Index = 0;
  #comparison: Comparison = {index: 0, answers: new Map()};
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

  /**
   * One comparison, at the index that this member had come to when it was last called: the members that have not
   * said their hash at this index yet are asked for it.
   */
  async check(): Promise<void> {
    const {memberId, hashes, isLeader, others} = this.#options;
    const index = this.#candidate;
    this.#candidate = hashes.newest();
    const own = hashes.at(index);
    if (!isLeader() || own === undefined) return;
    if (index !== this.#comparison.index) this.#comparison = {index, answers: new Map()};
    const {answers} = this.#comparison;
    const asked = others();
    const news = await this.#ask(
      asked.filter((member) => !answers.has(member)),
      index,
    );
    if (news.length === 0) return;
    const heard = new Map([...answers, ...news]);
    const known = [{member: memberId, hash: own}];
    for (const member of asked) {
      const hash = heard.get(member);
      if (hash !== undefined) known.push({member, hash});
    }
    await this.#compare(known, {index, members: asked.length + 1});
    // Only now: were the alarm not raised, they would be asked again.
    for (const [member, hash] of news) answers.set(member, hash);
  }

  /** @returns the answers of those who have one: who has none may be on its way to this index */
  async #ask(members: readonly MemberId[], index: Index): Promise<(readonly [MemberId, number])[]> {
    const {askHash} = this.#options;
    const answers = await Promise.all(
      members.map(async (member) => ({member, hash: await askHash(member, index).catch(() => undefined)})),
    );
    return answers.flatMap(({member, hash}) => (hash === undefined ? [] : [[member, hash] as const]));
  }

  async #compare(known: readonly Answer[], {index, members}: {index: Index; members: number}): Promise<void> {
    const own = known[0].hash;
    const hashesSeen = known.map(({hash}) => hash);
    if (hashesSeen.every((hash) => hash === own)) return;
    const trusted = majorityHash(hashesSeen, members);
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
