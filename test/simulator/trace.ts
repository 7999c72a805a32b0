/** What happened, as lines: the last of them to be read, all of them in one hash that two runs of a seed share. */

import {createHash} from 'node:crypto';

const LINES_KEPT = 4_000;

export class Trace {
  readonly #hash = createHash('sha256');
  readonly #kept: string[] = [];
  readonly #nowMs: () => number;
  #pending = '';
  lines = 0;
  /** How often each named point was reached: where members died, what their logs tell of their states. */
  readonly reached = new Map<string, number>();
  /** Also gets every line, as it comes. */
  listener: ((line: string) => void) | undefined;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  note(text: string): void {
    const line = `${this.#nowMs().toFixed(3)} ${text}`;
    this.lines++;
    this.#pending += `${line}\n`;
    if (this.#pending.length > 65_536) {
      this.#hash.update(this.#pending);
      this.#pending = '';
    }
    this.#kept.push(line);
    if (this.#kept.length >= 2 * LINES_KEPT) this.#kept.splice(0, LINES_KEPT);
    this.listener?.(line);
  }

  reach(point: string): void {
    this.reached.set(point, (this.reached.get(point) ?? 0) + 1);
  }

  tail(count: number): readonly string[] {
    return this.#kept.slice(-count);
  }

  digest(): string {
    return this.#hash.copy().update(this.#pending).digest('hex');
  }
}
