/**
 * Receive windows of one connection: what the peer may still send, when to tell it of more, and how far to open.
 * Auto-tuning: while much data comes in, a PING measures how much arrives in one round trip; a window that a round
 * trip fills is doubled. Source: RFC 9113, section 5.2.
 */

import {assert} from '../../engine/errors.ts';
import {CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES, WINDOW_BYTES_MAX} from './limits.ts';

/** Either a stream's window or the connection's. */
export class ReceiveWindow {
  /** Bytes the peer may send before it hears of more. */
  available: number;
  /** `available` and what was received but not yet announced again. */
  #size: number;
  /** Consumed, but not yet announced: announcing each byte would double the traffic. */
  #uncredited = 0;

  constructor(size: number) {
    this.available = size;
    this.#size = size;
  }

  /** @returns false when the peer sends more than it may */
  take(bytes: number): boolean {
    this.available -= bytes;
    return this.available >= 0;
  }

  /**
   * Gives back consumed bytes.
   * @param target the size that the window shall have from now on
   * @returns the increment to announce, 0 when it is too early
   */
  credit(bytes: number, target: number): number {
    this.#uncredited += bytes;
    assert(this.available + this.#uncredited <= this.#size, 'no byte is credited twice');
    if (this.#uncredited * 2 < this.#size) return 0;
    const increment = this.#uncredited + Math.max(0, target - this.#size);
    this.#size = Math.max(this.#size, target);
    this.#uncredited = 0;
    this.available += increment;
    return increment;
  }
}

export class WindowTuner {
  streamTarget = STREAM_WINDOW_BYTES;
  connectionTarget = CONNECTION_WINDOW_BYTES;
  #received = 0;
  #isMeasuring = false;

  received(bytes: number): void {
    this.#received += bytes;
  }

  /** @returns true: send a PING with the tuner's payload now */
  begin(): boolean {
    if (this.#isMeasuring || this.streamTarget === WINDOW_BYTES_MAX) return false;
    this.#isMeasuring = true;
    this.#received = 0;
    return true;
  }

  /** That PING's answer is here. */
  end(): void {
    if (!this.#isMeasuring) return;
    this.#isMeasuring = false;
    if (this.#received * 3 < this.streamTarget * 2) return;
    this.streamTarget = Math.min(this.streamTarget * 2, WINDOW_BYTES_MAX);
    this.connectionTarget = Math.min(
      Math.max(this.connectionTarget, this.streamTarget * 2),
      WINDOW_BYTES_MAX,
    );
  }
}
