/**
 * The kinds of faults that strike real members. Each is healed by its `end`, which also tells whether it was seen to
 * be there: a fault that nobody felt shows nothing.
 */

import {readFileSync} from 'node:fs';
import type {SeededRandom} from '../../simulator/seeded-random.ts';
import {eventually} from '../eventually.ts';
import type {MemberProcess} from '../member-process.ts';
import type {ChaosCluster} from './chaos-cluster.ts';

export const FAULT_KINDS = [
  'kill',
  'kill all',
  'pause',
  'isolate',
  'halves',
  'one way',
  'full disk',
  'clock jump',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  /** Heals it. @returns whether it was seen to be there */
  end(): Promise<boolean> | boolean;
}

export interface FaultPlace {
  readonly cluster: ChaosCluster;
  readonly member: MemberProcess;
  /** Those that no other fault has struck, `member` among them. */
  readonly free: readonly MemberProcess[];
  readonly random: SeededRandom;
}

const JUMP_MS_MIN = 60_000;
const JUMP_MS_MAX = 4 * 3_600_000;
/** Until a member shows what was done to it. */
const NOTICED_MS = 5_000;
const NO_SPACE = /the disk is full|no space/i;

export async function beginFault(kind: FaultKind, place: FaultPlace): Promise<Fault> {
  const {cluster, member, free} = place;
  const others = cluster.members.filter((one) => one !== member);
  switch (kind) {
    case 'kill':
      return kill(member);
    case 'kill all':
      return killAll(free);
    case 'pause':
      member.signal('SIGSTOP');
      return {end: () => goOn(member)};
    case 'isolate':
      return cut(place, waysOf([member], others).flatMap(bothWays));
    case 'one way':
      return cut(place, waysOf([member], others));
    case 'halves': {
      const half = others.slice(0, Math.floor(cluster.members.length / 2) - 1).concat(member);
      const rest = others.filter((one) => !half.includes(one));
      return cut(place, waysOf(half, rest).flatMap(bothWays));
    }
    case 'full disk':
      return fillDisk(place);
    default:
      return jumpClock(place);
  }
}

async function kill(member: MemberProcess): Promise<Fault> {
  const wasRunning = member.isRunning;
  await member.kill();
  return {
    end: () => {
      member.spawn();
      return wasRunning;
    },
  };
}

/** All at once, and started again at once. */
async function killAll(free: readonly MemberProcess[]): Promise<Fault> {
  const running = free.filter(({isRunning}) => isRunning);
  await Promise.all(running.map((one) => one.kill()));
  for (const one of running) one.spawn();
  return {end: () => running.length > 1};
}

function goOn(member: MemberProcess): boolean {
  const stat = readFileSync(`/proc/${member.pid}/stat`, 'latin1');
  member.signal('SIGCONT');
  return stat.slice(stat.lastIndexOf(')')).startsWith(') T');
}

function cut({cluster: {relay}, random}: FaultPlace, ways: readonly Way[]): Fault {
  for (const [from, to] of ways) relay.cut(from, to);
  const isLost = random.below(2) === 0;
  return {
    end: () => {
      const waited = ways.map(([from, to]) => relay.heal(from, to, isLost));
      return waited.some((chunks) => chunks > 0);
    },
  };
}

function fillDisk({cluster, member}: FaultPlace): Fault {
  const logged = member.log().length;
  // A member that cannot write its log ends, as it must.
  member.allowEnd();
  const free = cluster.fillDisk(member);
  const isNoticed = () => !member.isRunning || NO_SPACE.test(member.log().slice(logged));
  return {
    end: async () => {
      const wasNoticed = await isSeen(isNoticed);
      free();
      if (!member.isRunning) member.spawn();
      return wasNoticed;
    },
  };
}

/** It stays as it is after the jump. */
function jumpClock({cluster, member, random}: FaultPlace): Fault {
  const size = JUMP_MS_MIN + random.below(JUMP_MS_MAX);
  const isNoticed = cluster.jumpClock(member, random.below(2) === 0 ? size : -size);
  return {end: () => isSeen(isNoticed)};
}

const isSeen = (look: () => boolean): Promise<boolean> =>
  eventually(look, {timeoutMs: NOTICED_MS, what: 'the effect of a fault'}).catch(() => false);

type Way = readonly [from: string, to: string];

function waysOf(these: readonly MemberProcess[], those: readonly MemberProcess[]): Way[] {
  return these.flatMap((from) => those.map((to): Way => [from.options.name, to.options.name]));
}

const bothWays = ([a, b]: Way): Way[] => [
  [a, b],
  [b, a],
];
