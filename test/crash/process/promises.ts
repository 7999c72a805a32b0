/** What a process has told that it promised, held against what a member finds that starts where it ended. */

import type {Died} from './child-reader.ts';
import type {MemberReading} from './member-starter.ts';
import type {PromiseLine} from './member-writer.ts';

export class Promises {
  readonly #hashes = new Map<number, number>();
  readonly #entries = new Map<number, readonly string[]>();
  #last: PromiseLine | undefined;

  take(line: PromiseLine): void {
    for (const [index, hash] of line.hashes) this.#hashes.set(index, hash);
    for (const [index, tags] of line.entries) this.#entries.set(index, tags);
    this.#last = line;
  }

  /** @returns what is wrong, if anything is */
  wrongWith(reading: MemberReading | Died): string | undefined {
    if (reading.kind !== 'started') return JSON.stringify(reading);
    const {applied, hash, compacted, lastIndex} = reading;
    const last = this.#last;
    if (last === undefined) return applied === 0 ? undefined : 'it begins with something';
    if (applied < compacted) return `the store is at ${applied}, the log begins behind ${compacted}`;
    if (applied < last.stored) return `the store is at ${applied}, though ${last.stored} was durable`;
    if (Math.max(lastIndex, applied) < last.committed)
      return `${last.committed} was applied, it ends at ${lastIndex}`;
    if (Math.max(lastIndex, applied) < last.lastIndex)
      return `${last.lastIndex} was acknowledged, it ends at ${lastIndex}`;
    if (this.#hashes.get(applied) !== hash) return `the state at ${applied} is not the one there was`;
    // Before it was made, a start founds the member itself.
    return last.isMade ? this.#wrongInLog(reading, last) : undefined;
  }

  #wrongInLog(
    {entries, term, vote}: MemberReading & {kind: 'started'},
    {votes}: PromiseLine,
  ): string | undefined {
    for (const [index, tag] of entries) {
      const tags = this.#entries.get(index) ?? [];
      if (!tags.includes(tag)) return `entry ${index} is ${tag}, not ${tags.join(' or ') || 'none'}`;
    }
    // A store that is ahead of the log brings its term, in which nobody was voted for.
    const isOfStore = vote === '0' && term > termOf(votes[0]);
    if (votes.includes(`${term}/${vote}`) || isOfStore) return undefined;
    return `its term and vote are ${term}/${vote}, not ${votes.join(' or ')}`;
  }
}

const termOf = (pair: string): number => Number(pair.split('/')[0]);
