/**
 * Whether a founder really starts for the first time. One whose disk was wiped founds its cluster again, under its old
 * id; as a voter it could then help to elect who lacks what it had acknowledged, or vote a second time in a term. So a
 * founder takes no part in raft until so many others that they are a majority with it have answered and none of them
 * knows it. With fewer there was no quorum anyway, so this delays nobody.
 *
 * Who knows it: whoever has its name, which goes through the log when it first takes part. A member that has been away
 * since before that cannot know; where only such members answer, a wiped one is still taken for new.
 */

import {EngineError} from '../errors.ts';
import {PEER_CALL_TIMEOUT_MS} from '../limits.ts';
import type {Clock, Logger, PeerNetwork} from '../ports.ts';
import type {Message} from '../raft/message.ts';
import type {Member, MemberId} from '../types.ts';
import {refuseIfKnownAsStarted} from './bootstrap.ts';
import type {PeerAnswer, PeerCall} from './peer-call.ts';

export interface FounderCheckOptions {
  readonly self: Pick<Member, 'id' | 'name'>;
  /** So many others have to answer; 0: nothing is to be found out. */
  readonly strangersMin: number;
  /** The founders, as soon as they are applied. */
  readonly members: () => readonly Member[];
  readonly network: PeerNetwork<Message, PeerCall, PeerAnswer>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Between two looks at who can be asked by now, milliseconds. */
  readonly retryMs: number;
  readonly passed: () => void;
  /** It has started before, or was removed: it must not go on. */
  readonly failed: (error: unknown) => void;
}

export class FounderCheck {
  readonly #options: FounderCheckOptions;
  readonly #underWay = new Set<MemberId>();
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
    const {clock, retryMs, members, self, network} = this.#options;
    this.#stopTimer = clock.after(retryMs, () => this.#look());
    for (const {id} of members()) {
      if (id === self.id || this.#underWay.has(id) || this.#strangers.has(id)) continue;
      if (network.connectedSinceMs(id) !== undefined) void this.#ask(id);
    }
  }

  async #ask(id: MemberId): Promise<void> {
    const {network, logger, self} = this.#options;
    this.#underWay.add(id);
    try {
      const answer = await network.call(id, {type: 'cluster'}, PEER_CALL_TIMEOUT_MS);
      if (this.#isOver) return;
      if (answer.type === 'cluster') {
        refuseIfKnownAsStarted(self, [answer]);
        this.#strangers.add(id);
      }
    } catch (error) {
      if (this.#isOver) return;
      if (error instanceof EngineError && error.code === 'clusterMismatch') {
        this.stop();
        this.#options.failed(error);
        return;
      }
      logger.debug('a founder does not answer', {peerId: id, error: String(error)});
    } finally {
      this.#underWay.delete(id);
    }
    this.#conclude();
  }

  /** Whoever is being asked may be the one that knows. */
  #conclude(): void {
    const {strangersMin, logger, passed} = this.#options;
    if (this.#underWay.size > 0 || this.#strangers.size < strangersMin) return;
    this.stop();
    logger.info('has not started before: takes part', {answers: this.#strangers.size});
    passed();
  }
}
