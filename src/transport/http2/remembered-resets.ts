/**
 * The streams that we ended before the peer had: its frames that were on their way are no error. Bounded: of the
 * oldest ones only the highest id is kept, and everything below it is treated leniently. Source: RFC 9113, section 5.1.
 */

import {REMEMBERED_RESETS_MAX} from './limits.ts';

export class RememberedResets {
  readonly #ids = new Set<number>();
  #forgottenMax = 0;

  add(streamId: number): void {
    this.#ids.add(streamId);
    if (this.#ids.size <= REMEMBERED_RESETS_MAX) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      this.#forgottenMax = Math.max(this.#forgottenMax, oldest);
      return;
    }
  }

  mayStillBeUsed(streamId: number): boolean {
    return streamId <= this.#forgottenMax || this.#ids.has(streamId);
  }
}
