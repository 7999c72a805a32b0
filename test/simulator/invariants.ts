/**
 * What must be true after every step, on every member: at most one leader in a term, nothing that only grows goes
 * back, and whoever has applied the same index has the same state, which is the model's.
 */

import type {AppliedMark} from '../../src/engine/types.ts';
import type {Violate} from './history.ts';
import type {KvModel} from './kv-model.ts';
import type {MemberObserver} from './member-observer.ts';
import type {Life, SimulatedMember} from './simulated-member.ts';

type Entry = Parameters<MemberObserver['applying']>[2];

interface Seen {
  /** Of its clock: a process that has not run since is as it was. */
  turns: number;
  isLeader: boolean;
  term: number;
  commit: number;
  applied: number;
  /** Of the store, which a snapshot may move on without an entry. */
  marked: number;
}

export interface InvariantsOptions {
  readonly model: KvModel;
  readonly violate: Violate;
  readonly onRevoked: (id: bigint, options: {isExpired: boolean}) => void;
  /** A process has begun to lead a term. */
  readonly onLeading: (member: SimulatedMember, term: number) => void;
  /** It still does, after something has reached it. `before`: its commit index until then. */
  readonly onLed: (member: SimulatedMember, options: {readonly before: number}) => void;
}

export class Invariants {
  readonly #model: KvModel;
  readonly #violate: Violate;
  readonly #onRevoked: InvariantsOptions['onRevoked'];
  readonly #leaders = new Map<number, {readonly name: string; life: Life | undefined}>();
  /** By index: the term of its entry, and hash and revision after it. */
  readonly #log: ({term: number; hash: number; revision: number} | undefined)[] = [];
  readonly #lives = new WeakMap<Life, Seen>();
  elections = 0;

  readonly #onLeading: InvariantsOptions['onLeading'];
  readonly #onLed: InvariantsOptions['onLed'];

  constructor({model, violate, onRevoked, onLeading, onLed}: InvariantsOptions) {
    this.#model = model;
    this.#violate = violate;
    this.#onRevoked = onRevoked;
    this.#onLeading = onLeading;
    this.#onLed = onLed;
  }

  /** The first member that applies an entry also moves the model. */
  applying(member: SimulatedMember, {index, term, proposal}: Entry): void {
    const model = this.#model;
    const known = this.#log[index];
    if (known !== undefined) {
      if (known.term !== term)
        this.#violate(
          'log matching',
          `${member.name} applies ${index} of term ${term}, others of ${known.term}`,
        );
      return;
    }
    if (index > model.index + 1)
      this.#violate(
        'log matching',
        `${member.name} applies ${index}, but nobody has applied ${model.index + 1}`,
      );
    if (index <= model.index) return;
    const command = proposal?.command;
    const isRevoke = command?.type === 'leaseRevoke' && model.leases.has(command.id);
    model.apply(index, term, command);
    if (isRevoke && !model.leases.has(command.id))
      this.#onRevoked(command.id, {isExpired: command.proposerTerm !== 0});
  }

  marked(member: SimulatedMember, life: Life, mark: AppliedMark): void {
    const revision = life.opened?.stateMachine.mvcc.currentRevision() ?? 0;
    const known = this.#log[mark.index];
    if (known === undefined) {
      this.#log[mark.index] = {term: mark.term, hash: mark.hash, revision};
      if (this.#model.index === mark.index && this.#model.revision !== revision)
        this.#violate(
          'state',
          `${member.name} is at revision ${revision}, the model at ${this.#model.revision}`,
        );
      return;
    }
    if (known.hash !== mark.hash || known.revision !== revision || known.term !== mark.term) {
      const own = `hash ${mark.hash}, revision ${revision}, term ${mark.term}`;
      this.#violate(
        'state hash',
        `${member.name} at index ${mark.index} has ${own}; others have hash ${known.hash}, revision ${known.revision}, term ${known.term}`,
      );
    }
  }

  /** Any member, after any step. */
  check(member: SimulatedMember): void {
    const {life} = member;
    const loop = life?.replica?.loop;
    if (life === undefined || loop === undefined || life.opened === undefined) return;
    const {turns} = life.clock;
    const seen = this.#lives.get(life);
    if (seen?.turns === turns) return;
    const {term, commit, applied, role, lastIndex} = loop.status();
    const isLeader = role === 'leader';
    if (isLeader) this.#leads(member, term);
    const marked = life.opened.store.applied().index;
    if (seen === undefined) {
      this.#lives.set(life, {turns, isLeader, term, commit, applied, marked});
      return;
    }
    if (term < seen.term) this.#back(member, 'term', seen.term, term);
    if (commit < seen.commit) this.#back(member, 'commit index', seen.commit, commit);
    if (applied < seen.applied) this.#back(member, 'applied index', seen.applied, applied);
    if (marked < seen.marked) this.#back(member, 'store', seen.marked, marked);
    if (applied > commit)
      this.#violate('raft', `${member.name} applied ${applied} beyond its commit ${commit}`);
    if (commit > lastIndex)
      this.#violate('raft', `${member.name} has commit ${commit} beyond its log ${lastIndex}`);
    if (isLeader && seen.isLeader && term === seen.term) this.#onLed(member, {before: seen.commit});
    seen.turns = turns;
    seen.isLeader = isLeader;
    seen.term = term;
    seen.commit = commit;
    seen.applied = applied;
    seen.marked = marked;
  }

  #leads(member: SimulatedMember, term: number): void {
    const known = this.#leaders.get(term);
    if (known === undefined) {
      this.#leaders.set(term, {name: member.name, life: member.life});
      this.elections++;
      this.#onLeading(member, term);
    } else if (known.name === member.name) {
      // The term of a lone voter that died before it was durable: its next process may lead it again.
      if (known.life === member.life) return;
      known.life = member.life;
      this.#onLeading(member, term);
    } else {
      this.#violate('election safety', `${known.name} and ${member.name} both lead in term ${term}`);
    }
  }

  #back(member: SimulatedMember, what: string, from: number, to: number): void {
    this.#violate('monotone', `${member.name}: its ${what} went from ${from} back to ${to}`);
  }
}
