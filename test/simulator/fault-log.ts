/** Which faults struck, and which of them at the same time: two kinds meet when the second begins before the first ends. */

import type {FaultKind} from './faults/fault-kinds.ts';

/** What happens in a moment still counts as going on for this long: a cluster needs it to get over a crash. */
const AFTERMATH_MS = 500;

export class FaultLog {
  readonly counts = new Map<FaultKind, number>();
  /** By `a+b`, the kinds in the order of the alphabet; a kind may meet itself. */
  readonly pairs = new Map<string, number>();
  /** Faults that had their turn, whatever came of it. */
  begun = 0;
  /** Those of them that struck at once, or were to be left out. */
  had = 0;
  /** The most kinds that went on at a time. */
  overlapMax = 0;
  #goingOn: {readonly kind: FaultKind; readonly untilMs: number}[] = [];

  /** How often any kind struck. */
  get struck(): number {
    let sum = 0;
    for (const count of this.counts.values()) sum += count;
    return sum;
  }

  strikes(kind: FaultKind, {nowMs, ms}: {nowMs: number; ms: number}): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    this.#goingOn = this.#goingOn.filter(({untilMs}) => untilMs > nowMs);
    for (const other of new Set(this.#goingOn.map((one) => one.kind))) {
      const pair = other < kind ? `${other}+${kind}` : `${kind}+${other}`;
      this.pairs.set(pair, (this.pairs.get(pair) ?? 0) + 1);
    }
    this.#goingOn.push({kind, untilMs: nowMs + Math.max(ms, AFTERMATH_MS)});
    this.overlapMax = Math.max(this.overlapMax, new Set(this.#goingOn.map((one) => one.kind)).size);
  }
}
