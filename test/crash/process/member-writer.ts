/**
 * A process that runs one of the workloads on a real disk with a real store, and says on its standard output what it
 * has promised: in a record of its system calls the lines stand where the promises were given.
 *
 * Arguments: the data dir, the number of the workload, its length.
 */

import {writeSync} from 'node:fs';
import {NodeDisk} from '../../../src/engine/io/disk.ts';
import {LmdbBackendOpener} from '../../../src/engine/io/lmdb-backend.ts';
import {tagOf} from '../entry-tag.ts';
import {MemberRig, type Promised} from '../member-rig.ts';
import {Recorder} from '../recording-disk.ts';
import {WORKLOADS} from '../workloads.ts';

/** One line of the output, as JSON. */
export interface PromiseLine {
  readonly isMade: boolean;
  /** How far the acknowledged log reaches at least, whatever is under way. */
  readonly lastIndex: number;
  readonly committed: number;
  readonly stored: number;
  /**
   * Entries that the log may have at an index, as what was begun becomes durable or not, by {@link tagOf}; none: it ends
   * before. Those of earlier lines still hold where nothing is said.
   */
  readonly entries: readonly (readonly [index: number, tags: readonly string[]])[];
  /** Terms and votes that it may have, as `term/vote`; the acknowledged one first. */
  readonly votes: readonly string[];
  /** The state's hash by index; those of earlier lines still hold. */
  readonly hashes: readonly (readonly [index: number, hash: number])[];
}

class TellingRecorder extends Recorder {
  #told = 0;
  #entries = new Map<number, readonly string[]>();

  override promise(promise: unknown): void {
    const {isMade, logs, committed, stored, hashes} = promise as Promised;
    const all = [...hashes];
    const line: PromiseLine = {
      isMade,
      lastIndex: Math.min(...logs.map((log) => log.lastIndex)),
      committed,
      stored,
      entries: this.#newsOf(logs),
      votes: logs.map(({hardState: {term, vote}}) => `${term}/${vote}`),
      hashes: all.slice(this.#told),
    };
    this.#told = all.length;
    writeSync(1, `${JSON.stringify(line)}\n`);
  }

  #newsOf(logs: Promised['logs']): PromiseLine['entries'] {
    const entries = new Map<number, readonly string[]>();
    for (const entry of new Set(logs.flatMap((log) => log.entries)))
      entries.set(entry.index, [...(entries.get(entry.index) ?? []), tagOf(entry)]);
    const known = this.#entries;
    this.#entries = entries;
    const gone = [...known.keys()].filter((index) => !entries.has(index));
    const changed = [...entries].filter(([index, tags]) => tags.join() !== known.get(index)?.join());
    return [...gone.map((index) => [index, []] as const), ...changed];
  }
}

const [, , root, number, length] = process.argv;
const workload = WORKLOADS[Number(number)];
const machine = {disk: new NodeDisk(root), stores: new LmdbBackendOpener(root)};
await workload.run(new MemberRig(machine, new TellingRecorder(), workload.birth), Number(length));
