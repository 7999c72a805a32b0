/**
 * What only the leader does, each part for itself: expire leases, compact by the clock, compare the members' states.
 * A new leader takes up its duties when it has applied an entry of its own term.
 */

import {PEER_CALL_TIMEOUT_MS, REQUEST_TIMEOUT_BASE_MS} from '../limits.ts';
import type {PeerNetwork} from '../ports.ts';
import type {Message} from '../raft/message.ts';
import type {Command} from '../state-machine/command.ts';
import type {StateMachine} from '../state-machine/state-machine.ts';
import type {Alarm, Index, MemberId, Term} from '../types.ts';
import {AutoCompactor} from './auto-compactor.ts';
import {CorruptionChecker} from './corruption-checker.ts';
import {LeaseExpirer} from './lease-expirer.ts';
import type {PeerAnswer, PeerCall} from './peer-call.ts';
import {requestTimeoutMs, type ServerConfig} from './server-config.ts';
import type {ServerPorts} from './server-ports.ts';
import type {StateHashes} from './state-hashes.ts';

export interface LeaderDutiesOptions {
  readonly memberId: MemberId;
  readonly config: ServerConfig;
  readonly ports: ServerPorts;
  readonly stateMachine: StateMachine;
  readonly hashes: StateHashes;
  readonly isLeader: () => boolean;
  readonly propose: (command: Command) => Promise<unknown>;
}

export class LeaderDuties {
  readonly expirer: LeaseExpirer;
  readonly #autoCompactor: AutoCompactor;
  readonly #corruptionChecker: CorruptionChecker;

  constructor(options: LeaderDutiesOptions) {
    const {memberId, config, ports, stateMachine, hashes, isLeader, propose} = options;
    const {clock, logger, network} = ports;
    this.expirer = new LeaseExpirer({
      clock,
      timeoutMs: requestTimeoutMs(config, REQUEST_TIMEOUT_BASE_MS),
      leases: () => stateMachine.lessor.all(),
      lease: (id) => stateMachine.lessor.lease(id),
      propose,
    });
    this.#autoCompactor = new AutoCompactor({
      rule: config.autoCompaction,
      clock,
      logger: logger.child('compactor'),
      isLeader,
      currentRevision: () => stateMachine.mvcc.currentRevision(),
      compactRevision: () => stateMachine.mvcc.compactRevision(),
      compact: (revision) => propose({type: 'compact', revision}),
    });
    const isSame = (a: Alarm, b: Alarm) => a.memberId === b.memberId && a.alarm === b.alarm;
    this.#corruptionChecker = new CorruptionChecker({
      memberId,
      clock,
      logger: logger.child('corruption'),
      hashes,
      isLeader,
      others: () => stateMachine.members.list().flatMap(({id}) => (id === memberId ? [] : [id])),
      askHash: (member, index) => askHash(network, member, index),
      alarmed: (alarm) => stateMachine.alarms.list().some((raised) => isSame(raised, alarm)),
      raise: (alarm) => propose({type: 'alarm', action: 'activate', ...alarm}),
    });
  }

  start(): void {
    this.#autoCompactor.start();
    this.#corruptionChecker.start();
  }

  stop(): void {
    this.#corruptionChecker.stop();
    this.#autoCompactor.stop();
    this.expirer.resign();
  }

  takeUp(term: Term): void {
    this.expirer.lead(term);
  }

  resign(): void {
    this.expirer.resign();
  }
}

async function askHash(
  network: PeerNetwork<Message, PeerCall, PeerAnswer>,
  member: MemberId,
  index: Index,
): Promise<number | undefined> {
  const answer = await network.call(member, {type: 'stateHash', index}, PEER_CALL_TIMEOUT_MS);
  return answer.type === 'stateHash' ? answer.hash : undefined;
}
