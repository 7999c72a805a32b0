/**
 * Starts a member on a disk as a power failure left it and holds what it finds against what was promised: nothing
 * acknowledged is lost, nothing is there that was not asked for, the store is a state that was, and log and store
 * together lead to the promised one. Then it goes on: what it writes now outlives the next power failure.
 */

import type {OpenedMember} from '../../src/engine/server/open-member.ts';
import type {WalContents} from '../../src/engine/storage/wal-contents.ts';
import type {AppliedMark} from '../../src/engine/types.ts';
import {loseUnsynced, MemoryDisk} from '../simulator/memory-disk.ts';
import {difference, entry, openWal, type WalModel} from '../unit/storage/wal-fixture.ts';
import type {CrashImage} from './crash-state.ts';
import type {Promised} from './member-rig.ts';
import {applierOf, type Machine, startMember} from './member-world.ts';
import {recordedMachine} from './recording-backend.ts';
import type {Recorder} from './recording-disk.ts';

const MARKER = 'KVD';

/** What the checks have in common over many images: starts that would find the same are not repeated. */
export class ImageChecker {
  readonly #known = new Set<string>();
  starts = 0;

  /** @throws Error that says what is wrong */
  async check(image: CrashImage, promised: Promised): Promise<void> {
    const store = furthest(image);
    if (!image.files.has(MARKER)) {
      if (promised.isMade) throw new Error('the data dir has lost its marker');
      await this.#checkFresh(image, promised);
      return;
    }
    const disk = diskOf(image);
    const {wal, contents} = await openWal(disk, true);
    const model = this.#logOf(contents, promised, store);
    // The log goes on, and what it writes now is durable.
    const next = {
      entries: [entry(Math.max(model.lastIndex, contents.snapshot.index) + 1, 99)],
      hardState: {term: 99, vote: 0n, commit: contents.hardState.commit},
      sync: true,
    };
    await wal.append(next);
    const after = model.copy();
    after.apply(next);
    const again = await openWal(disk.crash(loseUnsynced), true);
    const lost = difference(again.contents, after);
    if (lost !== undefined) throw new Error(`after another power failure: ${lost}`);
    await this.#checkMember(image, promised, contents);
  }

  /** The promised state of the log that is there. */
  #logOf(contents: WalContents, promised: Promised, store: AppliedMark | undefined): WalModel {
    if (contents.doubtfulIndex !== 0)
      throw new Error(`a crash looks like rot up to ${contents.doubtfulIndex}`);
    const reasons: string[] = [];
    for (const log of promised.logs) {
      for (const model of [log, behindStore(log, contents, store)]) {
        const reason = model && difference(contents, model);
        if (model !== undefined && reason === undefined) return model;
        if (reason !== undefined) reasons.push(reason);
      }
    }
    throw new Error(`the log is none of those promised: ${reasons.join(' | ')}`);
  }

  /** A start of the whole member; skipped when one with the same log, store and names went well. */
  async #checkMember(image: CrashImage, promised: Promised, contents: WalContents): Promise<void> {
    const last = contents.entries.at(-1);
    const {term, vote, commit} = contents.hardState;
    const key = [
      [
        last?.index,
        last?.term,
        contents.entries.length,
        contents.snapshot.index,
        contents.snapshot.term,
      ].join(),
      [term, vote, commit, promised.committed, promised.stored, promised.logs[0].lastIndex].join(),
      [...image.stores].map(([path, {applied}]) => `${path}=${applied.index}/${applied.hash}`).join(),
      image.files.get(MARKER)?.toString('latin1'),
      image.folders.join(),
      [...image.files.keys()].join(),
    ].join(' ');
    if (this.#known.has(key)) return;
    this.#known.add(key);
    this.starts++;
    const {opened, dataDir} = await startMember(machineOf(image), promised.birth);
    const found = opened.stateMachine.applied();
    if (found.index < promised.stored) {
      throw new Error(`the store is at ${found.index}, though ${promised.stored} was durable`);
    }
    expectHash(found, promised);
    applyLog(opened, contents, promised);
    expectHash(opened.stateMachine.applied(), promised);
    const reached = opened.stateMachine.applied().index;
    if (reached < promised.committed) {
      throw new Error(`log and store end at ${reached}, though ${promised.committed} was applied`);
    }
    await opened.store.flush();
    await opened.store.stop();
    await opened.close();
    await dataDir.close();
  }

  /** Before it was made: the folder is as good as empty. */
  async #checkFresh(image: CrashImage, promised: Promised): Promise<void> {
    const {opened, dataDir} = await startMember(machineOf(image), promised.birth);
    this.starts++;
    if (opened.stateMachine.applied().index !== 0) throw new Error('a fresh store is not empty');
    await opened.store.stop();
    await opened.close();
    await dataDir.close();
  }
}

/** The same start on a disk that is recorded, for a power failure while it recovers. */
export async function recordStart(image: CrashImage, promised: Promised, recorder: Recorder): Promise<void> {
  recorder.promise(promised);
  const machine = machineOf(image, recorder);
  const {opened, dataDir} = await startMember(machine, promised.birth);
  await opened.store.stop();
  await opened.close();
  await dataDir.close();
}

export function diskOf(image: CrashImage): MemoryDisk {
  return MemoryDisk.holding(image);
}

function machineOf(image: CrashImage, recorder?: Recorder): Machine {
  return recordedMachine(diskOf(image), recorder, image.stores);
}

function furthest(image: CrashImage): AppliedMark | undefined {
  const marks = [...image.stores.values()].map(({applied}) => applied).filter(({index}) => index > 0);
  return marks.sort((a, b) => b.index - a.index).at(0);
}

/** A start that finds the store ahead of the log notes that in the log, before anything else. */
function behindStore(
  log: WalModel,
  contents: WalContents,
  store: AppliedMark | undefined,
): WalModel | undefined {
  if (store === undefined || contents.snapshot.index !== store.index || log.snapshot.index === store.index)
    return undefined;
  const model = log.copy();
  const term = Math.max(log.hardState.term, store.term);
  const vote = log.hardState.term < store.term ? 0n : log.hardState.vote;
  const commit = Math.max(log.hardState.commit, store.index);
  const snapshot = {index: store.index, term: store.term};
  model.apply({entries: [], hardState: {term, vote, commit}, snapshot, sync: true});
  return model;
}

function expectHash({index, hash}: AppliedMark, {hashes}: Promised): void {
  if (hashes.get(index) !== hash) throw new Error(`the state at index ${index} is not the one there was`);
}

/** What raft would commit again: everything that was committed before. */
function applyLog(opened: OpenedMember, contents: WalContents, promised: Promised): void {
  const applier = applierOf(opened, {
    onApplied: () => undefined,
    onFailure: (error) => {
      throw error;
    },
  });
  const {index: from} = opened.stateMachine.applied();
  applier.apply(contents.entries.filter(({index}) => index > from && index <= promised.committed));
}
