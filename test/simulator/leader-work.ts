/**
 * How much leaders have got done, by their own clocks: the time between two batches of entries that one of them logged
 * shortly one after the other, and of which something was committed. What it logged before that is committed, too. A
 * leader that is paused, cut off, or hands over takes nothing into the log, and that time does not count.
 */

import type {Index, Term} from '../../src/engine/types.ts';
import type {Life} from './simulated-member.ts';

interface Logged {
  readonly index: Index;
  readonly term: Term;
}

interface Batch {
  readonly firstIndex: Index;
  readonly atMs: number;
}

interface Leadership {
  readonly term: Term;
  readonly life: Pick<Life, 'clock'>;
  /** What it has logged, the oldest first. */
  readonly batches: Batch[];
  /** How many of these are committed, and how many it has applied itself. */
  committed: number;
  applied: number;
  workedMs: number;
  /** When it logged the last thing that is committed; undefined: it has not applied an entry of its term yet. */
  provenMs: number | undefined;
  /** The longest that it took from its log to its own state. */
  latencyMs: number;
}

/** A point in the work of all leaders. */
export interface WorkMark {
  readonly leadership: number;
  readonly workedMs: number;
}

/** What one leader has done behind a point. */
export interface Work {
  readonly workedMs: number;
  readonly latencyMs: number;
  /** It is the last one so far. */
  readonly isLast: boolean;
}

export class LeaderWork {
  readonly #leaderships: Leadership[] = [];
  readonly #gapMsMax: number;

  /** `gapMsMax`: longer than this without an entry, and the leader may not have been able to log any; milliseconds. */
  constructor({gapMsMax}: {readonly gapMsMax: number}) {
    this.#gapMsMax = gapMsMax;
  }

  /** A process leads a term; of two, the later term's counts. */
  leads(life: Pick<Life, 'clock'>, term: Term): void {
    const last = this.#leaderships.at(-1);
    if (last !== undefined && (term < last.term || life === last.life)) return;
    this.#leaderships.push({
      term,
      life,
      batches: [],
      committed: 0,
      applied: 0,
      workedMs: 0,
      provenMs: undefined,
      latencyMs: 0,
    });
  }

  /** A process is about to log these. */
  logging(life: Pick<Life, 'clock'>, entries: readonly Logged[]): void {
    const last = this.#leaderships.at(-1);
    if (last?.life === life && last.term === entries.at(-1)?.term)
      last.batches.push({firstIndex: entries[0].index, atMs: life.clock.monotonicMs()});
  }

  /** A process is about to apply an entry. */
  applying(life: Pick<Life, 'clock'>, {index, term}: Logged): void {
    const last = this.#leaderships.at(-1);
    if (last === undefined || last.term !== term) return;
    const {batches} = last;
    for (; (batches[last.committed]?.firstIndex ?? index + 1) <= index; last.committed++)
      this.#proves(last, batches[last.committed].atMs);
    if (life !== last.life) return;
    const nowMs = life.clock.monotonicMs();
    last.provenMs ??= nowMs;
    for (; (batches[last.applied]?.firstIndex ?? index + 1) <= index; last.applied++)
      last.latencyMs = Math.max(last.latencyMs, nowMs - batches[last.applied].atMs);
  }

  mark(): WorkMark {
    return {leadership: this.#leaderships.length - 1, workedMs: this.#leaderships.at(-1)?.workedMs ?? 0};
  }

  /** Behind all that this process has done as a leader. */
  endOf(life: Pick<Life, 'clock'>): WorkMark {
    return {leadership: this.#leaderships.findLastIndex((one) => one.life === life) + 1, workedMs: 0};
  }

  /** Of each leader, the oldest first, what it has done behind the mark. */
  since({leadership, workedMs}: WorkMark): Work[] {
    const from = Math.max(0, leadership);
    return this.#leaderships.slice(from).map((one, place, {length}) => {
      const waits = one.batches[one.applied];
      const waitedMs = waits === undefined || one.provenMs === undefined ? 0 : one.provenMs - waits.atMs;
      return {
        workedMs: one.workedMs - (place === 0 && leadership >= 0 ? workedMs : 0),
        latencyMs: Math.max(one.latencyMs, waitedMs),
        isLast: place === length - 1,
      };
    });
  }

  #proves(leadership: Leadership, atMs: number): void {
    const {provenMs} = leadership;
    // Before it has applied an entry of its term it does not even know what there is to do.
    if (provenMs === undefined || atMs < provenMs) return;
    if (atMs - provenMs <= this.#gapMsMax) leadership.workedMs += atMs - provenMs;
    leadership.provenMs = atMs;
  }
}
