/**
 * Linearizable reads without a log entry (thesis, section 6.4). A leader notes its commit index, proves by one
 * round of heartbeats that it still leads, and the reads that were waiting when the round began may be answered at
 * that index. All that come meanwhile wait for the next round: one round serves any number of reads.
 *
 * An answer to a round proves all earlier rounds too, so a lost heartbeat only costs the time to the next one.
 * Rounds are numbered for the life of the process; heartbeat answers of an earlier term never get here.
 */

import {assert} from '../errors.ts';
import type {Index, MemberId} from '../types.ts';

export interface Read {
  /** Who asked: this member or a follower. */
  readonly from: MemberId;
  /** The asker's name for the question. */
  readonly context: number;
}

interface Round {
  readonly id: number;
  readonly index: Index;
  readonly reads: readonly Read[];
}

export class ReadIndex {
  readonly #waitingMax: number;
  /** The newest round that was begun; 0 before the first. */
  #lastRound = 0;
  #waiting: Read[] = [];
  /** Begun and not proven, oldest first. */
  #rounds: Round[] = [];
  /** Reads in them. */
  #inRounds = 0;

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  get isRoundOpen(): boolean {
    return this.#rounds.length > 0;
  }

  /** What heartbeats carry: the newest open round; 0 when none is. */
  get openRound(): number {
    return this.#rounds.length === 0 ? 0 : this.#lastRound;
  }

  /** @returns false when too many wait already */
  add(read: Read): boolean {
    if (this.#waiting.length + this.#inRounds >= this.#waitingMax) return false;
    this.#waiting.push(read);
    return true;
  }

  /** Begins a round for all that wait. @returns its number, for the heartbeats */
  begin(commit: Index): number {
    assert(this.isWaiting, 'a read round for nobody');
    assert(commit > 0, 'a read before anything was committed');
    this.#lastRound++;
    this.#rounds.push({id: this.#lastRound, index: commit, reads: this.#waiting});
    this.#inRounds += this.#waiting.length;
    this.#waiting = [];
    return this.#lastRound;
  }

  /** Rounds up to this one are proven: calls `answer` for their reads, in the order in which they were asked. */
  proven(round: number, answer: (read: Read, index: Index) => void): void {
    while (this.#rounds.length > 0 && this.#rounds[0].id <= round) {
      const {index, reads} = this.#rounds.shift() as Round;
      this.#inRounds -= reads.length;
      assert(this.#inRounds >= 0, 'reads in rounds do not add up');
      for (const read of reads) answer(read, index);
    }
  }

  /** Leadership ended or begins: whoever waits has to ask again. */
  clear(): void {
    this.#waiting = [];
    this.#rounds = [];
    this.#inRounds = 0;
  }
}
