/** What a process has told that it promised, held against what a member finds that starts where it ended. */

import type {Died} from './child-reader.ts';
import type {MemberReading} from './member-starter.ts';
import type {PromiseLine} from './member-writer.ts';

export class Promises {
  readonly #hashes = new Map<number, number>();
  #last: PromiseLine | undefined;

  take(line: PromiseLine): void {
    for (const [index, hash] of line.hashes) this.#hashes.set(index, hash);
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
    return undefined;
  }
}
