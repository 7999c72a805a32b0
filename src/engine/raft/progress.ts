/**
 * What a leader knows of one member's log, and how it feeds it.
 *
 *     probe ──accepted──▶ replicate        probe:     one message at a time, to find where the logs agree
 *       ▲ ◀──rejected, unreachable──┘      replicate: many on their way, `next` runs ahead of `match`
 *       │                                  snapshot:  nothing, until the image has arrived or failed
 *       └──snapshot◀─ entries compacted away
 */

import {assert} from '../errors.ts';
import type {Index, MemberId} from '../types.ts';
import {Inflights} from './inflights.ts';

export type ProgressState = 'probe' | 'replicate' | 'snapshot';

export class Progress {
  readonly id: MemberId;
  /** The member's log agrees with the leader's up to here and is on the member's disk. Lowered only by {@link lost}. */
  match: Index = 0;
  /** The next entry to send. Invariant: match < next (etcd raft PR 149: without it a probe stalls). */
  next: Index;
  state: ProgressState = 'probe';
  /** Not counted in any majority. Follows the configuration. */
  isLearner: boolean;
  /** Heard of since the last look at the quorum; new members are given the benefit of the doubt. */
  recentActive: boolean;
  /** The index of the image under way; 0 outside the state `snapshot`. */
  pendingSnapshot: Index = 0;
  /** In `probe`: a message is out, wait for its answer or for a heartbeat's. */
  probeSent = false;
  /** An append is owed even if it is empty. */
  probeDue = false;
  /** The commit index that appends have told the member. */
  sentCommit: Index = 0;
  /** The member's own clients wait for this index: a commit is told to it at once. */
  awaitedCommit: Index = 0;
  /** The newest read round that was put to the member. */
  readAsked = 0;
  /** The newest read round whose heartbeat the member has answered. */
  readAcked = 0;
  readonly inflights: Inflights;

  constructor(options: {
    id: MemberId;
    next: Index;
    isLearner: boolean;
    recentActive: boolean;
    inflightMessagesMax: number;
    inflightBytesMax: number;
  }) {
    assert(options.next >= 1, 'a progress starts before the log');
    this.id = options.id;
    this.next = options.next;
    this.isLearner = options.isLearner;
    this.recentActive = options.recentActive;
    this.inflights = new Inflights({
      messagesMax: options.inflightMessagesMax,
      bytesMax: options.inflightBytesMax,
    });
  }

  /** A new term begins: nothing is known of the member. */
  reset(next: Index): void {
    this.match = 0;
    this.next = next;
    this.recentActive = false;
    this.sentCommit = 0;
    this.awaitedCommit = 0;
    this.readAsked = 0;
    this.readAcked = 0;
    this.#enter('probe');
  }

  becomeProbe(): void {
    const afterSnapshot = this.state === 'snapshot' ? this.pendingSnapshot + 1 : 0;
    this.next = Math.max(this.match + 1, afterSnapshot);
    this.#enter('probe');
  }

  becomeReplicate(): void {
    this.next = this.match + 1;
    this.sentCommit = Math.min(this.sentCommit, this.match);
    this.#enter('replicate');
  }

  becomeSnapshot(index: Index): void {
    assert(index > this.match, `snapshot ${index} below match ${this.match}`);
    this.#enter('snapshot');
    this.pendingSnapshot = index;
    this.next = index + 1;
  }

  /** The image did not arrive: start again from what is known. */
  snapshotFailed(): void {
    assert(this.state === 'snapshot', 'a snapshot failed that was not under way');
    this.pendingSnapshot = 0;
    this.becomeProbe();
  }

  /** Whether nothing with entries may be sent now. */
  isPaused(): boolean {
    if (this.state === 'probe') return this.probeSent;
    return this.state === 'snapshot' || this.inflights.isFull();
  }

  /** Whether the member has entries that it does not know to be committed, though they are. */
  owesCommit(commit: Index): boolean {
    return this.state === 'replicate' && this.sentCommit < Math.min(commit, this.next - 1);
  }

  /** An append that ends at `last` went out (`last` = next - 1 when it was empty). */
  sent(last: Index, bytes: number, commit: Index): void {
    assert(last >= this.next - 1, `sent ${last} though next is ${this.next}`);
    if (this.state === 'replicate') {
      if (last >= this.next) {
        this.next = last + 1;
        this.inflights.add(last, bytes);
      }
    } else {
      assert(this.state === 'probe', 'an append was sent while a snapshot is under way');
      this.probeSent = true;
    }
    this.probeDue = false;
    this.sentCommit = Math.max(this.sentCommit, Math.min(commit, last));
  }

  /** The member acknowledged up to `index`. @returns whether that is news */
  accepted(index: Index): boolean {
    if (index <= this.match) return false;
    this.match = index;
    if (this.next <= index) this.next = index + 1;
    this.probeSent = false;
    return true;
  }

  /**
   * The member refused the entry after `index`; `hint` is the last place where the logs may agree.
   * @returns false for an answer that is older than what is known
   */
  rejected(index: Index, hint: Index): boolean {
    if (this.state === 'replicate') {
      if (index <= this.match) return false;
      this.becomeProbe();
      return true;
    }
    if (this.state !== 'probe' || index !== this.next - 1) return false;
    this.next = Math.max(Math.min(index, hint + 1), this.match + 1);
    this.probeSent = false;
    return true;
  }

  /** The member no longer has what it acknowledged: nothing is known but where to look next. */
  lost(hint: Index): void {
    assert(hint < this.match, 'nothing was lost');
    this.match = 0;
    this.next = hint + 1;
    this.sentCommit = 0;
    this.pendingSnapshot = 0;
    this.#enter('probe');
  }

  check(): void {
    assert(this.match < this.next, `next ${this.next} is not above match ${this.match}`);
    assert(this.state === 'snapshot' || this.pendingSnapshot === 0, 'a pending snapshot outside its state');
    assert(this.state === 'replicate' || this.inflights.count === 0, 'messages inflight outside replicate');
  }

  #enter(state: ProgressState): void {
    this.state = state;
    this.probeSent = false;
    this.probeDue = false;
    this.pendingSnapshot = 0;
    this.inflights.clear();
  }
}
