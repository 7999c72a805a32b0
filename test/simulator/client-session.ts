/**
 * What one client has seen of each process that it asked: whatever it asks there next, serializable reads too, shows
 * no older revision. A process that starts anew, or another member, may be behind.
 */

import type {Violate} from './history.ts';
import type {Life} from './simulated-member.ts';

export class ClientSession {
  readonly #who: string;
  readonly #violate: Violate;
  readonly #seen = new WeakMap<Life, number>();

  constructor(who: string, violate: Violate) {
    this.#who = who;
    this.#violate = violate;
  }

  /** The newest revision that a process has shown; 0: none. */
  shownBy(process: Life | undefined): number {
    return (process && this.#seen.get(process)) ?? 0;
  }

  /** The client is about to ask a process, or whatever comes after it. @returns to be called with what answers */
  ask(process: Life | undefined): (answers: Life, revision: number) => void {
    const floor = this.shownBy(process);
    return (answers, revision) => {
      if (answers === process && revision < floor)
        this.#violate(
          'sessions',
          `${this.#who} is told of revision ${revision} where ${floor} was shown before`,
        );
      this.#seen.set(answers, Math.max(revision, this.shownBy(answers)));
    };
  }
}
