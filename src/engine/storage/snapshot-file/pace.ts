/** Tells a long walk over records when to take breath, so that nothing holds the loop for longer than a slice. */

import {SLICE_BYTES, SLICE_KEYS, SLICE_MS} from '../../limits.ts';
import type {Clock} from '../../ports.ts';

/** Reading the clock costs as much as hashing a record: look only this often. */
const RECORDS_PER_LOOK = 32;
/** ... or after this many bytes: eight pages, each of which may have to come from the disk first. */
const BYTES_PER_LOOK = 32 * 1024;

export class Pace {
  readonly #clock: Clock;
  #sinceMs: number;
  #records = 0;
  #bytes = 0;
  #lookAtRecords = RECORDS_PER_LOOK;
  #lookAtBytes = BYTES_PER_LOOK;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = clock.monotonicMs();
  }

  /** Counts work that was done. True: {@link rest} now. */
  isDue(bytes: number, records = 1): boolean {
    this.#records += records;
    this.#bytes += bytes;
    if (this.#records < this.#lookAtRecords && this.#bytes < this.#lookAtBytes) return false;
    this.#lookAtRecords = this.#records + RECORDS_PER_LOOK;
    this.#lookAtBytes = this.#bytes + BYTES_PER_LOOK;
    const isOver = this.#records >= SLICE_KEYS || this.#bytes >= SLICE_BYTES;
    return isOver || this.#clock.monotonicMs() - this.#sinceMs >= SLICE_MS;
  }

  async rest(): Promise<void> {
    await this.#clock.yield();
    this.#sinceMs = this.#clock.monotonicMs();
    this.#records = 0;
    this.#bytes = 0;
    this.#lookAtRecords = RECORDS_PER_LOOK;
    this.#lookAtBytes = BYTES_PER_LOOK;
  }
}
