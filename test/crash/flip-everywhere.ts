/**
 * One flipped bit at each byte of a member's files. The member starts with all that it promised; or with a doubt
 * that covers what it lost, so that it learns it from the others before it counts; or it refuses and tells the file,
 * the place and the next command. Never does it start with anything else.
 */

import {describeError} from '../../src/commands/_shared/describe-error.ts';
import {EngineError} from '../../src/engine/errors.ts';
import type {WalContents} from '../../src/engine/storage/wal-contents.ts';
import {MemoryDisk} from '../simulator/memory-disk.ts';
import {SeededRandom} from '../simulator/seeded-random.ts';
import {difference, openWal, type WalModel} from '../unit/storage/wal-fixture.ts';
import {type CrashImage, CrashState} from './crash-state.ts';
import {recordWorkload} from './enumerate.ts';
import type {Promised} from './member-rig.ts';
import {startMember} from './member-world.ts';
import {recordedMachine} from './recording-backend.ts';
import type {Stepwise} from './stepwise.ts';
import type {Workload} from './workloads.ts';

export interface FlipReport {
  readonly workload: string;
  /** Of all files. */
  bytes: number;
  flips: number;
  whole: number;
  /** The member starts and has to learn again, from the others, what a damaged batch held. */
  learnsAgain: number;
  refused: number;
  /** Starts of the whole member among them. */
  starts: number;
}

export interface FlipOptions extends Stepwise {
  readonly length: number;
  readonly seed: number;
  /** Of the log's bytes, every so many-th, chosen by seed; 1: each. */
  readonly every: number;
  /** Of zeros that nothing was written over yet, every so many-th byte; 1: each. */
  readonly zeroStep: number;
  /** A whole member is started for every so many-th flip; the log alone is opened for each. */
  readonly startEvery: number;
}

export async function flipEverywhere(workload: Workload, options: FlipOptions): Promise<FlipReport> {
  const {image, promised, states} = await killedAtEnd(workload, options.length);
  const random = new SeededRandom(options.seed);
  const report = {
    workload: workload.name,
    bytes: 0,
    flips: 0,
    whole: 0,
    learnsAgain: 0,
    refused: 0,
    starts: 0,
  };
  for (const [path, bytes] of image.files) {
    report.bytes += bytes.length;
    const end = writtenEnd(bytes);
    const step = path.startsWith('wal/') ? options.every : 1;
    for (let at = options.seed % step; at < bytes.length; at += at < end + 64 ? step : options.zeroStep) {
      const bit = random.below(8);
      const damaged = Buffer.from(bytes);
      damaged[at] ^= 1 << bit;
      const disk = {...image, files: new Map(image.files).set(path, damaged)};
      report.flips++;
      options.onStep?.(report);
      const place = `${workload.name}: bit ${bit} of byte ${at} of ${path}`;
      try {
        await judge(disk, promised, {path, at, options, report, states});
      } catch (error) {
        throw new Error(`${place}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
    }
  }
  return report;
}

/** The disk when the workload was through, but for the log's mark of a clean stop. */
async function killedAtEnd(
  workload: Workload,
  length: number,
): Promise<{image: CrashImage; promised: Promised; states: LogStates}> {
  const events = await recordWorkload(workload, length);
  const last = events.findLastIndex((event) => event.kind === 'write');
  const state = new CrashState();
  let promised: Promised | undefined;
  const logs: WalModel[] = [];
  for (const event of events.slice(0, last)) {
    state.take(event);
    if (event.kind !== 'promise') continue;
    promised = event.promise as Promised;
    if (promised.logs[0] !== logs.at(-1)) logs.push(promised.logs[0]);
  }
  const [before, log] = logs.slice(-2);
  if (promised === undefined || log === undefined) throw new Error('nothing was promised');
  return {image: state.image(state.pending), promised, states: {last: log, before}};
}

/** The acknowledged log, and what it was before its last batch. */
interface LogStates {
  readonly last: WalModel;
  readonly before: WalModel;
}

interface Case {
  readonly states: LogStates;
  readonly path: string;
  readonly at: number;
  readonly options: FlipOptions;
  readonly report: FlipReport;
}

async function judge(image: CrashImage, promised: Promised, damage: Case): Promise<void> {
  const {path, at, options, report, states} = damage;
  const isAlone = promised.birth.cluster.length === 1;
  const isLog = path.startsWith('wal/');
  const isStarted = !isLog || report.flips % options.startEvery === 0;
  let contents: WalContents | undefined;
  try {
    if (isLog) ({contents} = await openWal(MemoryDisk.holding(image), !isAlone));
    if (isStarted) await start(image, promised, report);
  } catch (error) {
    if (isStarted && !isLog) report.starts++;
    expectRefusal(error, path, at);
    if (isStarted && contents !== undefined) throw new Error('the log was opened, the member was not');
    report.refused++;
    return;
  }
  if (contents === undefined || holds(contents, states.last)) {
    report.whole++;
    return;
  }
  expectDoubt(contents, states, isAlone);
  report.learnsAgain++;
}

async function start(image: CrashImage, promised: Promised, report: FlipReport): Promise<void> {
  const machine = recordedMachine(MemoryDisk.holding(image), undefined, image.stores);
  const {opened, dataDir} = await startMember(machine, promised.birth);
  report.starts++;
  const {index, hash} = opened.stateMachine.applied();
  if (promised.hashes.get(index) !== hash)
    throw new Error(`the state at index ${index} is not the one there was`);
  await opened.store.stop();
  await opened.close();
  await dataDir.close();
}

function holds(contents: WalContents, log: WalModel): boolean {
  return contents.doubtfulIndex === 0 && difference(contents, log) === undefined;
}

/** What is missing is known to be missing, and no vote can be given twice. */
function expectDoubt(contents: WalContents, {last, before}: LogStates, isAlone: boolean): void {
  const {term, vote} = last.hardState;
  const found = contents.hardState;
  if (found.term !== term) throw new Error(`term ${found.term}, not ${term}`);
  // Of a vote that was lost nobody knows to whom it went: the member's own takes its place.
  if (vote !== 0n && found.vote === 0n) throw new Error('a vote is forgotten');
  const withVote = (log: WalModel): WalModel => {
    const copy = log.copy();
    copy.hardState = {...last.hardState, vote: found.vote};
    return copy;
  };
  if (difference(contents, withVote(last)) === undefined) return;
  const lost = difference(contents, withVote(before));
  if (lost !== undefined) throw new Error(lost);
  if (isAlone) throw new Error('a member without others starts without what it acknowledged');
  if (contents.doubtfulIndex < last.lastIndex)
    throw new Error(`a doubt up to ${contents.doubtfulIndex} only`);
}

/** @throws Error when somebody who reads this would not know where to look or what to do */
function expectRefusal(error: unknown, path: string, at: number): void {
  if (!(error instanceof EngineError)) throw error;
  const {failure} = error;
  if (failure.code !== 'walCorrupt' && failure.code !== 'markerCorrupt') throw error;
  if (!failure.path.endsWith(path)) throw new Error(`it blames ${failure.path}`);
  if (failure.offset > at) throw new Error(`it blames byte ${failure.offset}`);
  const {line} = describeError(error);
  if (!line.includes(`${failure.path} is damaged at byte ${failure.offset}: `)) throw new Error(line);
  if (!/kvd (snapshot restore|member remove|wal repair)/.test(line)) throw new Error(line);
}

function writtenEnd(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}
