/**
 * The way of requests into raft and out of it: proposals and reads wait to be offered in the loop's next turn, the
 * applier carries out what was committed and answers them.
 */

import {READ_INDEX_RETRY_MS, REQUEST_TIMEOUT_BASE_MS} from '../limits.ts';
import type {Raft} from '../raft/raft.ts';
import type {ApplyResult} from '../state-machine/apply-result.ts';
import type {Index, Term} from '../types.ts';
import type {WatchHub} from '../watch/watch-hub.ts';
import {Applier} from './applier.ts';
import type {OpenedMember} from './open-member.ts';
import {Proposals} from './proposals.ts';
import type {RaftLoop} from './raft-loop.ts';
import {Reads} from './reads.ts';
import {requestTimeoutMs, type ServerConfig} from './server-config.ts';
import type {ServerPorts} from './server-ports.ts';
import type {TimeoutCauses} from './timeout-causes.ts';

export interface RequestPipelineOptions {
  readonly config: ServerConfig;
  readonly ports: ServerPorts;
  readonly opened: OpenedMember;
  readonly watchHub: WatchHub;
  readonly timeoutCauses: TimeoutCauses;
  readonly loop: () => RaftLoop;
  /** After each entry, when its events are published and whoever proposed it is answered. */
  readonly onApplied: (entry: {index: Index; term: Term}, result: ApplyResult) => void;
  readonly onFailure: (error: unknown) => void;
}

export class RequestPipeline {
  readonly proposals: Proposals;
  readonly reads: Reads;
  readonly applier: Applier;
  readonly #loop: () => RaftLoop;

  constructor(options: RequestPipelineOptions) {
    const {config, ports, opened, watchHub, timeoutCauses, loop, onApplied, onFailure} = options;
    const {clock, metrics, random} = ports;
    const {memberId} = opened.identity;
    const timeoutMs = requestTimeoutMs(config, REQUEST_TIMEOUT_BASE_MS);
    const timeoutCause = (startedMs: number) => timeoutCauses.of(startedMs);
    const wake = () => loop().wake();
    this.#loop = loop;
    this.proposals = new Proposals({
      memberId,
      clock,
      random,
      timeoutMs,
      requestBytesMax: config.maxRequestBytes,
      timeoutCause,
      wake,
    });
    this.applier = new Applier({
      memberId,
      stateMachine: opened.stateMachine,
      store: opened.store,
      logger: ports.logger.child('applier'),
      watchHub,
      proposals: this.proposals,
      clock,
      metrics,
      applyConfChange: (change) => loop().raft.applyConfChange(change),
      onApplied,
      onFailure,
    });
    this.reads = new Reads({
      clock,
      random,
      appliedWaiters: this.applier.waiters,
      timeoutMs,
      retryMs: READ_INDEX_RETRY_MS,
      timeoutCause,
      ask: (context) => opened.raft.readIndex(context),
      wake,
    });
  }

  /** Part of the loop's turn: what waits goes to raft, as far as raft takes it. */
  offer(raft: Raft): void {
    const {reads, proposals} = this;
    if (reads.hasUnasked) reads.ask();
    if (!proposals.hasUnsent || this.#loop().leader === 0n) return;
    // Raft may have stepped down in this very turn.
    if (proposals.hasLeadersOwn && raft.status().role !== 'leader') proposals.withdrawLeadersOwn();
    const waiting = proposals.takeWaiting();
    const refused = waiting.findIndex(({payload}) => !raft.propose(payload));
    if (refused >= 0) proposals.putBack(waiting.slice(refused));
  }

  /** Leader or role are others than before. */
  leaderChanged(isLeader: boolean): void {
    if (!isLeader) this.proposals.withdrawLeadersOwn();
    this.reads.leaderChanged();
  }

  /** Ends the waiting of those whose time is over. */
  sweep(): void {
    this.proposals.sweep();
    this.reads.sweep();
  }
}
