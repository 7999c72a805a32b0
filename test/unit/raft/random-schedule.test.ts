/**
 * Random schedules: messages are lost, doubled and reordered, members crash and forget what was not synced, the
 * configuration changes by one and by many. After every step the four safety properties of the paper's figure 3
 * must hold; in calm weather at the end, a leader must emerge and all logs must become equal.
 */

import {describe, expect, it} from 'vitest';
import type {Logger, Random} from '../../../src/engine/ports.ts';
import {EMPTY_CONF_STATE} from '../../../src/engine/raft/conf-change.ts';
import type {ConfChange, ConfChangeStep, Entry, Message} from '../../../src/engine/raft/message.ts';
import type {Raft} from '../../../src/engine/raft/raft.ts';
import type {Index, MemberId, Term} from '../../../src/engine/types.ts';
import {confStateOf, freshDisk, RaftMember} from './raft-member.ts';

const SEEDS = 200;
const STEPS = 4_000;
const FIRST = {index: 1, term: 1};

class Chance implements Random {
  #state: number;
  constructor(seed: number) {
    this.#state = (seed * 2654435761 + 1) >>> 0;
  }
  below(bound: number): number {
    // A 32-bit mix (splitmix): good enough, and the same everywhere.
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) % bound;
  }
  uint64(): bigint {
    return (BigInt(this.below(2 ** 32)) << 32n) | BigInt(this.below(2 ** 32));
  }
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

interface ReadAsked {
  readonly by: MemberId;
  /** The largest index that any member had committed when the question was asked. */
  readonly committed: Index;
}

class World {
  readonly chance: Chance;
  readonly members = new Map<MemberId, RaftMember>();
  net: Message[] = [];
  /** Election safety: who led each term. */
  readonly leaders = new Map<Term, MemberId>();
  /** State machine safety: what was applied at each index, by anyone. */
  readonly appliedAt = new Map<Index, Entry>();
  /** A term in or after which each of them was committed. */
  readonly committedIn = new Map<Index, Term>();
  newestTerm: Term = FIRST.term;
  committed: Index = FIRST.index;
  readonly reads = new Map<number, ReadAsked>();
  readsAnswered = 0;
  contexts = 0;
  proposals = 0;
  readonly trace: string[] = [];
  /** Vote per term and member, as told to others. */
  readonly votesTold = new Map<string, MemberId>();
  lossPercent: number;
  readonly crashOneIn: number;
  /** They hear only each other, and nobody else hears them. */
  islanders = new Set<MemberId>();
  slowClocks = new Set<MemberId>();
  slowDisks = new Set<MemberId>();
  slowAppliers = new Set<MemberId>();
  doubtful: RaftMember | undefined;
  readonly logger: Logger;

  constructor(seed: number) {
    this.chance = new Chance(seed);
    this.lossPercent = this.chance.pick([0, 5, 20]);
    this.crashOneIn = this.chance.pick([2, 6, 30]);
    const note = (message: string, fields?: unknown) => {
      void fields;
      this.trace.push(message);
    };
    this.logger = {
      debug: () => {},
      info: () => {},
      warn: () => {},
      error: (message) => {
        note(message);
        throw new Error(`raft logged an error: ${message}`);
      },
      child: () => this.logger,
    };
    const size = 3 + this.chance.below(3);
    const voters = Array.from({length: size}, (_, i) => BigInt(i + 1));
    for (const id of voters) this.add(id, voters);
    // Two that wait to be added.
    this.add(BigInt(size + 1), []);
    this.add(BigInt(size + 2), []);
  }

  add(id: MemberId, voters: MemberId[]): void {
    const disk =
      voters.length > 0
        ? freshDisk(confStateOf({voters}), FIRST)
        : freshDisk(EMPTY_CONF_STATE, {index: 0, term: 0});
    this.members.set(
      id,
      new RaftMember({
        id,
        electionTicks: 3,
        heartbeatTicks: 1,
        random: this.chance,
        logger: this.logger,
        limits: {appendBytesMax: 30, inflightMessagesMax: 4, applyBytesMax: 40, uncommittedBytesMax: 400},
        disk,
        onApply: (_, entry) => this.noteApplied(entry),
      }),
    );
  }

  alive(): RaftMember[] {
    return [...this.members.values()].filter(({raft}) => raft !== undefined);
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) {
      this.checkPromise(message);
      this.net.push(message);
      if (this.net.length > 300) this.lose(this.net.splice(this.chance.below(this.net.length), 1)[0]);
    }
  }

  /** A vote that left this member is on its disk, and there is one per term. */
  checkPromise(message: Message): void {
    const disk = this.members.get(message.from)!.disk;
    if (message.type === 'vote' || (message.type === 'voteResponse' && !message.rejected)) {
      const key = `${message.term}/${message.from}`;
      const choice = message.type === 'vote' ? message.from : message.to;
      const told = this.votesTold.get(key) ?? choice;
      if (told !== choice) throw new Error(`${message.from} voted twice in term ${message.term}`);
      this.votesTold.set(key, told);
      if (disk.hardState.term < message.term) throw new Error('a vote left before it was durable');
    }
    if (message.type === 'appendResponse' && !message.rejected) {
      if (disk.hardState.term < message.term) throw new Error('an acknowledgement left before its term');
    }
  }

  noteApplied(entry: Entry): void {
    const known = this.appliedAt.get(entry.index);
    if (known === undefined) {
      this.appliedAt.set(entry.index, entry);
      this.committedIn.set(entry.index, this.newestTerm);
    } else if (known.term !== entry.term || Buffer.compare(known.payload, entry.payload) !== 0) {
      throw new Error(`two members applied different entries at ${entry.index}`);
    }
  }

  takeReady(member: RaftMember): void {
    const ready = member.takeReady();
    if (ready === undefined) return;
    for (const read of ready.readStates) this.noteRead(read.context, read.index);
    for (const message of ready.messagesNow) {
      if (message.type === 'snapshot' && message.meta.index > member.disk.image.index) member.flush();
    }
    this.send(ready.messagesNow);
  }

  noteRead(context: number, index: Index): void {
    const asked = this.reads.get(context);
    if (asked === undefined) return;
    this.readsAnswered++;
    if (index < asked.committed) throw new Error(`a stale read: ${index} after ${asked.committed}`);
  }

  deliver(): void {
    if (this.net.length === 0) return;
    const place = this.chance.oneIn(3) ? this.chance.below(this.net.length) : 0;
    const message = this.net[place];
    if (!this.chance.oneIn(12)) this.net.splice(place, 1);
    const to = this.members.get(message.to)?.raft;
    const isCut = this.islanders.has(message.from) !== this.islanders.has(message.to);
    if (to === undefined || isCut || this.chance.below(100) < this.lossPercent) {
      this.lose(message);
      return;
    }
    to.step(message);
    if (message.type === 'snapshot') {
      this.members.get(message.from)?.raft?.snapshotFinished(message.to, this.chance.below(4) > 0);
    }
  }

  /** Whoever sends an image learns in the end that it did not arrive. */
  lose(message: Message): void {
    if (message.type === 'snapshot')
      this.members.get(message.from)?.raft?.snapshotFinished(message.to, false);
  }

  step(): void {
    const member = this.chance.pick([...this.members.values()]);
    const {raft} = member;
    if (raft === undefined) {
      if (this.chance.oneIn(10)) member.restart();
      return;
    }
    const dice = this.chance.below(1000);
    if (dice < 120) {
      if (!this.slowClocks.has(member.id) || this.chance.oneIn(12)) raft.tick();
    } else if (dice < 600) this.pump(member);
    else if (dice < 900) for (let i = this.chance.below(10); i >= 0; i--) this.deliver();
    else if (dice < 930) this.someLeader(member).propose(Buffer.from(`v${this.proposals++}`));
    else if (dice < 945) this.askRead(member);
    else if (dice < 965) this.someLeader(member).proposeConfChange(this.randomChange());
    else if (dice < 972) member.compact(member.image.index - this.chance.below(3));
    else if (dice < 973) this.someLeader(member).transferLeadership(this.anyId());
    else if (dice < 979) member.flush();
    else if (dice < 981) raft.unreachable(this.anyId());
    else if (dice < 982 && this.chance.oneIn(10)) raft.stepDown();
    else if (dice < 984) this.redrawWeather();
    else if (this.chance.oneIn(this.crashOneIn)) this.crash(member);
  }

  /** One member at a time may lose entries that it has acknowledged; its disk knows that something is missing. */
  crash(member: RaftMember): void {
    member.crash();
    if (this.doubtful !== undefined || !this.chance.oneIn(3)) return;
    const {disk} = member;
    const last = disk.compacted.index + disk.entries.length;
    if (last === disk.image.index) return;
    const kept = disk.image.index + this.chance.below(last - disk.image.index);
    disk.entries = disk.entries.slice(0, kept - disk.compacted.index);
    disk.probation = last;
    this.doubtful = member;
  }

  /** Whether the member that lost entries has them again, and on its disk. */
  noteRecovery(): void {
    if (this.doubtful?.raft?.status().probation !== 0) return;
    const {disk} = this.doubtful;
    if (disk.compacted.index + disk.entries.length < disk.probation) return;
    if (disk.hardState.commit < disk.probation) return;
    disk.probation = 0;
    this.doubtful = undefined;
  }

  /** Some links are cut, some disks and state machines are slow, until the next change of weather. */
  redrawWeather(): void {
    const ids = [...this.members.keys()];
    this.islanders = new Set(this.chance.oneIn(2) ? [] : ids.filter(() => this.chance.oneIn(3)));
    this.slowClocks = new Set(ids.filter(() => this.chance.oneIn(4)));
    this.slowDisks = new Set(ids.filter(() => this.chance.oneIn(3)));
    this.slowAppliers = new Set(ids.filter(() => this.chance.oneIn(3)));
  }

  /** A turn of the member's loop. Most turns end with everything on disk and applied; slow ones lag behind. */
  pump(member: RaftMember): void {
    this.takeReady(member);
    if (!this.slowDisks.has(member.id))
      while (member.writes.length > 0 && !this.chance.oneIn(6)) this.send(member.sync());
    else if (this.chance.oneIn(12)) this.send(member.sync());
    if (!this.slowAppliers.has(member.id)) member.apply(this.chance.oneIn(4) ? 1 : undefined);
    else if (this.chance.oneIn(12)) member.apply(1);
  }

  /** Mostly one that can do something about it. */
  someLeader(member: RaftMember): Raft {
    const leaders = this.alive().filter(({raft}) => raft?.status().role === 'leader');
    return (leaders.length > 0 && !this.chance.oneIn(4) ? this.chance.pick(leaders) : member).raft as Raft;
  }

  anyId(): MemberId {
    return this.chance.pick([...this.members.keys()]);
  }

  askRead(member: RaftMember): void {
    const context = ++this.contexts;
    this.reads.set(context, {by: member.id, committed: this.committed});
    (this.chance.oneIn(2) ? this.someLeader(member) : (member.raft as Raft)).readIndex(context);
  }

  randomChange(): ConfChange {
    const count = this.chance.oneIn(2) ? 1 : 1 + this.chance.below(4);
    const steps = Array.from({length: count}, (): ConfChangeStep => {
      const type = this.chance.pick(['addVoter', 'addVoter', 'addLearner', 'remove', 'remove'] as const);
      return {type, memberId: this.anyId()};
    });
    const joint = this.chance.pick(['auto', 'auto', 'implicit', 'explicit'] as const);
    return {steps: joint === 'auto' && this.chance.oneIn(4) ? [] : steps, joint, context: Buffer.alloc(0)};
  }

  check(): void {
    this.noteRecovery();
    let newest: {leader: RaftMember; term: Term} | undefined;
    for (const member of this.alive()) {
      const status = member.raft!.status();
      this.committed = Math.max(this.committed, status.commit);
      this.newestTerm = Math.max(this.newestTerm, status.term);
      if (status.role !== 'leader') continue;
      const known = this.leaders.get(status.term);
      if (known !== undefined && known !== member.id) {
        throw new Error(`election safety: ${known} and ${member.id} lead term ${status.term}`);
      }
      this.leaders.set(status.term, member.id);
      if (newest === undefined || status.term > newest.term) newest = {leader: member, term: status.term};
    }
    this.checkLogMatching();
    if (newest !== undefined) this.checkLeaderCompleteness(newest.leader);
  }

  /** Two logs with the same term at an index are the same up to there. */
  checkLogMatching(): void {
    const members = this.alive();
    for (let i = 0; i < members.length; i++) {
      for (let j = i + 1; j < members.length; j++) {
        const [a, b] = [members[i].raft!, members[j].raft!];
        const [sa, sb] = [a.status(), b.status()];
        let agree = false;
        const from = Math.max(sa.firstIndex, sb.firstIndex);
        for (let index = Math.min(sa.lastIndex, sb.lastIndex); index >= from; index--) {
          const equal = a.term(index) === b.term(index);
          if (agree && !equal)
            throw new Error(`log matching: ${members[i].id} and ${members[j].id} at ${index}`);
          agree ||= equal;
        }
      }
    }
  }

  /** What was applied anywhere is in the log of the newest leader. */
  checkLeaderCompleteness(leader: RaftMember): void {
    const raft = leader.raft!;
    const {firstIndex, term} = raft.status();
    for (const [index, entry] of this.appliedAt) {
      if (index < firstIndex) continue;
      // A leader of an older term may lack what was committed since, even if the entry itself is old.
      if ((this.committedIn.get(index) as Term) > term) continue;
      if (raft.term(index) !== entry.term)
        throw new Error(`leader completeness: ${leader.id} lacks ${index}`);
    }
  }

  /** No more faults: the members that are in the configuration must agree. */
  calm(): boolean {
    this.lossPercent = 0;
    this.islanders.clear();
    this.slowClocks.clear();
    for (const member of this.members.values()) if (member.raft === undefined) member.restart();
    for (let round = 0; round < 400; round++) {
      for (const member of this.members.values()) {
        member.raft!.tick();
        this.takeReady(member);
        while (member.writes.length > 0) this.send(member.sync());
        member.apply();
      }
      const batch = this.net;
      this.net = [];
      for (const message of batch) {
        this.members.get(message.to)?.raft?.step(message);
        if (message.type === 'snapshot') {
          this.members.get(message.from)?.raft?.snapshotFinished(message.to, true);
        }
      }
      if (round % 20 === 10) this.check();
      if (round % 20 === 0)
        this.alive()
          .find(({raft}) => raft!.status().role === 'leader')
          ?.raft?.propose(Buffer.from('calm'));
      if (round > 100 && this.isSettled()) return true;
    }
    return false;
  }

  isSettled(): boolean {
    // With too few others the loss is final: no leader, and that is right.
    if (this.doubtful !== undefined) return true;
    const leader = this.alive().find(({raft}) => raft!.status().role === 'leader');
    if (leader === undefined) return false;
    const status = leader.raft!.status();
    if (status.commit !== status.lastIndex) return false;
    return status.progress.every(({id}) => {
      const other = this.members.get(id)?.raft?.status();
      return other?.commit === status.commit && other.applied === status.applied;
    });
  }
}

function runSeed(seed: number): {reads: number; applied: number; terms: number; settled: boolean} {
  const world = new World(seed);
  for (let i = 0; i < STEPS; i++) {
    world.step();
    world.check();
  }
  const settled = world.calm();
  return {reads: world.readsAnswered, applied: world.appliedAt.size, terms: world.leaders.size, settled};
}

describe('raft under random schedules', () => {
  it('Ensure that safety holds after every step and that calm brings agreement.', () => {
    let reads = 0;
    let applied = 0;
    let terms = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      try {
        const result = runSeed(seed);
        expect(result.settled, 'agreement in calm').toBe(true);
        reads += result.reads;
        applied += result.applied;
        terms += result.terms;
      } catch (cause) {
        throw new Error(`seed ${seed}: ${(cause as Error).message}`, {cause});
      }
    }
    // The schedules must be worth something: elections, entries and reads happened in them.
    expect(terms).toBeGreaterThan(SEEDS);
    expect(applied).toBeGreaterThan(10 * SEEDS);
    expect(reads).toBeGreaterThan(SEEDS / 4);
  });
});
