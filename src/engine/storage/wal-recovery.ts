/** What is done to the end of the log at start, before it is written on. */

import {assert, EngineError} from '../errors.ts';
import type {Disk, DiskFile} from '../ports.ts';
import type {Entry, HardState} from '../raft/message.ts';
import type {Index, MemberId, Term} from '../types.ts';
import {BATCH_HEADER_BYTES} from './wal-format.ts';
import {type Replay, replayWal} from './wal-replay.ts';

const ZERO_STEP_BYTES = 256 * 1024;

/**
 * Puts zeros over an incomplete batch, its header last, and makes the last valid batch durable. It may stand in the system's cache
 * only: its sync may never have been asked for, or have failed (then the cache counts as clean, and a sync alone
 * would do nothing). So it is written again. Needs no space; a crash in the midst leaves a state that is judged
 * the same again.
 */
export async function restoreTail(file: DiskFile, replay: Replay): Promise<void> {
  const {verdict, lastBatchOffset, end, tailOffset} = replay;
  assert(lastBatchOffset !== undefined, 'a log that is written on has a valid batch at its end');
  if (verdict.kind === 'torn') {
    const behindHeader = tailOffset + BATCH_HEADER_BYTES;
    const tornEnd = tailOffset + verdict.bytes;
    if (behindHeader < tornEnd) {
      await writeZeros(file, behindHeader, tornEnd);
      // A header of which only the front is gone says nothing any more: then nothing may stand behind it.
      await file.sync();
    }
    await writeZeros(file, tailOffset, Math.min(behindHeader, tornEnd));
  }
  const lastBatch = await file.read(lastBatchOffset, end - lastBatchOffset);
  assert(lastBatch.length === end - lastBatchOffset, 'the last batch is still there');
  await file.write(lastBatchOffset, [lastBatch]);
  await file.sync();
}

async function writeZeros(file: DiskFile, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += ZERO_STEP_BYTES) {
    await file.write(at, [Buffer.alloc(Math.min(ZERO_STEP_BYTES, to - at))]);
  }
}

/**
 * The hard state after the loss of a batch of `term`. Its vote is unknown, so the member's own takes its place:
 * that lets it vote for nobody else in this term, and a follower's vote for itself has no other effect.
 */
export function hardStateInDoubt(known: HardState, term: Term, memberId: MemberId): HardState {
  if (term < known.term || term === 0) return known;
  assert(memberId !== 0n, 'a member has an id');
  const isVoteKnown = term === known.term && known.vote !== 0n;
  return {term, vote: isVoteKnown ? known.vote : memberId, commit: known.commit};
}

/** A doubt ends when the log is known to agree with a leader's up to there: its commit index says so. */
export function doubtLeft(doubtfulIndex: Index, hardState: HardState): Index {
  return doubtfulIndex > hardState.commit ? doubtfulIndex : 0;
}

/** The doubt that the log is in, and the hard state that is safe with it. */
export function foundDoubt(replay: Replay): {readonly hardState: HardState; readonly doubtfulIndex: Index} {
  const {verdict, hardState, doubtfulIndex, lastHeader} = replay;
  const left = doubtLeft(doubtfulIndex, hardState);
  if (verdict.kind !== 'doubtful') return {hardState, doubtfulIndex: left};
  const {memberId} = lastHeader.metadata;
  const lostIndex = verdict.carriesLog ? doubtLeft(verdict.lastIndex, hardState) : 0;
  return {
    hardState: hardStateInDoubt(hardState, verdict.term, memberId),
    doubtfulIndex: Math.max(left, lostIndex),
  };
}

/** Looks at the log without changing it: where its sound part ends, and what a damaged batch behind it may have held. */
export async function findDoubt(
  disk: Disk,
  folder: string,
): Promise<{
  readonly path: string;
  readonly offset: number;
  readonly lastIndex: Index;
  readonly doubtfulIndex: Index;
  readonly entries: readonly Entry[];
}> {
  const replay = await replayWal(disk, folder);
  const {segments, outline, tailOffset, entries} = replay;
  return {
    path: disk.userPath(segments[segments.length - 1].path),
    offset: tailOffset,
    lastIndex: outline.lastIndex,
    doubtfulIndex: foundDoubt(replay).doubtfulIndex,
    entries,
  };
}

export function refusal(disk: Disk, replay: Replay, doubtfulIndex: Index): EngineError {
  const path = disk.userPath(replay.segments[replay.segments.length - 1].path);
  const detail = `the last batch is damaged, and entries up to index ${doubtfulIndex} that it held may have been acknowledged`;
  return new EngineError({code: 'walCorrupt', path, offset: replay.tailOffset, detail, remedy: 'repair'});
}
