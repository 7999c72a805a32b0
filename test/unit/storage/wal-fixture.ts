/** What the tests of the log share: a model of what it must hold, and ways to make, damage and open one. */

import {expect} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import {silentLogger} from '../../../src/engine/io/logger.ts';
import {MetricRegistry} from '../../../src/engine/io/metrics.ts';
import type {Disk} from '../../../src/engine/ports.ts';
import type {Entry, HardState} from '../../../src/engine/raft/message.ts';
import {Wal} from '../../../src/engine/storage/wal.ts';
import type {WalBatch, WalContents, WalPorts} from '../../../src/engine/storage/wal-contents.ts';
import {SimulatedClock} from '../../simulator/simulated-clock.ts';

export const METADATA = {clusterId: 0xfedc_ba98_7654_3210n, memberId: 0x8000_0000_0000_0001n};

export function portsOn(disk: Disk): WalPorts {
  return {
    disk,
    clock: new SimulatedClock(),
    logger: silentLogger,
    metrics: new MetricRegistry(),
    folder: 'wal',
  };
}

export async function createWal(disk: Disk, segmentBytes = 4096): Promise<Wal> {
  const wal = await Wal.create({...portsOn(disk), metadata: METADATA, segmentBytes});
  await disk.syncFolder('.');
  return wal;
}

export function openWal(disk: Disk, allowDoubtfulTail = false): Promise<{wal: Wal; contents: WalContents}> {
  return Wal.open({...portsOn(disk), allowDoubtfulTail});
}

export function entry(
  index: number,
  term: number,
  payload: string | Uint8Array = `entry ${index}/${term}`,
): Entry {
  return {index, term, type: index % 7 === 0 ? 1 : 0, payload: Buffer.from(payload)};
}

export function entries(first: number, count: number, term: number): Entry[] {
  return Array.from({length: count}, (_, i) => entry(first + i, term));
}

/** What a log that took these batches must hold. */
export class WalModel {
  entries: Entry[] = [];
  hardState: HardState = {term: 0, vote: 0n, commit: 0};
  snapshot = {index: 0, term: 0};

  get lastIndex(): number {
    return this.entries.at(-1)?.index ?? this.snapshot.index;
  }

  copy(): WalModel {
    const copy = new WalModel();
    copy.entries = [...this.entries];
    copy.hardState = this.hardState;
    copy.snapshot = this.snapshot;
    return copy;
  }

  apply(batch: WalBatch): void {
    const {snapshot} = batch;
    if (snapshot !== undefined) {
      const isKnown = this.entries.some(
        ({index, term}) => index === snapshot.index && term === snapshot.term,
      );
      if (!isKnown && snapshot.index !== this.snapshot.index) this.entries = [];
      this.snapshot = snapshot;
    }
    if (batch.entries.length > 0) {
      this.entries = this.entries.filter(({index}) => index < batch.entries[0].index).concat(batch.entries);
    }
    if (batch.hardState !== undefined) this.hardState = batch.hardState;
  }
}

function printed(list: readonly Entry[]): string[] {
  return list.map(({index, term, type, payload}) => {
    const bytes = Buffer.from(payload);
    return `${index}/${term}/${type} ${bytes.length > 60 ? `${bytes.length} ${bytes[0]}` : bytes.toString()}`;
  });
}

/** Why the contents are not those of the model; undefined when they are. The commit index may be an older one. */
export function difference(contents: WalContents, model: WalModel): string | undefined {
  const {snapshot, hardState} = contents;
  if (snapshot.index !== model.snapshot.index || snapshot.term !== model.snapshot.term) {
    return `snapshot ${snapshot.index}/${snapshot.term}, not ${model.snapshot.index}/${model.snapshot.term}`;
  }
  const first = contents.entries[0]?.index ?? snapshot.index + 1;
  if (first > snapshot.index + 1)
    return `the entries begin at ${first} behind the snapshot ${snapshot.index}`;
  const found = printed(contents.entries);
  const expected = printed(model.entries.filter(({index}) => index >= first));
  if (found.join('\n') !== expected.join('\n'))
    return `entries\n${found.join('\n')}\nnot\n${expected.join('\n')}`;
  const {term, vote, commit} = model.hardState;
  if (hardState.term !== term || hardState.vote !== vote)
    return `term ${hardState.term}, not ${term}, or the vote`;
  if (hardState.commit > commit) return `commit ${hardState.commit}, beyond ${commit}`;
  return undefined;
}

export function expectContents(contents: WalContents, model: WalModel): void {
  expect(difference(contents, model)).toBeUndefined();
}

/** Appends and keeps the model in step. */
export async function append(wal: Wal, model: WalModel, batch: WalBatch): Promise<void> {
  await wal.append(batch);
  model.apply(batch);
}

export async function appendEntries(wal: Wal, model: WalModel, list: readonly Entry[]): Promise<void> {
  const {term} = list[list.length - 1];
  const hardState = {
    term,
    vote: term === model.hardState.term ? model.hardState.vote : 1n,
    commit: model.hardState.commit,
  };
  await append(wal, model, {entries: list, hardState, sync: true});
}

export async function failureOf(promise: Promise<unknown>): Promise<EngineError['failure']> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof EngineError) return error.failure;
    throw error;
  }
  throw new Error('it did not fail');
}
