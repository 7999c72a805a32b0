/** The machine's clock and timers. */

import {performance} from 'node:perf_hooks';
import type {Clock} from '../ports.ts';

/** The longest delay that Node's timers take, milliseconds; they fire a longer one at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class NodeClock implements Clock {
  monotonicMs(): number {
    return performance.now();
  }

  wallMs(): number {
    return Date.now();
  }

  /**
   * The timer keeps the process alive: whoever waits (a retry while no socket is open) must not find the process
   * gone. Every component calls its timers off in stop(), so none holds up an exit.
   */
  after(delayMs: number, action: () => void): () => void {
    let timer: NodeJS.Timeout;
    const arm = (leftMs: number): void => {
      timer =
        leftMs <= TIMER_MS_MAX
          ? setTimeout(action, Math.max(0, leftMs))
          : setTimeout(() => arm(leftMs - TIMER_MS_MAX), TIMER_MS_MAX);
    };
    arm(delayMs);
    return () => clearTimeout(timer);
  }

  yield(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}
