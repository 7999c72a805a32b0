/** What a member does while its disk is recorded: six stories that between them take every way of writing. */

import type {Backend} from '../../src/engine/ports.ts';
import type {Command} from '../../src/engine/state-machine/command.ts';
import {writeStateImage} from '../../src/engine/storage/state-image.ts';
import type {AppliedMark, Index} from '../../src/engine/types.ts';
import {MemoryDisk} from '../simulator/memory-disk.ts';
import {SeededRandom} from '../simulator/seeded-random.ts';
import {MemberRig} from './member-rig.ts';
import {ALONE, type Birth, FOUNDER, JOINER, passingClock} from './member-world.ts';
import {recordedMachine} from './recording-backend.ts';
import {Recorder} from './recording-disk.ts';

export interface Workload {
  readonly name: string;
  readonly birth: Birth;
  /** @param length how long the story is: 1 is short */
  run(rig: MemberRig, length: number): Promise<void>;
}

export function put(number: number, bytes: number, keys = 12): Command {
  const value = Buffer.alloc(bytes, `${number} `);
  // Zeros in values must not look like what was never written.
  if (number % 3 === 0) value.fill(0, Math.floor(bytes / 3));
  return {
    type: 'put',
    request: {
      key: Buffer.from(`key ${number % keys}`),
      value,
      lease: 0n,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false,
    },
  };
}

const puts = (from: number, count: number, bytes: number): Command[] =>
  Array.from({length: count}, (_, i) => put(from + i, bytes));

const steadyPuts: Workload = {
  name: 'steady puts',
  birth: ALONE,
  async run(rig, length) {
    for (let life = 0; life < 2; life++) {
      await rig.start();
      await rig.note({term: rig.log.hardState.term + 1, vote: 1n, commit: rig.log.hardState.commit});
      for (let i = 0; i < 6 * length; i++) {
        const first = rig.append(puts(i * 5, 1 + (i % 3), 30 + 7 * i));
        // What arrives during a sync is the next batch.
        if (i % 4 === 3) await Promise.all([first, rig.append(puts(i * 5 + 3, 2, 40))]);
        await first;
        rig.apply(rig.log.lastIndex);
        if (i % 5 === 2) await rig.flush();
      }
      await rig.stop();
    }
  },
};

const largeEntries: Workload = {
  name: 'large entries',
  birth: ALONE,
  async run(rig, length) {
    await rig.start();
    await rig.note({term: 2, vote: 1n, commit: 1});
    for (let i = 0; i < 4 * length; i++) {
      // Around what is left of a segment of 2, 4, 8 … KiB, and beyond the largest so far.
      await rig.append([put(i, [900, 1_700, 300, 5_200, 60][i % 5] + 16 * i), put(i + 1, 20)]);
      rig.apply(rig.log.lastIndex);
      if (i % 3 === 1) await rig.flush();
    }
    await rig.stop();
  },
};

const newLeader: Workload = {
  name: 'tail cut by a new leader',
  birth: FOUNDER,
  async run(rig, length) {
    await rig.start();
    let term = 2;
    const random = new SeededRandom(7);
    for (let i = 0; i < 3 * length; i++) {
      await rig.append(puts(10 * i, 3, 120 + 40 * i), {term});
      rig.apply(rig.log.lastIndex - 2);
      // A deposed leader's tail, then another leader's entries over it; sometimes shorter than what they replace.
      const tail = rig.append(puts(10 * i + 3, 2, 400), {term});
      if (i % 2 === 0) await tail;
      term += 1 + random.below(2);
      const over = rig.append(puts(10 * i + 5, 1 + (i % 3), 90), {
        term,
        from: rig.applied + 1,
        hardState: {term, vote: BigInt(1 + (i % 3)), commit: rig.log.hardState.commit},
      });
      await Promise.all([tail, over]);
      rig.apply(rig.log.lastIndex);
      if (i % 2 === 1) await rig.flush();
    }
    await rig.stop();
  },
};

const logCut: Workload = {
  name: 'log cut and purge',
  birth: ALONE,
  async run(rig, length) {
    await rig.start();
    await rig.note({term: 2, vote: 1n, commit: 1});
    for (let i = 0; i < 14 * length; i++) {
      const appended = rig.append(puts(4 * i, 4, 150));
      await appended;
      rig.apply(rig.log.lastIndex);
      // The store's commit, the note in the log and the removal of segments go beside the next puts.
      rig.considerCut();
    }
    await rig.stop();
    await rig.start();
    await rig.append(puts(1, 2, 100));
    rig.apply(rig.log.lastIndex);
    await rig.flush();
    await rig.stop();
  },
};

const imageInstall: Workload = {
  name: 'image install',
  birth: FOUNDER,
  async run(rig, length) {
    await rig.start();
    await rig.append(puts(0, 4, 200), {term: 2});
    rig.apply(rig.log.lastIndex - 1);
    for (let i = 1; i <= length + 1; i++) {
      // Entries that the image overtakes, of a leader that is gone: it ends within them, or far behind.
      await rig.append(puts(0, 3, 300), {term: 3 * i});
      const image = await donorImage(FOUNDER, rig.log.lastIndex + (i % 2 === 0 ? 20 : -1));
      if (i === 1) await rig.receiveImage({...image(), term: 3 * i + 1}, {isWanted: false});
      await rig.receiveImage({...image(), term: 3 * i + 1}, {isWanted: true});
      await rig.append(puts(5 * i, 3, 250), {term: 3 * i + 1});
      rig.apply(rig.log.lastIndex);
      await rig.flush();
    }
    await rig.stop();
    await rig.start();
    await rig.append(puts(1, 1, 100));
    await rig.stop();
  },
};

const bootstrap: Workload = {
  name: 'bootstrap and rejoin',
  birth: JOINER,
  async run(rig, length) {
    await rig.start();
    await rig.stop();
    await rig.start();
    const image = await donorImage(FOUNDER, 30);
    await rig.note({term: 4, vote: 2n, commit: 0});
    await rig.receiveImage({...image(), term: 4}, {isWanted: true});
    for (let i = 0; i < 2 * length; i++) {
      await rig.append(puts(3 * i, 3, 100), {term: 4});
      rig.apply(rig.log.lastIndex);
    }
    await rig.stop();
    await rig.start();
    await rig.append(puts(9, 1, 100), {term: 5});
    await rig.stop();
  },
};

export const WORKLOADS: readonly Workload[] = [
  steadyPuts,
  largeEntries,
  newLeader,
  logCut,
  imageInstall,
  bootstrap,
];

interface DonorImage {
  readonly mark: AppliedMark;
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly hashes: ReadonlyMap<Index, number>;
}

/** The store of another member that has come to `index`. */
export async function donorStore(birth: Birth, index: Index): Promise<Backend> {
  const recorder = new Recorder();
  const machine = recordedMachine(new MemoryDisk(), recorder);
  const rig = new MemberRig(machine, recorder, birth);
  await rig.start();
  await rig.append(puts(100, index - rig.log.lastIndex, 60), {term: 3});
  rig.apply(index);
  await rig.flush();
  await rig.stop();
  return machine.stores.open('store/1');
}

/** Another member that has come to `index`, and its image as often as it is asked for. */
export async function donorImage(birth: Birth, index: Index): Promise<() => DonorImage> {
  const store = await donorStore(birth, index);
  const mark = store.applied();
  if (mark === undefined || mark.index !== index)
    throw new Error('the donor has not come as far as it should');
  return () => ({
    mark,
    chunks: writeStateImage(store.view(), {clock: passingClock}),
    hashes: new Map([[mark.index, mark.hash]]),
  });
}
