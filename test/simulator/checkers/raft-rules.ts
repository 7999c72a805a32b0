/**
 * What raft promises, held against every step of every member: nothing is said before it is durable, nothing durable
 * goes back, what a leader takes others to have is on their disks, what is committed is on a majority of them and in
 * the log of whoever leads later, logs agree, and configurations change one at a time. Election safety and what is
 * applied are the invariants' (invariants.ts).
 */

import {LEARNER_READY_RATIO} from '../../../src/engine/limits.ts';
import {type ConfState, type Entry, EntryType, type Message} from '../../../src/engine/raft/message.ts';
import type {Raft} from '../../../src/engine/raft/raft.ts';
import type {Index, MemberId, Term} from '../../../src/engine/types.ts';
import type {Violate} from '../history.ts';
import {type DurableBatch, DurableLog, type Recovered} from './durable-log.ts';

type RaftView = Pick<Raft, 'status' | 'term' | 'entries'>;

/** How far back a new leader's log is compared with what is committed. */
const COMPLETENESS_ENTRIES = 200;

export interface RaftRulesOptions {
  readonly violate: Violate;
  /** Entries that the founders of the cluster wrote as committed. */
  readonly founders: number;
}

export class RaftRules {
  readonly #violate: Violate;
  readonly #founders: number;
  readonly #logs = new Map<MemberId, DurableLog>();
  /** By index and term: what stands there, and the term before it. */
  readonly #entries = new Map<string, {readonly before: Term | undefined; readonly entry: Entry}>();
  /** Who leads, by what it has written or was seen to do. */
  readonly #leaders = new Map<Term, MemberId>();
  /** By index, what is committed. */
  readonly #committed: (Term | undefined)[] = [];
  /** The latest term that had a leader when that was seen to be committed. */
  readonly #latestTerms: Term[] = [];
  #latestTerm: Term = 0;
  /** Configurations in force from an index on, ascending. */
  readonly #confs: {readonly index: Index; readonly conf: ConfState}[] = [];
  /** What leaders went by when they were looked at last. */
  readonly #leadersConfs = new Map<MemberId, ConfState>();

  constructor({violate, founders}: RaftRulesOptions) {
    this.#violate = violate;
    this.#founders = founders;
  }

  /** A process has opened its data dir. `isDamaged`: files were meddled with, so that something may be missing. */
  opened(name: string, id: MemberId, recovered: Recovered, options: {readonly isDamaged: boolean}): void {
    const log = this.#logOf(id);
    const lost = log.lostIn(recovered);
    if (lost !== undefined && !options.isDamaged) this.#violate('durability', `${name}: ${lost}`);
    if (!options.isDamaged) this.#forgetUntold(id, recovered.term);
    log.isDamaged ||= options.isDamaged;
    log.restart(recovered);
  }

  /** It was damaged, and has caught up with everything that it may have lost. */
  recovered(id: MemberId): void {
    this.#logOf(id).isDamaged = false;
  }

  /** The last entry that any disk has held. */
  lastDurable(): Index {
    return Math.max(0, ...[...this.#logs.values()].map(({lastIndex}) => lastIndex));
  }

  /** The last entry that this member's disk holds, or its store stands for. */
  durableOn(id: MemberId): Index {
    const {lastIndex, base} = this.#logOf(id);
    return Math.max(lastIndex, base);
  }

  /** Whether a member that starts again finds the latest configuration to be committed, and goes by it. */
  restartsInLatest(id: MemberId): boolean {
    const {commit, base} = this.#logOf(id);
    return Math.max(commit, base) >= (this.#confs.at(-1)?.index ?? 0);
  }

  /** A batch is about to be written. */
  appending(name: string, raft: RaftView, entries: readonly Entry[]): void {
    this.#noteLeader(raft);
    for (const [place, entry] of entries.entries()) {
      const {index, term, type} = entry;
      const key = `${index} ${term}`;
      const known = this.#entries.get(key);
      const previous = entries.at(place - 1);
      const before = place > 0 && previous?.index === index - 1 ? previous.term : undefined;
      if (known === undefined) {
        this.#entries.set(key, {before, entry});
        if (type === EntryType.confChange && index > this.#founders) this.#checkLoneChange(name, raft, entry);
        continue;
      }
      const isSame = known.entry.type === type && areEqual(known.entry.payload, entry.payload);
      if (!isSame) this.#violate('log matching', `${name} has another entry ${index} of term ${term}`);
      if (before !== undefined && known.before !== undefined && before !== known.before)
        this.#violate(
          'log matching',
          `${name}: before ${index} of term ${term} comes ${before}, not ${known.before}`,
        );
    }
  }

  /** It is durable. */
  appended(id: MemberId, batch: DurableBatch): void {
    const log = this.#logOf(id);
    const takenBack = log.takenBackBy(batch);
    if (takenBack !== undefined) this.#violate('durability', `${id}: ${takenBack}`);
    log.append(batch);
  }

  /** Messages leave. */
  sending(name: string, id: MemberId, raft: RaftView, messages: readonly Message[]): void {
    for (const message of messages) {
      switch (message.type) {
        case 'appendResponse':
          if (!message.rejected) this.#checkAcknowledgement(name, id, message, raft);
          break;
        case 'voteResponse':
          if (!message.rejected) this.#checkVote(name, id, {term: message.term, vote: message.to});
          break;
        case 'append':
        case 'heartbeat':
        case 'timeoutNow':
          this.#checkTerm(name, id, message);
          break;
        case 'vote':
          this.#checkVote(name, id, {term: message.term, vote: id});
          // It waited for the disk; meanwhile its candidate may have given up, and what it asks for elects nobody.
          if (isCandidateOf(raft, message.term)) this.#checkCampaign(name, raft);
          break;
        case 'preVote':
          // It may have heard of a leader in the same turn.
          if (raft.status().role === 'preCandidate') this.#checkCampaign(name, raft);
          break;
        case 'readIndexResponse':
          this.#checkReadIndex(name, raft, message.index);
          break;
        case 'snapshot':
          this.#checkTerm(name, id, message);
          this.#checkImage(name, message);
          break;
        default:
      }
    }
  }

  /** A member leads a term that had no leader. */
  leads(name: string, raft: RaftView): void {
    this.#noteLeader(raft);
    const {id, term, firstIndex, lastIndex, confState} = raft.status();
    this.#leadersConfs.set(id, confState);
    let last = this.#committed.length - 1;
    // Votes may arrive late: what a later term's leader has committed by then is none of this one's.
    while (last > 0 && this.#latestTerms[last] >= term) last--;
    if (lastIndex < last)
      this.#violate(
        'leader completeness',
        `${name} leads term ${term} with entries up to ${lastIndex}; ${last} is committed`,
      );
    for (let index = last; index >= firstIndex && index > last - COMPLETENESS_ENTRIES; index--) {
      const [own, committed] = [raft.term(index), this.#committed[index]];
      if (own !== undefined && committed !== undefined && own !== committed)
        this.#violate(
          'leader completeness',
          `${name} leads term ${term}, its entry ${index} is of ${own}, not ${committed}`,
        );
    }
  }

  /** A member goes on leading its term. `before`: its commit index when it was looked at last. */
  led(name: string, raft: RaftView, before: Index): void {
    const {id: self, term, commit, progress, confState} = raft.status();
    // What it went by until now, and what an entry that it has applied since has put into force.
    const counted = [this.#leadersConfs.get(self) ?? confState, confState];
    this.#leadersConfs.set(self, confState);
    if (commit > before) {
      const own = raft.term(commit);
      const detail = `${name} leads term ${term} and commits ${commit}, `;
      if (own !== term) this.#violate('commit', `${detail}an entry of ${own}`);
      else if (!counted.some((conf) => this.#isOnMajority(conf, commit, term, {isLost: true})))
        this.#violate('commit', `${detail}which is on no majority of what it goes by`);
    }
    for (const {id, match} of progress) {
      const log = this.#logOf(id);
      const own = raft.term(match);
      // A leader that is deposed and does not know it yet: the next one may have replaced what was not committed.
      if (log.term > term) continue;
      if (own === undefined || log.isDamaged || log.holds(match, own)) continue;
      this.#violate(
        'match',
        `${name} takes ${id} to have ${match} of term ${own}, which is not durable there`,
      );
    }
  }

  /** A member applies an entry. */
  applying(name: string, id: MemberId, {index, term}: {readonly index: Index; readonly term: Term}): void {
    if (!this.#logOf(id).holds(index, term))
      this.#violate('durability', `${name} applies ${index} of term ${term}, which is not durable there`);
    if (this.#committed[index] !== undefined) return;
    this.#committed[index] = term;
    this.#latestTerms[index] = this.#latestTerm;
    if (index <= this.#founders || this.#confs.length === 0) return;
    // One change may be committed, and not in force yet on the leader: see `led` for what that one goes by.
    const isEnough = this.#confs.slice(-2).some(({conf}) => this.#isOnMajority(conf, index, term));
    if (!isEnough)
      this.#violate('commit', `${name} applies ${index} of term ${term}, which is on no majority of disks`);
  }

  /**
   * A leader is asked to promote a learner, and decides at once. @returns to be called when it has: the learner counts
   * for the quorum then, so its disk must have held nearly all of the leader's log
   */
  promoting(name: string, raft: RaftView, learner: MemberId): () => void {
    const {id, progress} = raft.status();
    const log = this.#logOf(learner);
    const match = progress.find((one) => one.id === id)?.match ?? 0;
    const detail = `${name} promotes ${learner}, which has ${log.lastIndex} of its ${match} entries`;
    const isReady = log.isDamaged || log.lastIndex >= match * LEARNER_READY_RATIO;
    return () => {
      if (!isReady) this.#violate('learner', detail);
    };
  }

  /** A configuration is in force on somebody, from the entry at this index on. */
  configured(index: Index, conf: ConfState): void {
    if (index > (this.#confs.at(-1)?.index ?? 0)) this.#confs.push({index, conf});
  }

  /** `isLost`: a damaged disk may have lost it since. */
  #isOnMajority(
    {voters, votersOutgoing}: ConfState,
    index: Index,
    term: Term,
    {isLost}: {readonly isLost: boolean} = {isLost: false},
  ): boolean {
    return [voters, votersOutgoing].every((half) => {
      const holding = half.filter((id) => {
        const log = this.#logOf(id);
        return log.holds(index, term) || (isLost && log.isDamaged);
      });
      return half.length === 0 || holding.length * 2 > half.length;
    });
  }

  #checkAcknowledgement(
    name: string,
    id: MemberId,
    {index, term}: {index: Index; term: Term},
    raft: RaftView,
  ): void {
    const log = this.#logOf(id);
    // The leader of a later term may have replaced it in the batch that was to bring it to the disk. That one could be
    // elected because too few had it to commit it, so what the older leader is told does it no good.
    const mayBeReplaced = log.term > term;
    if (index > this.durableOn(id) && !mayBeReplaced)
      this.#violate('durability', `${name} acknowledges ${index}; durable is ${log.lastIndex}`);
    // In this very term nobody has replaced the entry since: what stands there is what it acknowledges.
    const own = raft.status().term === term ? raft.term(index) : undefined;
    if (own !== undefined && !log.holds(index, own))
      this.#violate('durability', `${name} acknowledges ${index} of term ${own}; durable is an older one`);
    if (term > log.term)
      this.#violate('durability', `${name} acknowledges in term ${term}; durable is ${log.term}`);
  }

  #checkVote(name: string, id: MemberId, {term, vote}: {term: Term; vote: MemberId}): void {
    const log = this.#logOf(id);
    if (log.term > term || (log.term === term && log.vote === vote)) return;
    const durable = `term ${log.term}, vote ${log.vote}`;
    this.#violate('durability', `${name} votes for ${vote} in term ${term}; durable is ${durable}`);
  }

  /** A member that elects itself alone leads at once, but whoever hears of it must not meet the same term again. */
  #checkTerm(name: string, id: MemberId, {type, term}: Message): void {
    this.#leads(term, id);
    const durable = this.#logOf(id).term;
    if (term > durable)
      this.#violate(
        'durability',
        `${name} sends ${type} as leader of term ${term}; durable is term ${durable}`,
      );
  }

  #checkCampaign(name: string, raft: RaftView): void {
    const {id, applied, commit, lastIndex, confState, term} = raft.status();
    if (!confState.voters.includes(id) && !confState.votersOutgoing.includes(id))
      this.#violate('learner', `${name} stands for election in term ${term}, but is no voter`);
    if (
      entriesBetween(raft, applied + 1, Math.min(commit, lastIndex)).some(
        ({type}) => type === EntryType.confChange,
      )
    )
      this.#violate(
        'campaign',
        `${name} stands for election over a change that is committed and not applied`,
      );
  }

  #checkReadIndex(name: string, raft: RaftView, index: Index): void {
    const {term, commit, role} = raft.status();
    if (index > commit) this.#violate('read index', `${name} gives ${index}, its commit index is ${commit}`);
    if (role === 'leader' && raft.term(commit) !== term)
      this.#violate('read index', `${name} gives ${index} before it committed anything in term ${term}`);
  }

  #checkImage(name: string, {meta}: Message & {type: 'snapshot'}): void {
    const {index, term, confState} = meta;
    const committed = this.#committed[index];
    if (committed !== term)
      this.#violate(
        'snapshot',
        `${name} sends an image of ${index} in term ${term}, committed is ${committed}`,
      );
    const wanted = this.#confs.findLast((one) => one.index <= index);
    if (wanted !== undefined && textOf(wanted.conf) !== textOf(confState))
      this.#violate(
        'snapshot',
        `${name} sends an image of ${index} with another configuration than is in force`,
      );
  }

  #checkLoneChange(name: string, raft: RaftView, {index, term}: Entry): void {
    const {role, applied, term: now, firstIndex, lastIndex} = raft.status();
    if (role !== 'leader' || now !== term) return;
    const older = entriesBetween(raft, Math.max(applied + 1, firstIndex), Math.min(index - 1, lastIndex));
    if (older.some(({type}) => type === EntryType.confChange))
      this.#violate('one change', `${name} logs a change at ${index}; an older one is not applied yet`);
  }

  #leads(term: Term, id: MemberId): void {
    const known = this.#leaders.get(term) ?? id;
    this.#leaders.set(term, id);
    this.#latestTerm = Math.max(this.#latestTerm, term);
    if (known !== id) this.#violate('election safety', `${known} and ${id} both lead in term ${term}`);
  }

  #noteLeader(raft: RaftView): void {
    const {id, role, term} = raft.status();
    if (role === 'leader') this.#leads(term, id);
  }

  /**
   * Terms that a crash made undone, as only a lone voter's can be: nobody has heard of them (see `#checkTerm`), and
   * the same member may lead them again, with other entries.
   */
  #forgetUntold(id: MemberId, recovered: Term): void {
    const isUntold = (term: Term): boolean => term > recovered && this.#leaders.get(term) === id;
    if (![...this.#leaders.keys()].some(isUntold)) return;
    for (const [key, {entry}] of this.#entries) if (isUntold(entry.term)) this.#entries.delete(key);
  }

  #logOf(id: MemberId): DurableLog {
    let log = this.#logs.get(id);
    if (log === undefined) {
      log = new DurableLog();
      this.#logs.set(id, log);
    }
    return log;
  }
}

function isCandidateOf(raft: RaftView, wanted: Term): boolean {
  const {role, term} = raft.status();
  return role === 'candidate' && term === wanted;
}

const entriesBetween = (raft: RaftView, from: Index, to: Index): readonly Entry[] =>
  from > to ? [] : raft.entries(from, to);

const areEqual = (a: Uint8Array, b: Uint8Array): boolean => a === b || Buffer.compare(a, b) === 0;

const textOf = ({voters, votersOutgoing, learners, learnersNext, autoLeave}: ConfState): string =>
  [voters, votersOutgoing, learners, learnersNext, autoLeave].join(' ');
