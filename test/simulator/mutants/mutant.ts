/**
 * A mutant: the engine with one bug that others had, made by changing its text as the simulator loads it. No mutant
 * stands in the sources. Each change must fit exactly once, or it has rotted with the code around it.
 */

import {readFileSync} from 'node:fs';
import type {Swarm} from '../swarm.ts';

const ENGINE = new URL('../../../src/engine/', import.meta.url);

export interface Change {
  /** Below `src/engine`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly id: string;
  /** Number in the list of historic bugs, and where it was seen. */
  readonly bug: string;
  /** What it does wrong. */
  readonly what: string;
  readonly changes: readonly Change[];
  /** Who may notice it: names of invariants. Anything else counts as a broken mutant. */
  readonly by: readonly string[];
  /** Found within few seeds: part of every test run, which tries this many. */
  readonly fastSeeds?: number;
  /** Not found so far: what a simulated cluster would have to do, or to check, for it. */
  readonly needs?: string;
  /** Part of what a seed else draws: for bugs that need a rare meeting of faults, so that it is not as rare. */
  readonly swarm?: Partial<Swarm>;
}

/** Invariants that watch raft at every step (checkers/raft-rules.ts): whatever breaks it, they may see first. */
export const RAFT_RULES = [
  'durability',
  'commit',
  'match',
  'leader completeness',
  'log matching',
  'one change',
  'learner',
  'campaign',
  'read index',
  'snapshot',
];

/**
 * Weather in which faults mostly strike one at a time, and the cluster is well again before the next: what two
 * leaders, or a leader and its successor, do within an election timeout needs a majority that works. Clients are so
 * slow that faults are not due more often.
 */
export const SINGLE_FAULTS: Partial<Swarm> = {
  faultPauseMsMax: 1_000,
  electionMs: 300,
  heartbeatMs: 30,
  clients: 6,
  requestsAtOnce: 1,
  clientPauseMsMax: 200,
};

/** Bits rot in the last batch of a log while its member is away and others go on. */
export const ROTTING_LOGS: Partial<Swarm> = {
  kinds: ['flippedBit', 'isolate'],
  members: 3,
  electionMs: 300,
  heartbeatMs: 30,
  faultPauseMsMax: 1_000,
  clientPauseMsMax: 5,
  clients: 8,
};

/** @returns the changed files' texts by URL. @throws Error when a change does not fit exactly once */
export function mutatedSources({id, changes}: Pick<Mutant, 'id' | 'changes'>): Map<string, string> {
  const sources = new Map<string, string>();
  for (const {file, find, replace} of changes) {
    const url = new URL(file, ENGINE);
    const source = sources.get(url.href) ?? readFileSync(url, 'utf8');
    const parts = source.split(find);
    if (parts.length !== 2 || find === replace)
      throw new Error(`mutant ${id} fits ${parts.length - 1} times into ${file}: ${find}`);
    sources.set(url.href, parts.join(replace));
  }
  return sources;
}
