/** All members of the configuration, what the leader knows of each, and the votes of the current election. */

import {assert} from '../errors.ts';
import type {Index, MemberId} from '../types.ts';
import type {ConfState} from './message.ts';
import {Progress} from './progress.ts';
import {agreedIndex, type VoteResult, voteResult} from './quorum.ts';

export class ProgressTracker {
  readonly #window: {inflightMessagesMax: number; inflightBytesMax: number};
  #conf: ConfState;
  readonly #byId = new Map<MemberId, Progress>();
  /** The same, ascending by id: the order of everything that is sent. */
  #all: readonly Progress[] = [];
  /** Answers to the current (pre-)election; the first answer of a member counts. */
  readonly #votes = new Map<MemberId, boolean>();
  // Made once: they run on every acknowledgement.
  readonly #matchOf = (id: MemberId): Index => this.#byId.get(id)?.match ?? 0;
  readonly #readAckedOf = (id: MemberId): number => this.#byId.get(id)?.readAcked ?? 0;
  readonly #voteOf = (id: MemberId): boolean | undefined => this.#votes.get(id);

  constructor(options: {
    conf: ConfState;
    next: Index;
    inflightMessagesMax: number;
    inflightBytesMax: number;
  }) {
    this.#window = options;
    this.#conf = options.conf;
    this.setConf(options.conf, options.next);
  }

  get conf(): ConfState {
    return this.#conf;
  }

  get all(): readonly Progress[] {
    return this.#all;
  }

  get(id: MemberId): Progress | undefined {
    return this.#byId.get(id);
  }

  /** Takes over a configuration. Members that stay keep their progress, new ones are owed a probe from `next`. */
  setConf(conf: ConfState, next: Index): void {
    const ids = new Set([...conf.voters, ...conf.votersOutgoing, ...conf.learners]);
    for (const id of conf.learnersNext) {
      assert(conf.votersOutgoing.includes(id), 'a learner-to-be that is no outgoing voter');
    }
    assert(next >= 1, 'a progress before the log');
    this.#conf = conf;
    for (const id of this.#byId.keys()) if (!ids.has(id)) this.#byId.delete(id);
    for (const id of ids) {
      const isLearner = conf.learners.includes(id);
      const known = this.#byId.get(id);
      if (known !== undefined) {
        known.isLearner = isLearner;
        continue;
      }
      const progress = new Progress({id, next, isLearner, recentActive: true, ...this.#window});
      progress.probeDue = true;
      this.#byId.set(id, progress);
    }
    this.#all = [...this.#byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** A new term: nothing is known of anybody. */
  reset(next: Index): void {
    this.#votes.clear();
    for (const progress of this.#all) progress.reset(next);
  }

  /** Votes in the configuration of now, in either half. */
  isVoter(id: MemberId): boolean {
    return this.#conf.voters.includes(id) || this.#conf.votersOutgoing.includes(id);
  }

  /** The largest index that a quorum has on disk. */
  quorumMatch(): Index {
    return agreedIndex(this.#conf, this.#matchOf);
  }

  /** The newest read round that a quorum has answered. */
  quorumReadAcked(): number {
    return agreedIndex(this.#conf, this.#readAckedOf);
  }

  /** Whether a quorum (the leader `self` included) was heard of since the last call; starts counting anew. */
  takeQuorumActive(self: MemberId): boolean {
    const isActive = (id: MemberId) => id === self || this.#byId.get(id)?.recentActive === true;
    const result = voteResult(this.#conf, isActive);
    for (const progress of this.#all) progress.recentActive = false;
    return result === 'won';
  }

  resetVotes(): void {
    this.#votes.clear();
  }

  recordVote(id: MemberId, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  votesResult(): VoteResult {
    return voteResult(this.#conf, this.#voteOf);
  }
}
