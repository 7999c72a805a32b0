/**
 * Lets committed entries through to be applied, a change of the configuration only when the member's own log says
 * that it is committed. Otherwise a member that has acted on a change could start again in the configuration before
 * it, and need the vote of somebody who was removed since, and is gone for good.
 */

import {type Entry, EntryType} from '../raft/message.ts';
import type {Index} from '../types.ts';

export interface CommitGateOptions {
  /** Up to where the log on the disk itself says that entries are committed. */
  readonly notedCommit: () => Index;
  /** Has the commit index brought to the disk; {@link CommitGate.release} is called when it is there. */
  readonly noteCommit: () => void;
  readonly apply: (entries: readonly Entry[]) => void;
}

export class CommitGate {
  readonly #options: CommitGateOptions;
  /** From a change that waits on, everything behind it included. */
  #held: readonly Entry[] = [];

  constructor(options: CommitGateOptions) {
    this.#options = options;
  }

  take(entries: readonly Entry[]): void {
    if (this.#held.length > 0) this.#held = [...this.#held, ...entries];
    else this.#pass(entries);
  }

  /** More of the log is on the disk. */
  release(): void {
    if (this.#held.length === 0 || this.#held[0].index > this.#options.notedCommit()) return;
    const held = this.#held;
    this.#held = [];
    this.#pass(held);
  }

  #pass(entries: readonly Entry[]): void {
    const {notedCommit, noteCommit, apply} = this.#options;
    const at = entries.findIndex(({type, index}) => type === EntryType.confChange && index > notedCommit());
    if (at < 0) {
      apply(entries);
      return;
    }
    if (at > 0) apply(entries.slice(0, at));
    this.#held = at > 0 ? entries.slice(at) : entries;
    noteCommit();
  }
}
