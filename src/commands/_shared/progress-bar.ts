/** A bar on the standard error stream while bytes move; silent when that is no terminal. */

import type {Terminal} from './terminal.ts';
import {formatBytes} from './units.ts';

/** Often enough to look alive, seldom enough to cost nothing. */
const REDRAW_MS = 100;
const BAR_COLUMNS_MAX = 40;
/** What stands beside the bar: label, percentage, sizes. */
const TEXT_COLUMNS = 40;

export class ProgressBar {
  readonly #terminal: Terminal;
  readonly #label: string;
  #drawnAtMs = Number.NEGATIVE_INFINITY;

  constructor(terminal: Terminal, label: string) {
    this.#terminal = terminal;
    this.#label = label;
  }

  update(doneBytes: number, totalBytes: number): void {
    const columns = this.#terminal.errorColumns;
    const nowMs = performance.now();
    if (columns === undefined || nowMs - this.#drawnAtMs < REDRAW_MS) return;
    this.#drawnAtMs = nowMs;
    const share = totalBytes === 0 ? 1 : Math.min(doneBytes / totalBytes, 1);
    const room = Math.max(Math.min(columns - TEXT_COLUMNS, BAR_COLUMNS_MAX), 0);
    const filled = Math.round(share * room);
    const bar = '#'.repeat(filled) + '.'.repeat(room - filled);
    const percent = String(Math.floor(share * 100)).padStart(3);
    this.#terminal.writeError(
      `\r\x1b[K${this.#label} ${bar} ${percent}% of ${formatBytes(totalBytes)}`.slice(0, columns + 4),
    );
  }

  /** Wipes the bar, so that what follows stands on a clean line. */
  end(): void {
    if (this.#drawnAtMs > 0 && this.#terminal.errorColumns !== undefined)
      this.#terminal.writeError('\r\x1b[K');
  }
}
