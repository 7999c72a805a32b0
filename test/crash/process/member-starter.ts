/**
 * A process that starts a member on one data dir after the other, as its standard input asks, with a real
 * store (LMDB on a damaged file may take it down). In: `<workload> <folder>\n`. Out: a line of JSON for each.
 */

import {createInterface} from 'node:readline';
import {NodeDisk} from '../../../src/engine/io/disk.ts';
import {LmdbBackendOpener} from '../../../src/engine/io/lmdb-backend.ts';
import {tagOf} from '../entry-tag.ts';
import {startMember} from '../member-world.ts';
import {WORKLOADS} from '../workloads.ts';

export type MemberReading =
  | {
      readonly kind: 'started';
      /** Of the store. */
      readonly applied: number;
      readonly hash: number;
      readonly compacted: number;
      readonly lastIndex: number;
      /** What the log holds. */
      readonly entries: readonly (readonly [index: number, tag: string])[];
      readonly term: number;
      readonly vote: string;
    }
  | {readonly kind: 'refused'; readonly message: string};

for await (const line of createInterface({input: process.stdin})) {
  const space = line.indexOf(' ');
  const reading = await start(Number(line.slice(0, space)), line.slice(space + 1));
  process.stdout.write(`${JSON.stringify(reading)}\n`);
}

async function start(workload: number, root: string): Promise<MemberReading> {
  try {
    const machine = {disk: new NodeDisk(root), stores: new LmdbBackendOpener(root)};
    const {opened, dataDir} = await startMember(machine, WORKLOADS[workload].birth);
    const {index: applied, hash} = opened.stateMachine.applied();
    const {lastIndex, firstIndex, term, vote} = opened.raft.status();
    const log = firstIndex > lastIndex ? [] : opened.raft.entries(firstIndex, lastIndex);
    const entries = log.map((entry) => [entry.index, tagOf(entry)] as const);
    await opened.store.stop();
    await opened.close();
    await dataDir.close();
    return {
      kind: 'started',
      applied,
      hash,
      compacted: firstIndex - 1,
      lastIndex,
      entries,
      term,
      vote: `${vote}`,
    };
  } catch (error) {
    return {kind: 'refused', message: error instanceof Error ? `${error.message}` : String(error)};
  }
}
