/**
 * One member as the tests run it: raft, a disk that keeps only what was synced, and a state machine that is a
 * running hash. Everything happens when the test says so: taking a Ready, syncing it, applying, crashing.
 */

import type {Logger, Random} from '../../../src/engine/ports.ts';
import {decodeConfChange} from '../../../src/engine/raft/conf-change.ts';
import {
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  type Message,
  type Ready,
} from '../../../src/engine/raft/message.ts';
import {Raft} from '../../../src/engine/raft/raft.ts';
import type {RaftLimits} from '../../../src/engine/raft/raft-state.ts';
import type {Index, MemberId, Term} from '../../../src/engine/types.ts';

export interface Image {
  readonly index: Index;
  readonly term: Term;
  readonly confState: ConfState;
}

export interface MemberDisk {
  hardState: HardState;
  compacted: {index: Index; term: Term};
  entries: Entry[];
  /** The state machine as it was last flushed. */
  image: Image;
  probation: Index;
}

export interface MemberOptions {
  readonly id: MemberId;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits?: Partial<RaftLimits> | undefined;
  readonly disk: MemberDisk;
  readonly onApply?: (member: RaftMember, entry: Entry) => void;
}

export function confStateOf(options: {voters?: MemberId[]; learners?: MemberId[]}): ConfState {
  return {
    voters: options.voters ?? [],
    votersOutgoing: [],
    learners: options.learners ?? [],
    learnersNext: [],
    autoLeave: false,
  };
}

/** A log that begins behind `index`, as a cluster's does: a joiner must be sent a snapshot, not the void. */
export function freshDisk(confState: ConfState, compacted: {index: Index; term: Term}): MemberDisk {
  return {
    hardState: {term: compacted.term, vote: 0n, commit: compacted.index},
    compacted,
    entries: [],
    image: {...compacted, confState},
    probation: 0,
  };
}

export class RaftMember {
  readonly id: MemberId;
  readonly disk: MemberDisk;
  readonly #options: MemberOptions;
  /** Undefined while crashed. */
  raft: Raft | undefined;
  /** Handed out, not synced, oldest first. */
  writes: Ready[] = [];
  /** Handed out, not applied. */
  toApply: Entry[] = [];
  image: Image;

  constructor(options: MemberOptions) {
    this.id = options.id;
    this.#options = options;
    this.disk = options.disk;
    this.image = options.disk.image;
    this.restart();
  }

  restart(): void {
    const {disk} = this;
    this.image = disk.image;
    this.raft = new Raft({
      ...this.#options,
      restored: {
        hardState: disk.hardState,
        confState: disk.image.confState,
        compacted: {...disk.compacted},
        entries: disk.entries,
        applied: disk.image.index,
        probation: disk.probation,
      },
    });
  }

  crash(): void {
    this.raft = undefined;
    this.writes = [];
    this.toApply = [];
  }

  /** As a driver that puts nothing off. */
  hasReady(): boolean {
    this.raft?.catchUpOn(this.raft.postponed());
    return this.raft?.hasReady() ?? false;
  }

  takeReady(): Ready | undefined {
    if (this.raft === undefined || !this.hasReady()) return undefined;
    const ready = this.raft.ready();
    this.writes.push(ready);
    this.toApply.push(...ready.committed);
    return ready;
  }

  /** Makes the oldest write durable. @returns the messages that waited for it */
  sync(): readonly Message[] {
    const ready = this.writes.shift();
    if (ready === undefined) return [];
    const {disk} = this;
    if (ready.snapshot !== undefined) {
      const {index, term, confState} = ready.snapshot;
      disk.compacted = {index, term};
      disk.entries = [];
      disk.image = {index, term, confState};
      this.image = disk.image;
      // What was on its way to the state machine is part of the image.
      this.toApply = this.toApply.filter((entry) => entry.index > index);
    }
    if (ready.entries.length > 0) {
      const place = ready.entries[0].index - disk.compacted.index - 1;
      if (place < 0 || place > disk.entries.length) throw new Error(`a gap in the log of ${this.id}`);
      disk.entries = [...disk.entries.slice(0, place), ...ready.entries];
    }
    if (ready.hardState !== undefined) disk.hardState = ready.hardState;
    if (ready.snapshot !== undefined) this.raft?.snapshotInstalled(ready.snapshot);
    const last = ready.entries.at(-1);
    if (last !== undefined) this.raft?.stored({index: last.index, term: last.term});
    return ready.messagesAfterSync;
  }

  /** Applies what was handed out; a crash forgets it unless it was flushed. @returns the entries */
  apply(countMax = Number.POSITIVE_INFINITY): readonly Entry[] {
    const batch = this.toApply.slice(0, countMax);
    this.toApply = this.toApply.slice(batch.length);
    for (const entry of batch) {
      let {confState} = this.image;
      if (entry.index !== this.image.index + 1)
        throw new Error(`${this.id} applies ${entry.index} out of order`);
      if (entry.type === EntryType.confChange) {
        const change = decodeConfChange(entry.payload);
        if (change === undefined) throw new Error('undecodable conf change');
        confState = this.raft!.applyConfChange(change);
      }
      this.image = {index: entry.index, term: entry.term, confState};
      this.#options.onApply?.(this, entry);
      this.raft!.applied(entry.index);
    }
    return batch;
  }

  flush(): void {
    if (this.image.index >= this.disk.image.index) this.disk.image = this.image;
  }

  /** Flushes, then forgets the log up to `index`. */
  compact(index: Index): void {
    this.flush();
    const {disk} = this;
    const inMemory = this.raft?.term(index);
    if (index <= disk.compacted.index || inMemory === undefined) return;
    const count = index - disk.compacted.index;
    if (disk.entries.length < count || disk.entries[count - 1].term !== inMemory) return;
    disk.compacted = {index, term: inMemory};
    disk.entries = disk.entries.slice(count);
    this.raft?.compact(index);
  }
}
