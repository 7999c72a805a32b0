/** Handing leadership over: because somebody asked for it, or because this member stops. */

import {EngineError} from '../errors.ts';
import {LEADER_TRANSFER_ELECTIONS} from '../limits.ts';
import type {Clock, Logger} from '../ports.ts';
import type {MemberId} from '../types.ts';
import type {RaftLoop} from './raft-loop.ts';
import type {ServerConfig} from './server-config.ts';

export interface LeadershipOptions {
  readonly memberId: MemberId;
  readonly loop: () => RaftLoop;
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly connectedSinceMs: (id: MemberId) => number | undefined;
}

export class Leadership {
  readonly #options: LeadershipOptions;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  /** On the leader alone. @throws EngineError notLeader, badLeaderTransferee, leaderTransferTimeout */
  async move(target: MemberId): Promise<void> {
    const {config, clock} = this.#options;
    const loop = this.#options.loop();
    if (!loop.isLeader) throw new EngineError({code: 'notLeader'});
    if (!loop.status().confState.voters.includes(target))
      throw new EngineError({code: 'badLeaderTransferee'});
    loop.transferLeadership(target);
    const untilMs = clock.monotonicMs() + LEADER_TRANSFER_ELECTIONS * config.electionTimeoutMs;
    while (loop.leader !== target) {
      if (clock.monotonicMs() >= untilMs) throw new EngineError({code: 'leaderTransferTimeout'});
      await new Promise<void>((resolve) => clock.after(config.heartbeatIntervalMs / 4, resolve));
    }
  }

  /** Before a stop: to the voter whose link has stood longest, where there is one. Never fails. */
  async handOver(): Promise<void> {
    const {memberId, connectedSinceMs, logger} = this.#options;
    const loop = this.#options.loop();
    if (!loop.isLeader) return;
    const candidates = loop
      .status()
      .confState.voters.filter((id) => id !== memberId)
      .map((id) => ({id, sinceMs: connectedSinceMs(id) ?? Number.POSITIVE_INFINITY}))
      .filter(({sinceMs}) => sinceMs !== Number.POSITIVE_INFINITY)
      .sort((a, b) => a.sinceMs - b.sinceMs);
    if (candidates.length === 0) return;
    await this.move(candidates[0].id).catch((error: unknown) => {
      logger.warn('leadership not handed over before the stop: the others will elect', {
        error: String(error),
      });
    });
  }
}
