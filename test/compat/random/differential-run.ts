/**
 * The same random operations to Debian's etcd and to kvd: both have to answer the same, to bring the same events to
 * watches, and to hash to the same at checkpoints. What differs is told with the operation that it began with.
 */

import {existsSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {ProcessCluster} from '../../process/process-cluster.ts';
import {type Answer, differenceOf, shownBytes} from './answer.ts';
import {Player} from './player.ts';
import {type Operation, randomOperation} from './random-operation.ts';

export interface DifferentialOptions {
  readonly seed: number;
  readonly members: 1 | 3;
  /** Numbers of the operations that are played. */
  readonly numbers: readonly number[];
  /** Told after each checkpoint. */
  readonly onCheckpoint?: (played: number) => void;
}

export interface Difference {
  /** The operation whose answers differ; for events and hashes the last one before them. */
  readonly number: number;
  readonly operation: string;
  readonly etcd: string;
  readonly kvd: string;
}

/** Operations between two checkpoints. */
const CHECKPOINT_OPERATIONS = 2_000;
/** Checkpoints between two leases that are left to expire: each takes seconds. */
const EXPIRE_CHECKPOINTS = 100;
const NOT_ASKED: Answer = {error: 'not asked any more'};
/** Memory for disks, where there is one: the disk's speed is no part of the question. */
const MEMORY_FOLDER = '/dev/shm';
/** etcd gives a write up after five seconds and two of these: a machine that stands still for a while is no difference. */
const PATIENT = ['--heartbeat-interval=500', '--election-timeout=5000'];
/** etcd's garbage collector took a third of its processor time. */
const LESS_GARBAGE_COLLECTION = ['env', 'GOGC=500'];

export async function runDifferential(options: DifferentialOptions): Promise<Difference | undefined> {
  const {members} = options;
  const parent = existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir();
  const clusters = await Promise.all(
    (['etcd', 'kvd'] as const).map((program) =>
      ProcessCluster.start({
        program,
        size: members,
        parent,
        extraArguments: members === 1 ? PATIENT : [],
        wrapper: () => LESS_GARBAGE_COLLECTION,
      }),
    ),
  );
  const players = clusters.map((cluster) => new Player(cluster));
  // A stack is noted of every refusal: a good part of what that costs.
  const {stackTraceLimit} = Error;
  Error.stackTraceLimit = 0;
  try {
    for (const player of players) await player.open();
    return await playAll(options, players);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    for (const player of players) player.close();
    for (const cluster of clusters) await cluster.destroy();
  }
}

async function playAll(
  {seed, numbers, onCheckpoint}: DifferentialOptions,
  players: readonly Player[],
): Promise<Difference | undefined> {
  let part: readonly Operation[] = [];
  for (let at = 0, checkpoints = 1; at < numbers.length; at += CHECKPOINT_OPERATIONS, checkpoints++) {
    part = numbers.slice(at, at + CHECKPOINT_OPERATIONS).map((number) => randomOperation(seed, number));
    const [etcd, kvd] = await Promise.all(players.map((player) => player.play(part)));
    const difference =
      compareAnswers(part, etcd, kvd) ?? lostAlike(part, players) ?? (await compareStores(part, players));
    if (difference !== undefined) return difference;
    if (checkpoints % EXPIRE_CHECKPOINTS === 1) {
      const told = await Promise.all(players.map((player) => player.expire()));
      if (told[0] !== told[1]) return differing(part, 'the end of a lease', told);
    }
    onCheckpoint?.(at + part.length);
  }
  // An event too many may come behind the checkpoint that counted them.
  return part.length === 0 ? undefined : compareStores(part, players);
}

function compareAnswers(
  operations: readonly Operation[],
  etcd: readonly Answer[],
  kvd: readonly Answer[],
): Difference | undefined {
  for (const [place, operation] of operations.entries()) {
    const {number, method} = operation;
    const [a, b] = [etcd[place] ?? NOT_ASKED, kvd[place] ?? NOT_ASKED];
    const differs = differenceOf({method, answer: a}, {method, answer: b});
    if (differs === undefined) continue;
    return {number, operation: describeOperation(operation, a), etcd: differs[0], kvd: differs[1]};
  }
  return undefined;
}

/** Two servers that answer nothing any more answer the same, and show nothing. */
export function lostAlike(
  part: readonly Operation[],
  players: readonly Pick<Player, 'isLost'>[],
): Difference | undefined {
  if (!players.some(({isLost}) => isLost)) return undefined;
  const tell = ({isLost}: Pick<Player, 'isLost'>) => (isLost ? 'does not answer any more' : 'answers');
  return differing(part, 'whether it goes on', players.map(tell));
}

async function compareStores(
  operations: readonly Operation[],
  players: readonly Player[],
): Promise<Difference | undefined> {
  const number = operations.at(-1)?.number ?? 0;
  let isBroken = false;
  const collect = (player: Player) =>
    player.checkpoint(number).catch((error: Error) => {
      isBroken = true;
      return [error.message];
    });
  const [etcd, kvd] = await Promise.all(players.map(collect));
  const place = Array.from({length: Math.max(etcd.length, kvd.length)}).findIndex(
    (_, n) => etcd[n] !== kvd[n],
  );
  if (place < 0 && !isBroken) return undefined;
  const at = Math.max(0, place);
  return differing(operations, 'events and hashes', [`${etcd[at]}`, `${kvd[at]}`]);
}

function differing(
  operations: readonly Operation[],
  what: string,
  [etcd, kvd]: readonly string[],
): Difference {
  return {number: operations.at(-1)?.number ?? 0, operation: what, etcd, kvd};
}

function describeOperation({method, request}: Operation, answer: Answer): string {
  const revision = 'revision' in answer ? answer.revision : 0;
  return `${method} ${JSON.stringify(request(revision), shownBytes)} (revisions counted from ${revision})`;
}
