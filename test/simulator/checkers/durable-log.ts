/** What of one member's log is durable, by the word of its syncs: what it may promise, and must find again. */

import type {Entry, HardState} from '../../../src/engine/raft/message.ts';
import type {Index, MemberId, Term} from '../../../src/engine/types.ts';

export interface DurableBatch {
  readonly entries: readonly Pick<Entry, 'index' | 'term'>[];
  readonly hardState?: HardState | undefined;
  readonly snapshot?: {readonly index: Index; readonly term: Term} | undefined;
}

/** What a start has found. */
export interface Recovered {
  readonly term: Term;
  readonly vote: MemberId;
  readonly lastIndex: Index;
  readonly commit: Index;
  /** undefined: before the first entry, or behind the last. */
  termAt(index: Index): Term | undefined;
}

export class DurableLog {
  term: Term = 0;
  vote: MemberId = 0n;
  lastIndex: Index = 0;
  /** As far as a start knows entries to be committed. */
  commit: Index = 0;
  /** Everything up to here is in the store. */
  base: Index = 0;
  /** Files were meddled with: others may know of more than there is. */
  isDamaged = false;
  readonly #terms = new Map<Index, Term>();

  append({entries, hardState, snapshot}: DurableBatch): void {
    if (hardState !== undefined) {
      this.term = hardState.term;
      this.vote = hardState.vote;
      this.commit = hardState.commit;
    }
    if (snapshot !== undefined) this.#cut(snapshot);
    for (const {index, term} of entries) {
      this.#truncate(index - 1);
      this.#terms.set(index, term);
      this.lastIndex = index;
    }
  }

  /** @returns what of it a batch that becomes durable takes back, whatever is said of it; undefined: nothing */
  takenBackBy({hardState}: DurableBatch): string | undefined {
    if (hardState === undefined) return undefined;
    const {term, vote, commit} = hardState;
    if (commit < this.commit) return `its commit index goes from ${this.commit} back to ${commit}`;
    return this.#brokenBy(term, vote);
  }

  holds(index: Index, term: Term): boolean {
    return index <= this.base || (index <= this.lastIndex && this.#terms.get(index) === term);
  }

  /** @returns what a start has lost or turned back of it; undefined: nothing */
  lostIn({term, vote, lastIndex, termAt}: Recovered): string | undefined {
    const broken = this.#brokenBy(term, vote);
    if (broken !== undefined) return broken;
    for (let index = this.base + 1; index <= Math.min(lastIndex, this.lastIndex); index++) {
      const [found, durable] = [termAt(index), this.#terms.get(index)];
      if (found === undefined || durable === undefined || found === durable) continue;
      // A newer leader's entries were on their way to the disk: they replace this one and all behind it.
      if (found > durable) return undefined;
      return `entry ${index} is of term ${found}, but one of term ${durable} was durable`;
    }
    if (lastIndex < this.lastIndex) return `its log ends at ${lastIndex}, but ${this.lastIndex} was durable`;
    return undefined;
  }

  /** From now on what the start has found counts. */
  restart({term, vote, lastIndex, commit, termAt}: Recovered): void {
    this.term = term;
    this.vote = vote;
    this.commit = commit;
    this.lastIndex = lastIndex;
    const base = this.base;
    this.#terms.clear();
    this.base = 0;
    for (let index = lastIndex; index > 0; index--) {
      const found = termAt(index);
      if (found === undefined) {
        this.base = index;
        break;
      }
      this.#terms.set(index, found);
    }
    this.base = Math.min(Math.max(this.base, base), lastIndex);
  }

  /** A term never goes back, and in a term there is one vote. */
  #brokenBy(term: Term, vote: MemberId): string | undefined {
    if (term < this.term) return `its term goes from ${this.term} back to ${term}`;
    if (term > this.term || this.vote === 0n || vote === this.vote) return undefined;
    return `its vote in term ${term} changes from ${this.vote} to ${vote}`;
  }

  #cut({index, term}: {index: Index; term: Term}): void {
    if (index <= this.base) return;
    // Another member's image in place of a log that does not hold its end.
    if (this.#terms.get(index) !== term) {
      this.#terms.clear();
      this.lastIndex = index;
    }
    for (let at = this.base + 1; at <= index; at++) this.#terms.delete(at);
    this.base = index;
  }

  #truncate(lastIndex: Index): void {
    for (; this.lastIndex > lastIndex; this.lastIndex--) this.#terms.delete(this.lastIndex);
  }
}
