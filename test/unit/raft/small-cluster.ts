/** A few members whose messages arrive at once and whose disks are quick, for tests that look at one thing. */

import type {LogFields, Logger, Random} from '../../../src/engine/ports.ts';
import type {Entry, Message} from '../../../src/engine/raft/message.ts';
import type {Raft} from '../../../src/engine/raft/raft.ts';
import type {RaftLimits} from '../../../src/engine/raft/raft-state.ts';
import type {MemberId} from '../../../src/engine/types.ts';
import {confStateOf, freshDisk, type MemberDisk, RaftMember} from './raft-member.ts';

export const ELECTION_TICKS = 10;
export const FIRST = {index: 1, term: 1};

export function quietLogger(lines: string[] = []): Logger {
  const note = (message: string, _fields?: LogFields): void => {
    lines.push(message);
  };
  const logger: Logger = {debug: note, info: note, warn: note, error: note, child: () => logger};
  return logger;
}

export function fixedRandom(value: number): Random {
  return {below: (bound) => value % bound, uint64: () => BigInt(value)};
}

/** Entries with these terms from index 2 on. */
export function entriesOf(terms: readonly number[]): Entry[] {
  return terms.map((term, i) => ({
    index: FIRST.index + 1 + i,
    term,
    type: 0,
    payload: Buffer.from(`t${term}`),
  }));
}

export function diskOf(
  voters: MemberId[],
  options: {terms?: readonly number[]; term?: number} = {},
): MemberDisk {
  const disk = freshDisk(confStateOf({voters}), FIRST);
  disk.entries = entriesOf(options.terms ?? []);
  disk.hardState = {term: options.term ?? disk.entries.at(-1)?.term ?? 1, vote: 0n, commit: 1};
  return disk;
}

export function memberOf(
  id: MemberId,
  disk: MemberDisk,
  options: {random?: Random; limits?: Partial<RaftLimits>; logger?: Logger; electionTicks?: number} = {},
): RaftMember {
  return new RaftMember({
    id,
    electionTicks: options.electionTicks ?? ELECTION_TICKS,
    heartbeatTicks: 1,
    random: options.random ?? fixedRandom(Number(id) - 1),
    logger: options.logger ?? quietLogger(),
    limits: options.limits,
    disk,
  });
}

export class SmallCluster {
  readonly members: readonly RaftMember[];
  readonly cut = new Set<MemberId>();
  /** All that was sent, for tests to look at. */
  readonly sent: Message[] = [];
  #net: Message[] = [];

  constructor(logs: readonly (readonly number[])[], term?: number) {
    const ids = logs.map((_, i) => BigInt(i + 1));
    this.members = logs.map((terms, i) => memberOf(ids[i], diskOf(ids, {terms, ...(term ? {term} : {})})));
  }

  raft(id: number): Raft {
    return this.members[id - 1].raft as Raft;
  }

  settle(): void {
    for (let round = 0; round < 100; round++) {
      for (const member of this.members) {
        const ready = member.takeReady();
        if (ready !== undefined) this.send(ready.messagesNow);
        while (member.writes.length > 0) this.send(member.sync());
        member.apply();
      }
      if (this.#net.length === 0 && !this.members.some((member) => member.hasReady())) return;
      const batch = this.#net;
      this.#net = [];
      for (const message of batch) {
        if (this.cut.has(message.from) || this.cut.has(message.to)) continue;
        this.members.find(({id}) => id === message.to)?.raft?.step(message);
      }
    }
    throw new Error('does not come to rest');
  }

  send(messages: readonly Message[]): void {
    this.sent.push(...messages);
    this.#net.push(...messages);
  }

  elect(id: number): void {
    for (const {raft} of this.members) {
      if (raft?.status().role === 'leader') raft.stepDown();
    }
    // Whoever heard a leader must have missed it for an election timeout before it votes.
    for (const {raft, id: other} of this.members) {
      if (other === BigInt(id)) continue;
      for (let i = 0; i < ELECTION_TICKS; i++) if (raft?.status().role === 'follower') raft.tick();
      raft?.ready();
    }
    this.raft(id).campaign();
    this.settle();
  }
}
