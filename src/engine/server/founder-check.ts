/**
 * Whether a founder really starts for the first time. One whose disk was wiped founds its cluster again, under its old
 * id; as a voter it could then help to elect who lacks what it had acknowledged, or vote a second time in a term. So a
 * founder takes no part in raft until so many others that they are a majority with it have answered and none of them
 * knows it. With fewer there was no quorum anyway, so this delays nobody by more than its questions take.
 *
 * Members are asked by their URLs and not by their ids, the founders first, and then all whom one of them lists: a
 * founder may have been replaced, and whoever came in its place knows what it knew.
 *
 * Who knows it: whoever has its name, which goes through the log when it first takes part. A member that has been away
 * since before that cannot know; where only such members answer, a wiped one is still taken for new.
 */

import type {Clock, Logger, PeerNetwork} from '../ports.ts';
import type {Message} from '../raft/message.ts';
import type {ClusterId, Member, MemberId} from '../types.ts';
import {askCluster, type ClusterAnswer, refuseIfKnownAsStarted} from './bootstrap.ts';
import type {PeerAnswer, PeerCall} from './peer-call.ts';

export interface FounderCheckOptions {
  readonly clusterId: ClusterId;
  readonly self: Pick<Member, 'id' | 'name'>;
  /** So many others have to answer; 0: nothing is to be found out. */
  readonly strangersMin: number;
  /** The founders, as soon as they are applied. */
  readonly members: () => readonly Member[];
  readonly network: PeerNetwork<Message, PeerCall, PeerAnswer>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Between two questions to one that has not answered, milliseconds. */
  readonly retryMs: number;
  readonly passed: () => void;
  /** It has started before, or was removed: it must not go on. */
  readonly failed: (error: unknown) => void;
}

/** What has come of the questions to one URL. */
type Asked = 'underWay' | 'unanswered' | 'answered';

export class FounderCheck {
  readonly #options: FounderCheckOptions;
  readonly #asked = new Map<string, Asked>();
  /** Whose first question is still open: it may be the one that knows. */
  readonly #awaited = new Set<string>();
  readonly #strangers = new Set<MemberId>();
  #isOver = false;
  #stopTimer: () => void = () => {};

  constructor(options: FounderCheckOptions) {
    this.#options = options;
  }

  start(): void {
    const {strangersMin, logger} = this.#options;
    if (strangersMin === 0) return;
    logger.info('asks the other founders whether it has started before', {answersNeeded: strangersMin});
    this.#look();
  }

  stop(): void {
    this.#isOver = true;
    this.#stopTimer();
  }

  #look(): void {
    const {clock, retryMs, members} = this.#options;
    this.#stopTimer = clock.after(retryMs, () => this.#look());
    this.#askAll(members());
    for (const [url, asked] of this.#asked) if (asked === 'unanswered') void this.#ask(url);
  }

  /** Those that were never asked. */
  #askAll(members: readonly Member[]): void {
    for (const {id, peerURLs} of members) {
      if (id === this.#options.self.id) continue;
      for (const url of peerURLs) {
        if (this.#asked.has(url)) continue;
        this.#awaited.add(url);
        void this.#ask(url);
      }
    }
  }

  async #ask(url: string): Promise<void> {
    this.#asked.set(url, 'underWay');
    const answer = await askCluster(this.#options, url);
    if (this.#isOver) return;
    try {
      const saysSomething = answer !== undefined && this.#heard(answer);
      this.#asked.set(url, saysSomething ? 'answered' : 'unanswered');
    } catch (error) {
      this.stop();
      this.#options.failed(error);
      return;
    }
    this.#awaited.delete(url);
    this.#conclude();
  }

  /**
   * @returns whether it says something: one that joins knows nobody yet
   * @throws EngineError clusterMismatch when it knows this member
   */
  #heard(answer: ClusterAnswer): boolean {
    const {self, clusterId} = this.#options;
    if (answer.clusterId !== clusterId) return false;
    refuseIfKnownAsStarted(self, [answer]);
    if (!answer.members.some(({id}) => id === self.id)) return false;
    this.#strangers.add(answer.memberId);
    this.#askAll(answer.members);
    return true;
  }

  #conclude(): void {
    const {strangersMin, logger, passed} = this.#options;
    if (this.#awaited.size > 0 || this.#strangers.size < strangersMin) return;
    this.stop();
    logger.info('has not started before: takes part', {answers: this.#strangers.size});
    passed();
  }
}
