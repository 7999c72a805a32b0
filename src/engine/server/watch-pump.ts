/** Keeps lagging watchers catching up, a slice between two turns of the loop, and sends progress on time. */

import type {Clock} from '../ports.ts';
import type {WatchHub} from '../watch/watch-hub.ts';

export interface WatchPumpOptions {
  readonly clock: Clock;
  readonly watchHub: WatchHub;
  /** Time between two progress notifications to an idle watcher that asked for them, milliseconds. */
  readonly progressIntervalMs: number;
  /** The history could not be read: the member must stop. */
  readonly onFailure: (error: unknown) => void;
}

export class WatchPump {
  readonly #options: WatchPumpOptions;
  #pumping = false;
  #stopped = false;
  #stopTimer: () => void = () => {};

  constructor(options: WatchPumpOptions) {
    this.#options = options;
  }

  start(): void {
    const {clock, watchHub, progressIntervalMs} = this.#options;
    this.#stopTimer = clock.after(progressIntervalMs, () => {
      watchHub.notifyProgress();
      this.start();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#stopTimer();
  }

  /** Called whenever a watcher may have become behind: runs slices until none is. */
  pump(): void {
    if (this.#pumping || this.#stopped) return;
    this.#pumping = true;
    this.#run().catch(this.#options.onFailure);
  }

  async #run(): Promise<void> {
    const {clock, watchHub} = this.#options;
    while (!this.#stopped && watchHub.catchUp()) await clock.yield();
    this.#pumping = false;
  }
}
